//! The window in front of a fake engine and a fake library.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use eframe::egui::accesskit::Toggled;
use eframe::egui::{Key, Modifiers, OutputCommand};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use flowline::desktop::App;
use flowline::engine;
use flowline::library::keeper::{Backend, Command, Event, Opened, Unpacked};
use flowline::library::{About, Content, Entry, File, Found, Query};
use flowline::record::Record;
use image::{Rgb, RgbImage};

use crate::sample::file::{read, written};
use crate::sample::request;
use crate::stand_in::offer;

/// An engine that offers a model and makes nothing.
struct Engine(RefCell<Vec<engine::Event>>);

impl engine::Backend for Engine {
    fn send(&self, _: engine::Command) {}

    fn events(&self) -> Vec<engine::Event> {
        self.0.take()
    }
}

/// A library that does nothing by itself.
#[derive(Default)]
pub struct Fake {
    pub heard: RefCell<Vec<Command>>,
    says: RefCell<Vec<Event>>,
}

impl Backend for Fake {
    fn send(&self, command: Command) {
        self.heard.borrow_mut().push(command);
    }

    fn events(&self) -> Vec<Event> {
        self.says.take()
    }
}

/// The window, its library's page open.
pub struct Window {
    pub harness: Harness<'static, App>,
    pub library: Rc<Fake>,
}

impl Window {
    /// A library of so many pictures: `picture 0` is the newest.
    pub fn of(count: usize) -> Self {
        let library = Rc::new(Fake::default());
        let keeper = Rc::clone(&library);
        let engine = Engine(RefCell::new(vec![engine::Event::Ready(Arc::new(offer()))]));
        let harness = Harness::builder().with_size([1280.0, 800.0]).build_eframe(move |creation| {
            App::new(&creation.egui_ctx, engine, Box::new(|_| Ok(()))).with_library(keeper)
        });
        let mut window = Self { harness, library };
        window.click("Library");
        window.say(Event::Found(found(count)));
        window
    }

    pub fn say(&mut self, event: Event) {
        self.library.says.borrow_mut().push(event);
        self.harness.run();
    }

    /// Opens a picture as the keyboard does, and lets it be read.
    pub fn opened(place: usize, count: usize, opened: Opened) -> Self {
        let mut window = Self::of(count);
        window.key(Key::Home);
        for _ in 0..place {
            window.key(Key::ArrowRight);
        }
        window.key(Key::Enter);
        window.say(Event::Opened(path(place), Box::new(opened)));
        window
    }

    pub fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.run();
    }

    pub fn key(&mut self, key: Key) {
        self.keys(Modifiers::NONE, key);
    }

    pub fn keys(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run();
    }

    pub fn type_into(&mut self, label: &str, text: &str) {
        self.harness.get_by_label(label).focus();
        self.harness.run();
        self.harness.get_by_label(label).type_text(text);
        self.harness.run();
    }

    pub fn choose(&mut self, list: &str, option: &str) {
        self.click(list);
        self.harness.get_all_by_label(option).last().expect("it is listed").click();
        self.harness.run();
    }

    pub fn shows(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }

    pub fn is_enabled(&self, label: &str) -> bool {
        !self.harness.get_by_label(label).accesskit_node().is_disabled()
    }

    /// The names of the selected pictures that are on the screen.
    pub fn selected(&self) -> Vec<String> {
        let all = self.harness.query_all_by_label_contains("picture ");
        let chosen = all.filter(|node| node.accesskit_node().toggled() == Some(Toggled::True));
        chosen.filter_map(|node| node.accesskit_node().label()).collect()
    }

    /// What was asked of the library since the last call, thumbnails aside.
    pub fn asked(&self) -> Vec<Command> {
        let heard = self.library.heard.take();
        heard.into_iter().filter(|command| !matches!(command, Command::Thumbnails(_))).collect()
    }

    /// The thumbnails that were asked for last.
    pub fn wanted(&self) -> Vec<File> {
        let heard = self.library.heard.borrow();
        let wanted = heard.iter().rev().find_map(|command| match command {
            Command::Thumbnails(files) => Some(files.clone()),
            _ => None,
        });
        wanted.unwrap_or_default()
    }

    /// Clicks, and returns what the window asked of the system.
    pub fn copied_by(&mut self, label: &str) -> String {
        self.harness.get_by_label(label).click();
        for _ in 0..4 {
            self.harness.step();
            for command in &self.harness.output().platform_output.commands {
                if let OutputCommand::CopyText(text) = command {
                    return text.clone();
                }
            }
        }
        String::new()
    }
}

/// The place of a picture's file.
pub fn path(place: usize) -> PathBuf {
    format!("/pictures/picture-{place:05}.png").into()
}

/// What a search for everything finds.
pub fn found(count: usize) -> Found {
    let entries: Vec<Arc<Entry>> = (0..count).map(|place| Arc::new(entry(place))).collect();
    Query::default().find(&entries, SystemTime::UNIX_EPOCH)
}

pub fn entry(place: usize) -> Entry {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - place as u64);
    static RECORD: LazyLock<Record> = LazyLock::new(|| record(""));
    let mut record = RECORD.clone();
    record.draft.prompt = format!("picture {place}");
    let about = About::new(&record);
    Entry { file: File { path: path(place), bytes: 1000, modified }, starred: false, content: Content::Picture(about) }
}

/// A record of ours.
pub fn record(prompt: &str) -> Record {
    read(&written(&request(prompt))).unwrap()
}

/// A picture of this size, with this record.
pub fn opened(record: Record, (width, height): (u32, u32)) -> Opened {
    let full = Arc::new(RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 128])));
    let small = Arc::new(flowline::library::thumbnail::fit(&full, 2048));
    Opened { record: Ok(record), pixels: Ok(Unpacked { full, small }) }
}
