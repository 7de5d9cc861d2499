//! The page of one picture, and of two.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{self, Key};
use egui_kittest::kittest::{NodeT, Queryable};
use flowline::Failure;
use flowline::cli::verify::Compared;
use flowline::library::keeper::{Command, Event, Opened};
use flowline_sampler::catalog::Choice;

use crate::sample::file::foreign;
use crate::window::{Window, opened, path, record};

#[test]
fn a_picture_shows_what_is_known_and_fills_in_the_next() {
    let mut window = Window::opened(3, 10, opened(record("a red lighthouse"), (64, 48)));
    for text in ["picture-00003.png", "4 of 10", "a red lighthouse", "256 x 192", "18446744073709551615", "postcard"] {
        assert!(window.shows(text), "{text}");
    }
    window.click("Use all");
    let state = window.harness.state().state();
    assert_eq!(state.prompt, "a red lighthouse");
    let settings = state.settings.as_ref().unwrap();
    assert_eq!((settings.width, settings.height, settings.steps, settings.cfg), (256, 192, 8, 2.5));
    assert_eq!(settings.seed.next(), Some(u64::MAX));
    assert_eq!(settings.sampler.choice(), Choice::new("euler"));
    assert!(window.shows("Make picture"), "the page that makes pictures is shown");
}

#[test]
fn only_the_prompt_or_the_seed_is_taken_if_asked_for() {
    let mut window = Window::opened(0, 1, opened(record("a boat"), (64, 48)));
    window.click("Use prompt");
    let state = window.harness.state().state();
    let settings = state.settings.as_ref().unwrap();
    assert_eq!((state.prompt.as_str(), settings.seed.next(), settings.width), ("a boat", None, 256));
    let mut window = Window::opened(0, 1, opened(record("a boat"), (64, 48)));
    window.click("Use seed");
    let state = window.harness.state().state();
    let settings = state.settings.as_ref().unwrap();
    assert_eq!((state.prompt.as_str(), settings.seed.next(), settings.height), ("", Some(u64::MAX), 256));
}

/// A file that was let go over the window.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("nobody asks for them".into())
    }
}

#[test]
fn a_picture_of_another_program_says_what_was_read_and_what_was_not_taken_over() {
    let mut window = Window::of(3);
    window.asked();
    window.harness.input_mut().dropped_files.push(Arc::new(Dropped("/elsewhere/theirs.png".into())));
    window.harness.run();
    assert_eq!(window.asked(), [Command::Open("/elsewhere/theirs.png".into())]);
    let text = "a cat\nSteps: 20, Sampler: Euler a, Seed: 7, Size: 512x512, Model: sd15, RNG: CPU, Version: v1.10.1";
    window.say(Event::Opened("/elsewhere/theirs.png".into(), Box::new(opened(foreign("parameters", text), (64, 64)))));
    for text in ["Read from AUTOMATIC1111", "a cat", "Not taken over", "sd15", "not in the library"] {
        assert!(window.shows(text), "{text}");
    }
    assert!(!window.shows("Copy as command") && !window.shows("Verify"), "there is no request to make it again from");
    window.click("Use all");
    let state = window.harness.state().state();
    assert_eq!(state.prompt, "a cat");
    assert_eq!(state.settings.as_ref().unwrap().sampler.choice(), Choice::new("ancestral"));
    assert!(window.shows("Not taken over: the noise torch-cpu"));
}

#[test]
fn a_picture_is_verified_and_its_command_copied() {
    let mut window = Window::opened(0, 1, opened(record("a boat"), (64, 48)));
    assert!(window.copied_by("Copy as command").starts_with("flowline generate 'a boat'"));
    assert_eq!(window.copied_by("Copy path"), "/pictures/picture-00000.png");
    window.asked();
    window.click("Verify");
    assert_eq!(window.asked(), [Command::Verify(path(0))]);
    assert!(!window.is_enabled("Verify"));
    let compared = Compared {
        picture: "/pictures/picture-00000.png".into(),
        identical: true,
        largest_difference: 0,
        mean_difference: 0.0,
        differences: Vec::new(),
    };
    window.say(Event::Verified(path(0), Ok(compared)));
    assert!(window.shows("Identical to what its record makes"));
    window.say(Event::Verified(path(0), Err(Failure::new("no model", "fetch it"))));
    assert!(window.shows("No model") && window.shows("Fetch it"));
}

#[test]
fn the_keyboard_goes_from_picture_to_picture_and_back() {
    let mut window = Window::opened(1, 3, opened(record("a boat"), (64, 48)));
    window.asked();
    for (key, place) in [(Key::PageDown, 2), (Key::PageUp, 1), (Key::ArrowLeft, 0), (Key::ArrowRight, 1)] {
        window.key(key);
        assert_eq!(window.asked(), [Command::Open(path(place))], "{key:?}");
    }
    window.key(Key::Delete);
    assert_eq!(window.asked(), [Command::Open(path(2)), Command::Bin(vec![path(1)])], "the next is shown");
    window.key(Key::Escape);
    assert!(window.shows("3 pictures"));
}

#[test]
fn a_large_picture_is_one_small_texture_and_tiles_only_where_it_is_looked_at_closely() {
    let mut window = Window::opened(0, 1, opened(record("large"), (6000, 4000)));
    let tiles = |window: &Window| window.harness.state().gallery().tiles();
    assert_eq!(tiles(&window), 0);
    assert!(window.shows("picture-00000.png, 14 %"));
    window.key(Key::Num1);
    assert!(window.shows("picture-00000.png, 100 %"));
    // The room is smaller than a tile and lies on four of them at most.
    assert!((1..=4).contains(&tiles(&window)), "{}", tiles(&window));
    for _ in 0..60 {
        window.key(Key::ArrowRight);
        assert!((1..=4).contains(&tiles(&window)), "{}", tiles(&window));
    }
    window.key(Key::Minus);
    assert!(window.shows("picture-00000.png, 80 %"));
    window.key(Key::Plus);
    assert!(window.shows("picture-00000.png, 100 %"));
    window.key(Key::Num0);
    assert!(window.shows("picture-00000.png, 14 %"));
    assert_eq!(tiles(&window), 0);
}

#[test]
fn a_damaged_file_says_so_and_stops_nothing() {
    let failure = || Failure::new("/pictures/picture-00000.png is damaged: it ends early", "take another");
    let window = Window::opened(0, 1, Opened { record: Err(failure()), pixels: Err(failure()) });
    assert!(window.shows("it ends early") && window.shows("take another"));
    assert!(!window.shows("Use all"));
}

#[test]
fn two_pictures_are_compared_along_a_line_and_before_and_after() {
    let mut window = Window::opened(0, 2, opened(record("a boat"), (64, 48)));
    window.asked();
    window.key(Key::C);
    assert_eq!(window.asked(), [Command::Open(path(1)), Command::Open(path(0))]);
    window.say(Event::Opened(path(1), Box::new(opened(record("a ship"), (64, 48)))));
    window.say(Event::Opened(path(0), Box::new(opened(record("a boat"), (64, 48)))));
    assert!(window.shows("What differs") && window.shows("a ship") && window.shows("a boat"));
    assert!(!window.shows("18446744073709551615"), "what is the same is not said");
    let line = |window: &Window| {
        let node = window.harness.get_by_label("Line between the pictures");
        node.accesskit_node().numeric_value().unwrap()
    };
    assert_eq!(line(&window), 0.5);
    window.harness.get_by_label("Line between the pictures").focus();
    window.harness.run();
    for _ in 0..5 {
        window.key(Key::ArrowLeft);
    }
    assert!((line(&window) - 0.4).abs() < 1e-6);
    window.click("Before");
    assert!(window.harness.query_by_label("Line between the pictures").is_none());
    window.click("Slider");
    assert_eq!(line(&window), 0.5);
    window.key(Key::Escape);
    assert_eq!(window.asked(), [Command::Open(path(0))], "back to the picture");
}
