//! Samplers side by side, one after the other from one noise, each step told with its evaluations and its distance.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use flowline_model::{Draft, Error, Event, Kept, Latents, Picture, Pipeline, Request, Spec};

use super::{Compare, Compared, Comparison, Contender, Reference, Told, fits, no_laboratory};
use crate::Result;
use crate::engine::worker::Worker;
use crate::grid::comparable;
use crate::trace::Tracing;

impl Worker {
    /// Makes the runs of a comparison, as order `number`; a break means that it was stopped.
    pub(super) fn compare(&mut self, number: u64, comparison: &Comparison) -> Result<ControlFlow<()>> {
        let mailbox = Arc::clone(&self.mailbox);
        let (endings, halted) = (Arc::clone(&self.endings), Arc::clone(&self.halted));
        let stop = move || endings.is_leaving() || halted.load(SeqCst) >= number;
        let tell = move |compared| mailbox.post(crate::engine::Event::Laboratory(Told::Compared(compared)));
        let pipeline = self.open(&comparison.model)?.pipeline().ok_or_else(no_laboratory)?;
        let requests = comparison.requests(pipeline.spec())?;
        let duel = Duel { comparison, tell: &tell, stop: &stop };
        let ended = duel.run(pipeline, &requests);
        pipeline.keep(false);
        ended
    }
}

impl Comparison {
    /// What each contender is asked for, all with one seed.
    fn requests(&self, spec: &Spec) -> Result<Vec<Request>> {
        let mut seeds = self.draft.seeds.clone();
        seeds.truncate(1);
        let mut requests: Vec<Request> = Vec::new();
        for contender in &self.contenders {
            let draft = Draft { seeds: seeds.clone(), ..contender.draft(&self.draft) };
            let request = draft.resolve(spec)?.request;
            seeds.clone_from(&request.seeds);
            requests.push(request);
        }
        Ok(requests)
    }
}

impl Contender {
    fn draft(&self, common: &Draft) -> Draft {
        Draft { sampler: Some(self.sampler.clone()), steps: Some(self.steps), stop_after: None, ..common.clone() }
    }
}

/// A comparison at work.
struct Duel<'a> {
    comparison: &'a Comparison,
    tell: &'a dyn Fn(Compared),
    stop: &'a dyn Fn() -> bool,
}

impl Duel<'_> {
    fn run(&self, pipeline: &mut Pipeline, requests: &[Request]) -> Result<ControlFlow<()>> {
        let Some(first) = requests.first() else { return Ok(ControlFlow::Continue(())) };
        let (mut end, against) = match &self.comparison.reference {
            Reference::First => (None, first.clone()),
            Reference::Run(contender) => {
                let draft = Draft { schedule: None, ..contender.draft(&first.to_draft()) };
                let draft = Draft { sigmas: None, shift: None, ..draft };
                let request = draft.resolve(pipeline.spec())?.request;
                let Some(picture) = self.reference(pipeline, &request)? else {
                    return Ok(ControlFlow::Break(()));
                };
                (Some(picture.latents), request)
            }
        };
        for (contender, request) in requests.iter().enumerate() {
            if (self.stop)() {
                return Ok(ControlFlow::Break(()));
            }
            let samplers = self.comparison.registry.proof_samplers();
            let means = comparable(request, &against, samplers)?;
            match self.contender(pipeline, contender, request, end.as_ref().filter(|_| means)) {
                Ok(Some(picture)) => {
                    let Picture { latents, image, kept, .. } = *picture;
                    let itself = contender == 0 && end.is_none();
                    let end = end.get_or_insert_with(|| latents.clone());
                    let distances = match means || itself {
                        true => distances(kept.as_deref(), &latents, end)?,
                        false => Vec::new(),
                    };
                    (self.tell)(Compared::Arrived { contender, image: Arc::new(image), distances });
                }
                Ok(None) => return Ok(ControlFlow::Break(())),
                Err(lost @ Error::NotFinite { .. }) => {
                    (self.tell)(Compared::Lost { contender, failure: lost.into() });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Where the reference ends; `None` if it was stopped.
    fn reference(&self, pipeline: &mut Pipeline, request: &Request) -> Result<Option<Box<Picture>>> {
        let mut made = None;
        pipeline.keep(false);
        let outcome = pipeline.generate(request, |event| {
            match event {
                Event::Step(step) => (self.tell)(Compared::Reference { taken: step.taken, steps: step.steps }),
                Event::Picture(picture) => made = Some(picture),
                _ => {}
            }
            self.answer()
        })?;
        Ok(made.filter(|_| !outcome.stopped))
    }

    /// One contender's way to its end; `None` if it was stopped.
    fn contender(
        &self,
        pipeline: &mut Pipeline,
        contender: usize,
        request: &Request,
        end: Option<&Latents>,
    ) -> Result<Option<Box<Picture>>, Error> {
        let (mut tracing, mut made) = (Tracing::default(), None);
        pipeline.keep(fits(request, pipeline.spec()));
        let outcome = pipeline.generate(request, |event| {
            match event {
                Event::Step(step) => {
                    tracing.step(&step);
                    let seen = step.kept.as_ref().and_then(|kept| Some(&kept.steps.last()?.denoised));
                    let distance = seen.zip(end).and_then(|(seen, end)| seen.distance(end).ok());
                    let (evaluations, preview) = (step.evaluations, step.preview.map(Arc::new));
                    if let Some(step) = tracing.last().copied() {
                        let compare = Compare { contender, step, evaluations, distance, preview };
                        (self.tell)(Compared::Step(Box::new(compare)));
                    }
                }
                Event::Picture(picture) => made = Some(picture),
                _ => {}
            }
            self.answer()
        })?;
        Ok(made.filter(|_| !outcome.stopped))
    }

    fn answer(&self) -> ControlFlow<()> {
        if (self.stop)() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// How far the predictions of a run were from `end`, step by step, and last its own end.
fn distances(kept: Option<&Kept>, latents: &Latents, end: &Latents) -> Result<Vec<f64>> {
    let seen = kept.iter().flat_map(|kept| &kept.steps).map(|step| &step.denoised);
    Ok(seen.chain([latents]).map(|seen| seen.distance(end)).collect::<Result<_, _>>()?)
}
