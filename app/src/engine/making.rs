//! An entry of the queue, made: its pictures one after the other, each saved before the queue hears of it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use flowline_model::{Event as Made, Kept, Outcome, Picture, Request, StepDone, Warning};

use super::ending::Endings;
use super::keeping::{Keeper, Pace, Unfinished};
use super::laboratory::{Bench, Told};
use super::mailbox::Mailbox;
use super::worker::Worker;
use super::{Ending, Event, Model};
use crate::error::{Failure, Result};
use crate::library::Library;
use crate::queue::{Ended, Entry, Job, JobId, Queue, is_whole_picture};

/// How an entry came to its end.
pub(super) enum End {
    /// It is done.
    Done(Ended),
    /// Nothing of it is wanted.
    GivenUp,
    /// It goes on another time.
    Later,
    /// It cannot be done, and a face knows already.
    Failed(Failure),
}

/// What came of the pictures of an entry.
#[derive(Default)]
struct Came {
    /// Pictures that are there, of an earlier time among them.
    pictures: usize,
    /// Whether the last one was stopped.
    stopped: bool,
    /// Why one could not be saved.
    failure: Option<Failure>,
}

impl Worker {
    /// Makes the pictures of an entry that are not there yet.
    pub(super) fn pictures(&mut self, entry: &Entry, job: &Job) -> Result<End> {
        if let Some(ending) = self.endings.of(entry.id) {
            return Ok(self.nothing_made(ended(Some(ending), &Came::default(), usize::MAX)));
        }
        self.library.check()?;
        // Beside the model for as long as that works.
        let mut bench = std::mem::take(&mut self.bench);
        let made = self.pictures_beside(&mut bench, entry, job);
        self.bench = bench;
        made
    }

    fn pictures_beside(&mut self, bench: &mut Bench, entry: &Entry, job: &Job) -> Result<End> {
        let id = entry.id;
        let (library, queue, mailbox) = (Arc::clone(&self.library), Arc::clone(&self.queue), Arc::clone(&self.mailbox));
        let (endings, at_work, give_up) = (Arc::clone(&self.endings), self.at_work.clone(), Arc::clone(&self.give_up));
        let pace = Pace::new(self.keeping);
        let model = self.open(&job.model)?;
        // What was begun goes on with what was decided then, the seed above all.
        let begun = entry.request.as_ref();
        let resolved = model.resolve(&begun.map_or_else(|| job.draft.clone(), |request| request.to_draft()))?;
        let request = resolved.request;
        if begun.is_none_or(|begun| **begun != request) {
            queue.decide(id, &request)?;
        }
        mailbox.post(Event::Started(Box::new(request.clone())));
        for warning in resolved.warnings {
            mailbox.post(Event::Made(Made::Warning(warning)));
        }
        let wanted = request.seeds.len();
        let came = there(&queue, entry, &request)?;
        let rest = Request { seeds: request.seeds.iter().copied().skip(came.pictures).collect(), ..request.clone() };
        if rest.seeds.is_empty() || came.stopped {
            mailbox.post(Event::Made(Made::Finished(Outcome { stopped: came.stopped, ..Outcome::default() })));
            return Ok(ended(None, &came, wanted));
        }
        bench.prepare(model, &request)?;
        model.keep(true);
        if let Some(evaluations) = go_on(model, &queue, id) {
            bench.go_on(evaluations);
        }
        give_up.store(false, Ordering::SeqCst);
        let mut making = Making {
            request: &request,
            model: &job.model,
            library: &library,
            mailbox: &mailbox,
            endings: &endings,
            keeper: Keeper { queue: &queue, at_work: &at_work, id, pace, last: Instant::now() },
            bench: &mut *bench,
            before: came.pictures,
            came,
            ticking: false,
            unkept: false,
        };
        let made = model.generate(&rest, &mut |event| {
            making.hear(event);
            let ending = making.ending();
            if ending.is_some_and(|ending| ending != Ending::Best) {
                give_up.store(true, Ordering::SeqCst);
            }
            if ending.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let came = making.came;
        bench.done(model);
        made?;
        let ending = endings.of(id);
        if ending == Some(Ending::Later) && came.pictures < wanted {
            // Whoever ends the program may have done it already.
            at_work.leave(&queue)?;
        }
        Ok(ended(ending, &came, wanted))
    }
}

/// An entry's pictures on their way.
struct Making<'a> {
    /// All that is wanted.
    request: &'a Request,
    /// What the model is opened by.
    model: &'a str,
    library: &'a Library,
    mailbox: &'a Mailbox,
    endings: &'a Endings,
    keeper: Keeper<'a>,
    bench: &'a mut Bench,
    /// Pictures that were there before.
    before: usize,
    came: Came,
    /// Whether the last event was a tick: the first one says that something new has begun, the others only ask.
    ticking: bool,
    /// Whether it was said that the unfinished picture cannot be kept.
    unkept: bool,
}

impl Making<'_> {
    /// How it is to end, if it is to end now. Where one picture cannot be saved, the others cannot either.
    fn ending(&self) -> Option<Ending> {
        let failed = self.came.failure.as_ref().map(|_| Ending::Nothing);
        failed.or_else(|| self.endings.of(self.keeper.id))
    }

    fn hear(&mut self, event: Made) {
        let again = std::mem::replace(&mut self.ticking, matches!(event, Made::Tick)) && self.ticking;
        if again {
            return;
        }
        let mut event = event.among(self.before, self.request.seeds.len());
        let kept = if let Made::Step(step) = &event { step.kept.clone() } else { None };
        let ran = self.bench.hear(&mut event, self.model);
        if let Some(kept) = kept {
            self.keep(kept);
        }
        match event {
            Made::Picture(picture) => self.save(Arc::from(picture)),
            Made::Step(step) => self.mailbox.post(Event::Made(Made::Step(StepDone { kept: None, ..step }))),
            other => self.mailbox.post(Event::Made(other)),
        }
        if let Some(run) = ran {
            self.mailbox.post(Event::Laboratory(Told::Ran(Arc::new(run))));
        }
    }

    /// Keeps the unfinished picture; that it cannot be kept is no reason to end it, and said once.
    fn keep(&mut self, kept: Arc<Kept>) {
        if let Err(failure) = self.keeper.step(kept)
            && !std::mem::replace(&mut self.unkept, true)
        {
            let message = format!("the unfinished picture cannot be kept: {}", failure.what);
            self.mailbox.post(Event::Made(Made::Warning(Warning::new("run-unkept", message))));
        }
    }

    /// Saves a picture before anybody hears of it: what is shown is safe.
    fn save(&mut self, picture: Arc<Picture>) {
        let Keeper { queue, at_work, id, .. } = &self.keeper;
        // Whoever ends the program waits until the picture is there and the queue knows.
        let mut unfinished = at_work.lock();
        let Some(at_work) = unfinished.as_mut() else { return };
        let saved = save(self.library, queue, *id, &picture);
        at_work.kept = None;
        drop(unfinished);
        self.came.hear(&picture, self.request, saved.as_ref().err());
        self.mailbox.post(Event::Picture(picture, saved));
    }
}

impl Came {
    fn hear(&mut self, picture: &Picture, wanted: &Request, failure: Option<&Failure>) {
        self.stopped = last_step(&picture.request) != last_step(wanted);
        match failure {
            None => self.pictures += 1,
            Some(failure) => self.failure = Some(failure.clone()),
        }
    }
}

/// After how many steps the pictures of a request are done.
fn last_step(request: &Request) -> usize {
    request.stop_after.unwrap_or(request.steps)
}

/// What has become of an entry that was asked to end so, and of which so many pictures were wanted.
fn ended(ending: Option<Ending>, came: &Came, wanted: usize) -> End {
    if let Some(failure) = &came.failure {
        return End::Failed(failure.clone());
    }
    match ending {
        _ if came.pictures >= wanted && !came.stopped => End::Done(Ended::Whole),
        Some(Ending::Later) if !came.stopped => End::Later,
        _ if came.pictures == 0 => End::GivenUp,
        _ => End::Done(Ended::Stopped),
    }
}

/// The pictures of an entry that are there already. One that was about to get its name when a program ended has it, or
/// has not.
fn there(queue: &Queue, entry: &Entry, request: &Request) -> Result<Came> {
    let mut came = Came::default();
    if let (Some((index, path)), Some(decided)) = (&entry.naming, &entry.request)
        && let Some(seed) = decided.seeds.get(*index)
        && let Some(made) = is_whole_picture(path, &decided.for_seed(*seed))
    {
        queue.named(entry.id, *index, path)?;
        queue.forget_run(entry.id);
        came.pictures += 1;
        came.stopped = last_step(&made) != last_step(request);
    }
    came.pictures += entry.pictures.len();
    Ok(came)
}

/// Has the model hold the unfinished picture, if there is one that can be gone on with; after how many model calls.
fn go_on(model: &mut dyn Model, queue: &Queue, id: JobId) -> Option<u64> {
    let kept = Kept::from_bytes(&queue.kept_run(id)?).map_err(Failure::from);
    let held = kept.and_then(|kept| {
        let evaluations = kept.state(kept.taken())?.evaluations;
        model.hold(kept).map(|()| evaluations)
    });
    // Of another model's weights, say: the picture begins anew.
    held.inspect_err(|_| queue.forget_run(id)).ok()
}

/// Saves a picture and says where; the queue knows before and after.
fn save(library: &Library, queue: &Queue, id: JobId, picture: &Picture) -> Result<PathBuf> {
    // A face hands it on: to the clipboard, to a file manager.
    let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let saved = library.save_named(picture, &mut |path| queue.naming(id, picture.index, &whole(path.to_owned())))?;
    let nowhere = || Failure::new("the picture was not saved to a file", "save a copy of it");
    let path = whole(saved.path.ok_or_else(nowhere)?);
    queue.named(id, picture.index, &path)?;
    queue.forget_run(id);
    Ok(path)
}

/// The entry at work.
pub(super) fn unfinished(id: JobId) -> Unfinished {
    Unfinished { id, kept: None }
}
