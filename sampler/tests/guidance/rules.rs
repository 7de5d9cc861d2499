//! Rules for two or three predictions.

use std::ops::ControlFlow;

use flowline_sampler::catalog::{Choice, Samplers};
use flowline_sampler::guidance::{
    Absent, AdaptiveProjected, CfgZeroStar, ClassifierFree, Guided, Interval, Rescale, Rule, SkipLayer, Tangential,
};
use flowline_sampler::{Env, Error, Keyed, Meter, Schedule, State, Trajectory, Velocity};

use crate::{SIGMAS, assert_close, costed, dot, guided, mixture, negative, points, sum, velocity, weakened};

/// The four rules that take a scale.
fn rules(scale: f64) -> Vec<Box<dyn Rule<Vec<f64>>>> {
    let mut apg = AdaptiveProjected::new(scale);
    (apg.momentum, apg.norm_threshold) = (-0.5, 2.0);
    vec![
        Box::new(ClassifierFree { scale }),
        Box::new(CfgZeroStar { scale, zero_from: f64::INFINITY }),
        Box::new(apg),
        Box::new(Tangential { scale }),
    ]
}

#[test]
fn at_scale_one_every_rule_is_the_positive_field_and_costs_one_evaluation() {
    let x = points(3);
    for sigma in SIGMAS {
        for rule in rules(1.0) {
            assert_eq!(costed(&mut guided(rule), &x, sigma), (velocity(&mut mixture(), &x, sigma), 1));
        }
    }
}

#[test]
fn every_rule_is_finite_at_both_ends_and_costs_two_evaluations() {
    let x = points(3);
    for sigma in [1.0, 0.999, 0.4, 1e-6, 1e-300, 0.0] {
        for rule in rules(6.0) {
            let mut field = guided(Rescale { share: 0.7, rule });
            for _ in 0..3 {
                let (v, evaluations) = costed(&mut field, &x, sigma);
                assert!(v.iter().all(|value| value.is_finite()), "{v:?} at {sigma}");
                assert_eq!(evaluations, 2);
            }
        }
    }
}

#[test]
fn an_interval_over_everything_is_the_rule_and_outside_of_one_nothing_else_is_evaluated() {
    let x = points(3);
    for sigma in SIGMAS {
        let whole = Interval { low: 0.0, high: 1.0, rule: ClassifierFree { scale: 4.5 } };
        let plain = costed(&mut guided(ClassifierFree { scale: 4.5 }), &x, sigma);
        assert_eq!(costed(&mut guided(whole), &x, sigma), plain);
        let part = Interval { low: 0.1, high: 0.9, rule: ClassifierFree { scale: 4.5 } };
        let inside = (0.1..=0.9).contains(&sigma);
        let expected = if inside { plain } else { (velocity(&mut mixture(), &x, sigma), 1) };
        assert_eq!(costed(&mut guided(part), &x, sigma), expected);
    }
}

#[test]
fn rescaling_by_nothing_is_off_and_rescaling_wholly_restores_the_spread() {
    let deviation = |v: &[f64]| {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        (v.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / v.len() as f64).sqrt()
    };
    let x = points(4);
    for sigma in SIGMAS {
        let cfg = velocity(&mut guided(ClassifierFree { scale: 6.0 }), &x, sigma);
        let rescaled = |share| {
            let rule = Rescale { share, rule: ClassifierFree { scale: 6.0 } };
            velocity(&mut guided(rule), &x, sigma)
        };
        assert_eq!(rescaled(0.0), cfg);
        let positive = deviation(&velocity(&mut mixture(), &x, sigma));
        assert_close(&[deviation(&rescaled(1.0))], &[positive], 1e-13);
        // diffusers rescale_noise_cfg: the mix of both.
        let factor = positive / deviation(&cfg);
        assert_close(&rescaled(0.7), &sum(0.7 * factor, &cfg, 0.3, &cfg), 1e-13);
    }
    let still = Rescale { share: 1.0, rule: CfgZeroStar { scale: 3.0, zero_from: 0.0 } };
    assert_eq!(velocity(&mut guided(still), &x, 0.5), vec![0.0; 8]);
}

#[test]
fn cfg_zero_star_is_its_formula() {
    let x = points(3);
    for sigma in SIGMAS {
        let (c, u) = (velocity(&mut mixture(), &x, sigma), velocity(&mut negative(), &x, sigma));
        let s = dot(&c, &u) / (dot(&u, &u) + 1e-8);
        let su: Vec<f64> = u.iter().map(|u| s * u).collect();
        let golden: Vec<f64> = c.iter().zip(&su).map(|(c, su)| su + 5.0 * (c - su)).collect();
        let rule = CfgZeroStar { scale: 5.0, zero_from: f64::INFINITY };
        assert_close(&velocity(&mut guided(rule), &x, sigma), &golden, 1e-13);
    }
}

#[test]
fn cfg_zero_star_takes_no_first_step_and_asks_no_model_for_it() {
    let x = points(3);
    let rule = CfgZeroStar { scale: 5.0, zero_from: 1.0 };
    assert_eq!(costed(&mut guided(rule), &x, 1.0), (vec![0.0; 6], 0));
    assert_eq!(costed(&mut guided(rule), &x, 0.999).1, 2);
    let (mut field, mut noise, mut on) = (guided(rule), Keyed { seed: 1 }, || ControlFlow::Continue(()));
    let euler = Samplers::builtin().build(&Choice::new("euler")).unwrap();
    let mut run = Trajectory::start(&*euler, Schedule::uniform(4).unwrap(), x.clone()).unwrap();
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    let report = run.step(&mut env).unwrap().unwrap();
    assert_eq!((run.x(), &report.denoised, report.evaluations), (&x, &x, 0));
}

#[test]
fn projected_guidance_that_projects_nothing_is_plain_guidance() {
    let x = points(3);
    for sigma in SIGMAS.into_iter().chain([0.0]) {
        let mut rule = AdaptiveProjected::new(5.0);
        rule.eta = 1.0;
        let plain = velocity(&mut guided(ClassifierFree { scale: 5.0 }), &x, sigma);
        assert_close(&velocity(&mut guided(rule), &x, sigma), &plain, 1e-13);
    }
}

/// The paper's listing, on predicted data, with its momentum buffer.
#[test]
fn projected_guidance_is_the_papers_on_predicted_data() {
    let x = points(3);
    for (eta, momentum, threshold) in [(0.0, 0.0, f64::INFINITY), (0.3, -0.75, 1.3), (0.0, 0.5, 0.4), (1.0, -0.5, 9.0)]
    {
        let mut rule = AdaptiveProjected::new(7.0);
        (rule.eta, rule.momentum, rule.norm_threshold) = (eta, momentum, threshold);
        let mut field = guided(rule);
        let mut running = vec![0.0; 6];
        for sigma in [1.0, 0.8, 0.5, 0.2, 0.05, 0.004] {
            let data = |v: Vec<f64>| sum(1.0, &x, -sigma, &v);
            let positive = data(velocity(&mut mixture(), &x, sigma));
            let difference = sum(1.0, &positive, -1.0, &data(velocity(&mut negative(), &x, sigma)));
            running = sum(1.0, &difference, momentum, &running);
            let norm = dot(&running, &running).sqrt();
            let clipped: Vec<f64> = running.iter().map(|m| m * f64::min(1.0, threshold / norm)).collect();
            let along = dot(&clipped, &positive) / dot(&positive, &positive);
            let orthogonal = sum(1.0, &clipped, -along, &positive);
            let update = sum(1.0, &orthogonal, eta * along, &positive);
            let golden = sum(1.0, &positive, 6.0, &update);
            assert_close(&data(velocity(&mut field, &x, sigma)), &golden, 1e-12);
        }
    }
}

/// Against a singular value decomposition by power iteration.
#[test]
fn tangential_damping_projects_on_the_first_singular_vector() {
    let x = points(3);
    for sigma in [1.0, 0.93, 0.5, 0.1] {
        let (c, u) = (velocity(&mut mixture(), &x, sigma), velocity(&mut negative(), &x, sigma));
        let mut w = vec![1.0; 6];
        for _ in 0..20_000 {
            let image = sum(dot(&c, &w), &c, dot(&u, &w), &u);
            let length = dot(&image, &image).sqrt();
            w = image.into_iter().map(|value| value / length).collect();
        }
        let damped: Vec<f64> = w.iter().map(|value| value * dot(&u, &w)).collect();
        let golden = sum(3.0, &c, -2.0, &damped);
        assert_close(&velocity(&mut guided(Tangential { scale: 3.0 }), &x, sigma), &golden, 1e-10);
    }
}

#[test]
fn skip_layer_guidance_turns_away_from_the_weakened_field_inside_its_interval() {
    let x = points(3);
    let rule = SkipLayer { scale: 2.5, low: 0.2, high: 0.95, rule: ClassifierFree { scale: 4.0 } };
    for sigma in SIGMAS {
        let cfg = velocity(&mut guided(ClassifierFree { scale: 4.0 }), &x, sigma);
        let (v, evaluations) = costed(&mut guided(rule), &x, sigma);
        match (0.2..=0.95).contains(&sigma) {
            true => {
                let away = sum(1.0, &velocity(&mut mixture(), &x, sigma), -1.0, &velocity(&mut weakened(), &x, sigma));
                assert_close(&v, &sum(1.0, &cfg, 2.5, &away), 1e-13);
                assert_eq!(evaluations, 3);
            }
            false => assert_eq!((v, evaluations), (cfg, 2)),
        }
    }
    let off = SkipLayer { scale: 0.0, ..rule };
    assert_eq!(costed(&mut guided(off), &x, 0.5), costed(&mut guided(rule.rule), &x, 0.5));
    let mut without = Guided { positive: mixture(), negative: negative(), weakened: Absent, rule };
    let mut on = || ControlFlow::Continue(());
    let error = without.velocity(&x, 0.5, &mut Meter::new(&mut on)).unwrap_err();
    assert_eq!(error.to_string(), "this guidance needs a weakened field, and there is none");
}

#[test]
fn the_unconditional_prediction_is_offered_where_it_was_made() {
    let x = points(3);
    let mut on = || ControlFlow::Continue(());
    let mut meter = Meter::new(&mut on);
    let rule = Interval { low: 0.3, high: 0.9, rule: Tangential { scale: 4.0 } };
    let mut field = guided(rule);
    let (_, unconditional) = field.velocity_and_unconditional(&x, 0.5, &mut meter).unwrap();
    assert_eq!(unconditional, Some(velocity(&mut negative(), &x, 0.5)));
    assert_eq!(field.velocity_and_unconditional(&x, 0.95, &mut meter).unwrap().1, None);
}

#[test]
fn a_run_with_momentum_that_is_saved_and_restored_gives_the_same_bits() {
    let field = || {
        let mut apg = AdaptiveProjected::new(6.0);
        apg.momentum = -0.5;
        let rule = Rescale { share: 0.5, rule: Interval { low: 0.0, high: 0.9, rule: apg } };
        guided(rule)
    };
    let schedule = Schedule::uniform(8).unwrap();
    let heun = Samplers::builtin().build(&Choice::new("heun")).unwrap();
    let (mut noise, mut on) = (Keyed { seed: 1 }, || ControlFlow::Continue(()));
    let mut whole_field = field();
    let mut whole = Trajectory::start(&*heun, schedule.clone(), points(3)).unwrap();
    let mut saved = None;
    while whole.step(&mut Env::new(&mut whole_field, &mut noise, &mut on)).unwrap().is_some() {
        if whole.taken() == 4 {
            saved = Some(whole.save(&whole_field));
        }
    }
    let saved = saved.unwrap();
    assert!(saved.velocity.inner[3].latents.len() == 1, "the momentum is saved");
    let mut again_field = field();
    let mut again = Trajectory::restore(&*heun, schedule.clone(), saved, &mut again_field).unwrap();
    // A break in the middle of a step leaves the momentum as it was.
    let mut asked = 0;
    let mut stop = || {
        asked += 1;
        if asked == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let stopped = again.step(&mut Env::new(&mut again_field, &mut noise, &mut stop));
    assert!(matches!(stopped, Err(Error::Cancelled)));
    while again.step(&mut Env::new(&mut again_field, &mut noise, &mut on)).unwrap().is_some() {}
    assert_eq!(again.x(), whole.x());
    // 15 evaluations of the field, each of two models but the first, which lies outside of the interval.
    assert_eq!(whole.evaluations(), 29);

    let foreign = State { numbers: vec![1.0], ..State::default() };
    assert!(matches!(field().restore(foreign.clone()), Err(Error::State(_))));
    let foreign =
        State { inner: vec![State::default(), State::default(), State::default(), foreign], ..State::default() };
    assert!(matches!(field().restore(foreign), Err(Error::State(_))));
}
