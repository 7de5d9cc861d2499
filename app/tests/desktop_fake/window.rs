//! The window in front of a fake engine.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use eframe::egui::{Key, Modifiers, OutputCommand};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use flowline::desktop::App;
use flowline::engine::{Backend, Command, Ending, Event, Job};
use flowline::queue::{Ask, JobId};
use flowline_model::weights::hub::Hub;
use flowline_model::{Event as Made, Outcome};

use crate::stand_in::{offer, picture, request};

/// An engine that does nothing by itself.
#[derive(Default)]
pub struct Fake {
    pub heard: RefCell<Vec<Command>>,
    pub says: RefCell<Vec<Event>>,
    pub opened: RefCell<Vec<PathBuf>>,
}

impl Backend for Fake {
    fn send(&self, command: Command) {
        self.heard.borrow_mut().push(command);
    }

    fn events(&self) -> Vec<Event> {
        self.says.take()
    }
}

/// The window and the engine behind it.
pub struct Window {
    pub harness: Harness<'static, App>,
    pub engine: Rc<Fake>,
}

impl Window {
    /// A window whose model is not open yet.
    pub fn opening() -> Self {
        Self::opening_with(|app| app)
    }

    /// The same, of a program that is set up further.
    pub fn opening_with(set_up: impl FnOnce(App) -> App + 'static) -> Self {
        let engine = Rc::new(Fake::default());
        let (backend, opener) = (Rc::clone(&engine), Rc::clone(&engine));
        let open_folder = move |folder: &Path| {
            opener.opened.borrow_mut().push(folder.to_owned());
            Ok(())
        };
        let harness = Harness::builder()
            .with_size([1120.0, 760.0])
            .build_eframe(move |creation| set_up(App::new(&creation.egui_ctx, backend, Box::new(open_folder))));
        Self { harness, engine }
    }

    /// The window of a user with this home, as it was left.
    pub fn of(home: &Path) -> Self {
        let engine = Rc::new(Fake::default());
        let (backend, file) = (Rc::clone(&engine), home.join("window.json"));
        let hub = Hub::from_surroundings(|_| None, Some(home));
        let harness = Harness::builder().with_size([1120.0, 760.0]).build_eframe(move |creation| {
            let app = App::new(&creation.egui_ctx, backend, Box::new(|_| Ok(())));
            app.with_hub(hub).remembering(&creation.egui_ctx, file)
        });
        Self { harness, engine }
    }

    /// A window ready to make pictures.
    pub fn ready() -> Self {
        let mut window = Self::opening();
        window.say([Event::Ready(Arc::new(offer()))]);
        window
    }

    /// A window with a prompt.
    pub fn with_prompt(prompt: &str) -> Self {
        let mut window = Self::ready();
        window.type_into("Prompt", prompt);
        window
    }

    /// A window with a finished picture of seed 7.
    pub fn with_picture() -> Self {
        let mut window = Self::with_prompt("a red house");
        window.click("Make picture");
        let request = request("a red house", 7);
        window.say([
            Event::Started(Box::new(request.clone())),
            Event::Picture(picture(&request, (256, 256)), Ok("/pictures/house.png".into())),
            finished(),
        ]);
        window
    }

    pub fn say(&mut self, events: impl IntoIterator<Item = Event>) {
        self.engine.says.borrow_mut().extend(events);
        self.harness.run();
    }

    pub fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.run();
    }

    /// Opens a list and takes one of its options, scrolling to it as a person would.
    pub fn choose(&mut self, list: &str, option: &str) {
        self.click(list);
        self.harness.get_all_by_label(option).last().expect("it is listed").scroll_to_me();
        self.harness.run();
        self.harness.get_all_by_label(option).last().expect("it is listed").click();
        self.harness.run();
    }

    pub fn type_into(&mut self, label: &str, text: &str) {
        self.harness.get_by_label(label).focus();
        self.harness.run();
        self.harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        self.harness.run();
        self.harness.get_by_label(label).type_text(text);
        self.harness.run();
    }

    pub fn set(&mut self, label: &str, value: f64) {
        self.harness.get_by_label(label).set_value_accesskit(value);
        self.harness.run();
    }

    pub fn is_enabled(&self, label: &str) -> bool {
        !self.harness.get_by_label(label).accesskit_node().is_disabled()
    }

    pub fn shows(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }

    pub fn value(&self, label: &str) -> String {
        self.harness.get_by_label(label).value().unwrap_or_default()
    }

    /// The jobs asked for so far.
    pub fn jobs(&self) -> Vec<Job> {
        let job = |command: &Command| match command {
            Command::Make(job) => Some((**job).clone()),
            _ => None,
        };
        self.engine.heard.borrow().iter().filter_map(job).collect()
    }

    /// How the entries at work were asked to end.
    pub fn ends(&self) -> Vec<(JobId, Ending)> {
        let end = |command: &Command| if let Command::End(id, ending) = command { Some((*id, *ending)) } else { None };
        self.engine.heard.borrow().iter().filter_map(end).collect()
    }

    /// What was asked of the queue.
    pub fn asks(&self) -> Vec<Ask> {
        let ask = |command: &Command| if let Command::Queue(ask) = command { Some(ask.clone()) } else { None };
        self.engine.heard.borrow().iter().filter_map(ask).collect()
    }

    /// Clicks, and returns what the window asked of the system.
    pub fn asked_by(&mut self, label: &str) -> Vec<OutputCommand> {
        self.harness.get_by_label(label).click();
        let mut commands = Vec::new();
        for _ in 0..4 {
            self.harness.step();
            commands.append(&mut self.harness.output().platform_output.commands.clone());
        }
        commands
    }
}

pub fn finished() -> Event {
    Event::Made(Made::Finished(Outcome { pictures: 1, ..Outcome::default() }))
}
