//! Guidance: its identities, its formulas by hand, its cost, its memory.

mod batches;
mod catalogue;
mod paths;
mod rules;
mod tilting;

use std::ops::ControlFlow;

use flowline_sampler::fields::{Component, Gaussian, Mixture};
use flowline_sampler::guidance::{Guided, Rule};
use flowline_sampler::{Keyed, Meter, Noise, NoiseKey, Stream, Velocity};

const SIGMAS: [f64; 6] = [1.0, 0.93, 0.5, 0.1, 1e-3, 1e-9];

fn mixture() -> Mixture {
    let component = |weight, mean: [f64; 2], std| Component { weight, mean: mean.to_vec(), std };
    let parts = vec![component(2.0, [1.5, 0.5], 0.35), component(3.0, [-1.0, 1.2], 0.25)];
    Mixture::new(parts).unwrap()
}

fn negative() -> Gaussian {
    Gaussian::new(vec![0.3, -0.2], vec![1.0, 2.0]).unwrap()
}

fn weakened() -> Gaussian {
    Gaussian::new(vec![0.5, 0.7], vec![1.5, 0.8]).unwrap()
}

fn points(count: usize) -> Vec<f64> {
    Keyed { seed: 9 }.normal(&vec![0.0; 2 * count], NoiseKey::first(Stream::INITIAL)).unwrap()
}

/// The velocity and what it cost.
fn costed<T>(field: &mut dyn Velocity<T>, x: &T, sigma: f64) -> (T, u64) {
    let mut on = || ControlFlow::Continue(());
    let mut meter = Meter::new(&mut on);
    (field.velocity(x, sigma, &mut meter).unwrap(), meter.evaluations())
}

fn velocity(field: &mut dyn Velocity<Vec<f64>>, x: &[f64], sigma: f64) -> Vec<f64> {
    costed(field, &x.to_vec(), sigma).0
}

fn guided<R: Rule<Vec<f64>>>(rule: R) -> Guided<Mixture, Gaussian, R, Gaussian> {
    Guided { positive: mixture(), negative: negative(), weakened: weakened(), rule }
}

fn assert_close(ours: &[f64], golden: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), golden.len());
    for (ours, golden) in ours.iter().zip(golden) {
        assert!((ours - golden).abs() <= tolerance * golden.abs().max(1.0), "{ours} for {golden}");
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sum(a: f64, x: &[f64], b: f64, y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| a * x + b * y).collect()
}
