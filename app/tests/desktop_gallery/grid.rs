//! The grid of pictures.

use std::sync::Arc;

use eframe::egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable;
use flowline::Failure;
use flowline::library::keeper::{Command, Event, Star};
use flowline::library::{Age, Content, Query, Stars};
use image::RgbImage;

use crate::window::{Window, entry, found, path};

#[test]
fn a_frame_touches_only_the_rows_that_are_seen_however_many_there_are() {
    let few = Window::of(200).harness.state().gallery().drawn();
    let mut window = Window::of(10_000);
    let drawn = window.harness.state().gallery().drawn();
    assert_eq!(drawn, few, "a library of any size draws the same");
    assert!((20..=48).contains(&drawn), "{drawn}");
    assert!(window.shows("picture 0") && !window.shows("picture 9999"));
    let wanted = window.wanted();
    assert_eq!(wanted[0].path, path(0), "what is seen comes first");
    assert!(wanted.len() <= 3 * drawn, "{}", wanted.len());
    window.key(Key::End);
    assert!(window.shows("picture 9999") && !window.shows("picture 0,"));
    assert!(window.harness.state().gallery().drawn() <= drawn);
    assert!(window.wanted().iter().any(|file| file.path == path(9999)));
}

#[test]
fn no_more_thumbnails_are_held_than_are_seen_and_a_margin() {
    let mut window = Window::of(10_000);
    let small = Arc::new(RgbImage::new(8, 8));
    let most = 4 * window.harness.state().gallery().drawn();
    for _ in 0..25 {
        for file in window.wanted() {
            window.library.heard.borrow_mut().clear();
            window.say(Event::Thumbnail(file, Ok(Arc::clone(&small))));
        }
        window.key(Key::PageDown);
        let held = window.harness.state().gallery().held();
        assert!(held > 0 && held <= most, "{held} of {most}");
    }
}

#[test]
fn the_keyboard_selects_as_in_every_list() {
    let mut window = Window::of(60);
    window.key(Key::ArrowRight);
    assert_eq!(window.selected(), ["picture 0"]);
    window.key(Key::ArrowRight);
    assert_eq!(window.selected(), ["picture 1"]);
    window.keys(Modifiers::SHIFT, Key::ArrowRight);
    window.keys(Modifiers::SHIFT, Key::ArrowRight);
    assert_eq!(window.selected(), ["picture 1", "picture 2", "picture 3"]);
    window.keys(Modifiers::SHIFT, Key::Home);
    assert_eq!(window.selected(), ["picture 0", "picture 1"]);
    window.keys(Modifiers::COMMAND, Key::ArrowRight);
    window.keys(Modifiers::COMMAND, Key::ArrowRight);
    window.key(Key::Space);
    assert_eq!(window.selected(), ["picture 0", "picture 1", "picture 2"]);
    window.keys(Modifiers::COMMAND, Key::A);
    assert!(window.shows("60 pictures  ·  60 selected"));
    window.key(Key::Escape);
    assert_eq!(window.selected(), [""; 0]);
    window.key(Key::ArrowDown);
    window.key(Key::ArrowUp);
    assert_eq!(window.selected(), ["picture 2"]);
    window.harness.get_by_label("picture 7").click();
    window.harness.run();
    assert_eq!(window.selected(), ["picture 7"]);
}

#[test]
fn a_selection_follows_its_pictures_when_the_list_changes() {
    let mut window = Window::of(10);
    window.key(Key::ArrowRight);
    window.key(Key::ArrowRight);
    window.keys(Modifiers::SHIFT, Key::ArrowRight);
    assert_eq!(window.selected(), ["picture 1", "picture 2"]);
    let mut new = found(10);
    let newest = std::iter::once(Arc::new(entry(99)));
    let gone = new.entries.iter().filter(|entry| entry.file.path != path(1)).cloned();
    new.entries = newest.chain(gone).collect();
    window.say(Event::Found(new));
    assert_eq!(window.selected(), ["picture 2"]);
}

#[test]
fn the_selected_pictures_are_starred_deleted_copied_and_compared() {
    let mut window = Window::of(10);
    assert!(!window.is_enabled("Star") && !window.is_enabled("Delete") && !window.is_enabled("Compare"));
    window.key(Key::Home);
    window.keys(Modifiers::SHIFT, Key::ArrowRight);
    window.asked();
    window.key(Key::S);
    window.click("Star");
    let both = vec![path(0), path(1)];
    let star = Command::Star(both.clone(), Star::Give);
    assert_eq!(window.asked(), [star.clone(), star]);
    window.key(Key::Delete);
    window.click("Delete");
    assert_eq!(window.asked(), [Command::Bin(both.clone()), Command::Bin(both.clone())]);
    assert!(!window.is_enabled("Undo delete"));
    window.say(Event::Binned(2));
    assert!(window.shows("2 pictures moved to the bin"));
    window.click("Undo delete");
    window.keys(Modifiers::COMMAND, Key::Z);
    assert_eq!(window.asked(), [Command::Restore, Command::Restore]);
    window.say(Event::Restored(2));
    assert!(!window.is_enabled("Undo delete"));
    window.click("Copy to…");
    window.type_into("Copy to folder", "/elsewhere");
    window.key(Key::Enter);
    assert_eq!(window.asked(), [Command::Export(both, "/elsewhere".into())]);
    window.say(Event::Exported(2, "/elsewhere".into()));
    assert!(window.shows("2 pictures copied to /elsewhere"));
    window.click("Compare");
    assert_eq!(window.asked(), [Command::Open(path(1)), Command::Open(path(0))]);
}

#[test]
fn what_is_looked_for_is_asked_of_the_library() {
    let mut window = Window::of(10);
    window.asked();
    window.keys(Modifiers::COMMAND, Key::F);
    window.type_into("Search prompts and parameters", "boat");
    let words = Query { words: "boat".into(), ..Query::default() };
    assert_eq!(window.asked(), [Command::Find(words.clone())]);
    window.choose("Model", "postcard");
    window.choose("Sampler", "euler");
    window.choose("Date", "Last 7 days");
    window.click("Starred");
    let all = Query {
        model: Some("postcard".into()),
        sampler: Some("euler".into()),
        age: Age::Week,
        stars: Stars::Starred,
        ..words
    };
    assert_eq!(window.asked().last(), Some(&Command::Find(all.clone())));
    window.say(Event::Found(all.find(&[], std::time::SystemTime::UNIX_EPOCH)));
    assert!(window.shows("No pictures yet"));
}

#[test]
fn a_damaged_picture_and_a_failure_are_shown_with_their_reasons() {
    let mut window = Window::of(0);
    let mut new = found(2);
    let mut damaged = entry(7);
    damaged.content = Content::Damaged("it is cut short".into());
    new.entries = [Arc::new(damaged), Arc::new(entry(1))].into();
    window.say(Event::Found(new));
    assert!(window.shows("picture-00007.png, damaged"));
    window.say(Event::Failed(Failure::new("the bin is full", "empty it")));
    assert!(window.shows("The bin is full") && window.shows("Empty it"));
    window.click("Dismiss");
    assert!(!window.shows("The bin is full"));
}
