//! The model: which one makes the pictures, which could, and fetching it.

use eframe::egui::{self, RichText, Ui};
use flowline_model::weights::hub::Amount;

use super::Action;
use super::controls::{choose, row};
use super::progress::brief;
use super::state::State;
use super::theme::{self, GRID};
use crate::engine::{Progress as Transfer, Stocked};

/// Draws the choice of a model and, for one that is not here, what it takes to have it.
pub fn show(ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
    if state.models.is_empty() {
        return;
    }
    let names: Vec<String> = state.models.iter().map(called).collect();
    let options: Vec<(&str, &str)> =
        names.iter().zip(state.models.iter()).map(|(name, model)| (name.as_str(), model.about.as_str())).collect();
    let looked_at = state.looked_at();
    let shown = looked_at.map_or_else(|| state.model_name(), called);
    row(ui, "Model", "What makes the pictures", |ui| {
        let (response, chosen) = choose(ui, "model", &shown, &options);
        if let Some(model) = chosen.and_then(|index| state.models.get(index)) {
            actions.push(Action::Model(model.name.clone()));
        }
        response
    });
    if let Some(model) = looked_at.filter(|model| !model.here) {
        away(ui, model, state, actions);
    }
    if let Some((name, transfer)) = &state.fetch {
        fetching(ui, name, transfer, state.stopping_fetch, actions);
    }
    ui.add_space(GRID);
}

/// A model's name in the list; what is not here says how much it is.
fn called(model: &Stocked) -> String {
    match model.bytes.filter(|_| !model.here) {
        Some(bytes) => format!("{} · {} to fetch", model.name, Amount(bytes)),
        None => model.name.clone(),
    }
}

/// What a model is, what it needs, and the button that fetches it.
fn away(ui: &mut Ui, model: &Stocked, state: &State, actions: &mut Vec<Action>) {
    let memory = model.memory.map(|memory| format!("Takes about {} of memory", Amount(memory)));
    let licence = model.licence.as_ref().map(|licence| format!("Licence: {licence}"));
    for text in [Some(model.about.clone()), memory, licence].into_iter().flatten() {
        ui.label(RichText::new(text).color(theme::of(ui).muted).size(12.5));
    }
    if let Some(page) = &model.page {
        let text = if model.gated { "Read and accept the licence" } else { "Read the licence" };
        ui.hyperlink_to(RichText::new(text).size(12.5), page).on_hover_text(page);
    }
    let free = state.fetch.is_none();
    let fetch = ui.add_enabled(free, egui::Button::new(format!("Fetch {}", model.name)));
    if fetch.on_disabled_hover_text("One model is fetched at a time").clicked() {
        actions.push(Action::Fetch(model.name.clone()));
    }
}

/// How far fetching is, and the button that stops it.
fn fetching(ui: &mut Ui, name: &str, transfer: &Transfer, stopping: bool, actions: &mut Vec<Action>) {
    ui.label(describe(name, transfer));
    let share = if transfer.total > 0 { transfer.bytes as f32 / transfer.total as f32 } else { 0.0 };
    // Still, so that it costs nothing between two events.
    ui.add(egui::ProgressBar::new(share.clamp(0.0, 1.0)).desired_height(4.0).fill(theme::of(ui).accent_line));
    let cancel = ui.add_enabled(!stopping, egui::Button::new("Cancel fetching"));
    if cancel.on_hover_text("What has come is kept, and fetching goes on from there").clicked() {
        actions.push(Action::StopFetching);
    }
}

/// `Fetching flux-dev: 1.2 GB of 33.7 GB  ·  45 MB/s  ·  12 min 03 s left`.
fn describe(name: &str, transfer: &Transfer) -> String {
    let Transfer { bytes, total, rate, left, waits } = transfer;
    if let Some(waits) = waits {
        return format!("Fetching {name}: waiting, because {waits}");
    }
    if *total == 0 {
        return format!("Fetching {name}…");
    }
    let rate = rate.map(|rate| format!("  ·  {}/s", Amount(rate as u64))).unwrap_or_default();
    let left = left.map(|left| format!("  ·  {} left", brief(left))).unwrap_or_default();
    format!("Fetching {name}: {} of {}{rate}{left}", Amount(*bytes), Amount(*total))
}
