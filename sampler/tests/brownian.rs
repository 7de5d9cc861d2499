//! Brownian noise: the path's construction, its exact variance, and runs that converge along it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use flowline_sampler::bench::{Bench, moments};
use flowline_sampler::catalog::{Choice, Samplers};
use flowline_sampler::fields::AffineGaussian;
use flowline_sampler::noise::brownian::{Brownian, DEPTH, fill_increment, path_at};
use flowline_sampler::noise::normal_at;
use flowline_sampler::proof::{DATA, walk};
use flowline_sampler::{Env, Keyed, Noise, NoiseKey, Result, Sampler, Schedule, Span, Stream, integrate};

static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::smooth().unwrap());

fn build(choice: &str) -> Box<dyn Sampler<Vec<f64>>> {
    Samplers::builtin().build(&choice.parse::<Choice>().unwrap()).unwrap()
}

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

fn run(choice: &str, noise: &mut dyn Noise<Vec<f64>>, steps: usize) -> Vec<f64> {
    let start = Keyed { seed: 2 }.normal(&vec![0.0; 32], NoiseKey::first(Stream::INITIAL)).unwrap();
    let (mut field, mut on) = (BENCH.field().clone(), || ControlFlow::Continue(()));
    let mut env = Env::new(&mut field, noise, &mut on);
    integrate(&*build(choice), Schedule::uniform(steps).unwrap(), start, &mut env, |_| ()).unwrap()
}

/// The median distance of the points of two runs: a few points in another mode must not decide.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let mut apart: Vec<_> = a.chunks(2).zip(b.chunks(2)).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).collect();
    apart.sort_by(f64::total_cmp);
    apart[apart.len() / 2]
}

/// Every sampler that draws noise along the way and adds it over the step it takes, with the least strong order it may
/// show. Additive noise: that order is 1, four times the steps are a quarter of the error. `sa` begins and ends its
/// noise with a whole step.
const ALONG: [(&str, f64); 14] = [
    ("langevin", 0.75),
    ("langevin:decay=1", 0.8),
    ("langevin2", 0.75),
    ("ancestral", 0.75),
    ("overshoot", 0.75),
    ("ddpm", 0.75),
    ("dpmpp2m-sde", 0.75),
    ("dpmpp-sde", 0.75),
    ("seeds2", 0.75),
    ("er-sde", 0.75),
    ("er-sde:order=1", 0.75),
    ("sa", 0.6),
    ("sa:from=1,to=0", 0.75),
    ("euler-maruyama:decay=1", 0.8),
];

#[test]
fn runs_along_one_path_converge_strongly_and_runs_with_other_noise_do_not() {
    for (choice, least) in ALONG {
        let limit = run(choice, &mut Brownian { seed: 6 }, 1024);
        let along = [16, 64, 256].map(|steps| distance(&run(choice, &mut Brownian { seed: 6 }, steps), &limit));
        let apart = [16, 64, 256].map(|steps| distance(&run(choice, &mut Keyed { seed: 6 }, steps), &limit));
        let order = (along[1] / along[2]).log2() / 2.0;
        println!("{choice}: along the path {along:.4?}, order {order:.2}, with other noise {apart:.4?}");
        assert!((least..1.4).contains(&order), "{choice}: order {order}, {along:?}");
        assert!(along[0] > 3.0 * along[2], "{choice}: {along:?}");
        assert!(apart.iter().all(|apart| *apart > 20.0 * along[2]), "{choice}: {apart:?} for {along:?}");
        assert!(apart[2] > apart[0] / 2.0, "{choice}: {apart:?}");
    }
}

#[test]
fn every_sampler_that_draws_noise_follows_the_path_or_has_a_reason_not_to() {
    // The first two are no diffusions, the noise of the third is added outside its step.
    let mut known: Vec<_> = ALONG.iter().map(|(choice, _)| choice.split(':').next().unwrap()).collect();
    known.extend(["lcm", "noise-refresh", "churn"]);
    for about in Samplers::<Vec<f64>>::builtin().iter() {
        let noisy = walk(&*build(about.name), 4).unwrap().noisy;
        assert_eq!(known.contains(&about.name), noisy, "{}", about.name);
    }
}

/// A path in coefficient vectors: between two neighbours of `cuts`, which fall, it has a normal of its own.
#[derive(Default)]
struct ExactPath {
    cuts: Vec<f64>,
    /// What was asked for.
    asked: Vec<Span>,
}

impl Noise<Vec<f64>> for ExactPath {
    fn normal(&mut self, _: &Vec<f64>, key: NoiseKey) -> Result<Vec<f64>> {
        panic!("{key:?} is not noise of the path")
    }

    fn increment(&mut self, like: &Vec<f64>, _: NoiseKey, span: Span) -> Result<Vec<f64>> {
        self.asked.push(span);
        let mut e = vec![0.0; like.len()];
        for (pair, weight) in self.cuts.windows(2).zip(e.iter_mut().skip(2)) {
            if pair[0] <= span.from && pair[1] >= span.to {
                *weight = ((pair[0] - pair[1]) / (span.from - span.to)).sqrt();
            }
        }
        Ok(e)
    }
}

/// Mean and standard deviation at the end, exact.
fn moments_along_a_path(choice: &str, steps: usize) -> [f64; 2] {
    let mut noise = ExactPath::default();
    loop {
        let (mut field, mut on) = (DATA, || ControlFlow::Continue(()));
        let mut start = vec![0.0; 2 + noise.cuts.len()];
        start[1] = 1.0;
        let mut env = Env::new(&mut field, &mut noise, &mut on);
        let end = integrate(&*build(choice), Schedule::uniform(steps).unwrap(), start, &mut env, |_| ()).unwrap();
        if !noise.cuts.is_empty() {
            let [mean, variance] = AffineGaussian::moments(&end);
            return [mean, variance.sqrt()];
        }
        // The first round finds out where the steps and their stages are.
        noise.cuts = noise.asked.iter().flat_map(|span| [span.from, span.to]).collect();
        noise.cuts.sort_by(|a, b| b.total_cmp(a));
        noise.cuts.dedup();
    }
}

#[test]
fn along_a_path_the_results_are_spread_as_with_fresh_noise_on_every_step() {
    for (choice, _) in ALONG {
        let spread = |steps| {
            let [mean, std] = moments_along_a_path(choice, steps);
            assert!((mean - DATA.mean).abs() < 1e-9, "{choice}: {mean}");
            let fresh = moments(&*build(choice), Schedule::uniform(steps).unwrap(), DATA).unwrap();
            // The trial of dpmpp-sde sees a part of the step's noise here, and noise of its own there.
            if choice != "dpmpp-sde" {
                assert!((std - fresh.std).abs() < 1e-12, "{choice}: {std}, {}", fresh.std);
            }
            (std / DATA.variance.sqrt() - 1.0).abs()
        };
        let [coarse, fine] = [32, 256].map(spread);
        println!("{choice}: off by {coarse:.1e} and {fine:.1e}");
        assert!(fine < coarse / 5.0, "{choice}: {coarse} and {fine}");
    }
}
