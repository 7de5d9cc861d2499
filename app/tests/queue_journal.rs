//! The queue on the disk: what was asked for is there again, whatever has become of its journal.

mod stand_in;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowline::Failure;
use flowline::queue::{
    Ask, Ended, Entry, GridJob, Job, JobId, JobState, Pause, Queue, Snapshot, Task, is_whole_picture,
};
use flowline::record;
use flowline_model::Draft;
use stand_in::{picture, request};

fn task(prompt: &str) -> Task {
    let draft = Draft { prompt: prompt.into(), seeds: vec![u64::MAX], cfg: Some(0.1), ..Draft::default() };
    Task::Pictures(Box::new(Job { model: "postcard".into(), draft }))
}

fn add(queue: &Queue, prompt: &str) {
    queue.ask(Ask::Add(vec![task(prompt)])).unwrap();
}

/// Every entry by its prompt, and how far it is.
fn told(snapshot: &Snapshot) -> Vec<String> {
    let told = |entry: &Arc<Entry>| {
        let prompt = match &entry.task {
            Task::Pictures(job) => job.draft.prompt.clone(),
            Task::Grid(grid) => grid.words.join(" "),
        };
        format!("{} {prompt}: {:?}", entry.id, entry.state)
    };
    snapshot.entries.iter().map(told).collect()
}

/// The queue as it is found when the program that had it is gone.
fn after_a_crash(mut snapshot: Snapshot) -> Snapshot {
    for entry in &mut snapshot.entries {
        if entry.state == JobState::Making {
            Arc::make_mut(entry).state = JobState::Waiting;
            snapshot.paused = Some(Pause::Crash);
        }
    }
    snapshot.ours.clear();
    snapshot
}

/// A folder for one of thousands of journals: in memory, where the system has such a place.
fn fleeting_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).expect("a folder")
}

fn journal(folder: &Path) -> PathBuf {
    folder.join("journal")
}

/// What a journal holds after each of its lines: how long it is then, and what the queue is.
fn written(folder: &Path) -> Vec<(usize, Snapshot)> {
    let queue = Queue::open(folder).unwrap();
    let mut states = Vec::new();
    let mut note = || states.push((fs::read(journal(folder)).unwrap().len(), after_a_crash(queue.snapshot())));
    note();
    let (one, two) = (JobId(1), JobId(2));
    let steps: Vec<Box<dyn Fn()>> = vec![
        Box::new(|| add(&queue, "a house")),
        Box::new(|| queue.ask(Ask::Add(vec![Task::Grid(GridJob { words: vec!["-o".into(), "lab".into()] })])).unwrap()),
        Box::new(|| queue.ask(Ask::Move(two, Some(one))).unwrap()),
        Box::new(|| queue.ask(Ask::Move(two, None)).unwrap()),
        Box::new(|| assert_eq!(queue.take().unwrap().unwrap().id, one)),
        Box::new(|| queue.decide(one, &request("a house", 7)).unwrap()),
        Box::new(|| queue.naming(one, 0, Path::new("/pictures/é.png")).unwrap()),
        Box::new(|| queue.named(one, 0, Path::new("/pictures/é.png")).unwrap()),
        Box::new(|| queue.finish(one, Ended::Whole).unwrap()),
        Box::new(|| assert_eq!(queue.take().unwrap().unwrap().id, two)),
        Box::new(|| queue.fail(two, &Failure::new("no memory", "ask for less")).unwrap()),
        Box::new(|| queue.ask(Ask::Pause).unwrap()),
        Box::new(|| queue.ask(Ask::Remove(one)).unwrap()),
    ];
    for step in &steps {
        step();
        note();
    }
    drop(steps);
    states
}

#[test]
fn what_was_asked_for_is_there_again_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path()).unwrap();
    for prompt in ["a", "b", "c", "d"] {
        add(&queue, prompt);
    }
    queue.ask(Ask::Move(JobId(4), Some(JobId(2)))).unwrap();
    queue.ask(Ask::Remove(JobId(3))).unwrap();
    queue.ask(Ask::Repeat(JobId(1))).unwrap();
    let expected = ["1 a: Waiting", "4 d: Waiting", "2 b: Waiting", "5 a: Waiting"];
    assert_eq!(told(&queue.snapshot()), expected);
    assert_eq!(queue.snapshot().entries[3].task, task("a"), "to the last number");
    let again = Queue::open(folder.path()).unwrap();
    assert_eq!(again.snapshot(), queue.snapshot());
    assert_eq!(again.warnings(), []);
}

#[test]
fn what_is_done_or_failed_stays_until_it_is_cleared_and_names_are_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path()).unwrap();
    ["a", "b", "c"].iter().for_each(|prompt| add(&queue, prompt));
    queue.finish(queue.take().unwrap().unwrap().id, Ended::Stopped).unwrap();
    queue.fail(queue.take().unwrap().unwrap().id, &Failure::new("no memory", "ask for less")).unwrap();
    queue.ask(Ask::Remove(JobId(3))).unwrap();
    let reason = r#"Failed(Reason { what: "no memory", hint: "ask for less" })"#;
    assert_eq!(told(&queue.snapshot()), ["1 a: Done(Stopped)".to_owned(), format!("2 b: {reason}")]);
    assert_eq!(queue.take().unwrap(), None);
    queue.ask(Ask::ClearFinished).unwrap();
    let again = Queue::open(folder.path()).unwrap();
    assert_eq!(again.snapshot().entries, []);
    add(&again, "d");
    assert_eq!(told(&again.snapshot()), ["4 d: Waiting"]);
}

#[test]
fn a_pause_holds_until_somebody_goes_on_even_if_the_program_ends() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path()).unwrap();
    add(&queue, "a");
    queue.ask(Ask::Pause).unwrap();
    assert_eq!(queue.take().unwrap(), None);
    let again = Queue::open(folder.path()).unwrap();
    assert_eq!(again.snapshot().paused, Some(Pause::Asked));
    assert_eq!(again.take().unwrap(), None);
    again.ask(Ask::GoOn).unwrap();
    assert_eq!(queue.take().unwrap().map(|entry| entry.id), Some(JobId(1)), "the others hear of it");
}

#[test]
fn an_entry_has_one_owner_and_after_its_crash_it_waits_in_a_paused_queue() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (Queue::open(folder.path()).unwrap(), Queue::open(folder.path()).unwrap());
    ["a", "b"].iter().for_each(|prompt| add(&one, prompt));
    let mine = one.take().unwrap().unwrap();
    let theirs = other.take().unwrap().unwrap();
    assert_eq!((mine.id, theirs.id), (JobId(1), JobId(2)));
    assert_eq!((one.take().unwrap(), other.take().unwrap()), (None, None));
    let request = request("a", 7);
    assert!(other.decide(mine.id, &request).is_err(), "it is not theirs");
    one.decide(mine.id, &request).unwrap();
    other.finish(mine.id, Ended::Whole).unwrap();
    assert_eq!(one.take().unwrap(), None, "who does not own it ends nothing");
    // The system takes the locks of a program that is gone, as dropping does.
    drop(one);
    assert_eq!(other.take().unwrap(), None);
    let snapshot = other.snapshot();
    assert_eq!(snapshot.paused, Some(Pause::Crash));
    assert_eq!(told(&snapshot), ["1 a: Waiting", "2 b: Making"]);
    assert_eq!(snapshot.entries[0].request.as_deref(), Some(&request), "it goes on with the seed it had");
    other.ask(Ask::GoOn).unwrap();
    assert_eq!(other.take().unwrap().map(|entry| entry.id), Some(JobId(1)));
}

#[test]
fn an_entry_that_is_taken_out_while_it_is_made_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (Queue::open(folder.path()).unwrap(), Queue::open(folder.path()).unwrap());
    add(&one, "a");
    let id = one.take().unwrap().unwrap().id;
    one.keep_run(id, b"a run").unwrap();
    other.ask(Ask::Remove(id)).unwrap();
    assert!(one.naming(id, 0, Path::new("/pictures/a.png")).is_err(), "no picture gets a name");
    one.finish(id, Ended::Whole).unwrap();
    assert_eq!(one.snapshot().entries, []);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the journal and its lock: {left:?}");
}

#[test]
fn an_unfinished_run_is_read_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let queue = Queue::open(folder.path()).unwrap();
    add(&queue, "a");
    let id = queue.take().unwrap().unwrap().id;
    assert_eq!(queue.kept_run(id), None);
    queue.keep_run(id, b"step one").unwrap();
    queue.keep_run(id, b"step two").unwrap();
    assert_eq!(queue.kept_run(id).as_deref(), Some(&b"step two"[..]));
    let path = folder.path().join("1.run");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        fs::write(&path, &whole[..at]).unwrap();
        assert_eq!(queue.kept_run(id), None, "cut at {at}");
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        fs::write(&path, flipped).unwrap();
        assert_eq!(queue.kept_run(id), None, "flipped at {at}");
    }
    queue.finish(id, Ended::Whole).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_draft_that_cannot_be_written_down_is_refused() {
    let queue = Queue::fleeting();
    let draft = Draft { cfg: Some(f64::NAN), ..Draft::default() };
    let refused = queue.ask(Ask::Add(vec![Task::Pictures(Box::new(Job { model: "postcard".into(), draft }))]));
    assert!(refused.unwrap_err().what.contains("a number that is none"));
    assert_eq!(queue.snapshot().entries, []);
}

#[test]
fn without_a_folder_the_queue_does_the_same_and_forgets() {
    let queue = Queue::fleeting();
    ["a", "b"].iter().for_each(|prompt| add(&queue, prompt));
    let id = queue.take().unwrap().unwrap().id;
    queue.named(id, 0, Path::new("/pictures/a.png")).unwrap();
    queue.finish(id, Ended::Whole).unwrap();
    let id = queue.take().unwrap().unwrap().id;
    queue.release(id).unwrap();
    assert_eq!(told(&queue.snapshot()), ["1 a: Done(Whole)", "2 b: Waiting"]);
}

#[test]
fn a_journal_that_was_cut_anywhere_holds_every_line_before_and_the_rest_is_set_aside() {
    let folder = fleeting_folder();
    let states = written(folder.path());
    let whole = fs::read(journal(folder.path())).unwrap();
    for cut in 0..whole.len() {
        let folder = fleeting_folder();
        fs::write(journal(folder.path()), &whole[..cut]).unwrap();
        let queue = Queue::open(folder.path()).unwrap();
        let before = states.iter().rev().find(|(length, _)| *length <= cut);
        let (end, expected) = before.cloned().unwrap_or_default();
        assert_eq!(queue.snapshot(), expected, "cut at {cut}");
        let aside = folder.path().join("journal-damaged-1");
        assert_eq!(fs::read(&aside).unwrap_or_default(), &whole[end..cut], "cut at {cut}");
        assert_eq!(queue.warnings().len(), usize::from(end < cut), "it is said");
        drop(queue);
        let again = Queue::open(folder.path()).unwrap();
        assert_eq!((again.snapshot(), again.warnings().len()), (expected, 0), "it is mended: {cut}");
    }
}

#[test]
fn a_journal_with_a_flipped_byte_loses_the_lines_it_hits_and_no_other() {
    let folder = fleeting_folder();
    written(folder.path());
    let whole = fs::read(journal(folder.path())).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let found = |bytes: &[u8]| {
        let folder = fleeting_folder();
        fs::write(journal(folder.path()), bytes).unwrap();
        let queue = Queue::open(folder.path()).unwrap();
        (queue.snapshot(), queue.warnings().len())
    };
    let mut begin = 0;
    for (number, line) in lines.iter().enumerate() {
        let end = begin + line.len();
        // Every bit of a byte in the middle, and one of bytes with a meaning of their own: the break at the end, which
        // joins two lines, among them.
        let middle = (0..8).map(|bit| (begin + line.len() / 2, bit));
        let meaning = [begin, begin + 7, begin + 8, begin + 9, end - 2, end - 1].map(|place| (place, place % 8));
        for (place, bit) in middle.chain(meaning) {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << bit;
            let lost = if place == end - 1 { number..number + 2 } else { number..number + 1 };
            let without: Vec<u8> = lines
                .iter()
                .enumerate()
                .filter(|(at, _)| !lost.contains(at))
                .flat_map(|(_, line)| line.to_vec())
                .collect();
            let ((snapshot, told), (expected, _)) = (found(&flipped), found(&without));
            assert_eq!(snapshot, expected, "line {number}, byte {place}, bit {bit}");
            assert_eq!(told, 1, "line {number}, byte {place}, bit {bit}");
        }
        begin = end;
    }
}

#[test]
fn the_journal_of_a_newer_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    // The checksum of the text behind it (CRC-32, as zip has it).
    let mut crc = flate2::Crc::new();
    let head = r#"{"queue":2,"something":"else"}"#;
    crc.update(head.as_bytes());
    let text = format!("{:08x} {head}\n", crc.sum());
    fs::write(journal(folder.path()), &text).unwrap();
    let Err(failure) = Queue::open(folder.path()) else { panic!("it was read") };
    assert!(failure.what.contains("form 2") && failure.hint.contains("flowline"), "{failure}");
    assert_eq!(fs::read_to_string(journal(folder.path())).unwrap(), text);
}

#[test]
fn a_journal_that_grows_is_written_anew_and_others_notice() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (Queue::open(folder.path()).unwrap(), Queue::open(folder.path()).unwrap());
    let long = "a house ".repeat(2000);
    let mut longest = 0;
    for _ in 0..40 {
        add(&one, &long);
        let last = one.snapshot().entries.last().unwrap().id;
        one.ask(Ask::Remove(last)).unwrap();
        longest = longest.max(fs::metadata(journal(folder.path())).unwrap().len());
    }
    assert!(longest > 200 << 10, "{longest}");
    assert!(fs::metadata(journal(folder.path())).unwrap().len() < longest);
    add(&other, "b");
    assert_eq!(told(&other.snapshot()), ["41 b: Waiting"]);
    one.ask(Ask::Look).unwrap();
    assert_eq!(one.snapshot(), other.snapshot());
}

#[test]
fn a_picture_that_was_cut_anywhere_is_never_taken_for_a_finished_one() {
    let folder = tempfile::tempdir().unwrap();
    let asked = request("a house", 7);
    let mut png = Vec::new();
    record::write_png(&mut png, &picture(&asked, (256, 256)).image, &record::chunks(&asked)).unwrap();
    let path = folder.path().join("a.png");
    fs::write(&path, &png).unwrap();
    assert_eq!(is_whole_picture(&path, &asked), Some(asked.clone()));
    assert_eq!(is_whole_picture(&path, &request("a house", 8)), None, "another picture's record");
    let cuts = (0..png.len()).step_by(997).chain(png.len() - 20..png.len());
    for cut in cuts {
        fs::write(&path, &png[..cut]).unwrap();
        assert_eq!(is_whole_picture(&path, &asked), None, "cut at {cut}");
        // The length is right and the end was never written, as some file systems leave it.
        let mut hollow = png.clone();
        hollow[cut..].fill(0);
        fs::write(&path, hollow).unwrap();
        assert_eq!(is_whole_picture(&path, &asked), None, "hollow from {cut}");
    }
    for at in (0..png.len()).step_by(997) {
        let mut flipped = png.clone();
        flipped[at] ^= 1;
        fs::write(&path, flipped).unwrap();
        assert_eq!(is_whole_picture(&path, &asked), None, "flipped at {at}");
    }
    assert_eq!(is_whole_picture(folder.path(), &asked), None);
    assert_eq!(is_whole_picture(&folder.path().join("missing.png"), &asked), None);
}
