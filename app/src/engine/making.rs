//! An entry of the queue, made: its pictures one after the other, each saved before the queue hears of it.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use flowline_model::{Event as Made, Kept, Outcome, Picture, Request, Warning};

use super::keeping::{Keeper, Pace, Unfinished};
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
        let id = entry.id;
        if let Some(ending) = self.endings.of(id) {
            return Ok(self.nothing_made(ended(Some(ending), &Came::default(), usize::MAX)));
        }
        self.library.check()?;
        let Self { library, queue, mailbox, endings, at_work, keeping, give_up, .. } = self;
        let (library, queue, mailbox) = (Arc::clone(library), Arc::clone(queue), Arc::clone(mailbox));
        let (endings, at_work, give_up) = (Arc::clone(endings), at_work.clone(), Arc::clone(give_up));
        let pace = Pace::new(*keeping);
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
        let mut came = there(&queue, entry, &request)?;
        let before = came.pictures;
        let rest = Request { seeds: request.seeds.iter().copied().skip(before).collect(), ..request.clone() };
        if rest.seeds.is_empty() || came.stopped {
            let outcome = Outcome { pictures: 0, stopped: came.stopped, ..Outcome::default() };
            mailbox.post(Event::Made(Made::Finished(outcome)));
            return Ok(ended(None, &came, request.seeds.len()));
        }
        go_on(model, &queue, id);
        give_up.store(false, Ordering::SeqCst);
        let mut keeper = Keeper { queue: &queue, at_work: &at_work, id, pace, last: Instant::now() };
        let (mut ticking, mut unkept) = (false, false);
        let made = model.generate(&rest, &mut |event| {
            // The first tick says that something new has begun; the others only ask.
            let again = std::mem::replace(&mut ticking, matches!(event, Made::Tick)) && ticking;
            match event.among(before, request.seeds.len()) {
                Made::Tick if again => {}
                Made::Picture(picture) => {
                    let picture: Arc<Picture> = Arc::from(picture);
                    // Whoever ends the program waits until the picture is there and the queue knows.
                    let mut unfinished = at_work.lock();
                    if unfinished.is_some() {
                        let saved = save(&library, &queue, id, &picture);
                        if let Some(unfinished) = unfinished.as_mut() {
                            unfinished.kept = None;
                        }
                        drop(unfinished);
                        came.hear(&picture, &request, saved.as_ref().err());
                        mailbox.post(Event::Picture(picture, saved));
                    }
                }
                Made::Step(mut step) => {
                    if let Some(Err(failure)) = step.kept.take().map(|kept| keeper.step(kept))
                        && !std::mem::replace(&mut unkept, true)
                    {
                        let message = format!("the unfinished picture cannot be kept: {}", failure.what);
                        mailbox.post(Event::Made(Made::Warning(Warning::new("run-unkept", message))));
                    }
                    mailbox.post(Event::Made(Made::Step(step)));
                }
                other => mailbox.post(Event::Made(other)),
            }
            match endings.of(id) {
                None if came.failure.is_none() => ControlFlow::Continue(()),
                Some(Ending::Best) => ControlFlow::Break(()),
                None | Some(Ending::Nothing | Ending::Later) => {
                    give_up.store(true, Ordering::SeqCst);
                    ControlFlow::Break(())
                }
            }
        });
        made?;
        let ending = endings.of(id);
        if ending == Some(Ending::Later) && came.pictures < request.seeds.len() {
            // Whoever ends the program may have done it already.
            at_work.leave(&queue)?;
        }
        Ok(ended(ending, &came, request.seeds.len()))
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

/// Has the model hold the unfinished picture, if there is one that can be gone on with.
fn go_on(model: &mut dyn Model, queue: &Queue, id: JobId) {
    let Some(kept) = queue.kept_run(id) else { return };
    let held = Kept::from_bytes(&kept).map_err(Failure::from).and_then(|kept| model.hold(kept));
    if held.is_err() {
        // Of another model's weights, say: the picture begins anew.
        queue.forget_run(id);
    }
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
