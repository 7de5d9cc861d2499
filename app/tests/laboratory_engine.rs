//! The laboratory's orders through the real engine with the built-in model.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowline::Registry;
use flowline::engine::laboratory::{Ask, Compared, Comparison, Contender, Moment, Reference, Run, Told, View};
use flowline::engine::{Backend, Command, Engine, Event, Job, Keeping, Setup, UsersStock, no_grids, open_pipeline};
use flowline::laboratory::branch::{Timing, branched};
use flowline::library::{Destination, Library, SaveOptions};
use flowline::queue::Queue;
use flowline_model::{Draft, Event as Made, Opening, Picture, Pipeline, Request};
use image::RgbImage;
use tempfile::TempDir;

/// Longer than the slowest machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(240);

struct Bench {
    engine: Engine,
    woken: Receiver<()>,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SaveOptions { force: false, metadata: true };
        let setup = Setup {
            model: "postcard".into(),
            library: Library::new(Destination::Folder(folder.path().to_owned()), options),
            open: open_pipeline(Registry::builtin(), Opening::default()),
            make_grid: no_grids(),
            stock: Arc::new(UsersStock),
            queue: Queue::fleeting(),
            keeping: Keeping::default(),
            notices: Vec::new(),
        };
        let (wake, woken) = mpsc::channel();
        let wake = Mutex::new(wake);
        let waker = Arc::new(move || drop(wake.lock().map(|wake| wake.send(()))));
        Self { engine: Engine::start(setup, waker).unwrap(), woken, _folder: folder }
    }

    /// Everything up to the first event of this kind.
    fn until(&self, kind: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut heard = Vec::new();
        loop {
            let events = self.engine.events();
            let there = events.iter().any(&kind);
            heard.extend(events);
            if there {
                return heard;
            }
            self.woken.recv_timeout(PATIENCE).expect("the engine has something to say");
        }
    }

    fn compare(&self, contenders: &[(&str, usize)], reference: Reference) -> Vec<Compared> {
        let contender =
            |(sampler, steps): &(&str, usize)| Contender { sampler: sampler.parse().unwrap(), steps: *steps };
        self.engine.send(Command::Laboratory(Ask::Compare(Box::new(Comparison {
            model: "postcard".into(),
            draft: draft(),
            contenders: contenders.iter().map(contender).collect(),
            reference,
            registry: Registry::builtin(),
        }))));
        compared(self.until(|event| compared_of(event).is_some_and(|told| matches!(told, Compared::Finished(_)))))
    }

    /// Makes a picture, and returns it, its run, and the codes of all warnings.
    fn make(&self, draft: Draft) -> (Arc<Picture>, Arc<Run>, Vec<&'static str>) {
        self.engine.send(Command::Make(Box::new(Job { model: "postcard".into(), draft })));
        let heard = self.until(|event| matches!(event, Event::Made(Made::Finished(_)) | Event::Failed(_)));
        let (mut made, mut ran, mut codes) = (None, None, Vec::new());
        for event in heard {
            match event {
                Event::Picture(picture, _) => made = Some(picture),
                Event::Laboratory(Told::Ran(run)) => ran = Some(run),
                Event::Made(Made::Warning(warning)) => codes.push(warning.code),
                Event::Failed(failure) => panic!("{failure}"),
                _ => {}
            }
        }
        (made.unwrap(), ran.unwrap(), codes)
    }

    fn decode(&self, moment: Moment) -> flowline::Result<Arc<RgbImage>> {
        self.engine.send(Command::Laboratory(Ask::Decode(moment)));
        let heard = self.until(|event| matches!(event, Event::Laboratory(Told::Decoded(..))));
        let decoded = heard.into_iter().find_map(|event| match event {
            Event::Laboratory(Told::Decoded(of, decoded)) => Some((of, decoded)),
            _ => None,
        });
        let (of, decoded) = decoded.unwrap();
        assert_eq!(of, moment);
        decoded
    }
}

fn compared_of(event: &Event) -> Option<&Compared> {
    match event {
        Event::Laboratory(Told::Compared(compared)) => Some(compared),
        _ => None,
    }
}

fn compared(events: Vec<Event>) -> Vec<Compared> {
    events.iter().filter_map(compared_of).cloned().collect()
}

fn draft() -> Draft {
    Draft { prompt: "a red lighthouse by the sea".into(), seeds: vec![11], cfg: Some(1.0), ..Draft::default() }
}

/// What the pipeline alone makes of the draft.
fn alone(draft: &Draft) -> Picture {
    let mut pipeline = Pipeline::open("postcard", None).unwrap();
    let request = draft.resolve(pipeline.spec()).unwrap().request;
    let mut made = None;
    let observe = |event| {
        if let Made::Picture(picture) = event {
            made = Some(*picture);
        }
        ControlFlow::Continue(())
    };
    pipeline.generate(&request, observe).unwrap();
    made.unwrap()
}

/// What came of a contender: its steps' evaluations and distances, its picture, the distances at its end.
type Came = (Vec<(u64, Option<f64>)>, Arc<RgbImage>, Vec<f64>);

fn came(told: &[Compared], of: usize) -> Came {
    let steps = told.iter().filter_map(|told| match told {
        Compared::Step(step) if step.contender == of => {
            assert!(step.preview.is_some(), "there is something to see");
            Some((step.evaluations, step.distance))
        }
        _ => None,
    });
    let arrived = told.iter().find_map(|told| match told {
        Compared::Arrived { contender, image, distances } if *contender == of => {
            Some((image.clone(), distances.clone()))
        }
        _ => None,
    });
    let (image, distances) = arrived.unwrap();
    (steps.collect(), image, distances)
}

#[test]
fn samplers_side_by_side_make_what_they_make_alone_and_distances_are_those_of_their_latents() {
    let bench = Bench::new();
    let finer = Contender { sampler: "heun".parse().unwrap(), steps: 6 };
    let told = bench.compare(&[("euler", 3), ("heun", 2), ("langevin:scale=1", 2)], Reference::Run(finer));
    assert!(matches!(told.last(), Some(Compared::Finished(Ok(ControlFlow::Continue(()))))), "{:?}", told.last());
    assert_eq!(told.iter().filter(|told| matches!(told, Compared::Reference { .. })).count(), 6);
    let of =
        |sampler: &str, steps| alone(&Draft { sampler: Some(sampler.parse().unwrap()), steps: Some(steps), ..draft() });
    let reference = of("heun", 6);
    for (index, (sampler, steps, evaluations)) in
        [("euler", 3, vec![1, 2, 3]), ("heun", 2, vec![2, 3])].iter().enumerate()
    {
        let (walked, image, distances) = came(&told, index);
        let picture = of(sampler, *steps);
        assert!(*image == picture.image, "{sampler}");
        assert_eq!(&walked.iter().map(|(evaluations, _)| *evaluations).collect::<Vec<_>>(), evaluations, "{sampler}");
        let live: Vec<f64> = walked.iter().filter_map(|(_, distance)| *distance).collect();
        assert_eq!(live, distances[..*steps], "{sampler}");
        assert_eq!(distances[*steps], picture.latents.distance(&reference.latents).unwrap(), "{sampler}");
    }
    let (walked, _, distances) = came(&told, 2);
    assert!(distances.is_empty() && walked.iter().all(|(_, distance)| distance.is_none()), "it draws noise");
}

#[test]
fn compared_with_the_first_of_them_the_first_ends_at_no_distance() {
    let bench = Bench::new();
    let told = bench.compare(&[("euler", 2), ("euler", 2), ("heun", 2)], Reference::First);
    let ends = [0, 1, 2].map(|index| *came(&told, index).2.last().unwrap());
    assert_eq!(ends[..2], [0.0, 0.0]);
    assert!(ends[2] > 0.0);
}

#[test]
fn a_comparison_that_is_stopped_says_so_and_pictures_are_made_all_the_same() {
    let bench = Bench::new();
    bench.engine.send(Command::Laboratory(Ask::Compare(Box::new(Comparison {
        model: "postcard".into(),
        draft: draft(),
        contenders: vec![Contender { sampler: "euler".parse().unwrap(), steps: 500 }; 2],
        reference: Reference::First,
        registry: Registry::builtin(),
    }))));
    bench.until(|event| compared_of(event).is_some_and(|told| matches!(told, Compared::Step(_))));
    bench.engine.send(Command::Laboratory(Ask::Stop));
    let rest = bench.until(|event| compared_of(event).is_some_and(|told| matches!(told, Compared::Finished(_))));
    assert!(matches!(compared(rest).last(), Some(Compared::Finished(Ok(ControlFlow::Break(()))))));
    bench.make(Draft { steps: Some(1), ..draft() });
}

#[test]
fn what_cannot_be_compared_is_told_and_the_engine_goes_on() {
    let bench = Bench::new();
    let told = bench.compare(&[("euler", 2), ("no-such-sampler", 2)], Reference::First);
    assert!(matches!(told.last(), Some(Compared::Finished(Err(failure))) if !failure.hint.is_empty()));
    bench.make(Draft { steps: Some(1), ..draft() });
}

#[test]
fn every_moment_of_the_last_run_can_be_seen_decoded_and_gone_on_from() {
    let bench = Bench::new();
    let (picture, run, _) = bench.make(Draft { steps: Some(4), ..draft() });
    assert!(picture.kept.is_none(), "what is kept stays with the engine");
    assert_eq!((run.moments.len(), run.trace.steps.len()), (5, 4));
    assert_eq!(run.trace.request, picture.request);
    let small = run.moments[0].noisy.dimensions();
    assert!(run.moments.iter().all(|seen| seen.denoised.dimensions() == small && seen.noisy.dimensions() == small));
    assert_ne!(run.moments[0].noisy, run.moments[0].denoised);

    let moment = |at, view| Moment { run: run.number, at, view };
    assert!(*bench.decode(moment(4, View::Noisy)).unwrap() == picture.image, "the end is the picture");
    let seen = bench.decode(moment(2, View::Denoised)).unwrap();
    let stopped = alone(&Draft { steps: Some(4), stop_after: Some(3), ..draft() });
    assert!(*seen == stopped.image, "what the third step sees is what a stop after it decodes");
    assert!(bench.decode(moment(5, View::Noisy)).is_err());

    let parent = Request { stop_after: None, ..run.trace.request.clone() };
    let other = Draft { sampler: Some("heun".parse().unwrap()), ..parent.to_draft() };
    let branch = branched(other, parent, 2, Timing::Parents);
    let (branched, gone_on, codes) = bench.make(branch.clone());
    assert!(!codes.contains(&"branch-walked"), "the run was held: {codes:?}");
    assert!(branched.image == alone(&branch).image);
    assert_ne!(branched.image, picture.image);
    assert_eq!(gone_on.trace.steps.len(), 2, "only its own steps");
    assert!(bench.decode(moment(2, View::Denoised)).is_err(), "that run is not the last any more");

    let (again, run, _) = bench.make(Draft { steps: Some(4), ..draft() });
    assert!(again.image == picture.image);
    assert_eq!(run.trace.steps.len(), 4, "it was walked again, for there is nothing else to look at");
}
