//! Schedules: the references' numbers, and what is refused.

use flowline_sampler::Schedule;
use flowline_sampler::catalog::{Choice, Plan, Schedules};
use flowline_sampler::path::Path;
use flowline_sampler::schedule::flux_mu;
use serde_json::Value;

fn build(choice: &Choice, steps: usize, image_tokens: usize) -> Schedule {
    Schedules::builtin().build(choice, Plan { steps, image_tokens }).unwrap()
}

fn refusal(schedule: flowline_sampler::Result<Schedule>) -> String {
    schedule.unwrap_err().to_string()
}

/// The fixture holds what diffusers' `FlowMatchEulerDiscreteScheduler` computes in f32 for the published configurations.
#[test]
fn schedules_are_the_references() {
    let rows: Vec<Value> = serde_json::from_str(include_str!("fixtures/schedules.json")).unwrap();
    let (mut compared, mut worst) = (0, 0.0_f64);
    for row in &rows {
        let steps = row["steps"].as_u64().unwrap() as usize;
        let tokens = row["image_seq_len"].as_u64().unwrap() as usize;
        let shift = row["scheduler"]["shift"].as_f64().unwrap();
        let model = row["model"].as_str().unwrap();
        let schedule = match model {
            "flux1-dev" => build(&Choice::new("flux"), steps, tokens),
            "flux1-schnell" => build(&Choice::new("uniform"), steps, tokens),
            "sd3/sd3.5" => build(&Choice::new("sd3").with("shift", shift), steps, tokens),
            "flux2" => Schedule::flux(steps, row["mu"].as_f64().unwrap()).unwrap(),
            "z-image-turbo" | "z-image-base" | "flux3-klein" => {
                build(&Choice::new("shift").with("shift", shift), steps, tokens)
            }
            other => panic!("the fixture has a model this test does not know: {other}"),
        };
        let golden: Vec<f64> = row["sigmas"].as_array().unwrap().iter().map(|sigma| sigma.as_f64().unwrap()).collect();
        assert_eq!(schedule.sigmas().len(), golden.len());
        for (ours, golden) in schedule.sigmas().iter().zip(golden) {
            let error = (ours - golden).abs() / golden.max(f64::MIN_POSITIVE);
            worst = worst.max(error);
            assert!(error < 2e-5, "{model} in {steps} steps: {ours} for {golden}");
        }
        compared += 1;
    }
    println!("{compared} schedules, worst relative error {worst:.1e}");
    assert!(compared > 20);
}

#[test]
fn the_shift_of_flux_grows_with_the_picture_as_in_the_reference() {
    for (tokens, mu) in
        [(256, 0.5), (1024, 0.63), (3072, 0.976_666_666_666_666_6), (4096, 1.15), (9216, 2.016_666_666_666_666_6)]
    {
        assert!((flux_mu(tokens, 0.5, 1.15) - mu).abs() < 1e-12);
    }
}

#[test]
fn a_shift_moves_the_log_signal_to_noise_ratio_by_its_logarithm() {
    let uniform = Schedule::uniform(50).unwrap();
    let log_snr = |sigma: f64| ((1.0 - sigma) / sigma).ln();
    for shift in [0.2, 1.0, 3.0, 20.0] {
        let shifted = uniform.shifted(shift).unwrap();
        for (u, sigma) in uniform.sigmas()[1..50].iter().zip(&shifted.sigmas()[1..50]) {
            assert!((log_snr(*sigma) - (log_snr(*u) - shift.ln())).abs() < 1e-12);
        }
    }
}

#[test]
fn a_shift_of_one_changes_nothing_and_two_shifts_multiply() {
    let uniform = Schedule::uniform(28).unwrap();
    let close = |a: &Schedule, b: &Schedule| a.sigmas().iter().zip(b.sigmas()).all(|(a, b)| (a - b).abs() < 1e-15);
    assert!(close(&uniform.shifted(1.0).unwrap(), &uniform));
    let twice = uniform.shifted(2.0).unwrap().shifted(3.0).unwrap();
    assert!(close(&twice, &uniform.shifted(6.0).unwrap()));
}

#[test]
fn the_last_sigma_of_sd3_is_the_doubly_shifted_one() {
    // samplers.md, section 1: 0.008929 instead of 0.002994 for shift 3, 28 steps.
    let schedule = Schedule::sd3(28, 3.0).unwrap();
    assert!((schedule.sigmas()[27] - 0.008_928_571_428_571_43).abs() < 1e-12);
}

#[test]
fn every_schedule_begins_at_one_exactly_and_ends_at_zero_exactly() {
    let schedules = Schedules::builtin();
    for about in schedules.iter() {
        for steps in [1, 2, 3, 28, 1000] {
            let sigmas = build(&Choice::new(about.name), steps, 4096);
            assert_eq!(sigmas.steps(), steps, "{}", about.name);
            assert_eq!((sigmas.sigmas()[0], sigmas.sigmas()[steps]), (1.0, 0.0), "{}", about.name);
        }
    }
}

#[test]
fn the_longest_schedules_can_be_made() {
    for about in Schedules::builtin().iter() {
        build(&Choice::new(about.name), 10_000, 4096);
    }
}

#[test]
fn the_grid_of_a_path_is_uniform_in_its_time() {
    let schedule = Schedule::path(12, Path::Spherical).unwrap();
    for (i, sigma) in schedule.sigmas().iter().enumerate() {
        let phi = std::f64::consts::FRAC_PI_2 * (1.0 - i as f64 / 12.0);
        assert!((sigma - phi.sin() / (phi.sin() + phi.cos())).abs() < 1e-15);
    }
    assert_eq!(Schedule::path(12, Path::Linear).unwrap(), Schedule::uniform(12).unwrap());
    let vp = Schedule::path(2, Path::Vp).unwrap();
    let alpha = (-19.9 / 16.0 - 0.1 / 4.0_f64).exp();
    let beta = (1.0 - alpha * alpha).sqrt();
    assert!((vp.sigmas()[1] - beta / (alpha + beta)).abs() < 1e-15);
}

#[test]
fn intervals_cover_the_schedule_and_end_with_it() {
    let schedule = Schedule::new(vec![0.9, 0.5, 0.25]).unwrap();
    assert_eq!((schedule.interval(0), schedule.interval(1)), (Some([0.9, 0.5]), Some([0.5, 0.25])));
    assert_eq!((schedule.interval(2), schedule.interval(usize::MAX - 1)), (None, None));
}

#[test]
fn lists_that_are_no_schedule_are_refused_with_the_reason() {
    for (sigmas, reason) in [
        (vec![], "a schedule has 1 to 10000 steps, this one has 0"),
        (vec![1.0], "a schedule has 1 to 10000 steps, this one has 0"),
        (vec![1.0; 10_002], "a schedule has 1 to 10000 steps, this one has 10001"),
        (vec![1.0, f64::NAN, 0.0], "sigma 1 of the schedule is NaN, outside [0, 1]"),
        (vec![f64::INFINITY, 0.0], "sigma 0 of the schedule is inf, outside [0, 1]"),
        (vec![1.5, 0.0], "sigma 0 of the schedule is 1.5, outside [0, 1]"),
        (vec![1.0, -0.5], "sigma 1 of the schedule is -0.5, outside [0, 1]"),
        (vec![1.0, 0.5, 0.5, 0.0], "sigma 2 of the schedule is 0.5, equal to sigma 1 (0.5): the schedule must fall"),
        (vec![0.1, 0.2], "sigma 1 of the schedule is 0.2, above sigma 0 (0.1): the schedule must fall"),
    ] {
        assert_eq!(refusal(Schedule::new(sigmas)), reason);
    }
}

#[test]
fn a_list_by_hand_must_end_at_the_picture() {
    assert!(Schedule::explicit(vec![1.0, 0.4, 0.0]).is_ok());
    assert!(Schedule::explicit(vec![0.7, 0.4, 0.0]).is_ok());
    assert_eq!(refusal(Schedule::explicit(vec![1.0, 0.1])), "the last sigma of the schedule is 0.1, it must be 0");
    assert_eq!(refusal(Schedule::explicit(vec![])), "a schedule has 1 to 10000 steps, this one has 0");
}

#[test]
fn numbers_of_steps_that_cannot_be_taken_are_refused() {
    for steps in [0, 10_001, usize::MAX] {
        let message = format!("{steps} steps were asked for, 1 to 10000 can be taken");
        assert_eq!(refusal(Schedule::uniform(steps)), message);
        assert_eq!(refusal(Schedule::sd3(steps, 3.0)), message);
        assert_eq!(refusal(Schedule::path(steps, Path::Vp)), message);
    }
}

#[test]
fn shifts_that_are_no_numbers_or_too_extreme_are_refused() {
    let uniform = Schedule::uniform(28).unwrap();
    for shift in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let message = format!("a shift is a positive number, not {shift}");
        assert_eq!(refusal(uniform.shifted(shift)), message);
        assert_eq!(refusal(Schedule::sd3(28, shift)), message);
    }
    for shift in [5e-324, 1e18, 1e300] {
        let message = refusal(uniform.shifted(shift));
        assert!(message.starts_with(&format!("a shift of {shift} is too extreme: ")), "{message}");
    }
    // A picture of absurd size shifts FLUX's schedule beyond what f64 can tell apart; it is an error, not a panic.
    for image_tokens in [1_000_000, usize::MAX] {
        let plan = Plan { steps: 28, image_tokens };
        let message = refusal(Schedules::builtin().build(&Choice::new("flux"), plan));
        assert!(message.starts_with("a shift "), "{message}");
    }
}
