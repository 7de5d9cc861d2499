//! Samplers side by side, as the engine tells of them.

use std::ops::ControlFlow;
use std::sync::Arc;

use egui_kittest::kittest::Queryable;
use flowline::engine::laboratory::{Ask, Compare, Compared, Comparison, Contender, Reference, Told};
use flowline::engine::{Command, Event};
use flowline::error::Failure;
use flowline::trace::{Figures, TracedStep};
use image::RgbImage;

use super::Laboratory;

/// A laboratory with three samplers, each on its way.
fn running() -> Laboratory {
    let mut laboratory = Laboratory::at("Playground");
    laboratory.window.click("Create");
    laboratory.window.type_into("Prompt", "a red house");
    laboratory.window.click("Laboratory");
    laboratory.window.click("Side by side");
    laboratory.window.click("Run side by side");
    laboratory
}

fn tell(laboratory: &mut Laboratory, told: impl IntoIterator<Item = Compared>) {
    let told = told.into_iter().map(|compared| Event::Laboratory(Told::Compared(compared)));
    laboratory.window.say(told);
}

fn asked(laboratory: &Laboratory) -> Option<Comparison> {
    laboratory.window.engine.heard.borrow().iter().rev().find_map(|command| match command {
        Command::Laboratory(Ask::Compare(comparison)) => Some((**comparison).clone()),
        _ => None,
    })
}

/// A step of a contender that takes `each` evaluations a step.
fn step(contender: usize, step: usize, each: u64, distance: Option<f64>) -> Compared {
    let figures =
        Figures { v: 1.0, x: 1.0, straightness: 0.9, turning: Some(3.0), drift: Some(0.1), local_error: None };
    let traced = TracedStep { step, sigma: 1.0, next: 0.9, evaluations: each, figures, seconds: 0.1 };
    let preview = Some(Arc::new(RgbImage::new(8, 8)));
    Compared::Step(Box::new(Compare { contender, step: traced, evaluations: step as u64 * each, distance, preview }))
}

#[test]
fn the_engine_is_asked_for_what_was_chosen() {
    let mut laboratory = Laboratory::at("Playground");
    laboratory.window.click("Create");
    laboratory.window.type_into("Prompt", "a red house");
    laboratory.window.click("Laboratory");
    laboratory.window.click("Side by side");
    laboratory.window.choose("Sampler 2", "heun");
    laboratory.window.set("Steps 2", 6.0);
    laboratory.window.click("Remove sampler 3");
    laboratory.window.choose("Reference", "the first of them");
    laboratory.window.click("Run side by side");
    let asked = asked(&laboratory).unwrap();
    let contender = |name: &str, steps| Contender { sampler: name.parse().unwrap(), steps };
    assert_eq!(asked.contenders, [contender("euler", 12), contender("heun", 6)]);
    assert_eq!((asked.reference, asked.model.as_str()), (Reference::First, "postcard"));
    assert_eq!(asked.draft.prompt, "a red house");
    assert_eq!(asked.draft.cfg, Some(2.5), "the settings of the next picture");
}

#[test]
fn there_are_two_to_eight() {
    let mut laboratory = Laboratory::at("Side by side");
    assert!(!laboratory.window.is_enabled("Run side by side"), "there is no prompt");
    laboratory.window.click("Remove sampler 1");
    assert!(laboratory.window.harness.query_by_label("Remove sampler 1").is_none(), "one alone is no comparison");
    for _ in 0..6 {
        laboratory.window.harness.get_by_label("Add a sampler").scroll_to_me();
        laboratory.window.harness.run();
        laboratory.window.click("Add a sampler");
    }
    assert!(!laboratory.window.is_enabled("Add a sampler"));
    assert!(laboratory.window.harness.query_by_label("Sampler 8").is_some());
}

#[test]
fn runs_are_aligned_by_the_evaluations_they_took() {
    let mut laboratory = running();
    assert_eq!(asked(&laboratory).unwrap().contenders.len(), 3);
    tell(&mut laboratory, [Compared::Reference { taken: 3, steps: 60 }]);
    assert!(laboratory.window.shows("Reference: step 3 of 60"));
    let (slow, fast) = ((1..=4).map(|n| step(0, n, 1, Some(0.5))), (1..=4).map(|n| step(1, n, 2, Some(0.25))));
    tell(&mut laboratory, slow.chain(fast));
    let seen = |laboratory: &Laboratory, place: &str| laboratory.window.shows(place);
    assert!(seen(&laboratory, "step 4, 4 evaluations") && seen(&laboratory, "step 4, 8 evaluations"));
    assert!(seen(&laboratory, "0.5000 away") && seen(&laboratory, "0.2500 away"));
    assert!(seen(&laboratory, "not begun"), "the third has not begun");
    laboratory.window.set("Evaluations", 2.0);
    assert!(seen(&laboratory, "step 2, 2 evaluations") && seen(&laboratory, "step 1, 2 evaluations"));
    assert!(seen(&laboratory, "2 of 8 evaluations"));
}

#[test]
fn one_that_is_lost_is_told_and_the_others_go_on() {
    let mut laboratory = running();
    let failure = Failure::new("the numbers are not finite", "try more steps");
    let image = Arc::new(RgbImage::new(64, 64));
    tell(
        &mut laboratory,
        [
            step(0, 1, 1, None),
            Compared::Lost { contender: 0, failure },
            step(1, 1, 1, None),
            Compared::Arrived { contender: 1, image, distances: vec![0.5, 0.125] },
            Compared::Finished(Ok(ControlFlow::Continue(()))),
        ],
    );
    assert!(laboratory.window.shows("the numbers are not finite"));
    assert!(laboratory.window.shows("0.1250 away"), "the end's own distance");
    assert!(laboratory.window.shows("Run side by side"), "it can be run again");
}

#[test]
fn it_stops_when_it_is_asked_to() {
    let mut laboratory = running();
    tell(&mut laboratory, [step(0, 1, 1, None)]);
    laboratory.window.click("Stop");
    let stops = |command: &Command| matches!(command, Command::Laboratory(Ask::Stop));
    assert!(laboratory.window.engine.heard.borrow().iter().any(stops));
    assert_eq!(laboratory.window.ends(), [], "pictures are not stopped by that");
    tell(&mut laboratory, [Compared::Finished(Ok(ControlFlow::Break(())))]);
    assert!(laboratory.window.shows("Stopped"));
}

#[test]
fn what_ends_it_is_told_with_what_to_do() {
    let mut laboratory = running();
    tell(&mut laboratory, [Compared::Finished(Err(Failure::new("the model is gone", "fetch it again")))]);
    assert!(laboratory.window.shows("The model is gone") && laboratory.window.shows("Fetch it again"));
}
