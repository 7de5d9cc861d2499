//! Linear multistep methods: one evaluation a step, a memory of the velocities before.

use crate::catalog::{About, BuildSampler, Entry, Kind, Parameter};
use crate::facts::{Bias, Evaluations, Facts, Group, LastStep};
use crate::history::History;
use crate::newton::{self, Quadratic};
use crate::runge_kutta::RungeKutta;
use crate::{Env, Latent, Result, Sampler, Schedule, State, Step, Stepped, Stepper};

/// The method of Adams and Bashforth for steps of any length: the velocity is extrapolated by the polynomial through
/// its last values, which is integrated exactly. With two values, `h = s' - s` and `h_before` the step before,
///
/// ```text
/// x' = x + h ((1 + r) v - r v_before),      r = h / (2 h_before)
/// ```
///
/// With three values and more, the steps before count as at least as long as the one to come, which bounds the weight
/// of old values where the steps grow. A step to `s' = 0` goes to `E[data | x]`, which leaves the whole at order two. The
/// error that is told is the difference to the method of one value fewer. Hairer, Norsett, Wanner: *Solving Ordinary
/// Differential Equations I*, section III.5; crowsonkb/k-diffusion `sampling.py:247-277`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdamsBashforth {
    /// Its name in messages.
    name: &'static str,
    /// What it remembers, in words.
    kept: &'static str,
    /// How many velocities are used: 2 to 4.
    pub order: usize,
    /// How the velocities before are found at the beginning.
    pub start: Start,
}

/// How a multistep method begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With as many velocities as there are: Euler's step, then two values, and so on.
    Rising,
    /// With steps of the classical Runge-Kutta method, until there are enough velocities.
    RungeKutta,
}

impl AdamsBashforth {
    /// Two velocities, Euler's step first.
    pub const AB2: Self = Self { name: "ab2", kept: "one sigma and one velocity", order: 2, start: Start::Rising };

    /// Three velocities.
    pub const fn ab3(start: Start) -> Self {
        Self { name: "ab3", kept: "up to two sigmas and as many velocities", order: 3, start }
    }

    /// Four velocities.
    pub const fn ab4(start: Start) -> Self {
        Self { name: "ab4", kept: "up to three sigmas and as many velocities", order: 4, start }
    }
}

/// One run of [`AdamsBashforth`].
struct AdamsBashforthStepper<T> {
    method: AdamsBashforth,
    history: History<T>,
}

impl<T: Latent> Sampler<T> for AdamsBashforth {
    fn start(&self, _: &Schedule) -> Result<Box<dyn Stepper<T>>> {
        let history = History::new(self.name, self.kept, self.order - 1);
        Ok(Box::new(AdamsBashforthStepper { method: *self, history }))
    }

    fn facts(&self) -> Facts {
        let group = if self.order == 2 { Group::Start } else { Group::Sharper };
        let evaluations = match self.start {
            Start::Rising => Evaluations::each(1),
            Start::RungeKutta => Evaluations { starting: self.order - 1, start: 4, ..Evaluations::each(1) },
        };
        let (bias, last) = (Bias::Shrinks, LastStep::Denoised);
        Facts { group, order: 2.0, bias, evaluations, last, resolves: false, label: None }
    }
}

impl<T: Latent> Stepper<T> for AdamsBashforthStepper<T> {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> Result<Stepped<T>> {
        let Step { sigma, next, .. } = *step;
        self.history.follows(step)?;
        let (v, denoised) = env.denoise(x, sigma)?;
        let before = self.history.entries();
        let x = match self.method.start {
            _ if next == 0.0 => denoised.clone(),
            Start::RungeKutta if before.len() + 1 < self.method.order => {
                RungeKutta::Rk4.advance(step, x, v.clone(), env)?.unwrap_or_else(|| denoised.clone())
            }
            _ => {
                let nodes: Vec<f64> = [sigma].into_iter().chain(before.iter().map(|(sigma, _)| *sigma)).collect();
                // On two values the steps may grow as they like; on more, old ones would be weighed too much.
                let nodes = if nodes.len() > 2 { newton::stretched(&nodes, next - sigma) } else { nodes };
                let integrals = newton::integrate(0.0, next - sigma, nodes.len(), |tau, add| {
                    let basis = newton::basis(&nodes, tau, Quadratic::Interpolating);
                    basis.enumerate().for_each(|(k, [n, _])| add(k, n));
                });
                let velocities: Vec<_> = [&v].into_iter().chain(before.iter().map(|(_, v)| v)).collect();
                let weighed =
                    |integrals: &[f64]| newton::weights(&nodes, integrals).into_iter().zip(velocities.clone());
                if let [older @ .., last] = &integrals[..]
                    && !older.is_empty()
                {
                    // Newton's last term is what the method of one value fewer lacks.
                    let only_last: Vec<f64> = older.iter().map(|_| 0.0).chain([*last]).collect();
                    env.tell_error(T::lincomb(&weighed(&only_last).collect::<Vec<_>>())?);
                }
                T::lincomb(&[(1.0, x)].into_iter().chain(weighed(&integrals)).collect::<Vec<_>>())?
            }
        };
        self.history.push(sigma, v);
        Ok(Stepped { x, denoised })
    }

    fn save(&self) -> State<T> {
        self.history.save()
    }

    fn restore(&mut self, state: State<T>) -> Result<()> {
        self.history.restore(state)
    }
}

const START: Parameter = Parameter {
    key: "start",
    meaning: "how it begins: with fewer velocities, or with Runge-Kutta steps of four evaluations",
    kind: Kind::Word { default: "rising", options: &["rising", "rk4"] },
};

fn start(word: &str) -> Start {
    match word {
        "rk4" => Start::RungeKutta,
        _ => Start::Rising,
    }
}

/// [`AdamsBashforth::AB2`] for the catalogue.
pub fn ab2<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "ab2",
        aliases: &["adams-bashforth", "lms2"],
        ve_names: &[],
        meaning: "extrapolate from the step before: second order at Euler's price, the better default",
        formula: "x' = x + h ((1 + r) v - r v_before), h = sigma' - sigma, r = h/(2 h_before); x' = D at sigma' = 0",
        citation: "Adams, Bashforth 1883; Hairer, Norsett, Wanner, Solving ODEs I, III.5",
        parameters: &[],
    };
    Entry::sampler(about, |_| Ok(AdamsBashforth::AB2))
}

/// [`AdamsBashforth::ab3`] for the catalogue.
pub fn ab3<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "ab3",
        aliases: &["lms3"],
        ve_names: &[],
        meaning: "extrapolate from the two steps before; for 12 steps and more",
        formula: "x' = x + int p dsigma, p the parabola through the last three v; x' = D at sigma' = 0",
        citation: "Adams, Bashforth 1883; Hairer, Norsett, Wanner, Solving ODEs I, III.5",
        parameters: &[START],
    };
    Entry::sampler(about, |values| Ok(AdamsBashforth::ab3(start(values.word("start")))))
}

/// [`AdamsBashforth::ab4`] for the catalogue.
pub fn ab4<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "ab4",
        aliases: &["lms", "lms4"],
        ve_names: &[],
        meaning: "extrapolate from the three steps before; for 16 steps and more",
        formula: "x' = x + int p dsigma, p the cubic through the last four v; x' = D at sigma' = 0",
        citation: "Adams, Bashforth 1883; crowsonkb/k-diffusion sampling.py:247-277",
        parameters: &[START],
    };
    Entry::sampler(about, |values| Ok(AdamsBashforth::ab4(start(values.word("start")))))
}
