//! The identities that tie velocity, posterior means, score and paths together, and the samplers to each other.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};
use std::ops::ControlFlow;

use flowline_sampler::catalog::{Choice, Samplers};
use flowline_sampler::exponential::{Diffusion, Exponential};
use flowline_sampler::fields::{Component, Gaussian, Mixture};
use flowline_sampler::guidance::Cfg;
use flowline_sampler::natural_euler::NaturalEuler;
use flowline_sampler::path::{Coefficients, Path};
use flowline_sampler::{
    Env, Keyed, Latent, Measure, Meter, Noise, NoiseKey, Sampler, Schedule, Stream, Velocity, integrate,
};

const SIGMAS: [f64; 6] = [0.0, 1e-3, 0.2, 0.5, 0.9, 1.0];

fn gaussian() -> Gaussian {
    Gaussian::new(vec![1.5, -0.4], vec![0.25, 2.0]).unwrap()
}

fn mixture() -> Mixture {
    let component = |weight, mean: [f64; 2], std| Component { weight, mean: mean.to_vec(), std };
    Mixture::new(vec![
        component(2.0, [1.5, 0.5], 0.35),
        component(3.0, [-1.0, 1.2], 0.25),
        component(1.0, [0.3, -1.4], 0.5),
    ])
    .unwrap()
}

fn velocity(field: &mut dyn Velocity<Vec<f64>>, x: &[f64], sigma: f64) -> Vec<f64> {
    field.velocity(&x.to_vec(), sigma, &mut Meter::new(&mut || ControlFlow::Continue(()))).unwrap()
}

/// `D = x - sigma v` and `N = x + (1 - sigma) v`.
fn predictions(field: &mut dyn Velocity<Vec<f64>>, x: &[f64], sigma: f64) -> [Vec<f64>; 2] {
    let v = velocity(field, x, sigma);
    let end = |c: f64| x.iter().zip(&v).map(|(x, v)| x + c * v).collect();
    [end(-sigma), end(1.0 - sigma)]
}

fn points(count: usize) -> Vec<f64> {
    Keyed { seed: 9 }.normal(&vec![0.0; 2 * count], NoiseKey::first(Stream::INITIAL)).unwrap()
}

fn run(sampler: &dyn Sampler<Vec<f64>>, schedule: &Schedule, x: &[f64]) -> Vec<f64> {
    let (mut field, mut noise, mut on) = (mixture(), Keyed { seed: 1 }, || ControlFlow::Continue(()));
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    integrate(sampler, schedule.clone(), x.to_vec(), &mut env, |_| ()).unwrap()
}

#[track_caller]
fn assert_close(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} is not {b}");
    }
}

#[test]
fn the_exact_flow_of_a_gaussian_obeys_its_velocity() {
    // x(sigma) = alpha mu + sqrt(V) z, so dx/dsigma = -mu + V'/(2 sqrt V) z with V = alpha^2 c^2 + sigma^2.
    for sigma in SIGMAS {
        for (mean, c2, z) in [(1.5, 0.25, 0.7), (-0.4, 2.0, -1.3)] {
            let (alpha, mut field) = (1.0 - sigma, Gaussian::new(vec![mean], vec![c2]).unwrap());
            let width = f64::sqrt(alpha * alpha * c2 + sigma * sigma);
            let slope = -mean + (sigma - alpha * c2) / width * z;
            assert_close(&velocity(&mut field, &[alpha * mean + width * z], sigma), &[slope], 1e-14);
        }
    }
}

#[test]
fn velocity_and_both_predictions_are_finite_and_consistent_at_both_ends() {
    for sigma in SIGMAS {
        let x = points(20);
        let [data, noise] = predictions(&mut mixture(), &x, sigma);
        assert!(data.iter().chain(&noise).all(|value| value.is_finite()));
        let together: Vec<f64> = data.iter().zip(&noise).map(|(d, n)| (1.0 - sigma) * d + sigma * n).collect();
        assert_close(&together, &x, 1e-14);
    }
    // At sigma = 1 nothing is known but the mean of the data; at 0 everything is.
    let mean = [(2.0 * 1.5 - 3.0 + 0.3) / 6.0, (2.0 * 0.5 + 3.0 * 1.2 - 1.4) / 6.0];
    assert_close(&predictions(&mut mixture(), &[0.3, -2.0], 1.0)[0], &mean, 1e-14);
    assert_close(&predictions(&mut mixture(), &[0.3, -2.0], 0.0)[0], &[0.3, -2.0], 0.0);
}

#[test]
fn the_score_of_a_gaussian_is_minus_the_predicted_noise_over_sigma() {
    for sigma in SIGMAS.into_iter().filter(|sigma| *sigma > 0.0) {
        let x = [0.3, -1.1];
        let [_, noise] = predictions(&mut gaussian(), &x, sigma);
        let alpha = 1.0 - sigma;
        for (((x, noise), mean), c2) in x.iter().zip(noise).zip([1.5, -0.4]).zip([0.25, 2.0]) {
            let score = -(x - alpha * mean) / (alpha * alpha * c2 + sigma * sigma);
            assert_close(&[-noise / sigma], &[score], 1e-12);
        }
    }
}

/// d p / d sigma + div (p v) = 0, by central differences: the density of a mixture flows with its velocity.
#[test]
fn a_mixture_satisfies_the_continuity_equation() {
    let parts = [(0.3, -1.4, 0.25), (0.5, 0.4, 0.4), (0.2, 1.9, 0.15)];
    let component = |(weight, mean, std)| Component { weight, mean: vec![mean], std };
    let mut field = Mixture::new(parts.map(component).to_vec()).unwrap();
    let density = |x: f64, sigma: f64| -> f64 {
        let one = |(weight, mean, std): (f64, f64, f64)| {
            let variance = (1.0 - sigma).powi(2) * std * std + sigma * sigma;
            weight * f64::exp(-(x - (1.0 - sigma) * mean).powi(2) / (2.0 * variance)) / variance.sqrt()
        };
        parts.map(one).iter().sum()
    };
    let h = 1e-5;
    for sigma in [0.2, 0.5, 0.8] {
        for x in [-1.5, -0.5, 0.1, 0.8, 2.0] {
            let mut flux = |x: f64| density(x, sigma) * velocity(&mut field, &[x], sigma)[0];
            let divergence = (flux(x + h) - flux(x - h)) / (2.0 * h);
            let change = (density(x, sigma + h) - density(x, sigma - h)) / (2.0 * h);
            assert!((change + divergence).abs() < 1e-7, "{change} + {divergence} at {x}, {sigma}");
        }
    }
}

#[test]
fn a_mixture_of_one_is_a_gaussian() {
    let mut one = Mixture::new(vec![Component { weight: 5.0, mean: vec![1.0, -2.0], std: 0.7 }]).unwrap();
    let mut gaussian = Gaussian::new(vec![1.0, -2.0], vec![0.7 * 0.7; 2]).unwrap();
    for sigma in SIGMAS {
        let x = points(5);
        assert_close(&velocity(&mut one, &x, sigma), &velocity(&mut gaussian, &x, sigma), 1e-14);
    }
}

#[test]
fn posterior_means_are_the_same_on_every_path() {
    for path in Path::ALL {
        for t in [1e-3, 0.2, 0.5, 0.8, 1.0] {
            let at = path.coefficients(t);
            let Coefficients { data: alpha, noise: beta } = at;
            let y = [0.4, -0.9];
            let x = y.map(|y| y / at.scale());
            let [data, noise] = predictions(&mut gaussian(), &x, at.sigma());
            for i in 0..2 {
                let (mean, c2) = ([1.5, -0.4][i], [0.25, 2.0][i]);
                let residual = (y[i] - alpha * mean) / (alpha * alpha * c2 + beta * beta);
                assert_close(&[data[i], noise[i]], &[mean + alpha * c2 * residual, beta * residual], 1e-12);
            }
        }
    }
}

#[test]
fn rates_are_the_derivatives_of_the_coefficients() {
    let h = 1e-6;
    for path in Path::ALL {
        for t in [0.1, 0.5, 0.9] {
            let (rates, before, after) = (path.rates(t), path.coefficients(t - h), path.coefficients(t + h));
            let slopes = [(after.data - before.data) / (2.0 * h), (after.noise - before.noise) / (2.0 * h)];
            assert_close(&[rates.data, rates.noise], &slopes, 1e-8);
        }
    }
}

#[test]
fn a_point_of_a_path_is_found_again_from_its_sigma() {
    for path in Path::ALL {
        for t in [0.0, 1e-6, 0.3, 0.7, 1.0] {
            let (at, again) = (path.coefficients(t), path.matching(path.coefficients(t).sigma()));
            assert_close(&[again.data, again.noise], &[at.data, at.noise], 1e-14);
        }
        assert_eq!(path.matching(1.0), Coefficients { data: 0.0, noise: 1.0 });
        assert_eq!(path.matching(0.0), Coefficients { data: 1.0, noise: 0.0 });
    }
}

#[test]
fn paths_are_known_by_name_only() {
    for path in Path::ALL {
        assert_eq!(path.name().parse::<Path>().unwrap(), path);
    }
    let error = "cubic".parse::<Path>().unwrap_err();
    assert_eq!(error.to_string(), "path: there is no path named 'cubic'");
    assert_eq!(error.hint(), "path is one of linear, spherical, vp");
}

#[test]
fn langevin_at_zero_strength_is_euler_to_the_last_bit() {
    let samplers = Samplers::<Vec<f64>>::builtin();
    let euler = samplers.build(&Choice::new("euler")).unwrap();
    for decay in [0.0, 1.0, 4.0] {
        let still = samplers.build(&Choice::new("langevin").with("scale", 0).with("decay", decay)).unwrap();
        for schedule in
            [Schedule::uniform(28).unwrap(), Schedule::sd3(7, 3.0).unwrap(), Schedule::new(vec![0.8, 0.3]).unwrap()]
        {
            assert_eq!(run(&*still, &schedule, &points(8)), run(&*euler, &schedule, &points(8)));
        }
    }
}

#[test]
fn euler_is_one_step_along_the_velocity() {
    let euler = Exponential { diffusion: Diffusion::Ode };
    for schedule in [Schedule::uniform(28).unwrap(), Schedule::flux(9, 1.15).unwrap()] {
        let mut x = points(8);
        for pair in schedule.sigmas().windows(2) {
            let v = velocity(&mut mixture(), &x, pair[0]);
            x = x.iter().zip(v).map(|(x, v)| x + (pair[1] - pair[0]) * v).collect();
        }
        assert_close(&run(&euler, &schedule, &points(8)), &x, 1e-12);
    }
}

#[test]
fn langevin_is_the_kappa_step_written_out() {
    let (scale, decay) = (1.7, 0.6);
    let sampler = Exponential { diffusion: Diffusion::Power { scale, decay } };
    let schedule = Schedule::uniform(12).unwrap();
    let mut x = points(8);
    for (index, pair) in schedule.sigmas().windows(2).enumerate() {
        let [sigma, next] = [pair[0], pair[1]];
        let [data, noise] = predictions(&mut mixture(), &x, sigma);
        let key = NoiseKey { stream: Stream::SAMPLER, step: index as u32, draw: 0 };
        let z = Keyed { seed: 1 }.normal(&x, key).unwrap();
        let kappa = f64::exp(-scale * (sigma.powf(decay) - next.powf(decay)) / decay);
        let mixed = noise.iter().zip(&z).map(|(n, z)| kappa * n + (1.0 - kappa * kappa).sqrt() * z);
        x = data.iter().zip(mixed).map(|(d, n)| (1.0 - next) * d + next * n).collect();
    }
    assert_close(&run(&sampler, &schedule, &points(8)), &x, 1e-12);
}

/// `G = int g^2 / (2 q^2) dq` with `g^2 = 2 scale q^(1 + decay)`, by Simpson's rule in log q.
#[test]
fn the_noise_clock_is_the_integral_of_the_diffusion() {
    for (scale, decay) in [(1.0, 0.0), (2.5, 0.5), (0.3, 1.0), (10.0, 4.0), (1.0, 1e-12)] {
        for (sigma, next) in [(1.0, 0.9), (0.7, 0.1), (0.01, 0.009)] {
            let count = 200;
            let (low, high) = (f64::ln(next), f64::ln(sigma));
            let rate = |i: usize| scale * f64::exp((low + (high - low) * i as f64 / count as f64) * decay);
            let weight = |i: usize| if i == 0 || i == count { 1.0 } else { [2.0, 4.0][i % 2] };
            let sum: f64 = (0..=count).map(|i| weight(i) * rate(i)).sum();
            let integral = sum * (high - low) / (3.0 * count as f64);
            let diffusion = Diffusion::Power { scale, decay };
            assert_close(&[diffusion.clock(sigma, next)], &[integral], 1e-8);
            assert_close(&[diffusion.kappa(sigma, next)], &[f64::exp(-integral)], 1e-8);
        }
    }
    let power = Diffusion::Power { scale: 1.5, decay: 0.0 };
    assert_close(&[power.kappa(0.8, 0.2)], &[f64::powf(0.25, 1.5)], 1e-15);
}

#[test]
fn natural_euler_on_every_path_is_euler_on_the_matched_grid() {
    let euler = Exponential { diffusion: Diffusion::Ode };
    let samplers = Samplers::<Vec<f64>>::builtin();
    for path in Path::ALL {
        for steps in [1, 2, 5, 28] {
            let schedule = Schedule::path(steps, path).unwrap();
            let ddim = samplers.build(&Choice::new("ddim").with("path", path.name())).unwrap();
            assert_close(&run(&*ddim, &schedule, &points(8)), &run(&euler, &schedule, &points(8)), 1e-12);
        }
    }
}

#[test]
fn natural_euler_on_the_spherical_path_is_the_rotation_of_ddim() {
    let steps = 11;
    let schedule = Schedule::path(steps, Path::Spherical).unwrap();
    let mut y = points(8); // alpha + beta = 1 at t = 1
    for i in 0..steps {
        let t = 1.0 - i as f64 / steps as f64;
        let (at, rates) = (Path::Spherical.coefficients(t), Path::Spherical.rates(t));
        let x: Vec<f64> = y.iter().map(|y| y / at.scale()).collect();
        let [data, noise] = predictions(&mut mixture(), &x, at.sigma());
        let v = data.iter().zip(&noise).map(|(d, n)| rates.data * d + rates.noise * n);
        let turn = -FRAC_PI_2 / steps as f64;
        y = y.iter().zip(v).map(|(y, v)| y * turn.cos() + FRAC_2_PI * v * turn.sin()).collect();
    }
    assert_close(&run(&NaturalEuler { path: Path::Spherical }, &schedule, &points(8)), &y, 1e-12);
}

#[test]
fn ddim_asks_for_the_grid_of_its_path_and_the_others_leave_it_to_the_model() {
    let samplers = Samplers::<Vec<f64>>::builtin();
    for path in Path::ALL {
        let ddim = Choice::new("ddim").with("path", path.name());
        let preferred = samplers.preferred_schedule(&ddim).unwrap().unwrap();
        assert_eq!(preferred.to_string(), format!("path:path={}", path.name()));
    }
    for name in ["euler", "heun", "ab2", "langevin"] {
        assert_eq!(samplers.preferred_schedule(&Choice::new(name)).unwrap(), None);
    }
}

#[test]
fn guidance_interpolates_and_extrapolates_between_its_fields() {
    let x = points(4);
    let (p, n) = (velocity(&mut mixture(), &x, 0.6), velocity(&mut gaussian(), &x, 0.6));
    for scale in [-1.0, 0.0, 1.0, 4.5] {
        let mut cfg = Cfg { positive: mixture(), negative: gaussian(), scale };
        let expected: Vec<f64> = p.iter().zip(&n).map(|(p, n)| n + scale * (p - n)).collect();
        assert_close(&velocity(&mut cfg, &x, 0.6), &expected, 1e-14);
    }
}

#[test]
fn guidance_offers_the_unconditional_prediction_through_every_wrapper() {
    let (x, mut on) = (points(4), || ControlFlow::Continue(()));
    let negative = velocity(&mut gaussian(), &x, 0.6);
    let mut cfg = Cfg { positive: mixture(), negative: gaussian(), scale: 4.5 };
    let guided = velocity(&mut cfg, &x, 0.6);
    let mut boxed: Box<dyn Velocity<Vec<f64>>> = Box::new(&mut cfg);
    let mut noise = Keyed { seed: 1 };
    let mut env = Env::new(&mut boxed, &mut noise, &mut on);
    assert_eq!(env.velocity_and_unconditional(&x, 0.6).unwrap(), (guided, Some(negative)));
    assert_eq!(env.evaluations(), 2);
    let mut unguided = Cfg { positive: mixture(), negative: gaussian(), scale: 1.0 };
    for field in [&mut unguided as &mut dyn Velocity<Vec<f64>>, &mut mixture()] {
        let mut env = Env::new(field, &mut noise, &mut on);
        let expected = velocity(&mut mixture(), &x, 0.6);
        assert_eq!(env.velocity_and_unconditional(&x, 0.6).unwrap(), (expected, None));
        assert_eq!(env.evaluations(), 1);
    }
}

#[test]
fn combinations_and_measures_of_vectors_are_what_they_say() {
    let (a, b) = (vec![1.0, 2.0], vec![-3.0, 0.5]);
    assert_eq!(Vec::lincomb(&[(2.0, &a), (-1.0, &b)]).unwrap(), [5.0, 3.5]);
    assert_eq!((a.dot(&b).unwrap(), b.mean().unwrap()), (vec![-2.0], vec![-1.25]));
    assert_eq!((a.elements(), Vec::<f64>::new().elements()), (2, 0));
    assert!(Vec::lincomb(&[]).is_err());
    assert!(Vec::lincomb(&[(1.0, &a), (1.0, &vec![0.0])]).is_err());
    assert!(a.dot(&vec![0.0; 3]).is_err());
}

/// A vector is one item: it takes one factor, and the measures follow it.
#[test]
fn a_scaled_vector_is_the_combination_of_itself_alone() {
    let (a, b) = (points(8), points(8));
    for factor in [-2.5, -1.0, 0.0, 1e-300, 1.0, 3.0] {
        let scaled = a.scaled(&[factor]).unwrap();
        assert_eq!(scaled, Vec::lincomb(&[(factor, &a)]).unwrap());
        assert_eq!(scaled.elements(), a.elements());
        assert_close(&scaled.dot(&b).unwrap(), &[factor * a.dot(&b).unwrap()[0]], 1e-14);
        assert_close(&scaled.mean().unwrap(), &[factor * a.mean().unwrap()[0]], 1e-14);
    }
    for wrong in [&[][..], &[1.0, 1.0], &[1.0; 16]] {
        let error = a.scaled(wrong).unwrap_err().to_string();
        assert_eq!(error, "a vector is one item and takes one factor");
    }
}

#[test]
fn fields_refuse_what_has_no_closed_form() {
    assert!(Gaussian::new(vec![0.0], vec![0.0]).is_err());
    assert!(Gaussian::new(vec![0.0], vec![1.0, 1.0]).is_err());
    assert!(Mixture::new(vec![]).is_err());
    let component = |weight, std| Component { weight, mean: vec![0.0, 0.0], std };
    assert!(Mixture::new(vec![component(1.0, f64::NAN)]).is_err());
    assert!(Mixture::new(vec![component(0.0, 1.0)]).is_err());
    let mut field = Mixture::new(vec![component(1.0, 1.0)]).unwrap();
    assert!(field.velocity(&vec![0.0; 3], 0.5, &mut Meter::new(&mut || ControlFlow::Continue(()))).is_err());
}
