//! Linear multistep methods: one evaluation a step, a memory of the velocities before.

use crate::catalog::{About, BuildSampler, Entry};
use crate::{Env, Error, Latent, Result, Sampler, Schedule, State, Step, Stepped, Stepper};

/// The two-step method of Adams and Bashforth for steps of any length, second order. With `h = s' - s` and `h_before`
/// the step before,
///
/// ```text
/// x' = x + h ((1 + r) v - r v_before),      r = h / (2 h_before)
/// ```
///
/// The first step is Euler's, and a step to `s' = 0` goes to `E[data | x]`.
/// Hairer, Norsett, Wanner: *Solving Ordinary Differential Equations I*, section III.5; crowsonkb/k-diffusion
/// `sampling.py:247-277` (order 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ab2;

/// One run of [`Ab2`].
struct Ab2Stepper<T> {
    before: Option<Before<T>>,
}

/// The evaluation before this one.
#[derive(Clone)]
struct Before<T> {
    sigma: f64,
    velocity: T,
}

impl<T: Latent> Sampler<T> for Ab2 {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        Ok(Box::new(Ab2Stepper { before: None }))
    }
}

impl<T: Latent> Stepper<T> for Ab2Stepper<T> {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Step { index, sigma, next, .. } = *step;
        let h = next - sigma;
        match &self.before {
            None if index > 0 => return Err(Error::State(format!("step {index} of ab2 has no step before it"))),
            Some(before) if before.sigma <= sigma => {
                return Err(Error::State(format!("ab2 is at sigma {sigma} and was at {} before", before.sigma)));
            }
            _ => {}
        }
        let v = env.velocity(x, sigma)?;
        let denoised = T::lincomb(&[(1.0, x), (-sigma, &v)])?;
        let x = match &self.before {
            _ if next == 0.0 => denoised.clone(),
            None => T::lincomb(&[(1.0, x), (h, &v)])?,
            Some(before) => {
                let r = h / (2.0 * (sigma - before.sigma));
                T::lincomb(&[(1.0, x), (h * (1.0 + r), &v), (-h * r, &before.velocity)])?
            }
        };
        self.before = Some(Before { sigma, velocity: v });
        Ok(Stepped { x, denoised })
    }

    fn save(&self) -> State<T> {
        match &self.before {
            None => State::default(),
            Some(Before { sigma, velocity }) => {
                State { numbers: vec![*sigma], latents: vec![velocity.clone()], inner: Vec::new() }
            }
        }
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        self.before = match (&state.numbers[..], &state.latents[..], &state.inner[..]) {
            ([], [], []) => None,
            ([sigma], [velocity], []) => Some(Before { sigma: *sigma, velocity: velocity.clone() }),
            _ => return Err(Error::State("ab2 keeps one sigma and one velocity".into())),
        };
        Ok(())
    }
}

/// [`Ab2`] for the catalogue.
pub fn ab2<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "ab2",
        aliases: &["adams-bashforth", "lms2"],
        meaning: "extrapolate from the step before: second order at Euler's price, the better default",
        formula: "x' = x + h ((1 + r) v - r v_before), h = sigma' - sigma, r = h/(2 h_before); x' = D at sigma' = 0",
        citation: "Adams, Bashforth 1883; Hairer, Norsett, Wanner, Solving ODEs I, III.5",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(Ab2))
}
