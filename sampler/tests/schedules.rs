//! Schedules: the references' numbers, and what is refused.

use flowline_sampler::Schedule;
use flowline_sampler::catalog::{Choice, Plan, Schedules};
use flowline_sampler::path::Path;
use flowline_sampler::schedule::{flux_mu, flux2_mu};
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
            "flux2" => {
                assert!((flux2_mu(tokens, steps) - row["mu"].as_f64().unwrap()).abs() < 1e-12);
                build(&Choice::new("flux2"), steps, tokens)
            }
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

fn assert_sigmas(schedule: &Schedule, golden: &[f64], tolerance: f64) {
    assert_eq!(schedule.sigmas().len(), golden.len());
    for (ours, golden) in schedule.sigmas().iter().zip(golden) {
        assert!((ours - golden).abs() <= tolerance, "{:?} for {golden}", schedule.sigmas());
    }
}

fn written(choice: &str, steps: usize) -> Schedule {
    build(&choice.parse().unwrap(), steps, 4096)
}

/// `count` numbers from `from` to `to`, both included: numpy's `linspace`.
fn linspace(from: f64, to: f64, count: usize) -> Vec<f64> {
    let last = (count - 1).max(1) as f64;
    (0..count).map(|i| from + (to - from) * i as f64 / last).collect()
}

fn ending_in_zero(mut sigmas: Vec<f64>) -> Vec<f64> {
    sigmas.push(0.0);
    sigmas
}

fn time_shift(shift: f64, t: f64) -> f64 {
    shift * t / (1.0 + (shift - 1.0) * t)
}

#[test]
fn the_shift_of_flux2_is_fitted_to_the_steps_and_stays_at_the_end_of_its_fit() {
    for (tokens, steps, mu) in [(4096, 28, 2.151_4), (4096, 50, 2.023_3), (4096, 200, 1.15), (9216, 8, 2.016_66)] {
        assert!((flux2_mu(tokens, steps) - mu).abs() < 1e-3, "{}", flux2_mu(tokens, steps));
    }
    assert_eq!(flux2_mu(4096, 10_000), flux2_mu(4096, 200));
    assert_eq!(flux2_mu(9216, 4), flux2_mu(9216, 50));
}

#[test]
fn the_linear_shift_is_the_references() {
    // diffusers' _time_shift_linear: mu / (mu + (1/t - 1)^1), with mu from its calculate_shift.
    let mu = 1024.0 * ((1.15 - 0.5) / (4096.0 - 256.0)) + (0.5 - 256.0 * ((1.15 - 0.5) / (4096.0 - 256.0)));
    let golden = linspace(1.0, 1.0 / 20.0, 20).into_iter().map(|t| mu / (mu + (1.0 / t - 1.0))).collect();
    assert_sigmas(&build(&Choice::new("linear-shift"), 20, 1024), &ending_in_zero(golden), 1e-14);
}

#[test]
fn stretched_schedules_are_the_references_and_end_where_they_say() {
    for (name, tokens, mus, terminal) in
        [("qwen-image", [256.0, 8192.0], [0.5, 0.9], 0.02), ("ltx", [1024.0, 4096.0], [0.95, 2.05], 0.1)]
    {
        for image_tokens in [1024, 4096] {
            let slope = (mus[1] - mus[0]) / (tokens[1] - tokens[0]);
            let mu: f64 = image_tokens as f64 * slope + (mus[0] - tokens[0] * slope);
            let shifted = linspace(1.0, 1.0 / 20.0, 20).into_iter().map(|t| mu.exp() / (mu.exp() + (1.0 / t - 1.0)));
            // diffusers' stretch_shift_to_terminal.
            let one_minus: Vec<f64> = shifted.map(|t| 1.0 - t).collect();
            let scale = one_minus[19] / (1.0 - terminal);
            let golden = one_minus.iter().map(|z| 1.0 - z / scale).collect();
            let schedule = build(&Choice::new(name), 20, image_tokens);
            assert_sigmas(&schedule, &ending_in_zero(golden), 1e-14);
            assert!((schedule.sigmas()[19] - terminal).abs() < 1e-15);
        }
        assert_eq!(written(name, 1).sigmas(), [1.0, 0.0]);
    }
    let part = Schedule::new(vec![0.8, 0.4]).unwrap().stretched(0.1).unwrap();
    assert_sigmas(&part, &[0.7, 0.1], 1e-15);
    let message = "a terminal sigma lies strictly between 0 and 1, 0 does not";
    assert_eq!(refusal(Schedule::uniform(4).unwrap().stretched(0.0)), message);
}

#[test]
fn ramps_are_the_published_formulas() {
    let (steps, low, rho) = (11, 0.003_f64, 7.0);
    // crowsonkb/k-diffusion get_sigmas_karras, get_sigmas_exponential, get_sigmas_polyexponential at sigma_max = 1.
    let ramp = linspace(0.0, 1.0, steps);
    let (min_inv, max_inv) = (low.powf(1.0 / rho), 1.0);
    let karras = ramp.iter().map(|r| (max_inv + r * (min_inv - max_inv)).powf(rho)).collect();
    assert_sigmas(&written("karras", steps), &ending_in_zero(karras), 1e-14);
    let exponential = linspace(0.0, low.ln(), steps).into_iter().map(f64::exp).collect();
    assert_sigmas(&written("exponential", steps), &ending_in_zero(exponential), 1e-14);
    assert_eq!(written("polyexponential", steps), written("exponential", steps));
    let bent = linspace(1.0, 0.0, steps).into_iter().map(|r| (r.powf(2.0) * (0.0 - low.ln()) + low.ln()).exp());
    assert_sigmas(&written("polyexponential:rho=2", steps), &ending_in_zero(bent.collect()), 1e-14);
    // ComfyUI kl_optimal_scheduler.
    let kl = ramp.iter().map(|r| (r * low.atan() + (1.0 - r) * 1.0_f64.atan()).tan()).collect();
    assert_sigmas(&written("kl-optimal", steps), &ending_in_zero(kl), 1e-14);
    for name in ["karras", "exponential", "kl-optimal"] {
        assert_sigmas(&written(name, 2), &[1.0, low, 0.0], 1e-15);
    }
}

#[test]
fn curves_are_the_published_formulas() {
    let u = linspace(1.0, 0.0, 13);
    let cosine: Vec<f64> = (0..13).map(|i| (std::f64::consts::PI * f64::from(i) / 24.0).cos().powi(2)).collect();
    assert_sigmas(&written("cosine", 12), &cosine, 1e-15);
    let smooth: Vec<f64> = u.iter().map(|u| time_shift(3.0, 3.0 * u * u - 2.0 * u * u * u)).collect();
    assert_sigmas(&written("smoothstep:shift=3", 12), &smooth, 1e-15);
    // ComfyUI normal_scheduler(sgm=True): linspace over timesteps that are shifted sigmas, which sigma() shifts again.
    let sgm = linspace(1.0, time_shift(3.0, 0.001), 13)[..12].iter().map(|t| time_shift(3.0, *t)).collect();
    assert_sigmas(&written("sgm-uniform", 12), &ending_in_zero(sgm), 1e-15);
}

/// diffusers' `linear_quadratic_schedule`, in its own words: coefficients of one parabola in the step's index.
#[test]
fn the_linear_quadratic_schedule_is_the_references() {
    for steps in [2, 3, 7, 28, 50] {
        let (n, threshold) = (steps as f64, 0.025);
        let linear = (steps / 2) as f64;
        let difference = linear - threshold * n;
        let quadratic = n - linear;
        let a = difference / (linear * quadratic * quadratic);
        let b = threshold / linear - 2.0 * difference / (quadratic * quadratic);
        let c = a * linear * linear;
        let sigma = |i: usize| {
            let i = i as f64;
            1.0 - if i < linear { i * threshold / linear } else { a * i * i + b * i + c }
        };
        assert_sigmas(&written("mochi", steps), &ending_in_zero((0..steps).map(sigma).collect()), 1e-14);
    }
    assert!(refusal(Schedule::linear_quadratic(28, 0.99)).contains("outside"));
}

/// RES4LYF's `bong_tangent_scheduler` with its defaults, in its own words.
#[test]
fn the_bong_tangent_schedule_is_the_references() {
    let arc = |points: i64, slope: f64, pivot: f64, start: f64, end: f64| -> Vec<f64> {
        let level = |x: f64| ((2.0 / std::f64::consts::PI) * (-slope * (x - pivot)).atan() + 1.0) / 2.0;
        let (most, least) = (level(0.0), level((points - 1) as f64));
        (0..points).map(|x| (level(x as f64) - least) / (most - least) * (start - end) + end).collect()
    };
    for steps in [2, 3, 5, 8, 20, 23, 50] {
        let n = steps as i64 + 2;
        let pivot = (n as f64 * 0.6) as i64;
        let slope = 0.2 / (n as f64 / 40.0);
        let mut golden = arc(pivot, slope, pivot as f64, 1.0, 0.5);
        golden.pop();
        golden.extend(arc(n - pivot, slope, 0.0, 0.5, 0.0));
        assert_sigmas(&written("bong-tangent", steps), &golden, 1e-14);
    }
}

/// Closed forms of the beta quantile: arcsine, powers, and the cubic of Beta(2, 2).
#[test]
fn the_beta_schedule_is_the_quantile_of_the_beta_distribution() {
    let steps = 40;
    assert_sigmas(&written("beta:alpha=0.5,beta=0.5", steps), written("cosine", steps).sigmas(), 1e-14);
    let u = linspace(1.0, 0.0, steps + 1);
    for power in [0.2, 0.7, 1.0, 3.0, 5.0] {
        let front: Vec<f64> = u.iter().map(|u| u.powf(1.0 / power)).collect();
        assert_sigmas(&written(&format!("beta:alpha={power},beta=1"), steps), &front, 1e-14);
        let back: Vec<f64> = u.iter().map(|u| 1.0 - (1.0 - u).powf(1.0 / power)).collect();
        assert_sigmas(&written(&format!("beta:alpha=1,beta={power}"), steps), &back, 1e-14);
    }
    for (sigma, u) in written("beta:alpha=2,beta=2", steps).sigmas().iter().zip(&u) {
        assert!((sigma * sigma * (3.0 - 2.0 * sigma) - u).abs() < 1e-14);
    }
}

/// For parameters without a closed form: the density integrates to `1/N` over every step. Simpson's rule after
/// `x = sin^2 w`, which takes the poles of the density out: `x^(a-1) (1-x)^(b-1) dx = 2 sin^(2a-1) cos^(2b-1) dw`.
#[test]
fn every_step_of_the_beta_schedule_holds_the_same_probability() {
    for (a, b) in [(0.6, 0.6), (0.5, 0.7), (2.5, 1.3), (5.0, 0.9)] {
        let steps = 17;
        let density = |w: f64| 2.0 * w.sin().powf(2.0 * a - 1.0) * w.cos().powf(2.0 * b - 1.0);
        let mass = |from: f64, to: f64| -> f64 {
            let h = (to - from) / 400.0;
            let weight = |i: i32| if i == 0 || i == 400 { 1.0 } else { [2.0, 4.0][(i % 2) as usize] };
            (0..=400).map(|i| weight(i) * density(from + h * f64::from(i))).sum::<f64>() * h / 3.0
        };
        let schedule = written(&format!("beta:alpha={a},beta={b}"), steps);
        let angles: Vec<f64> = schedule.sigmas().iter().map(|sigma| sigma.sqrt().asin()).collect();
        // Without the first and the last, where the rule is less exact.
        let masses: Vec<f64> = angles[1..steps].windows(2).map(|pair| mass(pair[1], pair[0])).collect();
        for part in &masses {
            assert!((part / masses[0] - 1.0).abs() < 1e-8, "{a}, {b}: {masses:?}");
        }
    }
}

/// scipy.stats.norm.ppf and scipy.stats.beta.ppf, as printed in textbooks: deciles of the standard normal, and the
/// symmetry of both.
#[test]
fn the_logit_normal_schedule_is_the_quantile_of_the_logit_normal_distribution() {
    let deciles = [1.281_551_565_544_600_4, 0.841_621_233_572_914_2, 0.524_400_512_708_040_7, 0.253_347_103_135_799_7];
    let schedule = written("logit-normal:mean=0.4,std=1.3", 10);
    assert!((schedule.sigmas()[5] - 1.0 / (1.0 + f64::exp(-0.4))).abs() < 1e-15);
    for (i, z) in deciles.into_iter().enumerate() {
        let sigmoid = |y: f64| 1.0 / (1.0 + f64::exp(-y));
        assert!((schedule.sigmas()[i + 1] - sigmoid(0.4 + 1.3 * z)).abs() < 1e-14);
        assert!((schedule.sigmas()[9 - i] - sigmoid(0.4 - 1.3 * z)).abs() < 1e-14);
    }
    // e^mean is a shift.
    let moved = written("logit-normal", 28).shifted(f64::exp(0.7)).unwrap();
    assert_sigmas(&written("logit-normal:mean=0.7", 28), moved.sigmas(), 1e-15);
}

#[test]
fn parameters_that_make_sigmas_coincide_are_refused_and_no_step_is_dropped() {
    for refused in [Schedule::polyexponential(10_000, 0.003, 5.0), Schedule::beta(10_000, [0.2, 0.2], 1.0)] {
        let message = refused.map(|schedule| schedule.steps()).unwrap_err().to_string();
        assert!(message.contains("the schedule must fall"), "{message}");
    }
    for refused in [
        Schedule::karras(8, 0.0, 7.0),
        Schedule::karras(8, 1.0, 7.0),
        Schedule::karras(8, 0.1, f64::NAN),
        Schedule::polyexponential(8, 0.1, 0.0),
        Schedule::kl_optimal(8, f64::NAN),
        Schedule::beta(8, [0.0, 1.0], 1.0),
        Schedule::beta(8, [1.0, f64::INFINITY], 1.0),
        Schedule::logit_normal(8, f64::NAN, 1.0),
        Schedule::logit_normal(8, 0.0, -1.0),
        Schedule::linear_quadratic(8, 0.0),
        Schedule::cosine(0, 1.0),
        Schedule::bong_tangent(0),
        Schedule::sgm_uniform(8, -1.0),
    ] {
        assert!(!refusal(refused).is_empty());
    }
}
