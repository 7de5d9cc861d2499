//! The engine's thread with stand-in models: whatever happens there, a face hears of it and the engine goes on.

mod stand_in;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowline::engine::{Backend, Command, Engine, Event, Job, Model, Offer, Open, Progress, Setup, Stock, Stocked};
use flowline::error::{Failure, Result};
use flowline::library::{Destination, Library, SaveOptions};
use flowline_model::{Draft, Event as Made, Outcome, Request, Resolved};
use stand_in::{offer, picture, request, step, stocked};

/// Longer than the slowest machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

/// A model that draws gradients, and does what its prompt says.
struct Drawing {
    /// Told at every tick.
    ticked: Sender<()>,
}

impl Model for Drawing {
    fn offer(&self) -> Offer {
        offer()
    }

    fn resolve(&self, draft: &Draft) -> Result<Resolved> {
        Ok(Resolved { request: request(&draft.prompt, 7), warnings: Vec::new() })
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
        outcome.pictures = 1;
        let _ = observe(Made::Picture(Box::new((*picture(request, (8, 8))).clone())));
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
}

impl Bench {
    fn new(folder: &Path) -> Self {
        let (ticked, ticks) = mpsc::channel();
        let open: Open = Box::new(move |name| match name {
            "missing" => Err(Failure::new("there is no such model", "choose another")),
            _ => Ok(Box::new(Drawing { ticked: ticked.clone() })),
        });
        let options = SaveOptions { force: false, metadata: true };
        let library = Library::new(Destination::Folder(folder.to_owned()), options);
        let (wake, woken) = mpsc::channel();
        let wake = Mutex::new(wake);
        let waker = Arc::new(move || {
            let _ = wake.lock().map(|wake| wake.send(()));
        });
        let setup = Setup { model: "drawing".into(), library, open, stock: Arc::new(Shelf), notices: Vec::new() };
        Self { engine: Engine::start(setup, waker).unwrap(), woken, ticks }
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
    let kinds = events.iter().map(|event| match event {
        Event::Models(_) => "models",
        Event::Ready(_) => "ready",
        Event::Started(_) => "started",
        Event::Picture(..) => "picture",
        Event::Made(Made::Finished(_)) => "finished",
        other => panic!("{other:?}"),
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["models", "ready", "started", "picture", "finished"]);
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
    assert!(events.iter().any(|event| matches!(event, Event::Ready(_))), "the model is opened afresh: {events:?}");
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
fn stop_ends_the_jobs_asked_for_so_far_and_no_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.make("drawing", "until stopped");
    bench.make("drawing", "never begun");
    bench.ticks.recv_timeout(PATIENCE).expect("the first job runs");
    bench.ticks.recv_timeout(PATIENCE).expect("and goes on");
    bench.engine.send(Command::Stop);
    bench.make("drawing", "a house");
    let (mut outcomes, mut ticks) = (Vec::new(), 0);
    while outcomes.len() < 3 {
        let events = bench.until(is_end);
        ticks += events.iter().filter(|event| matches!(event, Event::Made(Made::Tick))).count();
        outcomes.extend(events.into_iter().filter_map(|event| match event {
            Event::Made(Made::Finished(outcome)) => Some((outcome.stopped, outcome.pictures)),
            _ => None,
        }));
    }
    assert_eq!(outcomes, [(true, 1), (true, 0), (false, 1)]);
    assert_eq!(ticks, 1, "of many ticks in a row a face hears one");
}

#[test]
fn dropping_the_engine_while_it_works_keeps_the_best_picture_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(folder.path());
    bench.make("drawing", "until stopped");
    bench.ticks.recv_timeout(PATIENCE).expect("the job runs");
    drop(bench);
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    let [file] = files.as_slice() else { panic!("one picture and nothing else: {files:?}") };
    assert_eq!(image::open(file).unwrap().into_rgb8().dimensions(), (8, 8));
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
    bench.engine.send(Command::Stop);
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
