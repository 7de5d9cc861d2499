//! The panel of settings, its controls made from what the model offers.

use eframe::egui::{self, Align, Layout, Response, RichText, Ui};

use super::Action;
use super::controls::{Icon, choose, count, heading, icon_button, number, row, selection, side};
use super::create::Shown;
use super::presets::Presets;
use super::settings::{CFG, GUIDANCE, Keep, MOST_STEPS, Settings, size_presets};
use super::theme::{self, GRID};
use crate::engine::Offer;

/// Draws the settings; `presets` are those that have a name.
pub fn show(ui: &mut Ui, Shown { state, kept }: Shown<'_>, presets: &mut Presets, actions: &mut Vec<Action>) {
    let (Some(offer), Some(before)) = (&state.offer, &state.settings) else {
        ui.weak("The settings appear when the model is open.");
        return;
    };
    let mut settings = before.clone();
    ui.horizontal(|ui| {
        heading(ui, "Sampling");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| presets.show(ui, &kept.presets, actions));
    });
    sampling(ui, offer, &mut settings);
    if settings.cfg != 1.0 {
        negative(ui, &mut settings);
    }
    ui.add_space(GRID);
    heading(ui, "Picture");
    size(ui, offer, &mut settings);
    if let Some(trained) = offer.trained_size.filter(|trained| *trained != (settings.width, settings.height)) {
        let note =
            format!("{} was trained at {} × {} only; other sizes may look odd", offer.model, trained.0, trained.1);
        ui.label(RichText::new(note).color(theme::of(ui).warning).size(12.5));
    }
    seed(ui, &mut settings, actions);
    if !settings.seed.is_valid() {
        let note = format!("A seed is a whole number up to {}", u64::MAX);
        ui.label(RichText::new(note).color(theme::of(ui).error).size(12.5));
    }
    if settings != *before {
        actions.push(Action::Settings(Box::new(settings)));
    }
}

fn sampling(ui: &mut Ui, offer: &Offer, settings: &mut Settings) {
    let mut sampler = Some(settings.sampler.clone());
    selection(ui, "Sampler", &offer.samplers, None, &mut sampler);
    if let Some(sampler) = sampler {
        settings.sampler = sampler;
    }
    match &settings.sigmas {
        Some(sigmas) => {
            let steps = sigmas.len().saturating_sub(1);
            row(ui, "Schedule", "Shaped in the laboratory", |ui| ui.label(format!("by hand, {steps} steps")));
            if ui.button("Use the model's own schedule").clicked() {
                settings.sigmas = None;
            }
        }
        None => {
            row(ui, "Steps", "More steps follow the flow more closely and take longer", |ui| {
                count(ui, &mut settings.steps, 1..=MOST_STEPS)
            });
            selection(ui, "Schedule", &offer.schedules, Some("the model's own"), &mut settings.schedule);
        }
    }
    row(ui, "CFG", "How strongly the picture follows the prompt; 1 is off", |ui| number(ui, &mut settings.cfg, CFG));
    if let Some(guidance) = &mut settings.guidance {
        row(ui, "Guidance", "How strongly the picture follows the prompt, as the model learned it", |ui| {
            number(ui, guidance, GUIDANCE)
        });
    }
}

fn negative(ui: &mut Ui, settings: &mut Settings) {
    ui.add_space(GRID / 2.0);
    let label = heading(ui, "Negative prompt");
    let field = egui::TextEdit::multiline(&mut settings.negative_prompt)
        .id_salt("negative prompt")
        .hint_text("what the picture does not show")
        .desired_rows(1)
        .desired_width(f32::INFINITY)
        .margin(egui::Margin::same(GRID as i8));
    ui.add(field).labelled_by(label.id);
}

/// Width of the sign between width and height.
const CROSS: f32 = 12.0;

fn size(ui: &mut Ui, offer: &Offer, settings: &mut Settings) {
    let presets = size_presets(offer);
    let called: Vec<String> = presets.iter().map(|(name, w, h)| format!("{name} {w} × {h}")).collect();
    let current = presets.iter().position(|(_, w, h)| (*w, *h) == (settings.width, settings.height));
    let shown = current.and_then(|index| called.get(index)).map_or("Custom", String::as_str);
    let options: Vec<(&str, &str)> = called.iter().map(|name| (name.as_str(), "")).collect();
    row(ui, "Shape", "", |ui| {
        let (response, chosen) = choose(ui, "shape", shown, &options);
        if let Some((_, width, height)) = chosen.and_then(|index| presets.get(index)) {
            (settings.width, settings.height) = (*width, *height);
        }
        response
    });
    let multiple = offer.size_multiple;
    row(ui, "Size", &format!("Width and height in pixels, multiples of {multiple}"), |ui| {
        let half = (ui.available_width() - CROSS - 2.0 * GRID) / 2.0;
        let field = side(ui, &mut settings.width, multiple, half);
        ui.add_sized(
            [CROSS, ui.spacing().interact_size.y],
            egui::Label::new(RichText::new("×").color(theme::of(ui).muted)),
        );
        side(ui, &mut settings.height, multiple, half).accessible_name("Height").on_hover_text("Height in pixels");
        field
    });
}

fn seed(ui: &mut Ui, settings: &mut Settings, actions: &mut Vec<Action>) {
    row(ui, "Seed", "Where the noise begins: the same seed and settings make the same picture", |ui| -> Response {
        let before = settings.seed.text.clone();
        let icons = 2.0 * (ui.spacing().interact_size.y + GRID);
        let field = egui::TextEdit::singleline(&mut settings.seed.text)
            .id_salt("seed")
            .hint_text("random")
            .char_limit(20)
            .margin(egui::Margin::symmetric(8, 5))
            .desired_width(ui.available_width() - icons);
        let response = ui.add(field);
        if settings.seed.text != before {
            settings.seed.chosen();
        }
        if icon_button(ui, Icon::Die, "Roll a new seed", None).clicked() {
            actions.push(Action::RollSeed);
        }
        let locked = settings.seed.keep == Keep::Locked;
        let icon = if locked { Icon::Closed } else { Icon::Open };
        let name = if locked { "Seed is kept for every picture" } else { "Keep this seed" };
        if icon_button(ui, icon, name, Some(locked)).clicked() {
            settings.seed.keep = if locked { Keep::No } else { Keep::Locked };
        }
        response
    });
}
