//! What is compared: the controls on the left.

use eframe::egui::{self, Ui};

use super::{Action, Chosen, LANES, STEPS, SideBySide};
use crate::desktop::controls::{choose, count, heading, primary, row, selection};
use crate::desktop::laboratory::{self, complain, explain};
use crate::desktop::settings::{MOST_STEPS, Selection};
use crate::desktop::state::State;
use crate::desktop::theme::GRID;

impl SideBySide {
    pub(super) fn begin(&self, ui: &mut Ui, state: &State, actions: &mut Vec<laboratory::Action>) {
        let mut ask = |action| actions.push(laboratory::Action::Compare(action));
        let prompt = state.prompt.trim();
        match &self.running {
            None => {
                if primary(ui, "Run side by side", "", !prompt.is_empty()).clicked() {
                    ask(Action::Begin);
                }
            }
            Some(_) => {
                if primary(ui, "Stop", "", !self.stopping).clicked() {
                    ask(Action::Stop);
                }
            }
        }
        match (&self.running, prompt.is_empty()) {
            (Some(doing), _) => explain(ui, doing),
            (None, true) => explain(ui, "Write first what the picture shows, on the page Create."),
            (None, false) => {
                explain(ui, &format!("Prompt, size, seed and guidance are those of the page Create: “{prompt}”"))
            }
        }
        if let Some(note) = &self.note {
            explain(ui, note);
        }
        if let Some(failure) = &self.failure {
            complain(ui, failure);
        }
    }

    pub(super) fn choices(&self, ui: &mut Ui, chosen: &mut Chosen) {
        let [fewest, most] = LANES;
        let mut removed = None;
        let many = chosen.lanes.len();
        for (index, (sampler, steps)) in chosen.lanes.iter_mut().enumerate() {
            let number = index + 1;
            let mut picked = Some(sampler.clone());
            ui.push_id(index, |ui| {
                selection(ui, &format!("Sampler {number}"), &self.samplers, None, &mut picked);
                row(ui, &format!("Steps {number}"), "How many steps it takes", |ui| {
                    ui.horizontal(|ui| {
                        let button = if many > fewest { 11.0 * GRID } else { 0.0 };
                        let field = egui::DragValue::new(steps).range(1..=MOST_STEPS).speed(0.1);
                        let size = [ui.available_width() - button, ui.spacing().interact_size.y];
                        let response = ui.add_sized(size, field.update_while_editing(false));
                        if many > fewest {
                            let remove = ui.add_sized([10.0 * GRID, size[1]], egui::Button::new("Remove"));
                            let name = format!("Remove sampler {number}");
                            if remove.accessible_name(&name).on_hover_text(name).clicked() {
                                removed = Some(index);
                            }
                        }
                        response
                    })
                    .inner
                });
            });
            if let Some(picked) = picked {
                *sampler = picked;
            }
        }
        if let Some(index) = removed {
            chosen.lanes.remove(index);
        }
        let add = ui.add_enabled(many < most, egui::Button::new("Add a sampler"));
        if add.on_disabled_hover_text("Eight can be told apart").clicked() {
            chosen.lanes.extend(chosen.lanes.last().cloned());
        }
        ui.add_space(GRID);
        self.reference(ui, chosen);
    }

    fn reference(&self, ui: &mut Ui, chosen: &mut Chosen) {
        const OPTIONS: [(&str, &str); 2] =
            [("the first of them", "No further run"), ("a run of its own", "A run of many steps, which is made first")];
        heading(ui, "Distance to");
        let [first, own] = OPTIONS;
        let shown = if chosen.reference.is_none() { first.0 } else { own.0 };
        row(ui, "Reference", "Where the runs should end: latents are compared with its end", |ui| {
            let (response, picked) = choose(ui, "reference", shown, &OPTIONS);
            match picked {
                Some(0) => chosen.reference = None,
                Some(_) if chosen.reference.is_none() => {
                    chosen.reference = self.samplers.first().map(|about| (Selection::new(about), STEPS[1]));
                }
                _ => {}
            }
            response
        });
        if let Some((sampler, steps)) = &mut chosen.reference {
            let mut picked = Some(sampler.clone());
            selection(ui, "Its sampler", &self.samplers, None, &mut picked);
            if let Some(picked) = picked {
                *sampler = picked;
            }
            row(ui, "Its steps", "Many: the reference should be where the flow ends", |ui| {
                count(ui, steps, 1..=MOST_STEPS)
            });
        }
        explain(ui, "Of a sampler that draws noise no distance is told: it lands somewhere else on purpose.");
    }
}
