//! What the user likes, and what is remembered between two runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use eframe::egui::{Key, Modifiers, Theme};
use egui_kittest::kittest::Queryable;
use flowline::desktop::kept::Kept;
use flowline::desktop::preferences::Look;
use flowline::engine::Event;
use flowline_model::weights::hub::Hub;
use tempfile::TempDir;

use crate::stand_in::{offer, request};
use crate::window::{Window, finished};

fn home() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The window of a user with this home, its model open.
fn window(home: &TempDir) -> Window {
    let mut window = Window::of(home.path());
    window.say([Event::Ready(Arc::new(offer()))]);
    window
}

fn kept(home: &Path) -> Kept {
    serde_json::from_slice(&fs::read(home.join("window.json")).expect("a file")).expect("what was kept")
}

#[test]
fn the_window_opens_as_it_was_left() {
    let home = home();
    let mut first = window(&home);
    first.type_into("Prompt", "a red tent");
    first.choose("Sampler", "langevin");
    first.set("Scale", 0.25);
    first.set("Steps", 12.0);
    first.set("Height", 320.0);
    first.click("Make picture");
    first.say([Event::Started(Box::new(request("a red tent", 7))), finished()]);
    first.type_into("Prompt", "a blue tent");
    let left = first.harness.state().state().settings.clone().expect("settings");
    drop(first);

    let mut second = window(&home);
    assert_eq!(second.harness.state().state().prompt, "a blue tent");
    let again = second.harness.state().state().settings.clone().expect("settings");
    assert_eq!((again.saved(), again.sampler), (left.saved(), left.sampler));
    second.click("History");
    assert!(second.shows("a red tent"));
}

#[test]
fn themes_and_scales_are_taken_on_at_once_and_kept() {
    let home = home();
    let mut first = window(&home);
    first.harness.key_press_modifiers(Modifiers::COMMAND, Key::Num4);
    first.harness.run();
    for (name, theme) in [("Light", Theme::Light), ("Dark", Theme::Dark), ("Light", Theme::Light)] {
        first.choose("Theme", name);
        assert_eq!(first.harness.ctx.theme(), theme, "{name}");
    }
    first.set("Threads", 3.0);
    first.set("Memory", 8.0);
    drop(first);
    let preferences = kept(home.path()).preferences;
    assert_eq!((preferences.threads, preferences.memory, preferences.theme), (Some(3), Some(8.0), Look::Light));
}

#[test]
fn a_scale_that_nobody_could_read_is_brought_within_bounds() {
    for (written, scale) in [("1e9", 3.0), ("-5", 0.75), ("0.9", 0.9)] {
        let home = home();
        fs::write(home.path().join("window.json"), format!("{{\"preferences\": {{\"scale\": {written}}}}}")).unwrap();
        let window = window(&home);
        assert_eq!(window.harness.ctx.zoom_factor(), scale, "{written}");
    }
}

#[test]
fn a_damaged_memory_is_set_aside_and_told() {
    let home = home();
    fs::write(home.path().join("window.json"), "{ half a file").unwrap();
    let window = window(&home);
    assert!(window.shows("What the window remembered is damaged"));
    assert_eq!(fs::read(home.path().join("window.damaged.json")).unwrap(), b"{ half a file");
}

#[test]
fn a_token_is_kept_and_taken_away_and_what_is_none_is_refused() {
    let home = home();
    let token = || Hub::from_surroundings(|_| None, Some(home.path())).has_token();
    let mut window = window(&home);
    window.click("Settings");
    window.type_into("Token", "two words");
    window.click("Keep");
    assert!(window.shows("That is no token") && !token());
    window.click("Dismiss");
    window.type_into("Token", "hf_geheim");
    window.click("Keep");
    assert!(token() && window.shows("Token kept"));
    assert!(window.harness.query_by_label_contains("geheim").is_none());
    window.click("Forget");
    assert!(!token());
}

#[test]
fn folders_are_typed_added_and_removed() {
    let home = home();
    let mut first = window(&home);
    first.click("Settings");
    for (field, typed) in [("Pictures", "/pictures/here"), ("Models", "/models/comfy"), ("One more", "/models/more")] {
        first.type_into(field, typed);
        first.harness.key_press(Key::Tab);
        first.harness.run();
    }
    let folders = |home: &Path| kept(home).preferences.models;
    drop(first);
    let preferences = kept(home.path()).preferences;
    assert_eq!(preferences.pictures.as_deref(), Some(Path::new("/pictures/here")));
    assert_eq!(folders(home.path()), [Path::new("/models/comfy"), Path::new("/models/more")]);
    let mut second = window(&home);
    second.click("Settings");
    let first_of_two = second.harness.query_all_by_label("Remove").next().expect("a button");
    first_of_two.click();
    second.harness.run();
    drop(second);
    assert_eq!(folders(home.path()), [Path::new("/models/more")]);
}

#[test]
fn settings_are_kept_by_name_used_again_and_taken_away() {
    let home = home();
    let mut first = window(&home);
    first.choose("Sampler", "langevin");
    first.set("Scale", 0.25);
    first.set("Steps", 12.0);
    first.click("Presets");
    first.type_into("Name of the preset", "calm");
    first.click("Keep");
    first.choose("Sampler", "euler");
    first.set("Steps", 3.0);
    drop(first);

    let mut second = window(&home);
    second.click("Presets");
    second.click("calm");
    let settings = second.harness.state().state().settings.clone().expect("settings");
    assert_eq!((settings.sampler.choice().to_string().as_str(), settings.steps), ("langevin:scale=0.25", 12));
    second.click("Presets");
    second.click("Remove");
    drop(second);
    assert!(kept(home.path()).presets.is_empty());
}

#[test]
fn a_question_mark_shows_the_keys_unless_somebody_types_it() {
    let mut window = Window::ready();
    window.type_into("Prompt", "what");
    window.harness.event(eframe::egui::Event::Text("?".into()));
    window.harness.run();
    assert_eq!(window.harness.state().state().prompt, "what?");
    assert!(!window.shows("This sheet"));
    window.harness.key_press(Key::F1);
    window.harness.run();
    assert!(window.shows("This sheet") && window.shows("The page Settings"));
    window.harness.key_press(Key::Escape);
    window.harness.run();
    assert!(!window.shows("This sheet"));
    window.click("Settings");
    window.harness.event(eframe::egui::Event::Text("?".into()));
    window.harness.run();
    assert!(window.shows("This sheet"));
}
