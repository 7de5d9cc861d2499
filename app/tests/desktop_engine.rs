//! The engine's thread with stand-in models: whatever happens there, a face hears of it and the engine goes on.

mod stand_in;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowline::engine::{
    Backend, Command, Ending, Engine, Event, Job, Keeping, Model, Offer, Open, Progress, Setup, Stock, Stocked,
    no_grids,
};
use flowline::error::{Failure, Result};
use flowline::library::{Destination, Library, SaveOptions};
use flowline::queue::{Ask, Ended, JobId, JobState, Queue, Snapshot};
use flowline_model::{Draft, Event as Made, Outcome, Request, Resolved};
use stand_in::{offer, picture, request, step, stocked};

/// Longer than the slowest machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A model that draws gradients, and does what its prompt says.
struct Drawing {
    /// Told at every tick.
    ticked: Sender<()>,
    give_up: Arc<AtomicBool>,
}

impl Model for Drawing {
    fn offer(&self) -> Offer {
        offer()
    }

    fn resolve(&self, draft: &Draft) -> Result<Resolved> {
        Ok(Resolved { request: request(&draft.prompt, 7), warnings: Vec::new() })
    }

    fn give_up_with(&mut self, give_up: Arc<AtomicBool>) {
        self.give_up = give_up;
    }

    fn generate(&mut self, request: &Request, observe: &mut dyn FnMut(Made) -> ControlFlow<()>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        match request.prompt.as_str() {
            "panic" => panic!("a tensor of the wrong shape"),
            "fail" => return Err(Failure::new("the numbers are not finite", "try more steps")),
            "until stopped" => {
                let _ = observe(Made::Step(step(1)));
                while observe(Made::Tick).is_continue() {
                    let _ = self.ticked.send(());
                    std::thread::yield_now();
                }
                outcome.stopped = true;
            }
            _ => {}
        }
        if !(outcome.stopped && self.give_up.load(Ordering::SeqCst)) {
            outcome.pictures = 1;
            let mut made = (*picture(request, (8, 8))).clone();
            if outcome.stopped {
                (made.stopped, made.request.stop_after) = (Some((1, 2)), Some(1));
            }
            let _ = observe(Made::Picture(Box::new(made)));
        }
        let _ = observe(Made::Finished(outcome));
        Ok(outcome)
    }
}

/// A shelf whose one model comes in ten pieces, or as its name says.
struct Shelf;

impl Stock for Shelf {
    fn models(&self) -> Vec<Stocked> {
        vec![stocked("flow", false)]
    }

    fn fetch(&self, name: &str, observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>) -> Result<ControlFlow<()>> {
        match name {
            "panic" => panic!("a shelf falls down"),
            "gated" => return Err(Failure::new("flow is gated", "accept its licence")),
            "until stopped" => while observe(&Progress::default()).is_continue() {},
            _ => {
                for bytes in 1..=10 {
                    if observe(&Progress { bytes, total: 10, ..Progress::default() }).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                return Ok(ControlFlow::Continue(()));
            }
        }
        Ok(ControlFlow::Break(()))
    }
}

/// An engine, and what wakes its face.
struct Bench {
    engine: Engine,
    woken: Receiver<()>,
    ticks: Receiver<()>,
    /// How often a model was opened.
    opened: Arc<AtomicUsize>,
}

impl Bench {
    fn new(folder: &Path) -> Self {
        Self::with(folder, Queue::fleeting())
    }

    fn with(folder: &Path, queue: Queue) -> Self {
        let (ticked, ticks) = mpsc::channel();
        let opened = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&opened);
        let open: Open = Box::new(move |name| match name {
            "missing" => Err(Failure::new("there is no such model", "choose another")),
            _ => {
                counted.fetch_add(1, Ordering::SeqCst);
                Ok(Box::new(Drawing { ticked: ticked.clone(), give_up: Arc::default() }))
            }
        });
        let options = SaveOptions { force: false, metadata: true };
        let library = Library::new(Destination::Folder(folder.to_owned()), options);
        let (wake, woken) = mpsc::channel();
        let wake = Mutex::new(wake);
        let waker = Arc::new(move || {
            let _ = wake.lock().map(|wake| wake.send(()));
        });
        let setup = Setup {
            model: "drawing".into(),
            library,
            open,
            make_grid: no_grids(),
            stock: Arc::new(Shelf),
            queue,
            keeping: Keeping::default(),
            notices: Vec::new(),
        };
        Self { engine: Engine::start(setup, waker).unwrap(), woken, ticks, opened }
    }

    fn make(&self, model: &str, prompt: &str) {
        let draft = Draft { prompt: prompt.into(), ..Draft::default() };
        self.engine.send(Command::Make(Box::new(Job { model: model.into(), draft })));
    }

    /// Everything up to the next event of this kind.
    fn until(&self, kind: fn(&Event) -> bool) -> Vec<Event> {
        let mut heard = Vec::new();
        loop {
            let events = self.engine.events();
            let there = events.iter().any(kind);
            heard.extend(events);
            if there {
                return heard;
            }
            self.woken.recv_timeout(PATIENCE).expect("the engine has something to say");
        }
    }
}

/// The entry that is begun last.
fn begun(events: &[Event]) -> JobId {
    let began = events.iter().rev().find_map(|event| if let Event::Began(id) = event { Some(*id) } else { None });
    began.unwrap_or_else(|| panic!("nothing has begun: {events:?}"))
}

fn is_step(event: &Event) -> bool {
    matches!(event, Event::Made(Made::Step(_)))
}

/// The queue as it was told last.
fn queue(events: &[Event]) -> Arc<Snapshot> {
    let told = events.iter().rev().find_map(|event| if let Event::Queue(told) = event { Some(told) } else { None });
    Arc::clone(told.unwrap_or_else(|| panic!("nothing was told: {events:?}")))
}

/// That everything in the queue is over.
fn is_over(event: &Event) -> bool {
    matches!(event, Event::Queue(queue) if queue.entries.iter().all(|entry| entry.is_over()))
}

fn is_end(event: &Event) -> bool {
    matches!(event, Event::Failed(_) | Event::Made(Made::Finished(_)))
}

fn failure(events: &[Event]) -> &Failure {
    let failed = events.iter().find_map(|event| if let Event::Failed(failure) = event { Some(failure) } else { None });
    failed.unwrap_or_else(|| panic!("no failure in {events:?}"))
}

#[test]
fn a_picture_is_saved_before_anybody_hears_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.make("drawing", "a house");
    let events = bench.until(is_end);
    let saved =
        events.iter().find_map(|event| if let Event::Picture(p, path) = event { Some((p, path)) } else { None });
    let (picture, path) = saved.expect("a picture");
    assert_eq!(image::open(path.as_ref().unwrap()).unwrap().into_rgb8(), picture.image);
    let (mut waits, mut making) = (0, 0);
    let kinds = events.iter().filter_map(|event| {
        Some(match event {
            Event::Queue(queue) => {
                waits += queue.entries.iter().filter(|entry| entry.state == JobState::Waiting).count();
                making += queue.entries.iter().filter(|entry| entry.state == JobState::Making).count();
                return None;
            }
            // Its run, for the laboratory.
            Event::Laboratory(_) => return None,
            Event::Models(_) => "models",
            Event::Ready(_) => "ready",
            Event::Began(_) => "began",
            Event::Started(_) => "started",
            Event::Picture(..) => "picture",
            Event::Made(Made::Finished(_)) => "finished",
            other => panic!("{other:?}"),
        })
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["models", "ready", "began", "started", "picture", "finished"]);
    assert!(making > 0, "it is shown while it is made; it waited {waits} times");
}

#[test]
fn a_panic_is_a_failure_and_the_engine_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.make("drawing", "panic");
    let events = bench.until(is_end);
    assert!(failure(&events).what.contains("a tensor of the wrong shape"), "{events:?}");
    bench.make("drawing", "a house");
    let events = bench.until(is_end);
    assert_eq!(bench.opened.load(Ordering::SeqCst), 2, "the model is opened afresh");
    assert!(events.iter().any(|event| matches!(event, Event::Picture(_, Ok(_)))), "{events:?}");
}

#[test]
fn a_failing_job_and_a_missing_model_are_said_and_the_engine_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    for (model, prompt, what) in
        [("drawing", "fail", "the numbers are not finite"), ("missing", "a house", "there is no such model")]
    {
        bench.make(model, prompt);
        assert_eq!(failure(&bench.until(is_end)).what, what);
    }
    bench.make("drawing", "a house");
    assert!(bench.until(is_end).iter().any(|event| matches!(event, Event::Picture(_, Ok(_)))));
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    std::fs::write(&file, "").unwrap();
    let bench = Bench::new(&file);
    bench.make("drawing", "a house");
    let events = bench.until(is_end);
    assert!(failure(&events).what.contains("a file"), "{events:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Started(_))), "{events:?}");
}

#[test]
fn stop_ends_what_is_made_and_the_queue_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.make("drawing", "until stopped");
    let id = begun(&bench.until(is_step));
    bench.make("drawing", "a house");
    bench.ticks.recv_timeout(PATIENCE).expect("it runs");
    bench.ticks.recv_timeout(PATIENCE).expect("and goes on");
    bench.engine.send(Command::End(JobId(id.0 + 1), Ending::Nothing));
    bench.engine.send(Command::End(id, Ending::Best));
    let events =
        bench.until(|event| is_over(event) && matches!(event, Event::Queue(queue) if queue.entries.len() == 2));
    let outcomes = events.iter().filter_map(|event| match event {
        Event::Made(Made::Finished(outcome)) => Some((outcome.stopped, outcome.pictures)),
        _ => None,
    });
    assert_eq!(outcomes.collect::<Vec<_>>(), [(true, 1), (false, 1)]);
    let ticks = events.iter().filter(|event| matches!(event, Event::Made(Made::Tick))).count();
    assert!(ticks <= 1, "of many ticks in a row a face hears one");
    let states: Vec<_> = queue(&events).entries.iter().map(|entry| entry.state.clone()).collect();
    assert_eq!(states, [JobState::Done(Ended::Stopped), JobState::Done(Ended::Whole)]);
}

#[test]
fn what_is_discarded_is_gone_and_leaves_no_picture() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    for end in [None, Some(Ending::Nothing)] {
        bench.make("drawing", "until stopped");
        let id = begun(&bench.until(is_step));
        match end {
            Some(ending) => bench.engine.send(Command::End(id, ending)),
            None => bench.engine.send(Command::Queue(Ask::Remove(id))),
        }
        let events = bench.until(|event| matches!(event, Event::Queue(queue) if queue.ours.is_empty()));
        assert!(!events.iter().any(|event| matches!(event, Event::Failed(_) | Event::Picture(..))), "{events:?}");
        assert_eq!(queue(&events).entries, []);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_failure_and_a_panic_show_their_reasons_and_the_queue_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    let all = |event: &Event| is_over(event) && matches!(event, Event::Queue(queue) if queue.entries.len() == 3);
    for prompt in ["fail", "panic", "a house"] {
        bench.make("drawing", prompt);
    }
    let told = queue(&bench.until(all));
    let reasons: Vec<String> = told.entries.iter().map(|entry| format!("{:?}", entry.state)).collect();
    assert!(reasons[0].contains("the numbers are not finite") && reasons[0].contains("try more steps"), "{reasons:?}");
    assert!(reasons[1].contains("a tensor of the wrong shape"), "{reasons:?}");
    assert_eq!(reasons[2], "Done(Whole)");
}

#[test]
fn a_pause_frees_the_processor_and_the_picture_goes_on_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.make("drawing", "until stopped");
    let id = begun(&bench.until(is_step));
    bench.engine.send(Command::Queue(Ask::Pause));
    let events = bench.until(|event| matches!(event, Event::Queue(queue) if queue.ours.is_empty()));
    let told = queue(&events);
    assert!(told.paused.is_some() && told.entries[0].state == JobState::Waiting, "{told:?}");
    assert!(!events.iter().any(|event| matches!(event, Event::Picture(..))));
    bench.engine.send(Command::Queue(Ask::GoOn));
    assert_eq!(begun(&bench.until(is_step)), id);
    bench.engine.send(Command::End(id, Ending::Best));
    assert_eq!(queue(&bench.until(is_over)).entries[0].pictures.len(), 1);
}

#[test]
fn dropping_the_engine_while_it_works_leaves_the_picture_in_the_queue() {
    let (pictures, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bench = Bench::with(pictures.path(), Queue::open(folder.path()).unwrap());
    bench.make("drawing", "until stopped");
    bench.make("drawing", "a house");
    bench.ticks.recv_timeout(PATIENCE).expect("the job runs");
    drop(bench);
    assert_eq!(std::fs::read_dir(pictures.path()).unwrap().count(), 0, "no picture was asked for");
    let queue = Queue::open(folder.path()).unwrap();
    let snapshot = queue.snapshot();
    let states: Vec<_> = snapshot.entries.iter().map(|entry| entry.state.clone()).collect();
    assert_eq!(
        (states, snapshot.paused),
        (vec![JobState::Waiting, JobState::Waiting], None),
        "and it goes on by itself"
    );
    assert_eq!(queue.take().unwrap().map(|entry| entry.id), Some(JobId(1)));
}

#[test]
fn a_copy_is_saved_while_the_engine_works_and_replaces_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.make("drawing", "until stopped");
    bench.ticks.recv_timeout(PATIENCE).expect("the job runs");
    let taken = folder.path().join("taken.png");
    std::fs::write(&taken, "somebody else's").unwrap();
    let copied = picture(&request("a house", 9), (8, 8));
    bench.engine.send(Command::SaveCopy { picture: Arc::clone(&copied), path: taken.clone() });
    let events = bench.until(|event| matches!(event, Event::Copied(_)));
    let Some(Event::Copied(Ok(path))) = events.last() else { panic!("{events:?}") };
    assert_ne!(*path, taken);
    assert_eq!(image::open(path).unwrap().into_rgb8(), copied.image);
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "somebody else's");
}

#[test]
fn a_model_is_fetched_beside_the_work_and_the_list_comes_before_the_news() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.make("drawing", "until stopped");
    bench.ticks.recv_timeout(PATIENCE).expect("it is at work");
    bench.engine.send(Command::Fetch("flow".into()));
    let events = bench.until(|event| matches!(event, Event::Fetched(..)));
    let [.., Event::Models(models), Event::Fetched(name, fetched)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&models[..], name.as_str()), (&[stocked("flow", false)][..], "flow"));
    assert_eq!(fetched, &Ok(ControlFlow::Continue(())));
    assert!(!events.iter().any(is_end), "the picture is still being made");
    bench.engine.send(Command::End(JobId(1), Ending::Best));
    bench.until(is_end);
}

#[test]
fn fetching_that_fails_stumbles_or_is_stopped_says_so_and_the_engine_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    let fetched = |name: &str, stop: bool| {
        bench.engine.send(Command::Fetch(name.into()));
        if stop {
            bench.until(|event| matches!(event, Event::Fetching(..)));
            bench.engine.send(Command::StopFetching);
        }
        match bench.until(|event| matches!(event, Event::Fetched(..))).pop() {
            Some(Event::Fetched(_, fetched)) => fetched,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fetched("gated", false).unwrap_err().hint, "accept its licence");
    assert_eq!(fetched("until stopped", true), Ok(ControlFlow::Break(())));
    assert!(fetched("panic", false).unwrap_err().what.contains("a shelf falls down"));
    assert_eq!(fetched("flow", false), Ok(ControlFlow::Continue(())), "an old stop does not hit it");
    bench.engine.send(Command::Open("another".into()));
    let events = bench.until(|event| matches!(event, Event::Ready(offer) if offer.model == "another"));
    assert!(!events.iter().any(|event| matches!(event, Event::Failed(_))), "{events:?}");
}
