//! The window. A frame is: poll the engine, draw the panels, apply what they return.
//!
//! [`state::State`] is all there is to show, as plain data. Panels, one a file, read it and return [`Action`]s;
//! `App::apply` alone changes it and speaks to the engine, through [`Backend`]. Nothing here touches a tensor or waits
//! for anything. The window is painted when something happened, never by the clock.

mod canvas;
mod controls;
mod create;
pub mod gallery;
pub mod kept;
pub mod laboratory;
mod messages;
mod models_panel;
pub mod page;
pub mod preferences;
mod preferences_page;
mod presets;
mod progress;
mod prompt;
pub mod queue_panel;
mod result;
pub mod settings;
mod settings_panel;
mod shortcuts;
pub mod state;
mod system;
mod taken_over;
mod theme;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use eframe::egui::{self, Key, KeyboardShortcut, Modifiers};
use flowline_model::weights::hub::Hub;

use crate::Registry;
use crate::command::command_line;
use crate::engine::{Backend, Command, Ending, Event, Progress};
use crate::error::Result;
use crate::library::default_folder;
use crate::queue::Ask;
use create::Create;
use gallery::Gallery;
use kept::{Kept, Store};
use laboratory::{Laboratory, Surroundings};
use page::Page;
use preferences::Preferences;
use preferences_page::{Known, PreferencesPage};
use settings::{Settings, nearest_side};
use state::State;
pub use system::run;
use theme::GRID;

/// The keys that make a picture.
const MAKE: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Enter);
/// The keys that finish a picture with the best so far.
const STOP: KeyboardShortcut = KeyboardShortcut::new(Modifiers::COMMAND, Key::Period);

/// What a panel asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Show this page.
    Page(Page),
    /// The prompt was changed.
    Prompt(String),
    /// The preferences were changed.
    Prefer(Box<Preferences>),
    /// Keep this token of the Hub's; an empty one takes away what is kept.
    KeepToken(String),
    /// Show the sheet of keys, or no longer.
    Shortcuts(bool),
    /// Keep the settings under this name.
    KeepPreset(String),
    /// Set everything as it was kept under this name.
    UsePreset(String),
    /// Take what was kept under this name away.
    RemovePreset(String),
    /// A prompt that the model thinks of.
    Surprise,
    /// The settings were changed.
    Settings(Box<Settings>),
    /// A new random seed.
    RollSeed,
    /// Use this model, or look at what it takes to have it.
    Model(String),
    /// Fetch this model.
    Fetch(String),
    /// Stop fetching.
    StopFetching,
    /// Make a picture.
    Make,
    /// End what is being made.
    End(Ending),
    /// Something about the queue.
    Queue(queue_panel::Action),
    /// Open the picture's folder and copy its path.
    ShowPlace,
    /// Put the picture on the clipboard.
    CopyPicture,
    /// Put the command that makes it again on the clipboard.
    CopyCommand,
    /// A path for a copy, being typed.
    CopyTo(String),
    /// Save a copy to this path.
    SaveCopy(String),
    /// No copy after all.
    CancelCopy,
    /// The messages were read.
    Dismiss,
    /// Something on the library's page.
    Gallery(gallery::Action),
    /// Something in the laboratory.
    Laboratory(laboratory::Action),
}

/// Something to do one time only.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Once {
    /// Not done yet.
    #[default]
    Due,
    /// Done.
    Done,
}

impl Once {
    /// Whether to do it now.
    fn take(&mut self) -> bool {
        std::mem::replace(self, Self::Done) == Self::Due
    }
}

/// Opens a folder in the system's file manager.
pub type OpenFolder = Box<dyn Fn(&Path) -> Result<()>>;

/// The window's program.
pub struct App {
    state: State,
    page: Page,
    /// Whether the sheet of keys is open.
    shortcuts: bool,
    create: Create,
    gallery: Gallery,
    preferences: PreferencesPage,
    laboratory: Laboratory,
    kept: Kept,
    /// Where that is kept; `None` where nothing is.
    store: Option<Store>,
    /// The Hub as this user has it.
    hub: Hub,
    /// Where pictures go unless the user says otherwise.
    pictures: String,
    backend: Box<dyn Backend>,
    open_folder: OpenFolder,
}

impl App {
    /// The program in front of `backend`.
    pub fn new(ctx: &egui::Context, backend: impl Backend + 'static, open_folder: OpenFolder) -> Self {
        theme::install(ctx);
        Self {
            state: State::default(),
            page: Page::default(),
            shortcuts: false,
            create: Create::default(),
            gallery: Gallery::new(gallery::Nobody),
            preferences: PreferencesPage::default(),
            laboratory: Laboratory::new(Surroundings::usual(ctx, Registry::builtin())),
            kept: Kept::default(),
            store: None,
            hub: Hub::default(),
            pictures: default_folder().path.display().to_string(),
            backend: Box::new(backend),
            open_folder,
        }
    }

    /// The same, with what `registry` offers in its laboratory.
    #[must_use]
    pub fn offering(mut self, ctx: &egui::Context, registry: Registry) -> Self {
        self.laboratory = Laboratory::new(Surroundings::usual(ctx, registry));
        self
    }

    /// The same, with this laboratory.
    #[must_use]
    pub fn with_laboratory(mut self, surroundings: Surroundings) -> Self {
        self.laboratory = Laboratory::new(surroundings);
        self
    }

    /// The same program as it was left: with what `file` remembers, which is kept from now on.
    #[must_use]
    pub fn remembering(mut self, ctx: &egui::Context, file: PathBuf) -> Self {
        let (store, kept, failure) = Store::open(file);
        self.state.prompt.clone_from(&kept.prompt);
        self.state.restore = kept.model.clone().zip(kept.settings.clone());
        (self.store, self.kept) = (Some(store), kept);
        if let Some(failure) = failure {
            self.state.fail(&failure);
        }
        self.prefer(ctx);
        self
    }

    /// The same program with a library that `keeper` keeps.
    #[must_use]
    pub fn with_library(mut self, keeper: impl crate::library::keeper::Backend + 'static) -> Self {
        self.gallery = Gallery::new(keeper);
        self
    }

    /// The library's page.
    pub fn gallery(&self) -> &Gallery {
        &self.gallery
    }

    /// The same program with the user's Hub, whose token may be changed.
    #[must_use]
    pub fn with_hub(self, hub: Hub) -> Self {
        Self { hub, ..self }
    }

    /// Puts the preferences in place.
    fn prefer(&self, ctx: &egui::Context) {
        let preferences = &self.kept.preferences;
        ctx.set_theme(preferences.theme);
        ctx.set_zoom_factor(preferences.scale());
        let chosen = preferences.pictures.iter().cloned();
        self.gallery.keep(std::iter::once(default_folder().path).chain(chosen).collect());
    }

    /// Writes down what should be remembered, if it is news.
    fn remember(&mut self, ctx: &egui::Context) {
        let Some(store) = &mut self.store else { return };
        // The scale is also changed by egui's own keys.
        self.kept.preferences.scale = ctx.zoom_factor();
        self.kept.prompt.clone_from(&self.state.prompt);
        if let (Some(settings), Some(offer)) = (&self.state.settings, &self.state.offer) {
            (self.kept.model, self.kept.settings) = (Some(offer.model.clone()), Some(settings.saved()));
        }
        store.keep(&self.kept);
    }

    /// What the window shows.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes in what the engine has said.
    fn poll(&mut self, ctx: &egui::Context) {
        self.gallery.poll(ctx);
        for event in self.backend.events() {
            if matches!(event, Event::Picture(..)) {
                self.gallery.look();
            }
            if let Some(model) = self.state.fetched(&event) {
                self.backend.send(Command::Open(model));
            }
            if let Event::Laboratory(told) = event {
                self.laboratory.hear(told);
                continue;
            }
            if let Some(shown) = self.state.hear(event) {
                self.create.take(ctx, shown, self.state.work.as_ref());
            }
        }
    }

    /// Draws everything and returns what was asked for.
    fn draw(&mut self, ui: &mut egui::Ui) -> Vec<Action> {
        let mut actions = Vec::new();
        if shortcuts::asked(ui) {
            actions.push(Action::Shortcuts(!self.shortcuts));
        }
        if self.shortcuts && !shortcuts::show(ui) {
            actions.push(Action::Shortcuts(false));
        }
        let palette = theme::of(ui);
        let rail = egui::Frame::new().fill(palette.panel).inner_margin(egui::Margin::symmetric(0, GRID as i8));
        egui::Panel::left("rail").exact_size(page::RAIL).resizable(false).frame(rail).show(ui, |ui| {
            page::rail(ui, self.page, &mut actions);
        });
        if self.page != Page::Create && (!self.state.messages.is_empty() || self.state.note.is_some()) {
            let foot = egui::Frame::new().fill(palette.panel).inner_margin(egui::Margin::same(2 * GRID as i8));
            egui::Panel::bottom("notes").resizable(false).frame(foot).show(ui, |ui| {
                messages::show(ui, &self.state, &mut actions);
                if let Some(note) = &self.state.note {
                    ui.weak(note);
                }
            });
        }
        match self.page {
            Page::Settings => {
                let known = Known { pictures: &self.pictures, token: self.hub.has_token() };
                self.preferences.show(ui, &self.kept.preferences, &known, &mut actions);
            }
            Page::Create => {
                let shown = create::Shown { state: &self.state, kept: &self.kept };
                self.create.show(ui, shown, &mut actions);
            }
            Page::Library => self.gallery.page(ui, &mut actions),
            Page::Laboratory => {
                let mut asked = Vec::new();
                self.laboratory.show(ui, &self.state, &mut asked);
                actions.extend(asked.into_iter().map(Action::Laboratory));
            }
        }
        actions
    }

    /// Does what was asked for: the only place that changes the state or speaks to the engine.
    fn apply(&mut self, ctx: &egui::Context, action: Action) {
        let state = &mut self.state;
        match action {
            Action::Page(page) => {
                self.page = page;
                self.gallery.look();
                state.note = None;
            }
            Action::Prompt(prompt) => state.prompt = prompt,
            Action::Prefer(preferences) => {
                self.kept.preferences = *preferences;
                self.prefer(ctx);
            }
            Action::KeepToken(token) => {
                state.note = Some(if token.is_empty() { "Token taken away" } else { "Token kept" }.into());
                if let Err(error) = self.hub.keep_token(&token) {
                    state.note = None;
                    state.fail(&error.into());
                }
            }
            Action::Shortcuts(open) => self.shortcuts = open,
            Action::KeepPreset(name) => {
                if let Some(settings) = &state.settings {
                    self.kept.presets.insert(name, settings.saved());
                }
            }
            Action::UsePreset(name) => {
                if let (Some(saved), Some(settings), Some(offer)) =
                    (self.kept.presets.get(&name), state.settings.clone(), &state.offer)
                {
                    state.settings = Some(settings.with(saved, offer));
                }
            }
            Action::RemovePreset(name) => drop(self.kept.presets.remove(&name)),
            Action::Surprise => {
                let reader = state.offer.as_ref().and_then(|offer| offer.reader.as_ref());
                if let Some(prompt) = reader.and_then(|reader| reader.0.surprise(settings::random())) {
                    state.prompt = prompt;
                }
            }
            Action::Settings(settings) => {
                let multiple = state.offer.as_ref().map_or(1, |offer| offer.size_multiple);
                let (width, height) = (nearest_side(settings.width, multiple), nearest_side(settings.height, multiple));
                state.settings = Some(Settings { width, height, ..*settings });
            }
            Action::RollSeed => {
                if let Some(settings) = &mut state.settings {
                    settings.seed.roll();
                }
            }
            Action::Model(name) => {
                if state.choose(name.clone()) {
                    self.backend.send(Command::Open(name));
                }
            }
            Action::Fetch(name) => {
                state.fetch = Some((name.clone(), Progress::default()));
                self.backend.send(Command::Fetch(name));
            }
            Action::StopFetching => {
                state.stopping_fetch = true;
                self.backend.send(Command::StopFetching);
            }
            // What was typed in the same moment may have brought an obstacle, or taken it away.
            Action::Make if state.obstacle().is_some() => {}
            Action::Make => {
                self.kept.used(&state.prompt);
                let job = state.job();
                state.begin();
                self.backend.send(Command::Make(job));
            }
            Action::Queue(queue_panel::Action::Ask(ask)) => self.backend.send(Command::Queue(ask)),
            Action::Queue(queue_panel::Action::Four) => {
                self.kept.used(&state.prompt);
                self.backend.send(Command::Queue(Ask::Add(state.four())));
            }
            Action::End(ending) => {
                if let Some(job) = state.end(ending) {
                    self.backend.send(Command::End(job, ending));
                }
            }
            Action::ShowPlace => self.show_place(ctx),
            Action::CopyPicture => {
                if let Some(finished) = &state.picture {
                    ctx.copy_image(canvas::color_image(&finished.picture.image));
                    state.note = Some("Picture copied".into());
                }
            }
            Action::CopyCommand => {
                if let Some(finished) = &state.picture {
                    ctx.copy_text(command_line(&finished.picture.request));
                    state.note = Some("Command copied".into());
                }
            }
            Action::CopyTo(path) => {
                if state.copy_to.replace(path).is_none() {
                    self.create.focus_copy();
                }
            }
            Action::SaveCopy(path) => {
                state.copy_to = None;
                if let Some(finished) = &state.picture {
                    let (picture, path) = (Arc::clone(&finished.picture), self.place(&path));
                    self.backend.send(Command::SaveCopy { picture, path });
                }
            }
            Action::CancelCopy => state.copy_to = None,
            Action::Dismiss => state.messages.clear(),
            Action::Gallery(gallery::Action::Use(draft, which)) => {
                taken_over::take_over(state, &draft, which);
                self.page = Page::Create;
            }
            Action::Gallery(action) => self.gallery.apply(ctx, action),
            Action::Laboratory(laboratory::Action::UseSigmas(sigmas)) => {
                if let Some(settings) = &mut state.settings {
                    settings.follow(sigmas);
                    self.page = Page::Create;
                }
            }
            Action::Laboratory(laboratory::Action::Make(job)) => {
                state.begin();
                self.backend.send(Command::Make(job));
                self.page = Page::Create;
            }
            Action::Laboratory(action) => {
                if let Some(ask) = self.laboratory.apply(action, &state.job()) {
                    self.backend.send(Command::Laboratory(ask));
                }
            }
        }
    }

    fn show_place(&mut self, ctx: &egui::Context) {
        let Some(path) = self.state.picture.as_ref().and_then(|finished| finished.path.as_ref()) else { return };
        ctx.copy_text(path.display().to_string());
        let opened = (self.open_folder)(path.parent().unwrap_or(path));
        self.state.note = Some("Path copied".into());
        if let Err(failure) = opened {
            self.state.fail(&failure);
        }
    }

    /// A typed path: `~` is the home folder, and a bare name goes beside the picture.
    fn place(&self, typed: &str) -> PathBuf {
        let typed = typed.trim();
        let home = typed.strip_prefix("~/").and_then(|rest| dirs::home_dir().map(|home| home.join(rest)));
        let path = home.unwrap_or_else(|| PathBuf::from(typed));
        let beside = self.state.picture.as_ref().and_then(|finished| finished.path.as_ref()?.parent());
        match beside {
            Some(folder) => folder.join(path),
            None => path,
        }
    }
}

impl eframe::App for App {
    /// Also called while the window is hidden, so that nothing piles up.
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        self.poll(ctx);
        if ctx.input(|input| input.events.contains(&egui::Event::WindowFocused(true))) {
            // Another window may have changed the queue meanwhile.
            self.backend.send(Command::Queue(Ask::Look));
        }
        if self.page == Page::Laboratory {
            self.laboratory.poll(ctx);
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        let actions = self.draw(ui);
        let ctx = ui.ctx().clone();
        if !actions.is_empty() {
            // What was drawn shows the state before them.
            ctx.request_repaint();
        }
        for action in actions {
            self.apply(&ctx, action);
        }
        self.remember(&ctx);
    }
}
