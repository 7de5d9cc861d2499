//! The library's page: all pictures as a grid, one of them large, or two compared.
//!
//! [`Gallery`] is all there is to show. Its panels return [`Action`]s; [`Gallery::apply`] alone acts on them and speaks to
//! the keeper of the library, through [`Backend`]. Nothing here reads a file.

mod comparison;
mod facts;
mod foot;
mod grid;
mod picture_page;
mod search_bar;
mod selection;
mod sheet;
mod thumbnails;
mod zoom;

use std::path::{Path, PathBuf};

use eframe::egui::{self, Align, Key, Label, Modifiers, Rect, RichText, Ui, UiBuilder, pos2, vec2};
use flowline_model::{Draft, Request};

use self::comparison::Comparison;
use self::picture_page::{Picture, Shown, Verdict};
pub use self::selection::{Layout, Reach, Selection, Step};
use self::sheet::Sheet;
use self::thumbnails::Thumbnails;
use super::Once;
use super::theme::{self, GRID};
use crate::command::command_line;
use crate::error::Failure;
use crate::library::keeper::{Backend, Command, Event, Star};
use crate::library::{Entry, Found, Query};

/// What the page asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Look for these.
    Search(Query),
    /// A picture of the list was chosen.
    Select(usize, Reach),
    /// The keyboard goes on in the list.
    Step(Step, Reach),
    /// Select all that was found.
    SelectAll,
    /// Select nothing.
    SelectNone,
    /// The keyboard goes to the list.
    FocusGrid,
    /// Show this picture large, wherever it is.
    Open(PathBuf),
    /// Compare two pictures.
    Compare(PathBuf, PathBuf),
    /// Back to where one came from.
    Back,
    /// Give a star or take it away.
    Star(Vec<PathBuf>, Star),
    /// Move pictures to the bin.
    Bin(Vec<PathBuf>),
    /// Bring the last ones back.
    Restore,
    /// A path is being typed.
    Type(Typed),
    /// A path was typed.
    Typed(Typed),
    /// No path after all.
    StopTyping,
    /// Make a picture again and compare.
    Verify(PathBuf),
    /// Put the command that makes it again on the clipboard.
    CopyCommand(Box<Request>),
    /// Put its path on the clipboard.
    CopyPath(PathBuf),
    /// Fill in the next picture from this one: for the page that makes pictures, not for this.
    Use(Box<Draft>, Which),
    /// The messages were read.
    Dismiss,
}

/// What of a picture is used for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Prompt and settings.
    All,
    /// The prompt.
    Prompt,
    /// The seed.
    Seed,
}

/// A path that is typed, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A folder for copies of the selected pictures.
    Export(String),
    /// A picture to look at.
    Open(String),
}

/// What the page shows.
enum View {
    /// All pictures.
    Grid,
    /// One of them.
    Picture(Box<Shown>),
    /// Two of them.
    Comparison(Box<Comparison>),
}

/// Keeps no library.
pub struct Nobody;

impl Backend for Nobody {
    fn send(&self, _: Command) {}

    fn events(&self) -> Vec<Event> {
        Vec::new()
    }
}

/// The library's page.
pub struct Gallery {
    backend: Box<dyn Backend>,
    found: Found,
    /// What is looked for; what was found may still be for the one before.
    query: Query,
    selection: Selection,
    thumbnails: Thumbnails,
    frame: grid::Frame,
    view: View,
    typed: Option<Typed>,
    /// Whether something can be brought back from the bin.
    undo: bool,
    /// How many moves to the bin can be undone.
    moves: usize,
    /// The answer to the last button.
    note: Option<String>,
    failures: Vec<Failure>,
    /// Brings the keyboard to the grid.
    focus_grid: Once,
    /// Puts the cursor into the field for a path.
    focus_typed: Once,
    /// Scrolls to where the keyboard is.
    reveal: Once,
    /// Whether the window had the focus in the last frame.
    focused: bool,
}

impl Gallery {
    /// The page in front of `backend`.
    pub fn new(backend: impl Backend + 'static) -> Self {
        Self {
            backend: Box::new(backend),
            found: Found::default(),
            query: Query::default(),
            selection: Selection::default(),
            thumbnails: Thumbnails::default(),
            frame: grid::Frame::default(),
            view: View::Grid,
            typed: None,
            undo: false,
            moves: 0,
            note: None,
            failures: Vec::new(),
            focus_grid: Once::Due,
            focus_typed: Once::Done,
            reveal: Once::Done,
            focused: true,
        }
    }

    /// What is found now.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// How many pictures the last frame of the grid has drawn.
    pub fn drawn(&self) -> usize {
        self.frame.drawn
    }

    /// How many thumbnails are on the graphics card.
    pub fn held(&self) -> usize {
        self.thumbnails.len()
    }

    /// How many tiles of the picture that is shown large are on the graphics card.
    pub fn tiles(&self) -> usize {
        match &self.view {
            View::Picture(shown) => match &shown.picture {
                Some(Picture { sheet: Ok(sheet), .. }) => sheet.tiles(),
                _ => 0,
            },
            View::Grid | View::Comparison(_) => 0,
        }
    }

    /// The library's folder may have changed: a picture was saved.
    pub fn look(&self) {
        self.backend.send(Command::Look);
    }

    /// Keeps the pictures of these folders from now on.
    pub fn keep(&self, folders: Vec<PathBuf>) {
        self.backend.send(Command::Folders(folders));
    }

    /// Takes in what the keeper has said.
    pub fn poll(&mut self, ctx: &egui::Context) {
        let focused = ctx.input(|input| input.focused);
        if focused && !std::mem::replace(&mut self.focused, focused) {
            // Somebody may have been in the folder meanwhile.
            self.look();
        }
        self.focused = focused;
        for event in self.backend.events() {
            self.hear(ctx, event);
        }
    }

    fn hear(&mut self, ctx: &egui::Context, event: Event) {
        match event {
            Event::Found(found) => {
                let now = |place: usize| {
                    let path = &self.found.entries.get(place)?.file.path;
                    found.entries.iter().position(|entry| entry.file.path == *path)
                };
                self.selection.follow(found.entries.len(), now);
                self.found = found;
            }
            Event::Thumbnail(file, made) => self.thumbnails.take(ctx, file, made),
            Event::Opened(path, opened) => {
                let sheet = opened.pixels.map(|pixels| Sheet::new(ctx, pixels));
                let picture = Picture { record: opened.record, sheet };
                match &mut self.view {
                    View::Picture(shown) if shown.path == path => shown.picture = Some(picture),
                    View::Comparison(two) if two.before.0 == path => two.before.1 = Some(picture),
                    View::Comparison(two) if two.after.0 == path => two.after.1 = Some(picture),
                    // Somebody went on before it was there.
                    _ => {}
                }
            }
            Event::Verified(path, compared) => {
                if let View::Picture(shown) = &mut self.view
                    && shown.path == path
                {
                    shown.verdict = Verdict::Done(compared);
                }
            }
            Event::Binned(0) | Event::Restored(0) => {}
            Event::Binned(count) => {
                self.moves += 1;
                self.undo = true;
                self.note = Some(format!("{} moved to the bin", pictures(count)));
            }
            Event::Restored(count) => {
                self.moves = self.moves.saturating_sub(1);
                self.undo = self.moves > 0;
                self.note = Some(format!("{} brought back", pictures(count)));
            }
            Event::Exported(count, folder) => {
                self.note = Some(format!("{} copied to {}", pictures(count), folder.display()));
            }
            Event::Failed(failure) => {
                if !self.failures.contains(&failure) {
                    self.failures.push(failure);
                }
            }
        }
    }

    /// Draws the page of the window.
    pub fn page(&mut self, ui: &mut Ui, actions: &mut Vec<super::Action>) {
        let mut asked = Vec::new();
        self.show(ui, &mut asked);
        actions.extend(asked.into_iter().map(super::Action::Gallery));
    }

    /// Draws the page.
    pub fn show(&mut self, ui: &mut Ui, actions: &mut Vec<Action>) {
        let dropped = ui.input(|input| input.raw.dropped_files.first().map(|file| file.path().to_owned()));
        actions.extend(dropped.map(Action::Open));
        if !is_typing(ui) && ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Z)) && self.undo {
            actions.push(Action::Restore);
        }
        match &self.view {
            View::Grid => self.show_grid(ui, actions),
            View::Picture(_) => picture_page::show(ui, self, actions),
            View::Comparison(_) => comparison::show(ui, self, actions),
        }
    }

    fn show_grid(&mut self, ui: &mut Ui, actions: &mut Vec<Action>) {
        let palette = theme::of(ui);
        let margin = egui::Margin::symmetric(2 * GRID as i8, GRID as i8);
        let bar = egui::Frame::new().fill(palette.panel).inner_margin(margin);
        egui::Panel::top("library search").resizable(false).frame(bar).show(ui, |ui| {
            search_bar::show(ui, self, actions);
        });
        let bar = egui::Frame::new().fill(palette.panel).inner_margin(margin);
        egui::Panel::bottom("library foot").resizable(false).frame(bar).show(ui, |ui| foot::show(ui, self, actions));
        let margin = egui::Margin { right: GRID as i8, ..egui::Margin::same(2 * GRID as i8) };
        let room = egui::Frame::new().fill(palette.canvas).inner_margin(margin);
        egui::CentralPanel::default().frame(room).show(ui, |ui| {
            let (title, text) = search_bar::nothing(&self.query, self.found.total);
            if self.found.entries.is_empty() && self.found.query == self.query {
                notice(ui, ui.available_rect_before_wrap(), title, text);
            }
            grid::show(ui, self, actions);
        });
    }

    /// Does what was asked for.
    pub fn apply(&mut self, ctx: &egui::Context, action: Action) {
        match action {
            Action::Search(query) => {
                self.query = query.clone();
                self.backend.send(Command::Find(query));
            }
            Action::Select(place, reach) => self.go(|selection, _| selection.go(place, reach)),
            Action::Step(step, reach) => self.go(|selection, layout| selection.step(step, reach, layout)),
            Action::SelectAll => self.go(|selection, layout| selection.all(0..layout.count)),
            Action::SelectNone => self.go(|selection, _| selection.clear()),
            Action::FocusGrid => self.focus_grid = Once::Due,
            Action::Open(path) => self.open(path),
            Action::Compare(before, after) => {
                self.backend.send(Command::Open(before.clone()));
                self.backend.send(Command::Open(after.clone()));
                self.view = View::Comparison(Box::new(Comparison::new(before, after)));
            }
            Action::Back => self.back(),
            Action::Star(paths, star) => {
                self.backend.send(Command::Star(paths, star));
                self.focus_grid = Once::Due;
            }
            Action::Bin(paths) => {
                self.bin(paths);
                self.focus_grid = Once::Due;
            }
            Action::Restore => {
                self.backend.send(Command::Restore);
                self.focus_grid = Once::Due;
            }
            Action::Type(typed) => {
                if self.typed.replace(typed).is_none() {
                    self.focus_typed = Once::Due;
                }
            }
            Action::Typed(Typed::Export(folder)) => {
                self.typed = None;
                self.backend.send(Command::Export(self.chosen(), placed(&folder)));
            }
            Action::Typed(Typed::Open(path)) => {
                self.typed = None;
                self.open(placed(&path));
            }
            Action::StopTyping => {
                self.typed = None;
                self.focus_grid = Once::Due;
            }
            Action::Verify(path) => {
                if let View::Picture(shown) = &mut self.view {
                    shown.verdict = Verdict::Waiting;
                }
                self.backend.send(Command::Verify(path));
            }
            Action::CopyCommand(request) => ctx.copy_text(command_line(&request)),
            Action::CopyPath(path) => ctx.copy_text(path.display().to_string()),
            Action::Dismiss => self.failures.clear(),
            // The page that makes pictures does this.
            Action::Use(..) => {}
        }
    }

    /// Changes the selection and shows where the keyboard is.
    fn go(&mut self, change: impl FnOnce(&mut Selection, Layout)) {
        let layout = Layout { count: self.found.entries.len(), ..self.frame.layout };
        change(&mut self.selection, layout);
        self.reveal = Once::Due;
        self.note = None;
    }

    /// Shows a picture large, as large as the one before.
    fn open(&mut self, path: PathBuf) {
        self.backend.send(Command::Open(path.clone()));
        if let Some(place) = self.place_of(&path) {
            self.selection.go(place, Reach::Only);
        }
        self.view = View::Picture(Box::new(Shown::new(path)));
    }

    fn back(&mut self) {
        let to = match &self.view {
            // From two pictures to the one that was looked at before.
            View::Comparison(two) if self.selection.len() == 1 => Some(two.after.0.clone()),
            _ => None,
        };
        match to {
            Some(path) => self.open(path),
            None => {
                self.view = View::Grid;
                (self.focus_grid, self.reveal) = (Once::Due, Once::Due);
            }
        }
    }

    /// Moves pictures to the bin; the page of one goes on to the next.
    fn bin(&mut self, paths: Vec<PathBuf>) {
        if let View::Picture(shown) = &self.view
            && let Some(place) = self.place_of(&shown.path)
        {
            let next = self.found.entries.get(place + 1).or(self.found.entries.get(place.wrapping_sub(1)));
            match next.map(|entry| entry.file.path.clone()) {
                Some(next) => self.open(next),
                None => self.back(),
            }
        }
        self.backend.send(Command::Bin(paths));
    }

    /// The selected pictures.
    fn chosen(&self) -> Vec<PathBuf> {
        let entries = self.selection.places().filter_map(|place| self.found.entries.get(place));
        entries.map(|entry| entry.file.path.clone()).collect()
    }

    /// What a press on the star does to the selected pictures.
    fn next_star(&self) -> Star {
        let mut entries = self.selection.places().filter_map(|place| self.found.entries.get(place));
        if entries.all(|entry| entry.starred) { Star::Take } else { Star::Give }
    }

    /// Where a picture stands in the list.
    fn place_of(&self, path: &Path) -> Option<usize> {
        self.found.entries.iter().position(|entry| entry.file.path == path)
    }
}

/// What a press on the star does to a picture.
fn opposite(entry: &Entry) -> Star {
    if entry.starred { Star::Take } else { Star::Give }
}

fn pictures(count: usize) -> String {
    if count == 1 { "1 picture".into() } else { format!("{count} pictures") }
}

/// A typed path; `~` is the home folder.
fn placed(typed: &str) -> PathBuf {
    let typed = typed.trim();
    let home = typed.strip_prefix("~/").and_then(|rest| dirs::home_dir().map(|home| home.join(rest)));
    home.unwrap_or_else(|| PathBuf::from(typed))
}

/// Whether the keyboard is in a text field.
fn is_typing(ui: &Ui) -> bool {
    ui.ctx().text_edit_focused()
}

/// Two lines in the middle of an empty room.
fn notice(ui: &mut Ui, room: Rect, title: &str, text: &str) {
    let palette = theme::of(ui);
    let width = (room.width() - 4.0 * GRID).clamp(0.0, 64.0 * GRID);
    let top = pos2(room.center().x - width / 2.0, room.center().y - 6.0 * GRID);
    let place = Rect::from_min_size(top, vec2(width, 12.0 * GRID));
    let middle = egui::Layout::top_down(Align::Center);
    ui.scope_builder(UiBuilder::new().max_rect(place).layout(middle), |ui| {
        ui.add(Label::new(RichText::new(title).color(palette.text).size(18.0)).wrap());
        ui.add(Label::new(RichText::new(text).color(palette.muted)).wrap());
    });
}
