//! The last run, step by step, as the engine tells of it.

use std::sync::Arc;

use egui_kittest::kittest::Queryable;
use flowline::engine::laboratory::{Ask, Moment, Run, Seen, Told, View};
use flowline::engine::{Command, Event};
use flowline::error::Failure;
use flowline::trace::{Figures, Trace, TracedStep};
use image::RgbImage;

use super::Laboratory;
use crate::stand_in::request;

/// A run of two steps.
fn run(number: u64, kept: bool) -> Event {
    let traced = |step: usize| TracedStep {
        step,
        sigma: 1.0 - 0.5 * (step - 1) as f64,
        next: 1.0 - 0.5 * step as f64,
        evaluations: 1,
        figures: Figures {
            v: 1.25 * step as f64,
            x: 1.0,
            straightness: 0.875,
            turning: (step > 1).then_some(12.5),
            drift: None,
            local_error: None,
        },
        seconds: 0.1,
    };
    let trace = Trace {
        flowline: "0".into(),
        request: request("a red house", 7),
        seconds: 0.2,
        steps: vec![traced(1), traced(2)],
    };
    let small = || Arc::new(RgbImage::new(8, 8));
    let moments = (0..3).filter(|_| kept).map(|_| Seen { noisy: small(), denoised: small() }).collect();
    Event::Laboratory(Told::Ran(Arc::new(Run { number, model: "postcard".into(), trace, moments })))
}

/// A laboratory that looks at a run.
fn looking() -> Laboratory {
    let mut laboratory = Laboratory::at("Scrubber");
    assert!(laboratory.window.shows("Make a picture first"));
    laboratory.window.say([run(3, true)]);
    laboratory
}

fn decodes(laboratory: &Laboratory) -> Vec<Moment> {
    let decode = |command: &Command| match command {
        Command::Laboratory(Ask::Decode(moment)) => Some(*moment),
        _ => None,
    };
    laboratory.window.engine.heard.borrow().iter().filter_map(decode).collect()
}

#[test]
fn every_moment_is_shown_with_its_figures() {
    let mut laboratory = looking();
    for (step, velocity, sigma) in [(1.0, "2.5000", "0.5000"), (0.0, "1.2500", "1.0000")] {
        laboratory.window.set("Step", step);
        assert!(laboratory.window.shows(&format!("Denoised prediction after step {step}")));
        assert!(laboratory.window.shows(&format!("Noisy latents after step {step}")));
        assert!(laboratory.window.shows(velocity) && laboratory.window.shows(sigma), "{step}");
    }
    assert!(!laboratory.window.shows("12.5000"), "the first step has turned from nothing");
    laboratory.window.set("Step", 2.0);
    assert!(laboratory.window.shows("after step 2 of 2"));
}

#[test]
fn any_moment_is_decoded_in_full_once() {
    let mut laboratory = looking();
    laboratory.window.set("Step", 0.0);
    laboratory.window.click("Decode the prediction in full");
    laboratory.window.click("Decode the noisy latents in full");
    let moment = |view| Moment { run: 3, at: 0, view };
    assert_eq!(decodes(&laboratory), [moment(View::Denoised), moment(View::Noisy)]);
    assert!(!laboratory.window.is_enabled("Decode the prediction in full"), "it is on its way");
    let picture = Arc::new(RgbImage::new(64, 64));
    laboratory.window.say([
        Event::Laboratory(Told::Decoded(moment(View::Denoised), Ok(picture))),
        Event::Laboratory(Told::Decoded(moment(View::Noisy), Err(Failure::new("the autoencoder is gone", "fetch it")))),
    ]);
    assert!(!laboratory.window.is_enabled("Decode the prediction in full"), "it is there");
    assert!(laboratory.window.is_enabled("Decode the noisy latents in full"), "it may be asked for again");
    assert!(laboratory.window.shows("The autoencoder is gone"));
    laboratory.window.set("Step", 1.0);
    assert!(laboratory.window.is_enabled("Decode the prediction in full"), "that is another moment");
}

#[test]
fn a_branch_goes_on_from_the_moment_with_other_settings() {
    let mut laboratory = looking();
    laboratory.window.set("Step", 1.0);
    laboratory.window.type_into("Prompt", "a blue house");
    laboratory.window.choose("Sampler", "heun");
    laboratory.window.set("CFG", 4.0);
    laboratory.window.click("Branch after step 1");
    let jobs = laboratory.window.jobs();
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    let branch = job.draft.branch.as_ref().unwrap();
    assert_eq!((branch.at, &branch.parent), (1, &request("a red house", 7)));
    assert_eq!((job.model.as_str(), job.draft.prompt.as_str()), ("postcard", "a blue house"));
    assert_eq!(job.draft.sampler.as_ref().unwrap().name, "heun");
    assert_eq!((job.draft.cfg, job.draft.seeds.as_slice()), (Some(4.0), &[7][..]));
    assert_eq!((job.draft.steps, &job.draft.sigmas), (None, &None), "along the run's own sigmas");
    assert!(laboratory.window.shows("Stop"), "its progress is shown");
}

#[test]
fn a_branch_may_follow_another_schedule() {
    let mut laboratory = looking();
    laboratory.window.set("Step", 1.0);
    laboratory.window.click("Another number of steps");
    laboratory.window.set("Steps", 40.0);
    laboratory.window.click("Branch after step 1");
    assert_eq!(laboratory.window.jobs()[0].draft.steps, Some(40));
}

#[test]
fn nothing_goes_on_from_the_end() {
    let mut laboratory = looking();
    laboratory.window.set("Step", 2.0);
    assert!(!laboratory.window.is_enabled("Branch after step 2"));
}

#[test]
fn a_run_that_was_not_kept_has_its_figures_and_says_why_there_is_no_more() {
    let mut laboratory = Laboratory::at("Scrubber");
    laboratory.window.say([run(1, false)]);
    assert!(laboratory.window.shows("This run was not kept: up to 256 MiB are"));
    assert!(laboratory.window.harness.query_by_label("Decode the prediction in full").is_none());
    assert!(laboratory.window.shows("2.5000"));
}

#[test]
fn the_schedule_editor_shows_what_the_last_run_measured() {
    let mut laboratory = looking();
    laboratory.window.click("Schedule editor");
    assert!(laboratory.window.shows("does not tell its drift"));
    laboratory.window.choose("Last run", "Turning");
    assert!(laboratory.window.shows("The last run, with euler: degrees between"));
    assert!(laboratory.window.harness.query_by_label("Figures of the last run").is_some());
}
