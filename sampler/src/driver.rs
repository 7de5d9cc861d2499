//! The one driver loop: a [`Trajectory`] walks a schedule, can stop anywhere, be saved, and go on with the same bits.

use crate::{Env, Error, Latent, Result, Sampler, Schedule, State, Step, Stepped, Stepper, Velocity};

/// One run of a sampler along a schedule.
pub struct Trajectory<T: Latent> {
    schedule: Schedule,
    stepper: Box<dyn Stepper<T>>,
    x: T,
    /// Steps of the schedule that were taken.
    index: usize,
    /// Steps that were taken before the schedule begins.
    offset: usize,
    evaluations: u64,
}

/// What is known after a step.
#[derive(Clone, Debug)]
pub struct Report<T> {
    /// Steps of the schedule that were taken, from 1.
    pub taken: usize,
    /// Steps in all.
    pub steps: usize,
    /// Where the step began.
    pub sigma: f64,
    /// Where it ended.
    pub next: f64,
    /// Model evaluations of the whole trajectory so far.
    pub evaluations: u64,
    /// `E[data | x]` as seen at `sigma`.
    pub denoised: T,
    /// How far off the step may be, where the sampler has an embedded estimate; see [`Env::tell_error`].
    pub local_error: Option<T>,
}

/// Everything needed to continue a trajectory elsewhere, with the same bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved<T> {
    /// Steps of the schedule that were taken.
    pub taken: usize,
    /// Steps that were taken before the schedule begins, not 0 for a [branch](Trajectory::branch).
    pub offset: usize,
    /// The sigma where it stands; it ties the state to its schedule.
    pub sigma: f64,
    /// Model evaluations so far.
    pub evaluations: u64,
    /// The state itself.
    pub x: T,
    /// The stepper's history.
    pub stepper: State<T>,
    /// The field's history (guidance momentum).
    pub velocity: State<T>,
}

impl<T: Latent> Trajectory<T> {
    /// A trajectory at the beginning of `schedule`; `x` is the state at its first sigma.
    ///
    /// # Errors
    /// If the sampler refuses the schedule.
    pub fn start(sampler: &dyn Sampler<T>, schedule: Schedule, x: T) -> Result<Self> {
        Self::branch(sampler, schedule, x, 0)
    }

    /// A trajectory that goes on from another's state after `taken` steps, with a sampler of its own: `x` is the state
    /// at the first sigma of `tail`. The sampler begins anew, with nothing remembered, but its noise is that of the
    /// steps `taken`, `taken + 1`, .., so that none of the first part is drawn again.
    ///
    /// # Errors
    /// If the sampler refuses the schedule.
    pub fn branch(sampler: &dyn Sampler<T>, tail: Schedule, x: T, taken: usize) -> Result<Self> {
        Ok(Self { stepper: sampler.start(&tail)?, schedule: tail, x, index: 0, offset: taken, evaluations: 0 })
    }

    /// A trajectory where `saved` left it; `velocity` gets its own history back.
    ///
    /// # Errors
    /// [`Error::State`] if it was saved by another sampler or along another schedule.
    pub fn restore(
        sampler: &dyn Sampler<T>,
        schedule: Schedule,
        saved: Saved<T>,
        velocity: &mut dyn Velocity<T>,
    ) -> Result<Self> {
        match schedule.sigmas().get(saved.taken) {
            Some(sigma) if *sigma == saved.sigma => {}
            Some(sigma) => {
                let Saved { taken, sigma: stands, .. } = saved;
                return Err(Error::State(format!(
                    "after {taken} steps it is at sigma {stands}, the schedule at {sigma}"
                )));
            }
            None => return Err(Error::State(format!("{} steps were taken of {}", saved.taken, schedule.steps()))),
        }
        let mut stepper = sampler.start(&schedule)?;
        stepper.restore(saved.stepper)?;
        velocity.restore(saved.velocity)?;
        let Saved { x, taken: index, offset, evaluations, .. } = saved;
        Ok(Self { schedule, stepper, x, index, offset, evaluations })
    }

    /// Everything needed to continue later.
    pub fn save(&self, velocity: &dyn Velocity<T>) -> Saved<T> {
        Saved {
            taken: self.index,
            offset: self.offset,
            sigma: self.schedule.sigmas().get(self.index).copied().unwrap_or_default(),
            evaluations: self.evaluations,
            x: self.x.clone(),
            stepper: self.stepper.save(),
            velocity: velocity.save(),
        }
    }

    /// Takes the next step, or says `None` at the end of the schedule.
    ///
    /// # Errors
    /// Those of field and noise. After any of them, [`Error::Cancelled`] first, trajectory and field stand where they
    /// stood before the step, and it may be taken again.
    pub fn step(&mut self, env: &mut Env<'_, T>) -> Result<Option<Report<T>>> {
        let Some([sigma, next]) = self.schedule.interval(self.index) else { return Ok(None) };
        env.begin(self.offset.saturating_add(self.index))?;
        let before = env.evaluations();
        let step = Step { index: self.index, sigma, next, schedule: &self.schedule };
        let field = env.velocity.save();
        let Stepped { x, denoised } = match self.stepper.step(&step, &self.x, env) {
            Ok(stepped) => stepped,
            Err(error) => {
                // A field with a memory may have been evaluated already; the repeated step must meet it as it was.
                env.velocity.restore(field)?;
                return Err(error);
            }
        };
        self.x = x;
        self.index += 1;
        self.evaluations += env.evaluations() - before;
        let (taken, steps, evaluations) = (self.index, self.schedule.steps(), self.evaluations);
        let local_error = env.told_error();
        Ok(Some(Report { taken, steps, sigma, next, evaluations, denoised, local_error }))
    }

    /// The state where the trajectory stands.
    pub fn x(&self) -> &T {
        &self.x
    }

    /// Steps of its schedule that were taken.
    pub fn taken(&self) -> usize {
        self.index
    }

    /// Model evaluations so far.
    pub fn evaluations(&self) -> u64 {
        self.evaluations
    }
}

/// The whole way in one call: from `x` at the first sigma of `schedule` to its end.
///
/// # Errors
/// Those of [`Trajectory::step`].
pub fn integrate<T: Latent>(
    sampler: &dyn Sampler<T>,
    schedule: Schedule,
    x: T,
    env: &mut Env<'_, T>,
    mut on_step: impl FnMut(&Report<T>),
) -> Result<T> {
    let mut trajectory = Trajectory::start(sampler, schedule, x)?;
    while let Some(report) = trajectory.step(env)? {
        on_step(&report);
    }
    Ok(trajectory.x)
}
