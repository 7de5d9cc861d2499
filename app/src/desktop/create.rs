//! The page where pictures begin: prompt and settings on the left, the picture in the middle, what is known about it below.

use eframe::egui::{self, Ui};

use super::canvas::Canvas;
use super::kept::Kept;
use super::presets::Presets;
use super::queue_panel::QueuePanel;
use super::state::{self, State, Work};
use super::theme::{self, GRID};
use super::{Action, MAKE, Once, messages, models_panel, progress, prompt, result, settings_panel};

/// What the page keeps between two frames that is nobody else's.
#[derive(Default)]
pub struct Create {
    canvas: Canvas,
    prompt: prompt::Editor,
    queue: QueuePanel,
    presets: Presets,
    /// Puts the cursor into the path of a copy.
    focus_copy: Once,
    /// Height of the foot when it was last drawn.
    foot: f32,
}

/// What the page shows.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// What is going on.
    pub state: &'a State,
    /// What is remembered.
    pub kept: &'a Kept,
}

impl Create {
    /// Takes in new pixels, of what is being made.
    pub fn take(&mut self, ctx: &egui::Context, shown: state::Shown, work: Option<&Work>) {
        if let (state::Shown::Picture(picture), Some(id)) = (&shown, work.and_then(|work| work.job)) {
            self.queue.take(ctx, id, &picture.image);
        }
        let request = work.and_then(|work| work.request.as_ref());
        let size = request.map(|request| (request.width, request.height));
        self.canvas.take(ctx, shown, size);
    }

    /// Puts the cursor into the path of a copy when it is drawn next.
    pub fn focus_copy(&mut self) {
        self.focus_copy = Once::Due;
    }

    /// Draws the page.
    pub fn show(&mut self, ui: &mut Ui, shown: Shown<'_>, actions: &mut Vec<Action>) {
        let Self { canvas, prompt, queue, presets, focus_copy, foot: height } = self;
        let Shown { state, kept } = shown;
        // Before the text fields see it, so that no line is broken; an input method's own keys never come this way.
        let make = ui.input_mut(|input| input.consume_shortcut(&MAKE));
        let margin = egui::Margin::same(2 * GRID as i8);
        // The bar of the settings' scroll area has its own lane in the right margin.
        let lane = egui::Frame::new().inner_margin(egui::Margin { right: GRID as i8, ..egui::Margin::ZERO });
        let palette = theme::of(ui);
        let side = egui::Frame::new().fill(palette.panel).inner_margin(egui::Margin { right: GRID as i8, ..margin });
        egui::Panel::left("side").exact_size(theme::SIDE).resizable(false).frame(side).show(ui, |ui| {
            lane.show(ui, |ui| prompt.show(ui, state, &kept.history, actions));
            if make {
                // After what was typed in the same moment.
                actions.push(Action::Make);
            }
            ui.add_space(GRID);
            let settings = egui::ScrollArea::vertical().auto_shrink(false);
            settings.show(ui, |ui| {
                lane.show(ui, |ui| {
                    models_panel::show(ui, state, actions);
                    settings_panel::show(ui, shown, presets, actions);
                })
            });
        });
        let foot = egui::Frame::new().fill(palette.panel).inner_margin(margin);
        let foot = egui::Panel::bottom("foot").resizable(false).frame(foot).show(ui, |ui| {
            messages::show(ui, state, actions);
            match &state.work {
                Some(work) => progress::show(ui, work, actions),
                None => result::line(ui, state),
            }
            result::buttons(ui, state, actions);
            result::copy_field(ui, state, focus_copy, actions);
        });
        let area = foot.response.rect;
        if std::mem::replace(height, area.height()) != area.height() {
            // A panel gets the room of its last frame: one more, or a new message would push the buttons out.
            ui.ctx().request_discard("the foot has grown or shrunk");
        }
        progress::bar(ui, area, state.work.as_ref());
        queue.show(ui, state, actions);
        let middle = egui::Frame::new().fill(palette.canvas).inner_margin(margin);
        egui::CentralPanel::default().frame(middle).show(ui, |ui| canvas.show(ui, state));
    }
}
