//! Which model makes the pictures, and fetching those that are not here.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use flowline::engine::{Command, Event, Offer, Progress, Stocked};
use flowline::error::Failure;

use crate::stand_in::{offer, stocked};
use crate::window::Window;

/// A window with the model at work, one more that is here, and one that is not.
fn window() -> Window {
    let mut window = Window::with_prompt("a house");
    window.say([models(false)]);
    window
}

fn models(flow_is_here: bool) -> Event {
    let built_in = Stocked { licence: None, page: None, bytes: None, memory: None, ..stocked("postcard", true) };
    Event::Models([built_in, stocked("other", true), stocked("flow", flow_is_here)].into())
}

fn away() -> String {
    "flow · 33.7 GB to fetch".into()
}

/// What was asked for, but for pictures.
fn asked(window: &Window) -> Vec<String> {
    window.engine.heard.borrow().iter().map(|command| format!("{command:?}")).collect()
}

#[test]
fn a_model_that_is_here_is_opened_and_then_makes_the_pictures() {
    let mut window = window();
    window.choose("Model", "other");
    assert_eq!(asked(&window), [r#"Open("other")"#]);
    assert!(!window.is_enabled("Make picture"), "it is being opened");
    window.say([Event::Ready(Arc::new(Offer { model: "other".into(), ..offer() }))]);
    window.click("Make picture");
    assert_eq!(window.jobs()[0].model, "other");
}

#[test]
fn a_model_that_cannot_be_opened_leaves_the_old_one() {
    let mut window = window();
    window.choose("Model", "other");
    window.say([Event::Failed(Failure::new("a tensor is missing", "fetch it again"))]);
    assert!(window.shows("A tensor is missing"));
    window.click("Make picture");
    assert_eq!(window.jobs()[0].model, "postcard");
}

#[test]
fn of_a_model_that_is_not_here_is_said_what_it_takes_to_have_it() {
    let mut window = window();
    window.choose("Model", &away());
    for text in
        ["12 B parameters", "Takes about 28.0 GB of memory", "Licence: for everybody", "Read and accept the licence"]
    {
        assert!(window.shows(text), "{text}");
    }
    assert_eq!(asked(&window), [""; 0], "looking fetches nothing");
    window.click("Make picture");
    assert_eq!(window.jobs()[0].model, "postcard", "the model at work goes on");
}

#[test]
fn a_fetched_model_shows_how_far_it_is_and_is_opened_when_it_is_here() {
    let mut window = window();
    window.choose("Model", &away());
    window.click("Fetch flow");
    assert_eq!(asked(&window), [r#"Fetch("flow")"#]);
    assert!(window.shows("Fetching flow…") && !window.is_enabled("Fetch flow"));
    let left = Some(Duration::from_secs(723));
    let progress = Progress { bytes: 1_200_000_000, total: 33_700_000_000, rate: Some(45e6), left, waits: None };
    window.say([Event::Fetching("flow".into(), progress)]);
    assert!(window.shows("Fetching flow: 1.2 GB of 33.7 GB  ·  45 MB/s  ·  12 min 03 s left"));
    assert!(window.is_enabled("Make picture"), "pictures are made meanwhile");
    let waits = Some("the connection was silent for 30 s".into());
    window.say([Event::Fetching("flow".into(), Progress { waits, ..Progress::default() })]);
    assert!(window.shows("waiting, because the connection was silent"));
    window.say([models(true), Event::Fetched("flow".into(), Ok(ControlFlow::Continue(())))]);
    assert_eq!(asked(&window), [r#"Fetch("flow")"#, r#"Open("flow")"#]);
    assert!(window.shows("flow is here") && !window.shows("Fetching flow"));
}

#[test]
fn fetching_can_be_cancelled_and_what_goes_wrong_is_said() {
    let mut window = window();
    window.choose("Model", &away());
    window.click("Fetch flow");
    window.click("Cancel fetching");
    assert_eq!(asked(&window), [r#"Fetch("flow")"#, "StopFetching"]);
    assert!(!window.is_enabled("Cancel fetching"));
    window.say([Event::Fetched("flow".into(), Ok(ControlFlow::Break(())))]);
    assert!(window.shows("what has come of flow is kept") && window.is_enabled("Fetch flow"));
    window.click("Fetch flow");
    let failure = Failure::new("lab/flow is gated", "accept the licence at its page");
    window.say([Event::Fetched("flow".into(), Err(failure))]);
    assert!(window.shows("is gated") && window.shows("Accept the licence at its page"));
    assert!(window.is_enabled("Fetch flow"));
    assert!(!window.engine.heard.borrow().iter().any(|command| matches!(command, Command::Open(_))));
}
