//! One picture's way along its sigmas: where it begins, and each step of it.

use std::sync::Arc;
use std::time::Instant;

use flowline_sampler::metrics::Metrics;
use flowline_sampler::{Env, Latent, Schedule, Trajectory};

use super::Pipeline;
use super::guided::Conditions;
use super::observer::Observer;
use crate::event::{Event, StepDone, Warning};
use crate::request::Branch;
use crate::rng::{PictureNoise, Rng, draws};
use crate::{Error, Kept, KeptStep, Latents, Request, Result};

/// What is to be walked.
pub(super) struct Walk<'a> {
    pub(super) request: &'a Request,
    pub(super) guided: &'a Conditions,
    /// Which of the request's seeds.
    pub(super) seed: u64,
    /// The picture's position in the request; `None` for a run that is only walked to branch from it, of which nothing
    /// is told.
    pub(super) picture: Option<usize>,
    pub(super) begin: Begin,
}

/// Where a walk begins.
pub(super) enum Begin {
    /// At the first sigma, in this state.
    New(Latents),
    /// Where this run stands.
    Kept(Box<Kept>),
}

/// How far a walk went.
pub(super) struct Walked {
    /// Where it stands.
    x: Latents,
    /// What the last step saw; `None` before the first.
    denoised: Option<Latents>,
    /// Whether it is at its end.
    whole: bool,
    pub(super) taken: usize,
    pub(super) evaluations: u64,
    pub(super) kept: Option<Kept>,
}

impl Walked {
    /// The latents to decode: where it stands at the end, else the best prediction; `None` if there is none yet.
    pub(super) fn best(&self) -> Option<&Latents> {
        if self.whole { Some(&self.x) } else { self.denoised.as_ref() }
    }
}

impl Pipeline {
    /// The state that a branch begins in; `None` for requests that begin at noise, and those of which every run is held.
    pub(super) fn origin(&mut self, request: &Request, observer: &Observer<'_>) -> Result<Option<Latents>> {
        let Some(branch) = &request.branch else { return Ok(None) };
        let held = request.seeds.iter().all(|seed| self.continued(&request.for_seed(*seed)).is_some());
        if held { Ok(None) } else { self.reach(branch, observer).map(Some) }
    }

    /// Where the picture of one seed begins: where a run that is held stands, at the branch, at a picture under
    /// noise, or at noise.
    pub(super) fn begin(
        &self,
        request: &Request,
        seed: u64,
        origin: Option<&Latents>,
        observer: &Observer<'_>,
    ) -> Result<Begin> {
        if let Some(kept) = self.continued(&request.for_seed(seed)) {
            for difference in request.differences(&kept.request) {
                let message = format!("the trajectory may not go on as it began: {difference}");
                observer.proceed(Event::Warning(Warning::new("trajectory-differs", message)))?;
            }
            return Ok(Begin::Kept(Box::new(kept)));
        }
        match origin {
            Some(x) => Ok(Begin::New(x.clone())),
            None => {
                let start = self.start(request)?;
                if let Some((data, 0.0)) = start {
                    return Ok(Begin::New(data.clone()));
                }
                let shape = self.spec.latent_shape(request.width, request.height);
                let noise = self.noise(request, seed)?.initial(shape, &self.device)?;
                Ok(Begin::New(match start {
                    None => noise,
                    Some((data, sigma)) => Latents::lincomb(&[(1.0 - sigma, data), (sigma, &noise)])?,
                }))
            }
        }
    }

    /// The state where `branch` leaves its parent: as it is held, or walked to once more.
    fn reach(&mut self, branch: &Branch, observer: &Observer<'_>) -> Result<Latents> {
        let until = Request { stop_after: Some(branch.at), ..branch.parent.clone() };
        let seed = until.seeds.first().copied().unwrap_or_default();
        if self.continued(&until).map_or(0, |kept| kept.taken()) < branch.at {
            let message =
                format!("the run that this one branches from is not here; its steps to {} are walked again", branch.at);
            observer.proceed(Event::Warning(Warning::new("branch-walked", message)))?;
        }
        let origin = self.origin(&until, observer)?;
        let begin = self.begin(&until, seed, origin.as_ref(), observer)?;
        let guided = self.condition(&until)?;
        let walk = Walk { request: &until, guided: &guided, seed, picture: None, begin };
        let walked = self.walk(walk, observer)?;
        if walked.taken == branch.at { Ok(walked.x) } else { Err(Error::Cancelled) }
    }

    /// The noise of one picture. Where it comes in a sequence, the steps of a branch have as many places as those of the
    /// runs it hangs on, so that it never meets a number again.
    fn noise(&self, request: &Request, seed: u64) -> Result<PictureNoise> {
        let (mut most, mut run) = (1, Some(request).filter(|request| request.rng == Rng::TorchCpu));
        while let Some(request) = run {
            let sampler = self.spec.samplers.build(&request.sampler)?;
            most = most.max(draws(sampler.as_ref(), Schedule::explicit(request.sigmas.clone())?)?);
            run = request.branch.as_ref().map(|branch| &branch.parent);
        }
        Ok(PictureNoise::new(request.rng, seed, most))
    }

    /// Walks until the end, the step to stop after, or until the observer says stop.
    pub(super) fn walk(&self, walk: Walk<'_>, observer: &Observer<'_>) -> Result<Walked> {
        let Walk { request, guided, seed, picture, begin } = walk;
        if let (false, Begin::New(x)) = (request.walks(), &begin) {
            return Ok(Walked { x: x.clone(), denoised: None, whole: true, taken: 0, evaluations: 0, kept: None });
        }
        let schedule = Schedule::explicit(request.sigmas.clone())?;
        let sampler = self.spec.samplers.build(&request.sampler)?;
        let mut noise = self.noise(request, seed)?;
        let mut velocity = self.field(request, guided)?;
        let keep = self.keep && picture.is_some();
        let (mut trajectory, mut metrics, mut denoised, mut kept) = match begin {
            Begin::New(x) => {
                let metrics = Metrics::new(&x);
                let trajectory = Trajectory::branch(sampler.as_ref(), schedule, x, request.steps_before())?;
                let start = trajectory.save(&velocity);
                let request = Request { stop_after: None, ..request.for_seed(seed) };
                (trajectory, metrics, None, keep.then(|| Kept { request, start, steps: Vec::new() }))
            }
            Begin::Kept(run) => {
                let state = run.state(run.taken())?.clone();
                let trajectory = Trajectory::restore(sampler.as_ref(), schedule, state, &mut velocity)?;
                let denoised = run.steps.last().map(|step| step.denoised.clone());
                (trajectory, run.metrics()?, denoised, keep.then_some(*run))
            }
        };
        let clock = Instant::now();
        while request.stop_after != Some(trajectory.taken()) && !observer.stopped() {
            let x = trajectory.x().clone();
            let mut ask = || observer.ask(Event::Tick);
            let report = match trajectory.step(&mut Env::new(&mut velocity, &mut noise, &mut ask)) {
                Ok(Some(report)) => report,
                Ok(None) => break,
                Err(flowline_sampler::Error::Cancelled) => break,
                Err(error) => return Err(error.into()),
            };
            let metrics = metrics.step(&x, &report, trajectory.x())?;
            if let Some(kept) = &mut kept {
                let (state, denoised) = (trajectory.save(&velocity), report.denoised.clone());
                kept.steps.push(Arc::new(KeptStep { state, denoised }));
            }
            if let Some(picture) = picture {
                let preview = match &self.spec.preview {
                    Some(preview) => preview.apply(report.denoised.tensor())?.into_iter().next(),
                    None => None,
                };
                observer.tell(Event::Step(StepDone {
                    picture,
                    pictures: request.seeds.len(),
                    taken: report.taken,
                    steps: report.steps,
                    sigma: report.sigma,
                    next: report.next,
                    evaluations: report.evaluations,
                    elapsed: clock.elapsed(),
                    metrics,
                    preview,
                    kept: kept.clone().map(Arc::new),
                }));
            }
            denoised = Some(report.denoised);
        }
        let (taken, evaluations) = (trajectory.taken(), trajectory.evaluations());
        Ok(Walked { x: trajectory.x().clone(), denoised, whole: taken == request.steps, taken, evaluations, kept })
    }
}
