//! What lines up is shown beside the picture, and can be changed there.

use std::sync::Arc;

use eframe::egui::{Event as Input, Key, Modifiers};
use egui_kittest::kittest::Queryable;
use flowline::engine::{Command, Event};
use flowline::queue::{Ask, Ended, Entry, GridJob, Job, JobId, JobState, Pause, Reason, Snapshot, Task};
use flowline_model::{Draft, Event as Made};

use crate::stand_in::{picture, request, step};
use crate::window::{Window, finished};

/// A queue of pictures called `picture 1`, `picture 2` and so on; what is being made is ours.
pub fn queue(states: impl IntoIterator<Item = JobState>, paused: Option<Pause>) -> Snapshot {
    let entry = |(id, state): (u64, JobState)| {
        let draft = Draft { prompt: format!("picture {id}"), seeds: vec![id], ..Draft::default() };
        let task = Task::Pictures(Box::new(Job { model: "postcard".into(), draft }));
        Arc::new(Entry { state, ..Entry::new(JobId(id), task) })
    };
    let entries: Vec<_> = (1..).zip(states).map(entry).collect();
    let ours = entries.iter().filter(|entry| entry.state == JobState::Making).map(|entry| entry.id).collect();
    Snapshot { entries, paused, ours }
}

fn told(states: impl IntoIterator<Item = JobState>, paused: Option<Pause>) -> Event {
    Event::Queue(Arc::new(queue(states, paused)))
}

const DONE: JobState = JobState::Done(Ended::Whole);

fn failed() -> JobState {
    JobState::Failed(Reason { what: "the numbers are not finite".into(), hint: "try more steps".into() })
}

#[test]
fn an_empty_queue_says_what_it_is_for() {
    let window = Window::ready();
    assert!(window.shows("lines up here"));
    assert!(!window.is_enabled("Pause"));
}

#[test]
fn every_entry_is_listed_with_what_it_is_and_how_far_it_is() {
    let mut window = Window::ready();
    window.say([told([DONE, failed(), JobState::Making, JobState::Waiting], None), Event::Began(JobId(3))]);
    window.say([Event::Made(Made::Step(step(1)))]);
    for line in [
        "picture 1, done, postcard  ·  seed 1",
        "picture 2, failed, The numbers are not finite",
        "picture 3, Step 1 of 2",
        "picture 4, waiting, postcard  ·  seed 4",
    ] {
        assert!(window.shows(line), "{line}");
    }
    let grid = Task::Grid(GridJob { words: vec!["--axis".into(), "steps=4,8".into()] });
    let entries = vec![Arc::new(Entry::new(JobId(1), grid))];
    window.say([Event::Queue(Arc::new(Snapshot { entries, ..Snapshot::default() }))]);
    assert!(window.shows("Grid: --axis steps=4,8, waiting"));
}

#[test]
fn what_another_window_makes_is_said() {
    let mut window = Window::ready();
    let snapshot = Snapshot { ours: Vec::new(), ..queue([JobState::Making], None) };
    window.say([Event::Queue(Arc::new(snapshot))]);
    assert!(window.shows("Another window makes it"));
}

#[test]
fn an_entry_that_is_chosen_can_be_moved_repeated_and_taken_out() {
    let mut window = Window::ready();
    window.say([told([DONE, JobState::Waiting, JobState::Waiting, JobState::Waiting], None)]);
    assert!(!window.shows("Remove"), "buttons come with a choice");
    window.click("picture 3, waiting, postcard  ·  seed 3");
    for button in ["Up", "Down", "Repeat", "Remove"] {
        window.click(button);
    }
    let id = JobId;
    let expected = [Ask::Move(id(3), Some(id(2))), Ask::Move(id(3), None), Ask::Repeat(id(3)), Ask::Remove(id(3))];
    assert_eq!(window.asks(), expected);
    window.click("picture 2, waiting, postcard  ·  seed 2");
    assert!(!window.is_enabled("Up"), "it is the next");
    window.click("Down");
    assert_eq!(window.asks().last(), Some(&Ask::Move(id(2), Some(id(4)))));
    window.click("picture 1, done, postcard  ·  seed 1");
    assert!(!window.is_enabled("Up") && !window.is_enabled("Down"), "what is done does not move");
}

#[test]
fn an_entry_can_be_chosen_with_the_keyboard() {
    let mut window = Window::ready();
    window.say([told([JobState::Waiting], None)]);
    window.harness.get_by_label_contains("picture 1, waiting").focus();
    window.harness.run();
    window.harness.key_press(Key::Enter);
    window.harness.run();
    assert!(window.is_enabled("Remove"));
}

#[test]
fn the_queue_is_paused_and_goes_on_at_a_click() {
    let mut window = Window::ready();
    window.say([told([JobState::Waiting], None)]);
    window.click("Pause");
    window.say([told([JobState::Waiting], Some(Pause::Asked))]);
    assert!(window.shows("The queue is paused"));
    window.click("Go on");
    assert_eq!(window.asks(), [Ask::Pause, Ask::GoOn]);
}

#[test]
fn after_a_crash_a_sentence_says_that_nothing_is_lost() {
    let mut window = Window::with_prompt("a house");
    window.say([told([JobState::Waiting], Some(Pause::Crash))]);
    assert!(window.shows("ended in the middle of a picture. Nothing is lost"));
    window.click("Add to the queue");
    assert_eq!(window.jobs().len(), 1);
    assert!(window.shows("Added to the queue") && !window.shows("Starting"), "it waits with the others");
}

#[test]
fn what_is_finished_is_cleared_at_a_click() {
    let mut window = Window::ready();
    window.say([told([JobState::Waiting], None)]);
    assert!(!window.shows("Clear finished"));
    window.say([told([DONE, failed()], None)]);
    window.click("Clear finished");
    assert_eq!(window.asks(), [Ask::ClearFinished]);
}

#[test]
fn pictures_line_up_while_one_is_made_and_typing_goes_on() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    window.say([told([JobState::Making], None), Event::Began(JobId(1))]);
    window.type_into("Prompt", "a boat");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.harness.run();
    let prompts: Vec<_> = window.jobs().into_iter().map(|job| job.draft.prompt).collect();
    assert_eq!(prompts, ["a house", "a boat"]);
    window.say([told([JobState::Making, JobState::Waiting], None), Event::Made(Made::Step(step(1)))]);
    assert!(window.shows("Step 1 of 2"), "the first one is still shown");
}

#[test]
fn four_seeds_are_four_entries_counted_on_from_a_chosen_one() {
    let seeds = |window: &Window| -> Vec<Vec<u64>> {
        let Some(Ask::Add(tasks)) = window.asks().pop() else { panic!("{:?}", window.asks()) };
        let seeds = |task: &Task| if let Task::Pictures(job) = task { job.draft.seeds.clone() } else { Vec::new() };
        tasks.iter().map(seeds).collect()
    };
    let mut window = Window::with_prompt("a house");
    window.click("× 4 seeds");
    assert_eq!(seeds(&window), vec![Vec::<u64>::new(); 4], "each draws its own");
    window.type_into("Seed", "7");
    window.click("× 4 seeds");
    assert_eq!(seeds(&window), [[7], [8], [9], [10]]);
    window.click("× 4 seeds");
    assert_eq!(seeds(&window)[0], [0_u64; 0], "a typed seed is used once");
}

#[test]
fn a_seed_that_is_being_typed_is_not_replaced_by_what_the_queue_begins() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    window.type_into("Seed", "12");
    window.say([Event::Began(JobId(1)), Event::Started(Box::new(request("a house", 7)))]);
    assert_eq!(window.value("Seed"), "12");
    window.click("Add to the queue");
    assert_eq!(window.jobs().pop().expect("a job").draft.seeds, [12]);
}

#[test]
fn a_picture_taken_by_another_window_is_not_waited_for() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    assert!(window.shows("Starting"));
    window.say([Event::Queue(Arc::new(Snapshot { ours: Vec::new(), ..queue([JobState::Making], None) }))]);
    assert!(!window.shows("Starting…"));
}

#[test]
fn a_failure_beside_the_work_does_not_end_it() {
    let mut window = Window::with_prompt("a house");
    window.say([told([JobState::Making], None), Event::Began(JobId(1)), Event::Made(Made::Step(step(1)))]);
    window.say([Event::Failed(flowline::Failure::new("there is no such model", "choose another"))]);
    assert!(window.shows("There is no such model") && window.is_enabled("Stop"));
    window.say([told([failed()], None), Event::Failed(flowline::Failure::new("no memory", "ask for less"))]);
    assert!(window.harness.state().state().work.is_none());
}

#[test]
fn the_queue_can_be_folded_away_and_back() {
    let mut window = Window::ready();
    window.click("Hide the queue");
    assert!(!window.shows("lines up here"));
    window.click("Show the queue");
    assert!(window.shows("lines up here"));
}

#[test]
fn a_finished_entry_shows_its_picture_in_small() {
    let mut window = Window::with_prompt("a house");
    window.say([told([JobState::Making], None), Event::Began(JobId(1))]);
    let request = request("picture 1", 1);
    // Sizes that are awkward to cut a square from.
    for size in [(256, 256), (300, 1), (1, 300), (1, 1)] {
        window.say([Event::Picture(picture(&request, size), Ok("/pictures/1.png".into()))]);
    }
    window.say([told([DONE], None), finished()]);
    assert!(window.shows("picture 1, done"));
}

#[test]
fn a_window_that_comes_back_looks_what_others_have_done() {
    let mut window = Window::ready();
    window.harness.event(Input::WindowFocused(true));
    window.harness.run();
    assert!(matches!(window.engine.heard.borrow().last(), Some(Command::Queue(Ask::Look))));
}
