//! A schedule shaped by hand: it cannot stop falling, is kept under a name, and makes the next picture.

use eframe::egui::Key;
use egui_kittest::kittest::Queryable;
use flowline::laboratory::schedules::{NamedSchedules, read_sigmas};
use flowline_sampler::Schedule;
use flowline_sampler::catalog::{Choice, Plan, Schedules};

use super::Laboratory;

/// The sigmas of the next picture, which the window is asked to make.
fn used(laboratory: &mut Laboratory) -> Vec<f64> {
    laboratory.window.click("Use for the next picture");
    assert!(laboratory.window.shows("by hand"), "the page of pictures says so");
    laboratory.window.type_into("Prompt", "a red house");
    laboratory.window.click("Make picture");
    laboratory.window.jobs().last().unwrap().draft.sigmas.clone().unwrap()
}

#[test]
fn any_schedule_of_the_catalogue_can_be_begun_with() {
    let mut laboratory = Laboratory::at("Schedule editor");
    laboratory.window.set("Steps", 5.0);
    laboratory.window.choose("Schedule", "karras");
    let plan = Plan { steps: 5, image_tokens: 4096 };
    let karras = Schedules::builtin().build(&Choice::new("karras"), plan).unwrap();
    assert_eq!(used(&mut laboratory), karras.sigmas());
}

#[test]
fn a_point_moves_between_its_neighbours_and_no_further() {
    let mut laboratory = Laboratory::at("Schedule editor");
    laboratory.window.set("Steps", 4.0);
    laboratory.window.choose("Schedule", "uniform");
    laboratory.window.set("Point", 2.0);
    laboratory.window.set("Sigma", 0.6);
    laboratory.window.set("Point", 3.0);
    laboratory.window.set("Sigma", 0.99);
    let sigmas = used(&mut laboratory);
    assert_eq!([sigmas[0], sigmas[1], sigmas[2], sigmas[4]], [1.0, 0.75, 0.6, 0.0]);
    assert!(sigmas[3] < 0.6 && sigmas[3] > 0.599, "{sigmas:?}");
    assert!(Schedule::explicit(sigmas).is_ok());
}

#[test]
fn points_are_dragged_with_the_pointer() {
    let mut laboratory = Laboratory::at("Schedule editor");
    laboratory.window.set("Steps", 4.0);
    laboratory.window.choose("Schedule", "uniform");
    let harness = &mut laboratory.window.harness;
    let chart = harness.get_by_label("Sigma curve").rect();
    // The middle point of a straight line is in the middle of the chart.
    let (from, to) = (chart.center(), chart.center() - eframe::egui::vec2(0.0, chart.height() / 10.0));
    harness.hover_at(from);
    harness.run();
    harness.drag_at(from);
    harness.run();
    harness.hover_at(from.lerp(to, 0.5));
    harness.run();
    harness.hover_at(to);
    harness.run();
    harness.drop_at(to);
    harness.run();
    let sigmas = used(&mut laboratory);
    assert!(sigmas[2] > 0.55 && sigmas[2] < 0.75, "{sigmas:?}");
    assert_eq!([sigmas[1], sigmas[3]], [0.75, 0.25], "the others stay");
}

#[test]
fn points_are_moved_by_arrow_keys() {
    let mut laboratory = Laboratory::at("Schedule editor");
    laboratory.window.set("Steps", 4.0);
    laboratory.window.choose("Schedule", "uniform");
    laboratory.window.set("Point", 1.0);
    let harness = &mut laboratory.window.harness;
    harness.get_by_label("Sigma curve").focus();
    harness.run();
    for key in [Key::ArrowRight, Key::ArrowUp, Key::ArrowUp, Key::ArrowRight, Key::ArrowRight, Key::ArrowDown] {
        harness.key_press(key);
        harness.run();
    }
    let sigmas = used(&mut laboratory);
    for (found, wanted) in sigmas.iter().zip([1.0, 0.75, 0.52, 0.24, 0.0]) {
        assert!((found - wanted).abs() < 1e-9, "{sigmas:?}");
    }
}

#[test]
fn what_is_kept_under_a_name_can_be_begun_with_again_and_nothing_replaces_it() {
    let mut laboratory = Laboratory::at("Schedule editor");
    laboratory.window.set("Steps", 3.0);
    laboratory.window.choose("Schedule", "uniform");
    laboratory.window.set("Point", 1.0);
    laboratory.window.set("Sigma", 0.9);
    laboratory.window.type_into("Name", "early");
    laboratory.window.click("Keep");
    laboratory.until_shows("Kept as");
    let file = laboratory.folder.path().join("early.txt");
    let kept = read_sigmas(&file).unwrap();
    assert_eq!((kept.len(), kept[1]), (4, 0.9));
    laboratory.until(|window| window.is_enabled("Keep"));
    laboratory.window.click("Keep");
    laboratory.until_shows("There is a schedule named 'early' already");
    laboratory.window.click("Start over");
    laboratory.window.choose("Kept", "early");
    laboratory.until_shows("This is 'early'");
    assert_eq!(used(&mut laboratory), kept);
}

#[test]
fn files_that_are_no_schedules_are_told_and_change_nothing() {
    let mut laboratory = Laboratory::at("Schedule editor");
    let folder = NamedSchedules::of(laboratory.folder.path().to_owned());
    folder.keep("good", &[1.0, 0.0]).unwrap();
    std::fs::write(laboratory.folder.path().join("bad.txt"), "no numbers").unwrap();
    laboratory.window.type_into("Name", "another");
    laboratory.window.click("Keep");
    laboratory.until(|window| window.shows("Kept as") && window.is_enabled("Keep"));
    laboratory.window.choose("Kept", "bad");
    laboratory.until_shows("holds no list of sigmas");
    assert_eq!(used(&mut laboratory).len(), 13, "the curve is as it was");
}

#[test]
fn the_models_own_schedule_comes_back_with_a_click() {
    let mut laboratory = Laboratory::at("Schedule editor");
    used(&mut laboratory);
    laboratory.window.click("Use the model's own schedule");
    assert!(!laboratory.window.shows("by hand"));
    assert_eq!(laboratory.window.value("Schedule"), "the model's own");
}
