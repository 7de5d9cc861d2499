//! The laboratory's page, its work on the threads that really do it.

mod compare;
mod playground;
mod schedule;
mod scrubber;
mod verify;

use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use egui_kittest::kittest::{NodeT, Queryable};
use flowline::Registry;
use flowline::desktop::laboratory::Surroundings;
use flowline::engine::Event;
use flowline::laboratory::schedules::NamedSchedules;
use tempfile::TempDir;

use crate::stand_in::offer;
use crate::window::Window;

/// Longer than the slowest machine takes for anything here.
const PATIENCE: Duration = Duration::from_secs(120);

/// A window that shows the laboratory.
pub struct Laboratory {
    pub window: Window,
    woken: Receiver<()>,
    /// Where its schedules are kept.
    pub folder: TempDir,
}

impl Laboratory {
    /// The bench behind the tab `bench`.
    pub fn at(bench: &str) -> Self {
        Self::offering(bench, Registry::builtin())
    }

    /// The same with these samplers and schedules.
    pub fn offering(bench: &str, registry: Registry) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (wake, woken) = mpsc::channel();
        let wake = Mutex::new(wake);
        let waker = Arc::new(move || drop(wake.lock().map(|wake| wake.send(()))));
        let schedules = Ok(NamedSchedules::of(folder.path().to_owned()));
        let surroundings = Surroundings { registry, schedules, waker };
        let mut window = Window::opening_with(|app| app.with_laboratory(surroundings));
        window.say([Event::Ready(Arc::new(offer()))]);
        window.click("Laboratory");
        let mut laboratory = Self { window, woken, folder };
        if bench != "Playground" {
            laboratory.window.click(bench);
        }
        laboratory
    }

    /// Waits until the window shows this.
    pub fn until(&mut self, shown: impl Fn(&Window) -> bool) {
        loop {
            self.window.harness.step();
            if shown(&self.window) {
                return;
            }
            self.woken.recv_timeout(PATIENCE).expect("what is waited for never comes");
        }
    }

    /// Waits until the window shows this text.
    pub fn until_shows(&mut self, text: &str) {
        self.until(|window| window.shows(text));
    }

    /// The names of all pictures and charts that begin like this.
    pub fn drawings(&self, begin: &str) -> Vec<String> {
        let nodes = self.window.harness.query_all_by_label_contains(begin);
        nodes.filter_map(|node| node.accesskit_node().label()).filter(|label| label.starts_with(begin)).collect()
    }
}

#[test]
fn every_bench_is_reached_by_keyboard_alone() {
    use eframe::egui::{Key, Modifiers};
    let mut laboratory = Laboratory::at("Playground");
    laboratory.until_shows("The flow: straightness");
    let window = &mut laboratory.window;
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Num1);
    window.harness.run();
    assert!(window.shows("Make picture"));
    window.harness.key_press_modifiers(Modifiers::COMMAND, Key::Num3);
    window.harness.run();
    for (bench, shows) in
        [("Verify", "Prove all samplers"), ("Schedule editor", "Point in hand"), ("Playground", "The flow")]
    {
        window.harness.get_by_label(bench).focus();
        window.harness.run();
        window.harness.key_press(Key::Enter);
        window.harness.run();
        assert!(window.shows(shows), "{bench}");
    }
}
