//! Particles in the plane: at once, without a model, at any moment of their way.

use eframe::egui::Key;
use egui_kittest::kittest::Queryable;

use super::Laboratory;

/// Waits until the panels stand there, and returns what is said of them.
fn panels(laboratory: &mut Laboratory) -> Vec<String> {
    laboratory.until_shows("The flow: straightness");
    ["Independent pairs:", "The flow:", "Rectified pairs:"].iter().flat_map(|name| laboratory.drawings(name)).collect()
}

/// The last number of a text.
fn figure(text: &str) -> f64 {
    text.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn it_shows_how_rectified_pairs_cross_less_before_anything_was_asked() {
    let mut laboratory = Laboratory::at("Playground");
    let told = panels(&mut laboratory);
    assert_eq!(told.len(), 3, "{told:?}");
    let [independent, rectified] = [&told[0], &told[2]].map(|text| figure(text));
    assert!(independent > 0.1 && rectified < independent / 3.0, "{told:?}");
}

#[test]
fn other_data_and_another_sampler_are_carried_as_soon_as_they_are_chosen() {
    let mut laboratory = Laboratory::at("Playground");
    let before = panels(&mut laboratory);
    laboratory.window.choose("Field", "grid");
    let first = before.clone();
    laboratory.until(move |window| !first.iter().all(|told| window.shows(told)));
    let grid = panels(&mut laboratory);
    assert_ne!(grid, before);
    // One step is a straight line for every particle.
    laboratory.window.set("Steps", 1.0);
    laboratory.until_shows("The flow: straightness 1.00");
    assert!(laboratory.window.shows("of 1  ·  sigma"));
}

#[test]
fn it_plays_to_the_end_rests_there_and_begins_again() {
    let mut laboratory = Laboratory::at("Playground");
    panels(&mut laboratory);
    let window = &mut laboratory.window;
    window.harness.get_by_label("Play").click();
    window.harness.step();
    window.harness.step();
    assert!(window.shows("Pause"), "it is playing");
    // The harness's own clock runs by frames.
    let mut frames = 0;
    while window.shows("Pause") {
        window.harness.step();
        frames += 1;
        assert!(frames < 2000, "it never arrives");
    }
    window.harness.run();
    assert!(window.shows("step 24.0 of 24  ·  sigma 0.00"));
    window.harness.get_by_label("Play").click();
    window.harness.step();
    window.harness.step();
    assert!(window.shows("step 0."), "it begins again");
    window.harness.get_by_label("Pause").click();
    window.harness.run();
    assert!(window.shows("Play"), "it rests");
}

#[test]
fn nothing_is_painted_by_the_clock_while_it_rests() {
    let mut laboratory = Laboratory::at("Playground");
    panels(&mut laboratory);
    // Settles only if no repaint is asked for.
    laboratory.window.harness.run();
}

#[test]
fn the_slider_moves_by_whole_steps_from_the_keyboard() {
    let mut laboratory = Laboratory::at("Playground");
    panels(&mut laboratory);
    let window = &mut laboratory.window;
    window.harness.get_by_label("Step").focus();
    window.harness.run();
    window.harness.key_press(Key::ArrowRight);
    window.harness.run();
    assert!(window.shows("step 15.0 of 24"));
    window.set("Step", 24.0);
    assert!(window.shows("sigma 0.00"));
}
