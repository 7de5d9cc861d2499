//! The prompt: what is read of it, what it is completed to, and the prompts of before.

use std::sync::Arc;

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use flowline::engine::{Event, Offer, Reader};
use flowline_model::Pipeline;

use crate::stand_in::{offer, request};
use crate::window::{Window, finished};

/// A window whose model reads prompts as the built-in one does.
fn window() -> Window {
    let reader = Pipeline::open("postcard", None).unwrap().prompt_reader().unwrap();
    let mut window = Window::opening();
    window.say([Event::Ready(Arc::new(Offer { reader: Some(Reader(Arc::new(reader))), ..offer() }))]);
    window
}

fn prompt(window: &Window) -> String {
    window.harness.state().state().prompt.clone()
}

fn press(window: &mut Window, key: Key) {
    window.harness.key_press(key);
    window.harness.run();
}

/// Makes a picture of `prompt` to its end.
fn make(window: &mut Window, prompt: &str) {
    window.type_into("Prompt", prompt);
    window.click("Make picture");
    window.say([Event::Started(Box::new(request(prompt, 1))), finished()]);
}

#[test]
fn tokens_are_counted_while_somebody_types_and_what_is_cut_is_said() {
    let mut window = window();
    assert!(window.shows("1 of 24 tokens"), "the end token");
    window.type_into("Prompt", "a red lighthouse by the sea");
    assert!(window.shows("of 24 tokens") && !window.shows("not read"));
    window.type_into("Prompt", &"a red lighthouse by the sea ".repeat(6));
    assert!(window.shows("Too long; not read: \""));
}

#[test]
fn unknown_words_are_said_with_the_nearest_known_ones() {
    let mut window = window();
    window.type_into("Prompt", "a red ligthouse beside a giraffe by the sea");
    assert!(window.shows("postcard does not know 'ligthouse' (lighthouse?), 'beside', 'giraffe'"));
}

#[test]
fn a_word_begun_is_completed_by_a_click() {
    let mut window = window();
    window.type_into("Prompt", "a red lighth");
    window.click("lighthouse");
    assert_eq!(prompt(&window), "a red lighthouse ");
    assert!(window.harness.get_by_label("Prompt").is_focused(), "to type on");
}

#[test]
fn surprises_are_made_of_words_the_model_knows() {
    let mut window = window();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        window.click("Surprise me");
        assert!(!window.shows("does not know") && !window.shows("not read"), "{}", prompt(&window));
        seen.insert(prompt(&window));
    }
    assert!(seen.len() > 10, "{seen:?}");
}

#[test]
fn up_and_down_walk_through_the_prompts_of_before_and_back_to_what_was_typed() {
    let mut window = window();
    for made in ["a red tent", "a blue tent", "a white tent", "a blue tent"] {
        make(&mut window, made);
    }
    window.type_into("Prompt", "a pink te");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Home);
    window.harness.run();
    let mut walked = Vec::new();
    for _ in 0..4 {
        press(&mut window, Key::ArrowUp);
        walked.push(prompt(&window));
    }
    assert_eq!(walked, ["a blue tent", "a white tent", "a red tent", "a red tent"], "each once, the oldest stays");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::End);
    window.harness.run();
    for _ in 0..3 {
        press(&mut window, Key::ArrowDown);
    }
    assert_eq!(prompt(&window), "a pink te");
}

#[test]
fn the_prompts_of_before_are_searched_and_chosen() {
    let mut window = window();
    assert!(!window.is_enabled("History"));
    for made in ["a red tent", "a blue castle", "a white tent"] {
        make(&mut window, made);
    }
    window.click("History");
    window.type_into("Search the prompts of before", "TENT");
    assert!(window.shows("a red tent") && window.harness.query_by_label("a blue castle").is_none());
    window.click("a red tent");
    assert_eq!(prompt(&window), "a red tent");
}
