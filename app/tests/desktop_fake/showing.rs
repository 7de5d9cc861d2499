//! What the engine says is shown, and what can be done with a picture is done.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::queueing::queue;
use crate::stand_in::{offer, picture, request, step};
use crate::window::{Window, finished};
use eframe::egui::accesskit::Role;
use eframe::egui::{OutputCommand, ViewportEvent, ViewportId};
use egui_kittest::kittest::Queryable;
use flowline::command::command_line;
use flowline::engine::{Command, Ending, Event};
use flowline::error::Failure;
use flowline::queue::{JobId, JobState, Pause};
use flowline_model::{Event as Made, Outcome, Warning};

#[test]
fn progress_is_shown_and_stop_keeps_the_best_so_far() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    assert!(!window.is_enabled("Stop"), "the engine has not begun it");
    window.say([
        Event::Began(JobId(1)),
        Event::Started(Box::new(request("a house", 7))),
        Event::Made(Made::Loading { part: "transformer", bytes: 12_000_000, total: 29_000_000 }),
    ]);
    assert!(window.shows("Reading the transformer: 12 of 29 MB"));
    window.say([Event::Made(Made::Encoding)]);
    assert!(window.shows("Reading the prompt"));
    window.say([Event::Made(Made::Tick)]);
    assert!(window.shows("Taking the first step"));
    window.say([Event::Made(Made::Step(step(1)))]);
    assert!(window.shows("Step 1 of 2  ·  0.4 s a step  ·  0.4 s left"));
    assert!(window.shows("Preview"));
    window.click("Stop");
    assert_eq!(window.ends(), [(JobId(1), Ending::Best)]);
    assert!(!window.is_enabled("Stop") && !window.is_enabled("Discard"));
    assert!(window.shows("the best picture so far is kept"));
    let mut stopped = (*picture(&request("a house", 7), (256, 256))).clone();
    stopped.stopped = Some((1, 2));
    window.say([Event::Picture(Arc::new(stopped), Ok("/pictures/1.png".into())), finished()]);
    assert!(window.shows("stopped after step 1 of 2"));
    assert!(window.is_enabled("Make picture"));
}

#[test]
fn being_stopped_before_the_first_step_is_said() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    window.say([Event::Began(JobId(1))]);
    window.click("Stop");
    window.say([Event::Made(Made::Finished(Outcome { stopped: true, ..Outcome::default() }))]);
    assert!(window.shows("there is no picture"));
    assert!(window.is_enabled("Make picture") && !window.is_enabled("Copy picture"));
}

#[test]
fn a_picture_that_is_discarded_is_given_up() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    window.say([Event::Began(JobId(1)), Event::Made(Made::Step(step(1)))]);
    window.click("Discard");
    assert_eq!(window.ends(), [(JobId(1), Ending::Nothing)]);
    assert!(window.shows("Discarding"));
    window.say([Event::Made(Made::Finished(Outcome { stopped: true, ..Outcome::default() }))]);
    assert!(window.shows("Discarded") && window.is_enabled("Make picture"));
}

const BUTTONS: [&str; 4] = ["Show folder", "Copy picture", "Save a copy…", "Copy as command"];

#[test]
fn the_buttons_wait_for_a_picture_and_rest_while_the_next_one_is_made() {
    let window = Window::ready();
    assert_eq!(BUTTONS.map(|button| window.is_enabled(button)), [false; 4]);
    let mut window = Window::with_picture();
    assert!(window.shows("Seed 7  ·  256 × 256  ·  euler  ·  2 steps  ·  0.9 s"));
    assert!(window.shows("Saved as /pictures/house.png"));
    assert_eq!(BUTTONS.map(|button| window.is_enabled(button)), [true; 4]);
    window.click("Make picture");
    assert_eq!(BUTTONS.map(|button| window.is_enabled(button)), [false; 4]);
}

#[test]
fn copy_as_command_copies_the_command_that_makes_the_picture_again() {
    let mut window = Window::with_picture();
    let commands = window.asked_by("Copy as command");
    let expected = command_line(&request("a red house", 7));
    assert!(expected.contains("a red house") && expected.contains('7'), "{expected}");
    assert_eq!(commands, [OutputCommand::CopyText(expected)]);
    assert!(window.shows("Command copied"));
}

#[test]
fn copy_picture_copies_all_its_pixels() {
    let mut window = Window::with_picture();
    let commands = window.asked_by("Copy picture");
    let [OutputCommand::CopyImage(image)] = commands.as_slice() else { panic!("{commands:?}") };
    assert_eq!(image.size, [256, 256]);
    assert_eq!(image[(3, 200)].to_array(), [3, 200, 96, 255]);
}

#[test]
fn show_folder_opens_the_folder_and_copies_the_path() {
    let mut window = Window::with_picture();
    let commands = window.asked_by("Show folder");
    assert_eq!(commands, [OutputCommand::CopyText("/pictures/house.png".into())]);
    assert_eq!(*window.engine.opened.borrow(), [PathBuf::from("/pictures")]);
}

#[test]
fn a_copy_goes_where_the_path_field_says() {
    let mut window = Window::with_picture();
    window.click("Save a copy…");
    assert_eq!(window.value("Save to"), "/pictures/house.png");
    assert!(window.harness.get_by_label("Save to").is_focused());
    window.click("Cancel");
    assert!(!window.shows("Save to"));
    for (typed, expected) in [("/elsewhere/a.png", "/elsewhere/a.png"), ("b.png", "/pictures/b.png")] {
        window.click("Save a copy…");
        window.type_into("Save to", typed);
        window.click("Save");
        let heard = window.engine.heard.take();
        let Some(Command::SaveCopy { picture, path }) = heard.last() else { panic!("{heard:?}") };
        assert_eq!((picture.seed, path.as_path()), (7, Path::new(expected)));
    }
    window.say([Event::Copied(Ok("/pictures/b.png".into()))]);
    assert!(window.shows("Copy saved as /pictures/b.png"));
    window.say([Event::Copied(Err(Failure::new("the disk is full", "delete something")))]);
    assert!(window.shows("The disk is full") && window.shows("Delete something"));
}

#[test]
fn a_failure_is_shown_with_its_hint_and_the_next_picture_can_be_made() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    window.say([Event::Failed(Failure::new("no memory", "ask for a smaller picture"))]);
    assert!(window.shows("No memory") && window.shows("Ask for a smaller picture"));
    window.click("Dismiss");
    assert!(!window.shows("No memory"));
    window.click("Make picture");
    assert_eq!(window.jobs().len(), 2);
}

#[test]
fn a_warning_is_shown_once_and_goes_with_the_next_picture() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    let warning = Event::Made(Made::Warning(Warning::new("unknown-words", "postcard does not know 'house'")));
    window.say([warning.clone(), warning, finished()]);
    window.harness.get_by_label("Postcard does not know 'house'");
    window.click("Make picture");
    assert!(!window.shows("does not know"));
}

#[test]
fn a_picture_that_could_not_be_saved_is_shown_and_can_be_saved_elsewhere() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    let full = Failure::new("the disk is full", "delete something");
    window.say([Event::Picture(picture(&request("a house", 7), (256, 256)), Err(full)), finished()]);
    assert!(window.shows("The disk is full") && window.shows("Picture: a house"));
    assert_eq!(BUTTONS.map(|button| window.is_enabled(button)), [false, true, true, true]);
}

#[test]
fn messages_push_no_button_out_of_the_window() {
    let mut window = Window::with_picture();
    for line in 0..4 {
        window.say([Event::Copied(Err(Failure::new(format!("failure {line}"), "a hint")))]);
        let button = window.harness.get_by_label("Copy picture").rect();
        assert!(button.bottom() <= 760.0, "{line}: {button:?}");
    }
}

#[test]
fn closing_the_window_while_it_works_asks_nothing() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    window.say([Event::Began(JobId(1))]);
    let viewport = window.harness.input_mut().viewports.get_mut(&ViewportId::ROOT).expect("the window");
    viewport.events.push(ViewportEvent::Close);
    window.harness.run();
    assert_eq!(window.ends(), [], "the picture stays in the queue, and the engine leaves it there");
}

#[test]
fn a_window_where_nothing_happens_is_never_painted_again() {
    let rests = |window: &Window| {
        let delay = window.harness.output().viewport_output[&ViewportId::ROOT].repaint_delay;
        assert_eq!(delay, Duration::MAX);
    };
    let mut window = Window::with_prompt("a house");
    assert!(window.harness.get_by_label("Prompt").is_focused(), "the cursor must not blink either");
    rests(&window);
    window.click("Make picture");
    window.say([Event::Started(Box::new(request("a house", 7))), Event::Made(Made::Step(step(1)))]);
    window.harness.remove_cursor();
    window.harness.run();
    rests(&window);
}

#[test]
fn a_picture_larger_than_any_texture_is_shown() {
    let mut window = Window::with_prompt("a house");
    window.click("Make picture");
    let request = request("a house", 7);
    window.say([Event::Picture(picture(&request, (5000, 40)), Ok("/pictures/1.png".into())), finished()]);
    assert!(window.shows("5000 × 40") && window.shows("Picture: a house"));
}

#[test]
fn events_in_any_order_break_nothing() {
    let mut window = Window::opening();
    let request = request("a house", 7);
    let failure = Failure::new("no memory", "ask for less");
    let all = [
        Event::Ready(Arc::new(offer())),
        Event::Queue(Arc::new(queue([JobState::Making, JobState::Waiting], Some(Pause::Crash)))),
        Event::Queue(Arc::default()),
        Event::Began(JobId(1)),
        Event::Began(JobId(9)),
        Event::Started(Box::new(request.clone())),
        Event::Made(Made::Warning(Warning::new("a", "b"))),
        Event::Made(Made::Loading { part: "autoencoder", bytes: 9, total: 0 }),
        Event::Made(Made::Encoding),
        Event::Made(Made::Tick),
        Event::Made(Made::Step(step(2))),
        Event::Made(Made::Decoding { index: 3 }),
        Event::Made(Made::Picture(Box::new((*picture(&request, (8, 8))).clone()))),
        Event::Picture(picture(&request, (8, 8)), Ok("/".into())),
        Event::Picture(picture(&request, (1, 300)), Err(failure.clone())),
        finished(),
        Event::Copied(Ok("/pictures/2.png".into())),
        Event::Copied(Err(failure.clone())),
        Event::Failed(failure),
    ];
    let mut state = 1_u64;
    for _ in 0..400 {
        // Knuth's linear congruential generator: the same order every time.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = (state >> 33) as usize;
        if drawn.is_multiple_of(5) {
            for label in ["Make picture", "Add to the queue", "Stop", "Discard", "Pause", "Go on", "Show folder"] {
                if let Some(button) = window.harness.query_by_label(label) {
                    button.click();
                }
            }
        }
        window.engine.says.borrow_mut().push(all[drawn / 5 % all.len()].clone());
        window.harness.step();
    }
    window.say([Event::Queue(Arc::default()), finished()]);
    assert!(window.harness.state().state().work.is_none());
    window.harness.get_by_role_and_label(Role::Button, "Make picture");
}
