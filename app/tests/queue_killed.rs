//! A queue whose program is killed at any moment: no picture is lost, none is made twice, and those that were unfinished
//! come out as if nothing had happened.
//!
//! The program is this file itself, run once more with a place to work in ([`PLACE`]). `FLOWLINE_KILLS` says how often
//! it is killed, 20 times unless told.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use flowline::engine::{Backend, Command as Say, Engine, Event, Keeping, Setup, UsersStock, make_grids, open_pipeline};
use flowline::library::{Destination, Library, SaveOptions};
use flowline::queue::{Ask, Ended, GridJob, Job, JobState, Pause, Queue, Task};
use flowline::{Registry, record};
use flowline_model::{Draft, Event as Made, Opening};

/// Where the program works: a folder with `queue` and `pictures` in it.
const PLACE: &str = "FLOWLINE_TEST_QUEUE";
/// Entries of the queue.
const JOBS: u64 = 20;

/// One of the jobs: small, with a sampler that has a memory and one that draws noise, and one with two pictures.
fn job(number: u64) -> Task {
    let samplers = ["ab2", "langevin:scale=0.5", "euler"];
    let sampler = samplers.get(number as usize % samplers.len()).map(|name| name.parse().expect("a sampler"));
    let seeds = if number == 3 { vec![100, 101] } else { vec![number] };
    let draft = Draft {
        prompt: "a red lighthouse by the sea at sunset".into(),
        seeds,
        width: Some(64),
        height: Some(64),
        steps: Some(6),
        sampler,
        ..Draft::default()
    };
    Task::Pictures(Box::new(Job { model: "postcard".into(), draft }))
}

fn setup(place: &Path) -> Setup {
    let options = SaveOptions { force: false, metadata: true };
    Setup {
        model: "postcard".into(),
        library: Library::new(Destination::Folder(place.join("pictures")), options),
        open: open_pipeline(Registry::builtin(), Opening::default()),
        make_grid: make_grids(Registry::builtin(), None),
        stock: Arc::new(UsersStock),
        queue: Queue::open(&place.join("queue")).expect("a queue"),
        keeping: Keeping::EveryStep,
        notices: Vec::new(),
    }
}

/// The program that is killed: works the queue off and tells what happens, a line each.
#[test]
fn a_program_that_is_given_a_place_works_its_queue_off() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else {
        // The other tests run it.
        return;
    };
    let (wake, woken) = mpsc::channel();
    let wake = Mutex::new(wake);
    let waker = Arc::new(move || {
        let _ = wake.lock().map(|wake| wake.send(()));
    });
    let engine = Engine::start(setup(&place), waker).expect("an engine");
    engine.send(Say::Queue(Ask::Look));
    loop {
        if woken.recv_timeout(Duration::from_millis(100)).is_err() {
            // Another program may have ended the last entry, and nobody tells this one.
            engine.send(Say::Queue(Ask::Look));
        }
        for event in engine.events() {
            match event {
                Event::Queue(queue) => {
                    let waits = queue.entries.iter().any(|entry| !entry.is_over());
                    match queue.paused {
                        Some(Pause::Crash) => {
                            eprintln!("paused");
                            engine.send(Say::Queue(Ask::GoOn));
                        }
                        Some(other) => panic!("paused: {other:?}"),
                        None if !waits && !queue.entries.is_empty() => {
                            eprintln!("over");
                            return;
                        }
                        None => {}
                    }
                }
                Event::Began(id) => eprintln!("began {id}"),
                Event::Made(Made::Step(step)) => eprintln!("step {}", step.taken),
                Event::Picture(_, saved) => eprintln!("picture {}", saved.expect("it is saved").display()),
                Event::Made(Made::Decoding { .. }) => eprintln!("decoding"),
                Event::Failed(failure) => panic!("{failure}"),
                _ => {}
            }
        }
    }
}

/// The program at work.
fn begin(place: &Path) -> Child {
    let words = ["--exact", "a_program_that_is_given_a_place_works_its_queue_off", "--nocapture"];
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    program.args(words).env(PLACE, place).env("HOME", place).env("XDG_CACHE_HOME", place.join("cache"));
    // The test harness speaks on stdout.
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// What it says until its end.
fn heard(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let output = BufReader::new(child.stderr.take().expect("a pipe"));
    output.lines().map(|line| line.expect("text"))
}

/// A place whose queue has all jobs.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(place.path().join("pictures")).expect("a folder for pictures");
    let queue = Queue::open(&place.path().join("queue")).expect("a queue");
    queue.ask(Ask::Add((0..JOBS).map(job).collect())).expect("they are written down");
    place
}

/// Every picture by what makes it; none is there twice, and all are whole.
fn pictures(place: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for file in std::fs::read_dir(place.join("pictures")).expect("a folder") {
        let path = file.expect("a file").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with(".flowline-") {
            // Half a picture, of a program that was killed; it has no name.
            continue;
        }
        let request = record::read(&path).expect("a record").request.expect("one of ours");
        image::open(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let twice = found.insert(format!("{}", request.seeds[0]), std::fs::read(&path).expect("a picture"));
        assert!(twice.is_none(), "{} is there twice", path.display());
    }
    found
}

/// When the program is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// After it has said so many lines, and so long later.
    Lines(usize, Duration),
}

/// Numbers that are the same every time (Knuth's linear congruential generator).
struct Drawn(u64);

impl Drawn {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Lets the program work until `moment` and kills it; whether it was over before.
fn kill_at(place: &Path, Moment::Lines(lines, later): Moment) -> bool {
    let mut child = begin(place);
    let mut said = heard(&mut child);
    let over = said.by_ref().take(lines).any(|line| line == "over");
    if !over {
        // The moment is anywhere; nothing depends on how long this takes.
        std::thread::sleep(later);
    }
    child.kill().expect("it is there until it is waited for");
    child.wait().expect("it is gone");
    over
}

#[test]
fn killed_at_any_moment_the_queue_loses_no_picture_and_makes_none_twice() {
    let kills = std::env::var("FLOWLINE_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20_usize);
    let whole = place();
    let mut child = begin(whole.path());
    let said: Vec<String> = heard(&mut child).collect();
    assert!(child.wait().expect("it ends").success(), "{said:?}");
    let expected = pictures(whole.path());
    assert_eq!(expected.len() as u64, JOBS + 1);

    let (mut drawn, mut killed, mut rounds, mut resumed) = (Drawn(5), 0, 0, 0);
    while killed < kills {
        rounds += 1;
        let place = place();
        let mut over = false;
        // So many kills before the queue is let work to its end.
        for _ in 0..10 {
            let moment = Moment::Lines(drawn.next(40) as usize, Duration::from_micros(drawn.next(30_000)));
            over = kill_at(place.path(), moment);
            if over {
                break;
            }
            killed += 1;
            for (seed, picture) in pictures(place.path()) {
                assert!(expected[&seed] == picture, "kill {killed} at {moment:?}: the picture of seed {seed} differs");
            }
            let runs = std::fs::read_dir(place.path().join("queue")).expect("a folder");
            resumed += runs.flatten().filter(|file| file.path().extension().is_some_and(|end| end == "run")).count();
        }
        if !over {
            let mut child = begin(place.path());
            let said: Vec<String> = heard(&mut child).collect();
            assert!(child.wait().expect("it ends").success(), "{said:?}");
        }
        let made = pictures(place.path());
        assert!(made == expected, "pictures differ, or are lost: {:?}", made.keys());
        let files = std::fs::read_dir(place.path().join("pictures")).expect("a folder").count();
        assert_eq!(files, made.len(), "nothing half-written is left");
        let queue = Queue::open(&place.path().join("queue")).expect("a queue");
        assert!(queue.snapshot().entries.iter().all(|entry| matches!(entry.state, JobState::Done(_))));
        assert_eq!(queue.warnings(), [], "the journal is whole");
        let left = std::fs::read_dir(place.path().join("queue")).expect("a folder").count();
        assert_eq!(left, 2, "the journal and its lock");
    }
    println!("{killed} kills in {rounds} queues of {JOBS}; {resumed} unfinished pictures were on the disk");
    assert!(resumed > 0, "no kill hit an unfinished picture");
}

/// The step that a line tells of.
fn step(line: &str) -> Option<usize> {
    line.strip_prefix("step ")?.parse().ok()
}

/// Enough that the program is seen in the middle of them.
const STEPS: usize = 100;

#[test]
fn an_interrupted_picture_goes_on_from_its_last_step() {
    let place = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(place.path().join("pictures")).expect("a folder for pictures");
    let Task::Pictures(mut long) = job(1) else { panic!("pictures") };
    long.draft.steps = Some(STEPS);
    let queue = Queue::open(&place.path().join("queue")).expect("a queue");
    queue.ask(Ask::Add(vec![Task::Pictures(long)])).expect("it is written down");
    drop(queue);
    let mut child = begin(place.path());
    let before = heard(&mut child).find_map(|line| step(&line).filter(|taken| (5..STEPS).contains(taken)));
    let before = before.expect("it takes steps");
    child.kill().expect("it runs");
    child.wait().expect("it is gone");
    let mut child = begin(place.path());
    let said: Vec<String> = heard(&mut child).collect();
    assert!(child.wait().expect("it ends").success());
    let of = |start: &str| said.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((of("paused"), of("picture")), (1, 1), "{said:?}");
    let first = said.iter().find_map(|line| step(line)).expect("it takes the other steps");
    assert!(first > before, "step {first} is taken again; it was at {before} before");
}

#[test]
fn two_programs_on_one_queue_make_every_picture_once() {
    let place = place();
    let mut programs = [begin(place.path()), begin(place.path())];
    let said = programs.each_mut().map(|child| heard(child));
    let readers = said.map(|said| std::thread::spawn(move || said.collect::<Vec<_>>()));
    let said = readers.map(|reader| reader.join().expect("text"));
    for child in &mut programs {
        assert!(child.wait().expect("it ends").success(), "{said:?}");
    }
    assert_eq!(pictures(place.path()).len() as u64, JOBS + 1);
    let began: Vec<usize> =
        said.iter().map(|said| said.iter().filter(|line| line.starts_with("began")).count()).collect();
    assert_eq!(began.iter().sum::<usize>() as u64, JOBS, "{began:?}");
    assert!(!said.iter().flatten().any(|line| line == "paused"), "nobody crashed");
}

#[test]
fn a_whole_grid_is_one_entry_and_goes_on_after_a_kill() {
    let place = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(place.path().join("pictures")).expect("a folder for pictures");
    let lab = place.path().join("lab");
    let words = "a house by the sea|-W|32|-H|32|--cfg|1|-s|1,2|--axis|steps=1,2,60|-o";
    let words = words.split('|').map(str::to_owned).chain([lab.display().to_string()]).collect();
    let queue = Queue::open(&place.path().join("queue")).expect("a queue");
    queue.ask(Ask::Add(vec![Task::Grid(GridJob { words })])).expect("it is written down");
    let mut child = begin(place.path());
    assert!(heard(&mut child).any(|line| line.starts_with("picture")), "a cell is made");
    child.kill().expect("it works or is done");
    child.wait().expect("it is gone");
    let mut child = begin(place.path());
    let said: Vec<String> = heard(&mut child).collect();
    assert!(child.wait().expect("it ends").success(), "{said:?}");
    let cells = std::fs::read_dir(lab.join("cells")).expect("rows").count();
    assert_eq!((cells, lab.join("results.csv").is_file(), lab.join("sheet.png").is_file()), (6, true, true));
    queue.ask(Ask::Look).expect("it is read");
    let states: Vec<_> = queue.snapshot().entries.iter().map(|entry| entry.state.clone()).collect();
    assert_eq!(states, [JobState::Done(Ended::Whole)]);
}
