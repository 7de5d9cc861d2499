//! Samplers that are the same sampler: special cases, and formulas written out by hand.

use std::ops::ControlFlow;

use flowline_sampler::catalog::{Choice, Samplers};
use flowline_sampler::diffusion::Diffusion;
use flowline_sampler::exponential::Exponential;
use flowline_sampler::exponential_multistep::{ExponentialMultistep, TwoValues, Variable};
use flowline_sampler::fields::{Component, Gaussian, Mixture};
use flowline_sampler::guidance::Cfg;
use flowline_sampler::{Env, Keyed, Meter, Noise, NoiseKey, Sampler, Schedule, Stream, Velocity, integrate};

fn mixture() -> Mixture {
    let component = |weight, mean: [f64; 2], std| Component { weight, mean: mean.to_vec(), std };
    Mixture::new(vec![component(2.0, [1.5, 0.5], 0.35), component(3.0, [-1.0, 1.2], 0.25)]).unwrap()
}

fn points() -> Vec<f64> {
    Keyed { seed: 9 }.normal(&vec![0.0; 12], NoiseKey::first(Stream::INITIAL)).unwrap()
}

fn noise(step: usize, draw: u32) -> Vec<f64> {
    let key = NoiseKey { stream: Stream::SAMPLER, step: step as u32, draw };
    Keyed { seed: 1 }.normal(&points(), key).unwrap()
}

fn run(sampler: &dyn Sampler<Vec<f64>>, schedule: &Schedule) -> Vec<f64> {
    let (mut field, mut noise, mut on) = (mixture(), Keyed { seed: 1 }, || ControlFlow::Continue(()));
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    integrate(sampler, schedule.clone(), points(), &mut env, |_| ()).unwrap()
}

fn build(choice: &str) -> Box<dyn Sampler<Vec<f64>>> {
    Samplers::builtin().build(&choice.parse::<Choice>().unwrap()).unwrap()
}

fn velocity(field: &mut dyn Velocity<Vec<f64>>, x: &[f64], sigma: f64) -> Vec<f64> {
    field.velocity(&x.to_vec(), sigma, &mut Meter::new(&mut || ControlFlow::Continue(()))).unwrap()
}

fn denoised(x: &[f64], sigma: f64) -> Vec<f64> {
    x.iter().zip(velocity(&mut mixture(), x, sigma)).map(|(x, v)| x - sigma * v).collect()
}

/// `sum_i c_i x_i`.
fn sum(terms: &[(f64, &Vec<f64>)]) -> Vec<f64> {
    (0..12).map(|i| terms.iter().map(|(c, x)| c * x[i]).sum()).collect()
}

#[track_caller]
fn assert_close(a: &[f64], b: &[f64], tolerance: f64) {
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{a} is not {b}");
    }
}

fn schedules() -> [Schedule; 4] {
    [
        Schedule::uniform(12).unwrap(),
        Schedule::sd3(7, 3.0).unwrap(),
        Schedule::uniform(9).unwrap().shifted(3.0).unwrap(),
        Schedule::new(vec![0.8, 0.5, 0.3, 0.1]).unwrap(),
    ]
}

#[test]
fn at_zero_strength_a_stochastic_sampler_is_its_deterministic_one_to_the_last_bit() {
    for (still, twin) in [
        ("ancestral:eta=0", "euler"),
        ("overshoot:c=0", "euler"),
        ("noise-refresh:rho=0", "euler"),
        ("noise-refresh:rho=1", "lcm"),
        ("churn:churn=0", "heun"),
        ("churn:from=0", "heun"),
        ("euler-cfg-pp", "euler"),
        ("euler-maruyama:scale=0", "euler"),
        ("sa:from=0.05,to=0.06", "sa:tau=0"),
        ("seeds2:eta=0", "dpmpp-sde:eta=0"),
    ] {
        for schedule in schedules() {
            assert_eq!(run(&*build(still), &schedule), run(&*build(twin), &schedule), "{still} and {twin}");
        }
    }
}

#[test]
fn samplers_of_two_names_are_one() {
    let kappa = |diffusion| Exponential { diffusion };
    for schedule in schedules() {
        let same = |a: &dyn Sampler<Vec<f64>>, b: &dyn Sampler<Vec<f64>>| {
            assert_close(&run(a, &schedule), &run(b, &schedule), 1e-12);
        };
        // One value of D is the kappa step, whatever the polynomial would be in.
        for variable in [Variable::Sigma, Variable::LogSigma, Variable::LogSnr, Variable::Ratio] {
            for diffusion in
                [Diffusion::Ode, Diffusion::Power { scale: 1.3, decay: 0.5 }, Diffusion::LogSnr { eta: 0.7 }]
            {
                let one = ExponentialMultistep { diffusion, ..ExponentialMultistep::new("one", variable, 1) };
                same(&one, &kappa(diffusion));
            }
        }
        same(&*build("er-sde:order=1"), &kappa(Diffusion::ExtendedReverse));
        same(&kappa(Diffusion::AncestralRatio { eta: 1.0 }), &*build("ddpm"));
        // Without noise DPM-Solver++ 2M SDE is DPM-Solver++ 2M in lambda.
        let midpoint =
            ExponentialMultistep { two: TwoValues::Middle, ..ExponentialMultistep::new("2m", Variable::LogSnr, 2) };
        same(&*build("dpmpp2m-sde:eta=0,reference=true"), &midpoint);
    }
}

/// ComfyUI `sample_euler_ancestral_RF` and rectified-flow `overshooting_sampler.py`: down, then up again.
#[test]
fn ancestral_and_overshoot_go_down_by_the_flow_and_up_again() {
    let down_and_up = |down: &dyn Fn(f64, f64) -> f64| {
        let schedule = Schedule::uniform(12).unwrap();
        let mut x = points();
        for (index, pair) in schedule.sigmas().windows(2).enumerate() {
            let [s, t] = [pair[0], pair[1]];
            let v = velocity(&mut mixture(), &x, s);
            if t == 0.0 {
                return sum(&[(1.0, &x), (-s, &v)]);
            }
            let at = down(s, t);
            let y = sum(&[(1.0, &x), (at - s, &v)]);
            let scale = (1.0 - t) / (1.0 - at);
            let fresh = (t * t - (at * scale) * (at * scale)).max(0.0).sqrt();
            x = sum(&[(scale, &y), (fresh, &noise(index, 0))]);
        }
        x
    };
    let schedule = Schedule::uniform(12).unwrap();
    let ancestral = down_and_up(&|s, t| t * (1.0 + (t / s - 1.0) * 0.7));
    assert_close(&run(&*build("ancestral:eta=0.7"), &schedule), &ancestral, 1e-12);
    let overshoot = down_and_up(&|s, t| f64::max(t - 2.0 * (s - t) * t, 0.0));
    assert_close(&run(&*build("overshoot:c=2"), &schedule), &overshoot, 1e-12);
}

/// The published closed forms, with phi functions: k-diffusion `sample_dpmpp_2m`, `sample_dpmpp_3m_sde` at eta 0, and
/// RES multistep as in stable-diffusion.cpp. With the cap a step before counts as at least as long as this one.
#[test]
fn multistep_weights_are_the_closed_forms() {
    for schedule in schedules() {
        for (name, reference) in
            ["dpmpp2m", "res", "dpmpp3m"].into_iter().flat_map(|name| [(name, true), (name, false)])
        {
            let mut x = points();
            let mut history: Vec<(f64, Vec<f64>)> = Vec::new(); // h and D, newest first
            for pair in schedule.sigmas().windows(2) {
                let [s, t] = [pair[0], pair[1]];
                let d = denoised(&x, s);
                if t == 0.0 {
                    x = d;
                    continue;
                }
                let h = (s / t).ln();
                let phi2 = (-h).exp_m1() / h + 1.0;
                let mut y = sum(&[(t / s, &x), (-(-h).exp_m1(), &d)]);
                let length = |before: &f64| if reference { *before } else { before.max(h) };
                if let [(h1, d1), older @ ..] = &history[..] {
                    let h1 = length(h1);
                    let first = sum(&[(h / h1, &d), (-h / h1, d1)]);
                    y = match (name, older) {
                        ("dpmpp2m", _) => sum(&[(1.0, &y), (-(-h).exp_m1() / 2.0, &first)]),
                        ("dpmpp3m", [(h2, d2), ..]) => {
                            let (r0, r1) = (h1 / h, length(h2) / h);
                            let second = sum(&[(1.0 / r1, d1), (-1.0 / r1, d2)]);
                            let c = r0 / (r0 + r1);
                            let slope = sum(&[(1.0 + c, &first), (-c, &second)]);
                            let bend = sum(&[(1.0 / (r0 + r1), &first), (-1.0 / (r0 + r1), &second)]);
                            sum(&[(1.0, &y), (phi2, &slope), (-(phi2 / h - 0.5), &bend)])
                        }
                        _ => sum(&[(1.0, &y), (phi2, &first)]),
                    };
                }
                history.insert(0, (h, d));
                x = y;
            }
            assert_close(&run(&*build(&format!("{name}:reference={reference}")), &schedule), &x, 1e-11);
        }
    }
}

/// Lu et al. 2022 (SDE-DPM-Solver++ 2M) in ComfyUI's form for flow models, with the weight of the step before held to one
/// half; all sigmas lie below 1, where lambda is finite.
#[test]
fn dpmpp2m_sde_is_its_closed_form() {
    let growing = Schedule::new(vec![0.9, 0.85, 0.7, 0.5, 0.2, 0.02, 0.0]).unwrap();
    for (schedule, eta) in [(growing, 1.0), (Schedule::new(vec![0.8, 0.5, 0.3, 0.1]).unwrap(), 0.6)] {
        for reference in [true, false] {
            let mut x = points();
            let mut before: Option<(f64, Vec<f64>)> = None;
            for (index, pair) in schedule.sigmas().windows(2).enumerate() {
                let [s, t] = [pair[0], pair[1]];
                let d = denoised(&x, s);
                if t == 0.0 {
                    x = d;
                    continue;
                }
                let lambda = |sigma: f64| ((1.0 - sigma) / sigma).ln();
                let h = lambda(t) - lambda(s);
                let gain = -(1.0 - t) * (-(1.0 + eta) * h).exp_m1();
                let fresh = t * (-(-2.0 * eta * h).exp_m1()).sqrt();
                let mut y = sum(&[(t / s * (-eta * h).exp(), &x), (gain, &d), (fresh, &noise(index, 0))]);
                if let Some((h_before, d_before)) = &before {
                    let w = if reference { h / (2.0 * h_before) } else { f64::min(h / (2.0 * h_before), 0.5) };
                    y = sum(&[(1.0, &y), (gain * w, &d), (-gain * w, d_before)]);
                }
                (x, before) = (y, Some((h, d)));
            }
            let sampler = build(&format!("dpmpp2m-sde:eta={eta},reference={reference}"));
            assert_close(&run(&*sampler, &schedule), &x, 1e-12);
        }
    }
}

/// Where the steps do not grow in the variable of the polynomial, there is nothing to hold back.
#[test]
fn the_cap_changes_nothing_where_steps_shrink_and_something_where_they_grow() {
    let ratios = |first: f64, growth: f64| {
        let steps = (0..8).scan((-1.5, first), |(lambda, h), _| {
            *lambda += *h;
            *h *= growth;
            Some(1.0 / (1.0 + lambda.exp()))
        });
        Schedule::new(steps.collect()).unwrap()
    };
    // Steps in lambda and, as long as sigma stays small, in ln sigma.
    let (shrinking, growing) = (ratios(3.5, 0.6), ratios(0.4, 1.3));
    for name in ["dpmpp2m", "dpmpp3m", "res", "unipc", "unipc:order=3", "dpmpp2m-sde"] {
        let with = |reference: bool| {
            let separator = if name.contains(':') { ',' } else { ':' };
            build(&format!("{name}{separator}reference={reference}"))
        };
        assert_close(&run(&*with(false), &shrinking), &run(&*with(true), &shrinking), 1e-13);
        let apart = run(&*with(false), &growing).into_iter().zip(run(&*with(true), &growing));
        assert!(apart.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) > 1e-3, "{name}");
    }
}

/// Karras et al. 2022, algorithm 2, in its own coordinates `y = x/(1 - s)`, `sigma = s/(1 - s)`: raising the noise level
/// there is what churn does here, and Euler's step is the same line in both.
#[test]
fn churn_raises_the_noise_as_edm_does() {
    let (s, next, gamma) = (0.6_f64, 0.5_f64, 0.25);
    let schedule = Schedule::new(vec![s, next]).unwrap();
    let sigma = s / (1.0 - s);
    let raised = sigma * (1.0 + gamma);
    let z = noise(0, 0);
    let y = sum(&[(1.0 / (1.0 - s), &points()), ((raised * raised - sigma * sigma).sqrt(), &z)]);
    let (at, x) = (raised / (1.0 + raised), sum(&[(1.0 / (1.0 + raised), &y)]));
    let v = velocity(&mut mixture(), &x, at);
    let trial = sum(&[(1.0, &x), (next - at, &v)]);
    let expected =
        sum(&[(1.0, &x), ((next - at) / 2.0, &v), ((next - at) / 2.0, &velocity(&mut mixture(), &trial, next))]);
    assert_close(&run(&*build("churn:churn=0.25"), &schedule), &expected, 1e-13);
    // EDM's own trial point, by the slope (y - D)/sigma of its equation.
    let (d, to) = (denoised(&x, at), next / (1.0 - next));
    let edm = sum(&[(1.0 + (to - raised) / raised, &y), (-(to - raised) / raised, &d)]);
    assert_close(&trial, &sum(&[(1.0 - next, &edm)]), 1e-13);
}

#[test]
fn corrections_are_langevin_steps_written_out() {
    let schedule = Schedule::new(vec![0.8, 0.5, 0.3]).unwrap();
    for (kind, snr) in [("ula", 0.16_f64), ("ou", 0.3)] {
        let mut x = points();
        for (index, pair) in schedule.sigmas().windows(2).enumerate() {
            let [s, t] = [pair[0], pair[1]];
            x = sum(&[(1.0, &x), (t - s, &velocity(&mut mixture(), &x, s))]);
            for draw in 0..2 {
                let n = sum(&[(1.0, &x), (1.0 - t, &velocity(&mut mixture(), &x, t))]);
                let e = 2.0 * (snr * t) * (snr * t);
                let kappa = (-e / (t * t)).exp();
                let (pull, fresh) = match kind {
                    "ula" => (e / t, (2.0 * e).sqrt()),
                    _ => (t * (1.0 - kappa), t * (1.0 - kappa * kappa).sqrt()),
                };
                x = sum(&[(1.0, &x), (-pull, &n), (fresh, &noise(index, draw))]);
            }
        }
        let corrected = build(&format!("euler+corrector:k=2,snr={snr},kind={kind}"));
        assert_close(&run(&*corrected, &schedule), &x, 1e-13);
    }
}

#[test]
fn euler_cfg_guides_the_data_and_leaves_the_noise() {
    let schedule = Schedule::uniform(9).unwrap();
    let gaussian = || Gaussian::new(vec![1.5, -0.4], vec![0.25, 2.0]).unwrap();
    let (mut x, scale) = (points(), 0.6);
    for pair in schedule.sigmas().windows(2) {
        let (v, u) = (velocity(&mut mixture(), &x, pair[0]), velocity(&mut gaussian(), &x, pair[0]));
        let guided = sum(&[(scale, &v), (1.0 - scale, &u)]);
        let (data, left) = (sum(&[(1.0, &x), (-pair[0], &guided)]), sum(&[(1.0, &x), (1.0 - pair[0], &u)]));
        x = sum(&[(1.0 - pair[1], &data), (pair[1], &left)]);
    }
    let mut field = Cfg { positive: mixture(), negative: gaussian(), scale };
    let (mut noise, mut on) = (Keyed { seed: 1 }, || ControlFlow::Continue(()));
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    let reached = integrate(&*build("euler-cfg++"), schedule, points(), &mut env, |_| ()).unwrap();
    assert_close(&reached, &x, 1e-13);
    assert_eq!(env.evaluations(), 18);
}
