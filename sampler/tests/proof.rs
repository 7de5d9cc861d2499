//! Every sampler of the catalogue against the mathematics: what it declares is measured, and an independent
//! implementation of each in numpy is met.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use flowline_sampler::bench::{Bench, moments};
use flowline_sampler::catalog::{Choice, Kind, Samplers};
use flowline_sampler::corrector::{Corrector, Langevin};
use flowline_sampler::facts::{Facts, Group};
use flowline_sampler::fields::AffineGaussian;
use flowline_sampler::proof::{DATA, Verdict, prove, walk};
use flowline_sampler::{Env, Keyed, Meter, Result, Sampler, Schedule, Velocity, integrate};

static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::smooth().unwrap());

fn build(choice: &str) -> Box<dyn Sampler<Vec<f64>>> {
    Samplers::builtin().build(&choice.parse::<Choice>().unwrap()).unwrap()
}

/// Every sampler as it comes, and with every word it can be given.
fn choices() -> Vec<Choice> {
    let worded = |about: &flowline_sampler::catalog::About| {
        let words = about.parameters.iter().flat_map(|parameter| match parameter.kind {
            Kind::Word { options, .. } => options.iter().map(|word| (parameter.key, *word)).collect(),
            Kind::Number { .. } => Vec::new(),
        });
        let name = about.name;
        let varied = words.map(move |(key, word)| Choice::new(name).with(key, word));
        [Choice::new(name)].into_iter().chain(varied).collect::<Vec<_>>()
    };
    Samplers::<Vec<f64>>::builtin().iter().flat_map(worded).collect()
}

fn schedule(name: &str, steps: usize) -> Result<Schedule> {
    match name {
        "uniform" => Schedule::uniform(steps),
        // Formulas in the signal-to-noise ratio begin a little below pure noise in their references.
        "near" => {
            let mut sigmas = Schedule::uniform(steps)?.sigmas().to_vec();
            sigmas[0] = 1.0 - 1e-4;
            Schedule::new(sigmas)
        }
        "sd3" => Schedule::sd3(steps, 3.0),
        other => panic!("there is no grid {other}"),
    }
}

#[test]
fn every_sampler_is_what_it_declares() {
    for choice in choices() {
        let sampler = build(&choice.to_string());
        let proof = prove(&*sampler, &BENCH).unwrap();
        let Facts { bias, order, label, .. } = proof.facts;
        let [few, many] = proof.walks;
        println!(
            "{:24} {:5.2} (declared {order}) {bias:?} {:9.1e} {:9.1e} marginal {:8.1e} {:8.1e} {}",
            choice.to_string(),
            proof.order,
            few.spread,
            many.spread,
            few.marginal,
            many.marginal,
            proof.verdict
        );
        match label {
            None => assert_eq!(proof.verdict, Verdict::Converges, "{choice}"),
            Some(label) => assert_eq!(proof.verdict, Verdict::Labelled(label), "{choice}"),
        }
    }
}

#[test]
fn the_labelled_ones_do_not_converge_by_their_own_figures() {
    for (choice, coarse, fine) in [("lcm", -0.333, -0.299), ("noise-refresh", -0.0794, -0.0387)] {
        for (steps, figure) in [(32, coarse), (512, fine)] {
            let spread = walk(&*build(choice), steps).unwrap().spread;
            assert!((spread / figure - 1.0).abs() < 0.01, "{choice} at {steps} steps: {spread}");
        }
    }
}

/// The figures of samplers of one evaluation a step and of two, at 16, 32, 64, 128 and 512 uniform steps.
#[test]
fn the_spread_converges_by_the_figures_of_the_specification() {
    let table: [(&str, &[f64]); 14] = [
        ("euler", &[8.86e-2, 4.53e-2, 2.29e-2, 1.15e-2, 2.89e-3]),
        ("langevin", &[1.42e-1, 8.02e-2, 4.33e-2, 2.28e-2, 5.97e-3]),
        ("ddpm", &[1.60e-1, 9.07e-2, 4.92e-2, 2.58e-2, 6.78e-3]),
        ("ancestral", &[1.55e-1, 8.91e-2, 4.86e-2, 2.57e-2, 6.77e-3]),
        ("overshoot", &[1.27e-1, 6.71e-2, 3.45e-2, 1.75e-2, 4.41e-3]),
        ("euler-maruyama", &[2.05e-2, 1.16e-2, 6.10e-3, 3.13e-3, 7.97e-4]),
        ("dpmpp2m-sde:reference=true", &[5.48e-2, 3.03e-2, 1.05e-2, 3.21e-3, 2.65e-4]),
        ("dpmpp2m-sde:eta=0.5,reference=true", &[3.35e-2, 1.76e-2, 5.99e-3, 1.81e-3, 1.49e-4]),
        ("dpmpp-sde", &[1.33e-1, 7.92e-2, 4.49e-2, 2.44e-2, 6.64e-3]),
        ("seeds2", &[4.09e-2, 1.37e-2, 4.23e-3, 1.25e-3, 1.00e-4]),
        ("sa:from=1,to=0", &[1.65e-2, 5.86e-3, 1.10e-3, 2.81e-4, 2.39e-5]),
        // The reference begins a little below 1, which shows at 512 steps.
        ("sa", &[6.8e-4, 2.2e-3, 6.0e-4, 1.4e-4]),
        ("er-sde:order=1", &[9.18e-2, 4.70e-2, 2.38e-2, 1.20e-2, 3.01e-3]),
        // A floor of its own, through which it passes.
        ("euler+corrector:snr=0.16,kind=ula", &[7.3e-2, 2.9e-2, 8.4e-3, 6.9e-4, 1.8e-3]),
    ];
    for (choice, figures) in table {
        for (steps, figure) in [16, 32, 64, 128, 512].into_iter().zip(figures) {
            let spread = walk(&*build(choice), steps).unwrap().spread.abs();
            assert!((spread / figure - 1.0).abs() < 0.05, "{choice} at {steps} steps: {spread:e}, not {figure:e}");
        }
    }
}

/// The largest relative error of the variance at any sigma on the way, at 32, 128 and 512 uniform steps.
#[test]
fn the_marginals_converge_by_the_figures_of_the_specification_or_do_not() {
    for (choice, figures) in [
        ("euler", [0.089, 0.023, 0.0058]),
        ("langevin", [0.154, 0.045, 0.012]),
        ("langevin:scale=4", [0.32, 0.12, 0.038]),
        ("ddpm", [0.17, 0.051, 0.014]),
        ("overshoot", [0.13, 0.035, 0.0088]),
        ("noise-refresh", [0.15, 0.093, 0.076]),
        ("lcm", [0.56, 0.52, 0.51]),
    ] {
        for (steps, figure) in [32, 128, 512].into_iter().zip(figures) {
            let marginal = walk(&*build(choice), steps).unwrap().marginal;
            assert!((marginal / figure - 1.0).abs() < 0.05, "{choice} at {steps} steps: {marginal}, not {figure}");
        }
    }
}

/// The spread of the results over that of the data, for data of standard deviation 2, 1, 0.5, 0.1 and 0.02: how much
/// contrast is lost, and how much detail. 28 uniform steps.
#[test]
fn the_spectrum_is_that_of_the_specification() {
    for (choice, figures) in [
        ("euler", [0.948, 0.955, 0.948, 0.851, 0.459]),
        ("ab2", [0.999, 0.999, 0.995, 0.910, 0.465]),
        ("langevin", [0.938, 0.933, 0.910, 0.771, 0.443]),
        ("euler-maruyama", [0.966, 0.980, 0.987, 1.014, 0.840]),
        ("dpmpp2m-sde:reference=true", [1.004, 1.016, 1.036, 0.964, 0.456]),
        ("sa", [1.001, 1.000, 0.996, 0.896, 0.462]),
    ] {
        for (std, figure) in [2.0, 1.0, 0.5, 0.1, 0.02].into_iter().zip(figures) {
            let data = AffineGaussian { mean: 0.0, variance: std * std };
            let ratio = moments(&*build(choice), Schedule::uniform(28).unwrap(), data).unwrap().std / std;
            assert!((ratio - figure).abs() < 6e-4, "{choice} for {std}: {ratio}, not {figure}");
        }
    }
}

/// `log2` of how much smaller the error becomes from 256 steps to 512, on the uniform schedule and shifted by 3.
#[test]
fn the_orders_are_those_of_the_specification() {
    let table: [(&str, &[f64]); 12] = [
        ("euler", &[1.00, 1.00]),
        ("ab2", &[2.01, 2.03]),
        ("ab4", &[1.97]),
        ("heun", &[2.00, 2.00]),
        ("midpoint", &[1.98, 1.96]),
        ("rk4", &[3.99, 3.97]),
        ("dpmpp2m:reference=true", &[1.78, 1.58]),
        ("dpmpp3m:reference=true", &[2.14, 1.97]),
        ("unipc:reference=true", &[1.98, 1.84]),
        ("unipc:order=3,reference=true", &[2.05, 1.80]),
        ("res2s", &[1.95, 1.93]),
        ("sa:tau=0", &[2.01, 1.97]),
    ];
    for (choice, figures) in table {
        for (shift, figure) in [1.0, 3.0].into_iter().zip(figures) {
            let error = |steps| {
                let schedule = Schedule::uniform(steps).unwrap().shifted(shift).unwrap();
                BENCH.error(&*build(choice), schedule).unwrap()
            };
            let order = (error(256) / error(512)).log2();
            assert!((order / figure - 1.0).abs() < 0.05, "{choice}, shift {shift}: order {order}, not {figure}");
        }
    }
}

/// Distances of the bench's points from the ends of the flow, from an implementation in numpy that shares nothing with
/// this one but the points; `near` begins at sigma 0.9999.
#[test]
fn deterministic_samplers_land_where_an_independent_implementation_does() {
    for (choice, grid, figures) in [
        ("heun", "uniform", [0.032743526787816356, 0.0025804525717770107]),
        ("midpoint", "uniform", [0.016236507418683346, 0.0021135662661873793]),
        ("dpm2", "uniform", [0.0324257033519546, 0.0017459517659771974]),
        ("rk4", "uniform", [0.002383336011623613, 3.141858476353132e-05]),
        ("ab2", "uniform", [0.07099502025352034, 0.005922791367899636]),
        ("ab3", "uniform", [0.0647332341615952, 0.0034840886938616485]),
        ("ab4", "uniform", [0.06831751686155817, 0.003290753049783028]),
        ("ab3:start=rk4", "uniform", [0.055209772870665724, 0.00298585031568415]),
        ("ab4:start=rk4", "uniform", [0.061741235741425544, 0.002958017976809861]),
        ("dpmpp2m:reference=true", "uniform", [0.08773214796922466, 0.006362810140714311]),
        ("dpmpp2m:reference=true", "sd3", [1.582693391635023, 0.10690743808514182]),
        ("dpmpp2m", "uniform", [0.0681852397263817, 0.004064859673946473]),
        ("dpmpp2m", "sd3", [0.22126758168377744, 0.01771072161542604]),
        ("dpmpp3m:reference=true", "uniform", [0.12856520054111084, 0.004438174120232396]),
        ("res:reference=true", "uniform", [0.09944336741129231, 0.008122966132137263]),
        ("res:reference=true", "sd3", [2.4367380979224427, 0.16043291376061494]),
        ("res2s", "uniform", [0.038496134750471776, 0.0035602845033255548]),
        ("unipc:reference=true", "near", [0.07170638568649101, 0.0033332387100713954]),
        ("unipc:order=3,reference=true", "near", [0.09000166979469955, 0.0007065562633942035]),
        ("sa:tau=0", "near", [0.061745985216201754, 0.005116123175261499]),
    ] {
        for (steps, figure) in [8, 28].into_iter().zip(figures) {
            let error = BENCH.error(&*build(choice), schedule(grid, steps).unwrap()).unwrap();
            // The bench knows the ends to 1e-11.
            assert!(
                (error - figure).abs() < 1e-7 * figure + 5e-11,
                "{choice} on {grid} in {steps} steps: {error}, not {figure}"
            );
        }
    }
}

/// Standard deviations of the results over the data's, from numpy: published formulas transcribed one by one. ER-SDE's
/// integral is a sum of 400000 points there, churn is EDM's in EDM's own coordinates.
#[test]
fn stochastic_samplers_spread_as_an_independent_implementation_does() {
    for (choice, grid, ratios) in [
        ("langevin2", "uniform", [0.973693779833761, 1.0201496807622945]),
        ("euler-maruyama", "uniform", [0.9701882425630722, 0.9869931344820531]),
        ("ddpm", "uniform", [0.7350622839388943, 0.8983860729376313]),
        ("ancestral", "uniform", [0.7454440564597672, 0.9004207706659838]),
        ("ancestral:eta=0.5", "uniform", [0.7884279191562352, 0.9253976123331994]),
        ("overshoot", "uniform", [0.768435445721344, 0.9238729812504226]),
        ("lcm", "uniform", [0.601797387875656, 0.663414674998808]),
        ("noise-refresh", "uniform", [0.8055061681489991, 0.9148526663680107]),
        ("dpmpp2m-sde:reference=true", "near", [0.9765513939781625, 1.035923235872983]),
        ("dpmpp2m-sde:eta=0.5,reference=true", "near", [0.9751261647617087, 1.0210580397965532]),
        ("dpmpp-sde", "near", [0.784682978853418, 0.912181914377039]),
        ("seeds2", "near", [0.8903644970600266, 0.9830165839562303]),
        ("sa", "near", [0.9155946025022672, 0.995679971006939]),
        ("sa:from=1,to=0", "near", [0.8682840208155204, 1.00811155066374]),
        ("er-sde:order=1", "near", [0.824613976663332, 0.9464521417641092]),
        ("er-sde:order=2", "near", [0.9150560345659532, 0.9980176668609648]),
        ("er-sde", "near", [0.9227965263377282, 0.9978261322154345]),
        ("churn", "near", [0.9409645945155045, 0.9972041327973191]),
        ("euler+corrector:snr=0.16,kind=ula", "uniform", [0.8431244065926543, 0.9650640455342843]),
        ("euler+corrector:k=3,snr=0.3,kind=ou", "uniform", [0.8664369492013271, 0.9475140057431252]),
    ] {
        for (steps, ratio) in [8, 28].into_iter().zip(ratios) {
            let result = moments(&*build(choice), schedule(grid, steps).unwrap(), DATA).unwrap();
            let tolerance = if choice.starts_with("er-sde") { 2e-6 } else { 1e-10 };
            let measured = result.std / DATA.variance.sqrt();
            assert!(
                (measured - ratio).abs() < tolerance,
                "{choice} on {grid} in {steps} steps: {measured}, not {ratio}"
            );
        }
    }
}

/// `1 - kappa^2` for everything that takes kappa steps, whatever is extrapolated; closed forms of their own for the
/// others.
#[test]
fn the_share_of_fresh_noise_is_that_of_the_closed_form() {
    const STEPS: usize = 10;
    type Share = fn(f64, f64) -> f64;
    let reverse: Share = |s, t| 1.0 - ((1.0 - s) * t / ((1.0 - t) * s)).powi(2);
    let forms: [(&str, Share); 14] = [
        ("langevin", |s, t| 1.0 - (t / s).powi(2)),
        ("langevin:scale=0.5", |s, t| 1.0 - t / s),
        ("langevin2:scale=3", |s, t| 1.0 - (t / s).powi(6)),
        ("langevin:decay=1", |s, t| 1.0 - (-2.0 * (s - t)).exp()),
        ("ddpm", reverse),
        ("dpmpp2m-sde", reverse),
        ("seeds2", reverse),
        ("dpmpp-sde", reverse),
        ("sa:from=1,to=0", reverse),
        // Noise only between two sigmas.
        ("sa", |s, t| if (0.2..=0.8).contains(&t) { 1.0 - ((1.0 - s) * t / ((1.0 - t) * s)).powi(2) } else { 0.0 }),
        ("noise-refresh:rho=0.3", |_, _| 0.09),
        ("lcm", |_, _| 1.0),
        // `s^ = s (1 + g)/(1 + g s)` puts `1 - (1 + g)^-2` of its own into the noise, and Heun keeps the share.
        ("churn:churn=3", |_, _| 1.0 - 1.3_f64.powi(-2)),
        ("euler+corrector:k=2,snr=0.2", |_, _| 1.0 - (-4.0 * 2.0 * 0.04_f64).exp()),
    ];
    let samplers = Samplers::<Vec<f64>>::builtin();
    let uniform = Schedule::uniform(STEPS).unwrap();
    for (choice, share) in forms {
        let shares = samplers.fresh_noise(&choice.parse().unwrap(), STEPS).unwrap();
        assert_eq!(shares.len(), STEPS);
        for (k, measured) in shares.into_iter().enumerate() {
            let [s, t] = uniform.interval(k).unwrap();
            let expected = if t > 0.0 { share(s, t) } else { 0.0 };
            assert!((measured - expected).abs() < 1e-12, "{choice} from {s} to {t}: {measured}, not {expected}");
        }
    }
    // Euler and Maruyama's step does not keep the size of the noise: `x' = mu + (t - h)/s (x - mu) + sqrt(2 s h) z`.
    let mut size = 1.0;
    let shares = samplers.fresh_noise(&Choice::new("euler-maruyama"), STEPS).unwrap();
    for (pair, measured) in uniform.sigmas().windows(2).zip(shares).take(STEPS - 1) {
        let [s, t] = [pair[0], pair[1]];
        let fresh = 2.0 * s * (s - t);
        size = ((t - (s - t)) / s).powi(2) * size + fresh;
        assert!((measured - fresh / size).abs() < 1e-12, "from {s} to {t}: {measured}, not {}", fresh / size);
    }
}

#[test]
fn samplers_without_noise_have_no_share_of_fresh_noise_and_the_others_have() {
    let samplers = Samplers::<Vec<f64>>::builtin();
    for choice in choices() {
        let noisy = walk(&*build(&choice.to_string()), 4).unwrap().noisy;
        for steps in [1, 2, 28] {
            let shares = samplers.fresh_noise(&choice, steps).unwrap();
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{choice} {shares:?}");
            assert_eq!(shares.iter().any(|share| *share > 0.0), noisy && steps > 1, "{choice} {shares:?}");
        }
    }
}

/// One step of the schedule, so that nothing but the tolerance decides. The number of evaluations grows with its cube
/// root.
#[test]
fn the_error_of_the_adaptive_sampler_is_proportional_to_its_tolerance() {
    let mut measured = Vec::new();
    for tolerance in [1e-3, 1e-4, 1e-5, 1e-6] {
        let sampler = build(&format!("adaptive:tolerance={tolerance},most=100000"));
        let error = BENCH.error(&*sampler, Schedule::uniform(1).unwrap()).unwrap();
        let cost = evaluations(&*sampler, 1);
        println!("tolerance {tolerance:e}: error {error:.2e}, {:.2} of it, {cost} evaluations", error / tolerance);
        measured.push((error / tolerance, cost as f64));
    }
    for pair in measured.windows(2) {
        let [(error, cost), (next_error, next_cost)] = [pair[0], pair[1]];
        assert!((0.5..2.0).contains(&(next_error / error)), "{measured:?}");
        assert!((1.6..2.8).contains(&(next_cost / cost)), "{measured:?}");
    }
}

#[test]
fn the_adaptive_sampler_keeps_to_its_largest_number_of_evaluations() {
    for steps in [1, 2, 7, 20] {
        for most in [3, 10, 17, 60, 61, 62, 200] {
            let sampler = build(&format!("adaptive:tolerance=1e-8,most={most}"));
            let cost = evaluations(&*sampler, steps);
            assert!(cost <= most.max(3 * steps as u64) && cost + 6 > most, "{cost} of {most} in {steps} steps");
        }
    }
}

fn evaluations(sampler: &dyn Sampler<Vec<f64>>, steps: usize) -> u64 {
    let (mut field, mut noise, mut on) = (BENCH.field().clone(), Keyed { seed: 4 }, || ControlFlow::Continue(()));
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    let start = BENCH.start().to_vec();
    integrate(sampler, Schedule::uniform(steps).unwrap(), start, &mut env, |_| ()).unwrap();
    env.evaluations()
}

/// `ULA = 1/(1 - e/2V)` and `OU = (2 - q)/(2 - q s^2/V)`: where the variance settles at a fixed sigma.
#[test]
fn corrections_settle_at_the_variance_of_the_closed_form() {
    for sigma in [0.9, 0.5, 0.2] {
        for snr in [0.05, 0.16, 0.3, 0.5] {
            let v = (1.0_f64 - sigma).powi(2) * DATA.variance + sigma * sigma;
            let mut field = AffineGaussian { mean: 0.0, ..DATA };
            let velocity = field.velocity(&vec![0.0, 1.0], sigma, &mut Meter::new(&mut || ControlFlow::Continue(())));
            let noise = 1.0 + (1.0 - sigma) * velocity.unwrap()[1]; // N(x) = noise x
            let e = 2.0 * (snr * sigma) * (snr * sigma);
            let q = 1.0 - f64::exp(-2.0 * snr * snr);
            for (kind, settled) in [
                (Langevin::Unadjusted, 1.0 / (1.0 - e / (2.0 * v))),
                (Langevin::OrnsteinUhlenbeck, (2.0 - q) / (2.0 - q * sigma * sigma / v)),
            ] {
                let [pull, fresh] = Corrector { count: 1, snr, kind }.weights(sigma);
                let keep = 1.0 + pull * noise;
                let variance = fresh * fresh / (1.0 - keep * keep);
                assert!((variance / v - settled).abs() < 1e-9, "{kind:?} at sigma {sigma}, snr {snr}: {variance}");
            }
        }
    }
}

#[test]
fn corrections_are_refused_around_samplers_that_would_undo_them() {
    let samplers = Samplers::<Vec<f64>>::builtin();
    for about in samplers.iter() {
        let choice: Choice = format!("{}+corrector:k=2", about.name).parse().unwrap();
        let resolves = samplers.facts(&Choice::new(about.name)).unwrap().resolves;
        assert_eq!(samplers.build(&choice).is_err(), resolves, "{choice}");
        assert_eq!(resolves, ["unipc", "sa"].contains(&about.name), "{choice}");
    }
    let error = samplers.build(&"unipc+corrector".parse().unwrap()).err().unwrap();
    assert_eq!(error.to_string(), "corrector: the sampler takes its last step again and would undo every correction");
    assert_eq!(error.hint(), "use it with a sampler that does not, such as heun or dpmpp2m");
}

#[test]
fn every_group_has_its_samplers_and_a_plain_sentence() {
    let samplers = Samplers::<Vec<f64>>::builtin();
    for group in Group::ALL {
        assert!(group.sentence().len() > 8);
        let of = |about: &flowline_sampler::catalog::About| samplers.facts(&Choice::new(about.name)).unwrap().group;
        assert!(samplers.iter().any(|about| of(about) == group), "{group:?}");
    }
}
