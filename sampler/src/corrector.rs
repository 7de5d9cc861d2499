//! Langevin corrections after every step of another sampler.

use crate::catalog::{About, Decorator, Kind, Parameter};
use crate::facts::{Evaluations, Facts};
use crate::{Env, Error, Latent, Result, Sampler, Schedule, State, Step, Stepped, Stepper};

/// A sampler followed, at every sigma it reaches but 0, by `k` steps of Langevin dynamics that leave the sigma as it is
/// and mend the distribution. With `e = 2 (snr s)^2` and `N = E[noise | x]`,
///
/// ```text
/// ula:  x <- x - e N / s + sqrt(2 e) z
/// ou:   x <- x - s (1 - kappa) N + s sqrt(1 - kappa^2) z,      kappa = exp(-e / s^2)
/// ```
///
/// Each has a bias of its own that does not vanish with more steps: on Gaussian data whose state has the variance `V`
/// the spread settles at `V / (1 - e / 2V)` and `V (2 - q)/(2 - q s^2 / V)`, `q = 1 - kappa`. The first is off near the
/// noise, the second near the data.
/// Song et al. 2020, arXiv 2011.13456, algorithm 4.
pub struct Corrected<T> {
    /// The sampler that takes the steps.
    pub sampler: Box<dyn Sampler<T>>,
    /// How its results are mended.
    pub corrector: Corrector,
}

/// The corrections of [`Corrected`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corrector {
    /// How many after each step.
    pub count: u32,
    /// How large: the noise of one as a part of the noise in the state.
    pub snr: f64,
    /// In which form.
    pub kind: Langevin,
}

/// A step of Langevin dynamics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Langevin {
    /// Unadjusted: Euler and Maruyama's step on the score.
    Unadjusted,
    /// Ornstein and Uhlenbeck's process, solved exactly with the denoised prediction frozen.
    OrnsteinUhlenbeck,
}

impl Corrector {
    /// The weights of `N` and of the fresh noise at `sigma`.
    pub fn weights(self, sigma: f64) -> [f64; 2] {
        let time = 2.0 * self.snr * self.snr; // e / s^2
        match self.kind {
            Langevin::Unadjusted => [-sigma * time, sigma * libm::sqrt(2.0 * time)],
            Langevin::OrnsteinUhlenbeck => [sigma * libm::expm1(-time), sigma * libm::sqrt(-libm::expm1(-2.0 * time))],
        }
    }

    fn correct<T: Latent>(self, mut x: T, sigma: f64, env: &mut Env<'_, T>) -> Result<T> {
        for _ in 0..self.count {
            let [pull, fresh] = self.weights(sigma);
            let v = env.velocity(&x, sigma)?;
            let z = env.normal(&x)?;
            x = T::lincomb(&[(1.0 + pull, &x), (pull * (1.0 - sigma), &v), (fresh, &z)])?;
        }
        Ok(x)
    }
}

impl<T: Latent> Sampler<T> for Corrected<T> {
    fn start(&self, schedule: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(CorrectedStepper { inner: self.sampler.start(schedule)?, corrector: self.corrector }))
    }

    fn facts(&self) -> Facts {
        let inner = self.sampler.facts();
        let Evaluations { start, step, .. } = inner.evaluations;
        let more = u64::from(self.corrector.count);
        Facts {
            order: 0.0,
            evaluations: Evaluations { start: start + more, step: step + more, ..inner.evaluations },
            label: inner.label.or(Some("the corrector's own bias does not vanish with more steps")),
            ..inner
        }
    }

    fn preferred_schedule(&self) -> Option<crate::catalog::Choice> {
        self.sampler.preferred_schedule()
    }
}

struct CorrectedStepper<T> {
    inner: Box<dyn Stepper<T>>,
    corrector: Corrector,
}

impl<T: Latent> Stepper<T> for CorrectedStepper<T> {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let before = self.inner.save();
        let Stepped { x, denoised } = self.inner.step(step, x, env)?;
        if step.next == 0.0 {
            return Ok(Stepped { x, denoised });
        }
        match self.corrector.correct(x, step.next, env) {
            Ok(x) => Ok(Stepped { x, denoised }),
            Err(error) => {
                // The step inside is done; it must be as if it were not.
                self.inner.restore(before)?;
                Err(error)
            }
        }
    }

    fn save(&self) -> State<T> {
        self.inner.save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        self.inner.restore(state)
    }
}

/// [`Corrected`] for the catalogue: `NAME+corrector:k=2`.
pub fn corrector<T: Latent>() -> Decorator<T> {
    let about = About {
        name: "corrector",
        aliases: &["langevin-corrector"],
        ve_names: &[],
        meaning: "after each step of another sampler, shake the state at the same noise level until it is likely",
        formula: "k times x <- x - e N/sigma + sqrt(2 e) z (ula), x <- x - sigma (1 - kappa) N + sigma sqrt(1 - \
                  kappa^2) z (ou); e = 2 (snr sigma)^2, kappa = e^(-e/sigma^2)",
        citation: "Song et al. 2020, arXiv 2011.13456, algorithm 4",
        parameters: &[
            Parameter {
                key: "k",
                meaning: "how many after each step, one evaluation each",
                kind: Kind::Number { default: 1.0, min: 1.0, max: 6.0 },
            },
            Parameter {
                key: "snr",
                meaning: "how large; above 0.16 they add noise of their own",
                kind: Kind::Number { default: 0.1, min: 0.001, max: 0.5 },
            },
            Parameter {
                key: "kind",
                meaning: "unadjusted Langevin, or Ornstein-Uhlenbeck with the prediction frozen",
                kind: Kind::Word { default: "ou", options: &["ula", "ou"] },
            },
        ],
    };
    Decorator::new(about, |values, sampler: Box<dyn Sampler<T>>| {
        let refuse = |what: &str, hint: &str| {
            Err(Error::Parameter { owner: "corrector".into(), what: what.into(), hint: hint.into() })
        };
        if sampler.facts().resolves {
            return refuse(
                "the sampler takes its last step again and would undo every correction",
                "use it with a sampler that does not, such as heun or dpmpp2m",
            );
        }
        let (k, snr) = (values.number("k"), values.number("snr"));
        if k.fract() != 0.0 {
            return refuse(&format!("'k={k}' is not a whole number"), "k is 1 to 6");
        }
        let kind = match values.word("kind") {
            "ula" => Langevin::Unadjusted,
            _ => Langevin::OrnsteinUhlenbeck,
        };
        let corrector = Corrector { count: k as u32, snr, kind };
        Ok(Box::new(Corrected { sampler, corrector }) as Box<dyn Sampler<T>>)
    })
}
