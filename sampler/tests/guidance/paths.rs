//! Straight models on other paths, and back.

use std::ops::ControlFlow;

use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::{Choice, Samplers};
use flowline_sampler::guidance::{OnPath, PathVelocity, Straightened};
use flowline_sampler::path::Path;
use flowline_sampler::{Env, Keyed, Meter, Schedule};

use crate::{assert_close, costed, mixture, points, sum, velocity};

#[test]
fn a_straight_model_on_a_path_is_the_velocity_of_that_path() {
    let y = points(4);
    let mut on = || ControlFlow::Continue(());
    let mut meter = Meter::new(&mut on);
    for path in Path::ALL {
        let mut field = OnPath { straight: mixture(), path };
        assert_eq!(field.path(), path);
        for t in [1e-3, 0.2, 0.5, 0.8, 1.0] {
            let (at, rates) = (path.coefficients(t), path.rates(t));
            let x: Vec<f64> = y.iter().map(|y| y / at.scale()).collect();
            let v = velocity(&mut mixture(), &x, at.sigma());
            let data = sum(1.0, &x, -at.sigma(), &v);
            let noise = sum(1.0, &x, 1.0 - at.sigma(), &v);
            let golden = sum(rates.data, &data, rates.noise, &noise);
            assert_close(&field.path_velocity(&y, t, &mut meter).unwrap(), &golden, 1e-12);
        }
    }
    let mut vp = OnPath { straight: mixture(), path: Path::Vp };
    let error = vp.path_velocity(&y, 0.0, &mut meter).unwrap_err();
    assert_eq!(error.to_string(), "the vp path has no velocity at t = 0");
}

#[test]
fn a_curved_field_made_straight_is_the_straight_field_again() {
    let x = points(10);
    for path in Path::ALL {
        let mut back = Straightened { field: OnPath { straight: mixture(), path } };
        for sigma in [0.99, 0.9, 0.5, 0.1, 1e-3] {
            let (v, evaluations) = costed(&mut back, &x, sigma);
            assert_close(&v, &velocity(&mut mixture(), &x, sigma), 1e-11);
            assert_eq!(evaluations, 1);
        }
        // The variance-preserving path never gets to pure noise; its noisiest time answers for it.
        let end = path.coefficients(1.0).sigma();
        let at_noise = velocity(&mut back, &x, 1.0);
        assert_close(&at_noise, &velocity(&mut mixture(), &x, end), 1e-11);
    }
}

/// Midpoint steps in the path's own state and time end where the straight flow ends: the same flow in other
/// coordinates.
#[test]
fn the_flow_on_a_path_ends_where_the_straight_flow_ends() {
    let bench = Bench::smooth().unwrap();
    let start = bench.start()[..8].to_vec();
    let rk = Samplers::builtin().build(&Choice::new("heun")).unwrap();
    let (mut field, mut noise, mut on) = (bench.field().clone(), Keyed { seed: 1 }, || ControlFlow::Continue(()));
    let fine = Schedule::uniform(2000).unwrap();
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    let golden = flowline_sampler::integrate(&*rk, fine.clone(), start.clone(), &mut env, |_| ()).unwrap();

    let mut curved = OnPath { straight: bench.field().clone(), path: Path::Spherical };
    let mut asked = || ControlFlow::Continue(());
    let mut meter = Meter::new(&mut asked);
    let (mut y, steps) = (start.clone(), 400);
    for i in 0..steps {
        let (t, h) = (1.0 - f64::from(i) / f64::from(steps), -1.0 / f64::from(steps));
        let w = curved.path_velocity(&y, t, &mut meter).unwrap();
        let w = curved.path_velocity(&sum(1.0, &y, h / 2.0, &w), t + h / 2.0, &mut meter).unwrap();
        y = sum(1.0, &y, h, &w);
    }
    assert_close(&y, &golden, 1e-4);

    // The mistake that the types prevent: at t = 1/2 the curved field's x - t w is not the predicted data.
    let at = Path::Spherical.coefficients(0.5);
    let x: Vec<f64> = y.iter().map(|y| y / at.scale()).collect();
    let v = velocity(&mut bench.field().clone(), &x, at.sigma());
    let w = curved.path_velocity(&y, 0.5, &mut meter).unwrap();
    let (data, mistaken) = (sum(1.0, &x, -at.sigma(), &v), sum(1.0, &y, -0.5, &w));
    assert!(data.iter().zip(&mistaken).any(|(a, b)| (a - b).abs() > 0.1), "{data:?} and {mistaken:?}");
}
