//! A sampler of one's own in one file: written against the public traits, put into the catalogue, judged on the bench.
//!
//! ```text
//! cargo run -p flowline-sampler --example own_sampler
//! ```
//! The same catalogue can be handed to the pipeline, and `--sampler two-stage:at=0.6` works everywhere.

use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::{About, BuildSampler, Choice, Entry, Kind, Parameter, Samplers};
use flowline_sampler::facts::{Bias, Evaluations, Facts, Group, LastStep};
use flowline_sampler::proof::{Proof, prove};
use flowline_sampler::{Env, Latent, Result, Sampler, Schedule, Step, Stepped, Stepper};

/// The two-stage Runge-Kutta methods: a trial step to a fraction `at` of the interval, then the whole step with a
/// weighted velocity; `at = 1/2` is the midpoint rule (Hairer, Norsett, Wanner: *Solving ODEs I*, section II.1).
#[derive(Clone, Copy)]
struct TwoStage {
    at: f64,
}

impl<T: Latent> Sampler<T> for TwoStage {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(*self))
    }

    fn facts(&self) -> Facts {
        Facts {
            group: Group::Sharper,
            order: 2.0,
            bias: Bias::Shrinks,
            evaluations: Evaluations::each(2),
            last: LastStep::Own,
            resolves: false,
            label: None,
        }
    }
}

impl<T: Latent> Stepper<T> for TwoStage {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let h = step.next - step.sigma;
        let (v, denoised) = env.denoise(x, step.sigma)?;
        let trial = T::lincomb(&[(1.0, x), (self.at * h, &v)])?;
        let v_trial = env.velocity(&trial, step.sigma + self.at * h)?;
        let weight = 1.0 / (2.0 * self.at);
        let x = T::lincomb(&[(1.0, x), (h * (1.0 - weight), &v), (h * weight, &v_trial)])?;
        Ok(Stepped { x, denoised })
    }
}

fn two_stage<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "two-stage",
        aliases: &[],
        ve_names: &[],
        meaning: "try part of the step, then take the whole one with the velocity found there",
        formula: "x' = x + h ((1 - w) v + w v(x + a h v, sigma + a h)), h = sigma' - sigma, w = 1/(2a)",
        citation: "Hairer, Norsett, Wanner, Solving ODEs I, II.1",
        parameters: &[Parameter {
            key: "at",
            meaning: "where the velocity is tried, as a fraction of the step",
            kind: Kind::Number { default: 0.5, min: 0.1, max: 0.9 },
        }],
    };
    Entry::sampler(about, |values| Ok(TwoStage { at: values.number("at") }))
}

fn main() -> Result<()> {
    let mut samplers = Samplers::<Vec<f64>>::builtin();
    samplers.add(two_stage());

    // Points that follow the flow should land where it ends; that is asked of samplers without noise only. The spread
    // of the results is exact for all of them.
    let bench = Bench::smooth()?;
    println!("{:14} {:>6} {:>15} {:>16}  verdict", "sampler", "order", "spread at 32", "spread at 512");
    for about in samplers.iter() {
        let Proof { walks: [few, many], order, verdict, .. } =
            prove(&*samplers.build(&Choice::new(about.name))?, &bench)?;
        let [few, many] = [few, many].map(|walk| 100.0 * walk.spread);
        println!("{:14} {order:6.2} {few:14.3}% {many:15.5}%  {verdict}", about.name);
    }
    Ok(())
}
