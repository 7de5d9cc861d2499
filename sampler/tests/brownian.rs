//! Brownian noise: the path's construction, its exact variance, and runs that converge along it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use flowline_sampler::bench::Bench;
use flowline_sampler::facts::{Bias, Evaluations, Facts, Group, LastStep};
use flowline_sampler::fields::Mixture;
use flowline_sampler::noise::brownian::{Brownian, DEPTH, fill_increment, path_at};
use flowline_sampler::noise::normal_at;
use flowline_sampler::{
    Env, Keyed, Latent, Noise, NoiseKey, Result, Sampler, Schedule, Span, Step, Stepped, Stepper, Stream, integrate,
};

const SIGMAS: [f64; 10] = [0.0, 1e-9, 0.003, 0.1, 0.25, 1.0 / 3.0, 0.5, 0.813, 1.0 - 1.0 / 28.0, 1.0];

/// The weights of the path's nodes at `sigma` by the expansion of Levy and Ciesielski: node `2^d + k` has the integral of
/// its Haar function, a hat of height `2^(-d/2)/2` over `[k, k + 1]/2^d`.
fn weights(sigma: f64) -> BTreeMap<u64, f64> {
    let mut weights = BTreeMap::from([(0, sigma)]);
    for d in 0..DEPTH {
        let cells = 2.0_f64.powi(d as i32);
        let k = (sigma * cells).floor().min(cells - 1.0);
        let hat = 1.0 - (2.0 * (sigma * cells - k) - 1.0).abs();
        weights.insert((1 << d) + k as u64, hat / (2.0 * cells.sqrt()));
    }
    weights
}

fn node(seed: u64, index: u64, element: u64) -> f64 {
    let key = NoiseKey { stream: Stream::BROWNIAN, step: (index >> 32) as u32, draw: index as u32 };
    normal_at(seed, key, element)
}

#[test]
fn the_path_is_the_sum_of_its_hats() {
    for sigma in SIGMAS {
        for element in [0, 1, 2, 7, 1001] {
            let golden: f64 = weights(sigma).iter().map(|(index, weight)| weight * node(5, *index, element)).sum();
            let ours = path_at(5, sigma, element);
            assert!((ours - golden).abs() < 1e-14, "{ours} for {golden} at {sigma}");
        }
    }
}

/// The nodes are independent, so the variance of an increment is the sum of its squared weights: no sampling.
#[test]
fn the_variance_of_every_increment_is_its_length_and_increments_apart_are_independent() {
    let difference = |a: f64, b: f64| {
        let mut of_both = weights(a);
        for (index, weight) in weights(b) {
            *of_both.entry(index).or_default() -= weight;
        }
        of_both
    };
    let mut worst = 0.0_f64;
    for a in SIGMAS {
        for b in SIGMAS {
            let variance: f64 = difference(a, b).values().map(|weight| weight * weight).sum();
            worst = worst.max((variance - (a - b).abs()).abs());
            for c in SIGMAS {
                let (left, right) = (difference(a, b), difference(b, c));
                if (a - b) * (b - c) > 0.0 {
                    let covariance: f64 =
                        left.iter().map(|(index, weight)| weight * right.get(index).copied().unwrap_or_default()).sum();
                    worst = worst.max(covariance.abs());
                }
            }
        }
    }
    println!("variances and covariances are off by at most {worst:.1e}");
    assert!(worst < 2.0_f64.powi(-40));
}

fn increment(seed: u64, from: f64, to: f64, count: usize) -> Vec<f32> {
    let mut out = vec![0.0; count];
    fill_increment(seed, Span { from, to }, &mut out).unwrap();
    out
}

#[test]
fn increments_add_up() {
    for element in 0..50 {
        let part = |from, to| path_at(3, from, element) - path_at(3, to, element);
        assert!((part(0.9, 0.61) + part(0.61, 0.2) - part(0.9, 0.2)).abs() < 1e-15);
    }
    let (first, second, whole) = (increment(3, 0.9, 0.61, 50), increment(3, 0.61, 0.2, 50), increment(3, 0.9, 0.2, 50));
    for ((first, second), whole) in first.into_iter().zip(second).zip(whole) {
        let together = f64::from(first) * 0.29_f64.sqrt() + f64::from(second) * 0.41_f64.sqrt();
        assert!((together - f64::from(whole) * 0.7_f64.sqrt()).abs() < 3e-7);
    }
}

#[test]
fn an_increment_depends_on_seed_element_and_interval_only() {
    let long = increment(3, 0.7, 0.3, 103);
    for count in [0, 1, 3, 4, 5, 102] {
        assert_eq!(increment(3, 0.7, 0.3, count), long[..count]);
    }
    for other in [increment(4, 0.7, 0.3, 103), increment(3 + (1 << 32), 0.7, 0.3, 103), increment(3, 0.7, 0.2, 103)] {
        assert!(other.iter().zip(&long).all(|(a, b)| a != b));
    }
    let keys = [NoiseKey { stream: Stream::SAMPLER, step: 1, draw: 0 }, NoiseKey::first(Stream::SAMPLER)];
    let like = vec![0.0; 103];
    for key in keys {
        let span = Span { from: 0.7, to: 0.3 };
        let ours = Brownian { seed: 3 }.increment(&like, key, span).unwrap();
        assert_eq!(ours, long.iter().copied().map(f64::from).collect::<Vec<_>>());
        assert_eq!(Brownian { seed: 3 }.normal(&like, key).unwrap(), Keyed { seed: 3 }.normal(&like, key).unwrap());
        // A source without a path gives what it always gave.
        assert_eq!(
            Keyed { seed: 3 }.increment(&like, key, span).unwrap(),
            Keyed { seed: 3 }.normal(&like, key).unwrap()
        );
    }
}

/// Bounds are five standard errors.
#[test]
fn increments_are_standard_normal_and_no_other_noise() {
    let count = 100_000;
    let n = count as f64;
    let reference = increment(1, 0.5, 0.25, count);
    for values in [increment(1, 1.0, 0.0, count), increment(1, 0.8371, 0.83, count), reference.clone()] {
        let moment = |power| values.iter().map(|value| f64::from(*value).powi(power)).sum::<f64>() / n;
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (4, 3.0, 96.0)] {
            let error = (moment(power) - expected).abs();
            assert!(error < 5.0 * f64::sqrt(variance / n), "moment {power} is off by {error}");
        }
    }
    let mut keyed = vec![0.0; count];
    flowline_sampler::noise::fill_normal(1, NoiseKey::first(Stream::SAMPLER), &mut keyed);
    for other in [keyed, increment(1, 0.75, 0.5, count), increment(2, 0.5, 0.25, count), reference[1..].to_vec()] {
        let correlation = reference.iter().zip(&other).map(|(a, b)| f64::from(a * b)).sum::<f64>() / n;
        assert!(correlation.abs() < 5.0 / n.sqrt(), "{correlation}");
    }
}

#[test]
fn what_is_no_interval_is_refused() {
    for (from, to) in [(0.5, 0.5), (0.3, 0.7), (1.1, 0.5), (0.5, -0.1), (f64::NAN, 0.1), (0.5, f64::NAN)] {
        let error = fill_increment(1, Span { from, to }, &mut [0.0]).unwrap_err().to_string();
        assert_eq!(error, format!("sigma does not fall from {from} to {to} inside [0, 1]"));
    }
}

/// `g^2 = 2 sigma^2`: the kappa step, `kappa = exp(-int g^2/(2 q^2) dq)`, or the step of Euler and Maruyama.
#[derive(Clone, Copy)]
enum Stochastic {
    Kappa,
    EulerMaruyama,
}

impl Sampler<Vec<f64>> for Stochastic {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<Vec<f64>>>> {
        Ok(Box::new(*self))
    }

    fn facts(&self) -> Facts {
        Facts {
            group: Group::Variety,
            order: 1.0,
            bias: Bias::Shrinks,
            evaluations: Evaluations::each(1),
            last: LastStep::Denoised,
            resolves: false,
            label: None,
        }
    }
}

impl Stepper<Vec<f64>> for Stochastic {
    fn step(&mut self, step: &Step<'_>, x: &Vec<f64>, env: &mut Env<'_, Vec<f64>>) -> Result<Stepped<Vec<f64>>> {
        let (sigma, next) = (step.sigma, step.next);
        let h = sigma - next;
        let ends = env.predict(x, sigma)?;
        if next == 0.0 {
            return Ok(Stepped { x: ends.data.clone(), denoised: ends.data });
        }
        let z = env.increment(x, sigma, next)?;
        let x = match self {
            Self::Kappa => {
                let kappa = f64::exp(-h);
                let fresh = next * (1.0 - kappa * kappa).sqrt();
                Vec::lincomb(&[(1.0 - next, &ends.data), (next * kappa, &ends.noise), (fresh, &z)])?
            }
            Self::EulerMaruyama => {
                let v = Vec::lincomb(&[(1.0, &ends.noise), (-1.0, &ends.data)])?;
                let g = sigma * f64::sqrt(2.0);
                Vec::lincomb(&[(1.0, x), (-h, &v), (-h * sigma, &ends.noise), (g * h.sqrt(), &z)])?
            }
        };
        Ok(Stepped { x, denoised: ends.data })
    }
}

fn run(sampler: Stochastic, field: &Mixture, noise: &mut dyn Noise<Vec<f64>>, steps: usize) -> Vec<f64> {
    let start = Keyed { seed: 2 }.normal(&vec![0.0; 64], NoiseKey::first(Stream::INITIAL)).unwrap();
    let (mut field, mut on) = (field.clone(), || ControlFlow::Continue(()));
    let mut env = Env::new(&mut field, noise, &mut on);
    integrate(&sampler, Schedule::uniform(steps).unwrap(), start, &mut env, |_| ()).unwrap()
}

/// The root mean square distance of the points of two runs.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / a.len() as f64 * 2.0).sqrt()
}

#[test]
fn runs_along_one_path_converge_strongly_and_runs_along_others_do_not() {
    let bench = Bench::smooth().unwrap();
    let field = bench.field();
    let limit = run(Stochastic::EulerMaruyama, field, &mut Brownian { seed: 6 }, 4096);
    for sampler in [Stochastic::Kappa, Stochastic::EulerMaruyama] {
        let errors =
            [32, 128, 512].map(|steps| distance(&run(sampler, field, &mut Brownian { seed: 6 }, steps), &limit));
        println!("strong errors {errors:.4?}");
        for pair in errors.windows(2) {
            // Additive noise: the strong order is 1, four times the steps are a quarter of the error.
            let order = (pair[0] / pair[1]).log2() / 2.0;
            assert!((0.8..1.4).contains(&order), "order {order}, {errors:?}");
        }
        let apart = distance(&run(sampler, field, &mut Keyed { seed: 6 }, 512), &limit);
        assert!(apart > 20.0 * errors[2], "{apart}");
    }
}
