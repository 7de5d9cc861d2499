//! Formulas that other programs use on flow models and that sample another distribution. The proof rejects each of
//! them, by its figure: a bench that lets them pass would be worth nothing.

use std::sync::LazyLock;

use flowline_sampler::bench::Bench;
use flowline_sampler::facts::{Bias, Evaluations, Facts, Group, LastStep};
use flowline_sampler::proof::{Verdict, prove};
use flowline_sampler::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::smooth().unwrap());

/// The formulas, as the programs have them.
#[derive(Clone, Copy, Debug)]
enum Formula {
    /// diffusers `scheduling_flow_match_euler_discrete.py:506-509`, `stochastic_sampling=True`: all noise is renewed.
    StochasticSampling,
    /// stable-diffusion.cpp and k-diffusion `sampling.py:611`: DPM++ 2M SDE as if the signal kept its size.
    ExplodingDpmpp2mSde,
    /// k-diffusion `sampling.py:543`: DPM++ SDE as if the signal kept its size.
    ExplodingDpmppSde,
    /// k-diffusion `sampling.py:123-127`: churn as if the signal kept its size.
    ExplodingChurn,
    /// mflux `krea2_sampler.py:27-81`: ER-SDE-3 with alpha = 1.
    ExplodingErSde,
}

/// One run: the formula and what it remembers, newest first.
struct Rival {
    formula: Formula,
    data: Vec<(f64, Vec<f64>)>,
    slope: Option<Vec<f64>>,
}

impl Sampler<Vec<f64>> for Formula {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<Vec<f64>>>> {
        Ok(Box::new(Rival { formula: *self, data: Vec::new(), slope: None }))
    }

    /// What their authors would declare.
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

/// k-diffusion `get_ancestral_step` at eta 1: where to go, and how much noise to add.
fn ancestral(from: f64, to: f64) -> [f64; 2] {
    let up = to.min((to * to * (from * from - to * to) / (from * from)).sqrt());
    [(to * to - up * up).sqrt(), up]
}

impl Stepper<Vec<f64>> for Rival {
    fn step(&mut self, step: &Step<'_>, x: &Vec<f64>, env: &mut Env<'_, Vec<f64>>) -> Result<Stepped<Vec<f64>>> {
        let (s, t) = (step.sigma, step.next);
        let v = env.velocity(x, s)?;
        let d = Vec::lincomb(&[(1.0, x), (-s, &v)])?;
        if t == 0.0 && !matches!(self.formula, Formula::ExplodingChurn) {
            return Ok(Stepped { x: d.clone(), denoised: d });
        }
        let next = match self.formula {
            Formula::StochasticSampling => Vec::lincomb(&[(1.0 - t, &d), (t, &env.normal(x)?)])?,
            Formula::ExplodingDpmpp2mSde => {
                let h = f64::ln(s / t);
                let gain = -f64::exp_m1(-2.0 * h);
                let z = env.normal(x)?;
                let y = Vec::lincomb(&[(t / s * (-h).exp(), x), (gain, &d), (t * gain.sqrt(), &z)])?;
                match self.data.first() {
                    None => y,
                    Some((before, old)) => {
                        let w = 0.5 * gain * h / f64::ln(before / s);
                        Vec::lincomb(&[(1.0, &y), (w, &d), (-w, old)])?
                    }
                }
            }
            Formula::ExplodingDpmppSde => {
                let q = (s * t).sqrt();
                let [down, up] = ancestral(s, q);
                let y = Vec::lincomb(&[(down / s, x), (1.0 - down / s, &d), (up, &env.normal(x)?)])?;
                let middle = env.velocity(&y, q)?;
                let d2 = Vec::lincomb(&[(1.0, &y), (-q, &middle)])?;
                let [down, up] = ancestral(s, t);
                Vec::lincomb(&[(down / s, x), (1.0 - down / s, &d2), (up, &env.normal(x)?)])?
            }
            Formula::ExplodingChurn => {
                let gamma = f64::min(8.0 / step.schedule.steps() as f64, std::f64::consts::SQRT_2 - 1.0);
                let up = f64::min(s * (1.0 + gamma), 1.0);
                let x = match up > s {
                    true => Vec::lincomb(&[(1.0, x), ((up * up - s * s).sqrt(), &env.normal(x)?)])?,
                    false => x.clone(),
                };
                let v = env.velocity(&x, up)?;
                let y = Vec::lincomb(&[(1.0, &x), (t - up, &v)])?;
                if t == 0.0 {
                    return Ok(Stepped { x: y.clone(), denoised: y });
                }
                let v2 = env.velocity(&y, t)?;
                Vec::lincomb(&[(1.0, &x), ((t - up) / 2.0, &v), ((t - up) / 2.0, &v2)])?
            }
            Formula::ExplodingErSde => {
                let psi = |l: f64| l * (l.powf(0.3).exp() + 10.0);
                let r = psi(t) / psi(s);
                let z = env.normal(x)?;
                let mut y = Vec::lincomb(&[(r, x), (1.0 - r, &d), ((t * t - s * s * r * r).max(0.0).sqrt(), &z)])?;
                if let Some((before, old)) = self.data.first() {
                    let (dt, cell) = (t - s, (s - t) / 200.0);
                    let sums = (0..200)
                        .map(|i| t + f64::from(i) * cell)
                        .fold([0.0, 0.0], |[a, b], at| [a + cell / psi(at), b + cell * (at - s) / psi(at)]);
                    let slope = Vec::lincomb(&[(1.0 / (s - before), &d), (-1.0 / (s - before), old)])?;
                    y = Vec::lincomb(&[(1.0, &y), (dt + sums[0] * psi(t), &slope)])?;
                    if let (Some(old), Some((oldest, _))) = (&self.slope, self.data.get(1)) {
                        let w = 2.0 * (dt * dt / 2.0 + sums[1] * psi(t)) / (s - oldest);
                        y = Vec::lincomb(&[(1.0, &y), (w, &slope), (-w, old)])?;
                    }
                    self.slope = Some(slope);
                }
                y
            }
        };
        self.data.insert(0, (s, d.clone()));
        self.data.truncate(2);
        Ok(Stepped { x: next, denoised: d })
    }
}

/// Relative errors of the spread at 32 and 512 steps, and of the mean at 32, as samplers.md has them.
#[test]
fn the_proof_rejects_the_formulas_that_sample_another_distribution() {
    for (formula, spread, mean) in [
        (Formula::StochasticSampling, [0.333, 0.299], None),
        (Formula::ExplodingDpmpp2mSde, [0.423, 0.425], Some(1.1)),
        (Formula::ExplodingDpmppSde, [0.291, 0.417], Some(1.1)),
        (Formula::ExplodingChurn, [0.451, 0.514], Some(1.6)),
        (Formula::ExplodingErSde, [1.59e-2, 1.52e-2], Some(5.0e-2)),
    ] {
        let proof = prove(&formula, &BENCH).unwrap();
        println!("{formula:?} {}", proof.verdict);
        let Verdict::Fails(reasons) = &proof.verdict else { panic!("{formula:?} {}", proof.verdict) };
        for (walk, figure) in proof.walks.iter().zip(spread) {
            assert!((walk.spread.abs() / figure - 1.0).abs() < 0.05, "{formula:?}: {}", walk.spread);
        }
        let still =
            reasons.iter().find(|reason| reason.starts_with("the spread is off by") && reason.contains("still"));
        assert!(still.is_some(), "{formula:?} {reasons:?}");
        let off = reasons.iter().any(|reason| reason.starts_with("the mean is off by"));
        assert_eq!(off, mean.is_some(), "{formula:?} {reasons:?}");
        if let Some(mean) = mean {
            assert!((proof.walks[0].mean / mean - 1.0).abs() < 0.5, "{formula:?}: {}", proof.walks[0].mean);
        }
    }
}
