//! Gaussian tilting.

use std::ops::ControlFlow;

use flowline_sampler::fields::{Component, Mixture};
use flowline_sampler::guidance::{Absent, ClassifierFree, Guided, Tilted};
use flowline_sampler::{Meter, Velocity};

use crate::{SIGMAS, assert_close, costed, guided, mixture, negative, points, sum, velocity};

/// `p(d) exp(-(strength/2) |d - target|^2)` for a mixture, completed squares component by component.
fn tilted_mixture(strength: f64, target: [f64; 2]) -> Mixture {
    let parts = [(2.0, [1.5, 0.5], 0.35), (3.0, [-1.0, 1.2], 0.25)];
    let tilt = |(weight, mean, std): (f64, [f64; 2], f64)| {
        let variance: f64 = std * std;
        let growth = 1.0 + strength * variance;
        let distance: f64 = mean.iter().zip(target).map(|(m, t)| (m - t) * (m - t)).sum();
        let moved = |i: usize| (mean[i] + strength * variance * target[i]) / growth;
        Component {
            weight: weight * f64::exp(-0.5 * strength * distance / growth) / growth,
            mean: vec![moved(0), moved(1)],
            std: (variance / growth).sqrt(),
        }
    };
    Mixture::new(parts.map(tilt).to_vec()).unwrap()
}

#[test]
fn tilting_is_exact_on_a_mixture() {
    let target = [0.4, -0.7];
    let x = points(20);
    let mut worst: f64 = 0.0;
    for strength in [0.5, 3.0, -0.3] {
        let mut golden = tilted_mixture(strength, target);
        let mut tilted = Tilted { field: mixture(), target: target.repeat(20), strength };
        for sigma in [1.0, 0.99, 0.8, 0.64, 0.5, 0.2, 0.03, 1e-3, 1e-8, 0.0] {
            // Pushing away exists below 1/(1 + sqrt(0.3)) = 0.646 only.
            if strength < 0.0 && sigma > 0.645 {
                continue;
            }
            let (ours, evaluations) = costed(&mut tilted, &x, sigma);
            assert_eq!(evaluations, 1);
            for (ours, golden) in ours.iter().zip(velocity(&mut golden, &x, sigma)) {
                let error = (ours - golden).abs() / golden.abs().max(1.0);
                worst = worst.max(error);
                assert!(error < 1e-12, "{ours} for {golden} at {sigma}, strength {strength}");
            }
        }
    }
    println!("worst relative error of tilting {worst:.1e}");
}

#[test]
fn tilting_by_nothing_is_off_and_what_cannot_be_tilted_is_left_alone() {
    let x = points(3);
    for sigma in SIGMAS.into_iter().chain([0.0]) {
        let plain = velocity(&mut mixture(), &x, sigma);
        let mut off = Tilted { field: mixture(), target: vec![0.0; 6], strength: 0.0 };
        assert_eq!(velocity(&mut off, &x, sigma), plain);
        let mut away = Tilted { field: mixture(), target: vec![0.0; 6], strength: -0.3 };
        if sigma > 0.65 {
            assert_eq!(velocity(&mut away, &x, sigma), plain);
        }
        for strength in [1e-12, 1e12] {
            let mut field = Tilted { field: mixture(), target: vec![0.5; 6], strength };
            assert!(velocity(&mut field, &x, sigma).iter().all(|value| value.is_finite()));
        }
    }
    // So strongly that the target is all there is left.
    let mut strong = Tilted { field: mixture(), target: vec![0.5; 6], strength: 1e14 };
    let v = velocity(&mut strong, &x, 0.7);
    assert_close(&sum(1.0, &x, -0.7, &v), &[0.5; 6], 1e-6);
    let mut wrong = Tilted { field: mixture(), target: vec![0.0; 4], strength: 1.0 };
    let mut on = || ControlFlow::Continue(());
    assert!(wrong.velocity(&x, 0.5, &mut Meter::new(&mut on)).is_err());
}

#[test]
fn tilting_composes_with_guidance_and_keeps_the_unconditional_prediction() {
    let x = points(3);
    let target = vec![0.5; 6];
    let cfg = guided(ClassifierFree { scale: 3.0 });
    let mut outside = Tilted { field: cfg, target: target.clone(), strength: 2.0 };
    let tilted_negative = || Tilted { field: negative(), target: target.clone(), strength: 2.0 };
    let mut inside = Guided {
        positive: Tilted { field: mixture(), target: target.clone(), strength: 2.0 },
        negative: tilted_negative(),
        weakened: Absent,
        rule: ClassifierFree { scale: 3.0 },
    };
    let mut on = || ControlFlow::Continue(());
    let mut meter = Meter::new(&mut on);
    let (v, unconditional) = outside.velocity_and_unconditional(&x, 0.6, &mut meter).unwrap();
    assert_close(&v, &velocity(&mut inside, &x, 0.6), 1e-13);
    assert_eq!(unconditional.unwrap(), velocity(&mut tilted_negative(), &x, 0.6));
}
