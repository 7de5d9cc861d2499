//! What people type and set is what the engine is asked for.

use std::sync::Arc;

use crate::stand_in::{offer, request};
use crate::window::{Window, finished};
use eframe::egui::{Event as Input, ImeEvent, Key, Modifiers};
use egui_kittest::kittest::Queryable;
use flowline::engine::Event;
use flowline_model::{Event as Made, Warning};

#[test]
fn typing_a_prompt_and_clicking_asks_for_the_picture_with_the_models_own_settings() {
    let mut window = Window::with_prompt("a red house");
    window.click("Make picture");
    let [job] = window.jobs().try_into().expect("one job");
    assert_eq!((job.model.as_str(), job.draft.prompt.as_str()), ("postcard", "a red house"));
    assert_eq!((job.draft.width, job.draft.height, job.draft.steps), (Some(256), Some(256), Some(8)));
    assert_eq!((job.draft.cfg, job.draft.negative_prompt, job.draft.schedule), (Some(2.5), None, None));
    assert_eq!(job.draft.seeds, Vec::<u64>::new(), "the engine chooses a seed");
    assert!(window.is_enabled("Add to the queue"), "the next one lines up");
}

#[test]
fn the_cursor_is_in_the_prompt_from_the_start() {
    let window = Window::opening();
    assert!(window.harness.get_by_label("Prompt").is_focused());
}

#[test]
fn ctrl_enter_makes_a_picture_and_enter_breaks_the_line() {
    let mut window = Window::with_prompt("a house");
    window.harness.key_press(Key::Enter);
    window.harness.run();
    assert_eq!(window.jobs().len(), 0);
    assert_eq!(window.harness.state().state().prompt, "a house\n");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.harness.run();
    let [job] = window.jobs().try_into().expect("one job");
    assert_eq!(job.draft.prompt, "a house\n", "Ctrl+Enter adds nothing");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.harness.run();
    assert_eq!(window.jobs().len(), 2, "the next one lines up");
}

#[test]
fn what_is_typed_in_the_moment_of_ctrl_enter_is_in_the_picture() {
    let mut window = Window::ready();
    window.harness.get_by_label("Prompt").focus();
    window.harness.run();
    window.harness.event(Input::Text("a house at noon".into()));
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.harness.run();
    let prompts: Vec<_> = window.jobs().into_iter().map(|job| job.draft.prompt).collect();
    assert_eq!(prompts, ["a house at noon"]);
}

#[test]
fn an_empty_prompt_makes_nothing() {
    let mut window = Window::with_prompt("  ");
    assert!(!window.is_enabled("Make picture"));
    window.click("Make picture");
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    window.harness.run();
    assert_eq!(window.jobs().len(), 0);
}

#[test]
fn a_picture_can_be_asked_for_before_the_model_is_open() {
    let mut window = Window::opening();
    window.type_into("Prompt", "a house");
    window.click("Make picture");
    window.say([Event::Ready(Arc::new(offer()))]);
    assert_eq!(window.jobs().len(), 1);
    assert!(window.shows("Starting"), "the job is still on its way");
}

#[test]
fn text_composed_with_an_input_method_arrives_in_the_prompt() {
    let mut window = Window::ready();
    for event in [
        ImeEvent::Preedit { text: "e".into(), active_range_chars: None },
        ImeEvent::Preedit { text: "é".into(), active_range_chars: None },
        ImeEvent::Commit("été".into()),
    ] {
        window.harness.event(Input::Ime(event));
        window.harness.run();
    }
    assert_eq!(window.harness.state().state().prompt, "été");
}

#[test]
fn choosing_langevin_brings_controls_for_its_parameters() {
    let mut window = Window::with_prompt("a house");
    assert!(!window.shows("Scale"));
    window.choose("Sampler", "langevin");
    window.set("Scale", 0.25);
    window.click("Make picture");
    let [job] = window.jobs().try_into().expect("one job");
    assert_eq!(job.draft.sampler.expect("a sampler").to_string(), "langevin:scale=0.25");
}

#[test]
fn every_sampler_and_schedule_can_be_chosen_and_none_breaks_the_window() {
    let mut window = Window::with_prompt("a house");
    for about in offer().samplers {
        window.choose("Sampler", about.name);
        assert_eq!(window.harness.state().state().settings.as_ref().expect("settings").sampler.about, about);
    }
    for about in offer().schedules {
        window.choose("Schedule", about.name);
        let chosen = window.harness.state().state().settings.as_ref().expect("settings").schedule.as_ref();
        assert_eq!(chosen.map(|schedule| &schedule.about), Some(&about));
    }
}

#[test]
fn a_negative_prompt_is_offered_only_where_it_is_used() {
    let mut window = Window::with_prompt("a house");
    window.type_into("Negative prompt", "fog");
    window.set("CFG", 1.0);
    assert!(window.harness.query_by_label("Negative prompt").is_none());
    window.click("Make picture");
    window.say([finished()]);
    window.set("CFG", 3.0);
    window.click("Make picture");
    let negative: Vec<_> = window.jobs().into_iter().map(|job| (job.draft.cfg, job.draft.negative_prompt)).collect();
    assert_eq!(negative, [(Some(1.0), None), (Some(3.0), Some("fog".into()))]);
}

#[test]
fn an_open_lock_takes_a_new_seed_every_time_and_a_closed_one_keeps_it() {
    let mut window = Window::with_picture();
    assert_eq!(window.value("Seed"), "7", "the picture's seed is shown");
    window.click("Make picture");
    window.say([Event::Started(Box::new(request("a red house", 8))), finished()]);
    window.click("Keep this seed");
    for _ in 0..2 {
        window.click("Make picture");
        window.say([Event::Started(Box::new(request("a red house", 8))), finished()]);
    }
    window.click("Seed is kept for every picture");
    window.click("Make picture");
    let seeds: Vec<_> = window.jobs().into_iter().map(|job| job.draft.seeds).collect();
    assert_eq!(seeds, [vec![], vec![], vec![8], vec![8], vec![]]);
}

#[test]
fn a_typed_or_rolled_seed_is_used_once_unless_it_is_locked() {
    let mut window = Window::with_prompt("a house");
    window.type_into("Seed", "18446744073709551615");
    window.click("Make picture");
    window.say([Event::Started(Box::new(request("a house", u64::MAX))), finished()]);
    window.click("Make picture");
    window.say([Event::Started(Box::new(request("a house", 5))), finished()]);
    window.click("Roll a new seed");
    let rolled: u64 = window.value("Seed").parse().expect("a number");
    window.click("Make picture");
    let seeds: Vec<_> = window.jobs().into_iter().map(|job| job.draft.seeds).collect();
    assert_eq!(seeds, [vec![u64::MAX], vec![], vec![rolled]]);
}

#[test]
fn a_seed_that_is_no_number_is_said_and_makes_nothing() {
    let mut window = Window::with_prompt("a house");
    for wrong in ["-1", "1.5", "red", "18446744073709551616"] {
        window.type_into("Seed", wrong);
        assert!(window.shows("A seed is a whole number"), "{wrong}");
        assert!(!window.is_enabled("Make picture"), "{wrong}");
    }
    window.type_into("Seed", " 12 ");
    window.click("Make picture");
    assert_eq!(window.jobs().pop().expect("a job").draft.seeds, [12]);
}

#[test]
fn sizes_are_multiples_and_an_untrained_one_is_said() {
    let mut window = Window::with_prompt("a house");
    assert!(!window.shows("trained at"));
    window.set("Height", 300.0);
    assert!(window.shows("postcard was trained at 256 × 256 only"));
    window.click("Make picture");
    window.say([Event::Made(Made::Warning(Warning::new("size-untrained", "postcard was trained at one size")))]);
    assert!(window.harness.state().state().messages.is_empty(), "it is not said twice");
    let draft = window.jobs().pop().expect("a job").draft;
    assert_eq!((draft.width, draft.height), (Some(256), Some(288)));
    window.say([finished()]);
    window.click("Shape");
    window.click("Square 256 × 256");
    assert!(!window.shows("trained at"));
}
