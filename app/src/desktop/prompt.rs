//! The panel where a picture begins: the prompt, what the model will read of it, and the button that makes it.

use eframe::egui::text::{CCursor, CCursorRange};
use eframe::egui::{
    self, Align, Id, Key, Layout, Modifiers, Popup, PopupCloseBehavior, Response, RichText, TextEdit, Ui,
};
use flowline_model::text::Reading;

use super::controls::{heading, primary, quiet};
use super::state::State;
use super::theme::{self, GRID};
use super::{Action, Once, queue_panel};

/// What the editor keeps between two frames.
#[derive(Default)]
pub struct Editor {
    /// Puts the cursor into the prompt.
    focus: Once,
    /// The last prompt that was read, the model that read it, and what it saw.
    read: Option<(String, String, Reading)>,
    /// Which of the prompts of before is shown, and what had been typed.
    recalled: Option<(usize, String)>,
    /// What the prompts of before are searched for.
    search: String,
}

/// Completions that are offered at most.
const COMPLETIONS: usize = 3;
/// Prompts of before that are listed at most; there is a search for the others.
const LISTED: usize = 50;

impl Editor {
    /// Draws the prompt and the button; `history` are the prompts of before, newest first.
    pub fn show(&mut self, ui: &mut Ui, state: &State, history: &[String], actions: &mut Vec<Action>) {
        let spacing = std::mem::replace(&mut ui.spacing_mut().item_spacing.y, GRID / 2.0);
        let label = ui.horizontal(|ui| self.head(ui, state, history, actions)).inner;
        let response = self.field(ui, state, history, actions).labelled_by(label.id);
        if self.focus.take() {
            response.request_focus();
        }
        self.read(state);
        self.reading(ui, state, actions);
        ui.spacing_mut().item_spacing.y = spacing;
        ui.add_space(GRID / 2.0);

        let obstacle = state.obstacle();
        let keys = ui.ctx().format_shortcut(&super::MAKE);
        let name = if state.is_busy() { "Add to the queue" } else { "Make picture" };
        let button = primary(ui, name, &keys, obstacle.is_none());
        if button.clicked() {
            actions.push(Action::Make);
        }
        let four = ui.add_enabled_ui(obstacle.is_none(), |ui| quiet(ui, "× 4 seeds")).inner;
        if four.on_hover_text("Four pictures, each with a seed of its own").clicked() {
            actions.push(Action::Queue(queue_panel::Action::Four));
        }
        if let Some(obstacle) = obstacle {
            button.on_disabled_hover_text(obstacle);
        }
    }

    /// The name, and what fills the field without typing.
    fn head(&mut self, ui: &mut Ui, state: &State, history: &[String], actions: &mut Vec<Action>) -> Response {
        let label = heading(ui, "Prompt");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let reader = state.offer.as_ref().and_then(|offer| offer.reader.as_ref());
            if reader.is_some_and(|reader| reader.0.can_surprise()) {
                let surprise = quiet(ui, "Surprise me").on_hover_text("A prompt that this model draws well");
                if surprise.clicked() {
                    actions.push(Action::Surprise);
                }
            }
            let button = ui.add_enabled_ui(!history.is_empty(), |ui| quiet(ui, "History")).inner;
            let button = button.on_hover_text("Prompts of before; also with Up and Down at the prompt's start and end");
            let popup = Popup::menu(&button).close_behavior(PopupCloseBehavior::CloseOnClickOutside);
            popup.show(|ui| self.history(ui, history, actions));
        });
        label
    }

    /// The prompts of before, those that contain what is searched for.
    fn history(&mut self, ui: &mut Ui, history: &[String], actions: &mut Vec<Action>) {
        ui.set_width(44.0 * GRID);
        let search = TextEdit::singleline(&mut self.search).hint_text("Search").desired_width(f32::INFINITY);
        ui.add(search.margin(egui::Margin::symmetric(8, 5))).accessible_name("Search the prompts of before");
        let sought = self.search.to_lowercase();
        let found: Vec<_> = history.iter().filter(|prompt| prompt.to_lowercase().contains(&sought)).collect();
        if found.is_empty() {
            ui.weak("No prompt contains that.");
        }
        egui::ScrollArea::vertical().max_height(40.0 * GRID).show(ui, |ui| {
            for prompt in found.iter().take(LISTED) {
                let line = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
                if ui.add(egui::Button::selectable(false, line).truncate()).on_hover_text(prompt.as_str()).clicked() {
                    actions.push(Action::Prompt((*prompt).clone()));
                    self.recalled = None;
                    ui.close();
                }
            }
        });
    }

    fn field(&mut self, ui: &mut Ui, state: &State, history: &[String], actions: &mut Vec<Action>) -> Response {
        let id = Id::unique("prompt");
        let mut prompt = state.prompt.clone();
        if ui.memory(|memory| memory.has_focus(id))
            && let Some(recalled) = self.recall(ui, id, &prompt, history)
        {
            prompt = recalled;
        }
        let field = TextEdit::multiline(&mut prompt)
            .id(id)
            .hint_text("For example: a red lighthouse by the sea at sunset")
            .desired_rows(4)
            .desired_width(f32::INFINITY)
            .margin(egui::Margin::same(GRID as i8));
        let response = ui.add(field);
        if response.changed() {
            self.recalled = None;
        }
        if prompt != state.prompt {
            actions.push(Action::Prompt(prompt));
        }
        response
    }

    /// The prompt before or after the one shown, if Up was pressed at its very start or Down at its very end.
    fn recall(&mut self, ui: &Ui, id: Id, shown: &str, history: &[String]) -> Option<String> {
        let mut state = TextEdit::load_state(ui.ctx(), id)?;
        let cursor = state.cursor.char_range().filter(|range| range.is_empty())?.primary.index;
        let end = CCursor::new(shown.chars().count());
        let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        let at = self.recalled.as_ref().map(|(at, _)| *at);
        let (next, place) = if cursor == CCursor::new(0).index && pressed(Key::ArrowUp) {
            let next = at.map_or(0, |at| at + 1);
            (Some(next).filter(|next| *next < history.len()).or(at), CCursor::new(0))
        } else if at.is_some() && cursor == end.index && pressed(Key::ArrowDown) {
            (at.and_then(|at| at.checked_sub(1)), end)
        } else {
            return None;
        };
        let typed = self.recalled.take().map_or_else(|| shown.to_owned(), |(_, typed)| typed);
        let prompt = match next.and_then(|next| history.get(next)) {
            Some(prompt) => prompt.clone(),
            None => typed.clone(),
        };
        self.recalled = next.map(|next| (next, typed));
        // Where the same key goes on from.
        let place = if place == end { CCursor::new(prompt.chars().count()) } else { place };
        state.cursor.set_char_range(Some(CCursorRange::one(place)));
        state.store(ui.ctx(), id);
        Some(prompt)
    }

    /// Reads the prompt as the model will, if it is another prompt or another model.
    fn read(&mut self, state: &State) {
        let Some(offer) = &state.offer else { return };
        let known = |(prompt, model, _): &(String, String, _)| *prompt == state.prompt && *model == offer.model;
        if !self.read.as_ref().is_some_and(known) {
            let reading = offer.reader.as_ref().and_then(|reader| reader.0.read(&state.prompt).ok());
            self.read = reading.map(|reading| (state.prompt.clone(), offer.model.clone(), reading));
        }
    }

    /// What the model reads of the prompt, words it knows that begin like the last one, and what it will not see.
    fn reading(&self, ui: &mut Ui, state: &State, actions: &mut Vec<Action>) {
        let Some((.., reading)) = &self.read else { return };
        let palette = theme::of(ui);
        let words = state.offer.as_ref().and_then(|offer| offer.reader.as_ref()?.0.words());
        let (begun, completions) = completions(&state.prompt, words.into_iter().flatten());
        // A word that is being typed is not unknown yet.
        let typing = if completions.is_empty() { String::new() } else { begun.to_lowercase() };
        ui.horizontal(|ui| {
            ui.set_min_height(3.0 * GRID);
            ui.spacing_mut().item_spacing.x = GRID / 2.0;
            for word in completions {
                if quiet(ui, word).on_hover_text("Completes the word").clicked() {
                    let kept = state.prompt.get(..state.prompt.len() - begun.len()).unwrap_or_default();
                    actions.push(Action::Prompt(format!("{kept}{word} ")));
                    ui.memory_mut(|memory| memory.request_focus(Id::unique("prompt")));
                    end_cursor(ui, kept.chars().count() + word.chars().count() + 1);
                }
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let Some(most) = reading.tokens.last() else { return };
                let color = if reading.cut.is_some() { palette.warning } else { palette.muted };
                let text = format!("{} of {} tokens", most.count, most.room);
                let each: Vec<_> = reading
                    .tokens
                    .iter()
                    .map(|tokens| {
                        format!("{} reads {} of {}", tokens.encoder, tokens.count.min(tokens.room), tokens.count)
                    })
                    .collect();
                ui.label(RichText::new(text).color(color).size(12.5)).on_hover_text(each.join("\n"));
            });
        });
        let mut note = |text: String| ui.label(RichText::new(text).color(palette.warning).size(12.5));
        if let Some(cut) = &reading.cut {
            note(format!("Too long; not read: \"{cut}\""));
        }
        let unknown = reading.unknown.iter().filter(|word| **word != typing).take(4);
        let told: Vec<_> = unknown.map(|word| nearest(word, words.into_iter().flatten())).collect();
        if !told.is_empty() {
            note(format!("{} does not know {}", state.model_name(), told.join(", ")));
        }
    }
}

/// Puts the prompt's cursor behind so many characters.
fn end_cursor(ui: &Ui, characters: usize) {
    let id = Id::unique("prompt");
    let mut state = TextEdit::load_state(ui.ctx(), id).unwrap_or_default();
    state.cursor.set_char_range(Some(CCursorRange::one(CCursor::new(characters))));
    state.store(ui.ctx(), id);
}

/// The word that is being typed at the end of `prompt`, and the `words` that it may become.
fn completions<'a>(prompt: &str, words: impl Iterator<Item = &'a String>) -> (&str, Vec<&'a str>) {
    let begin = prompt.rfind(|c: char| !c.is_alphanumeric()).map_or(0, |at| prompt.ceil_char_boundary(at + 1));
    let begun = prompt.get(begin..).unwrap_or_default();
    let lower = begun.to_lowercase();
    let fits = |word: &&String| !lower.is_empty() && word.starts_with(&lower) && **word != lower;
    (begun, words.filter(fits).take(COMPLETIONS).map(String::as_str).collect())
}

/// `'cat'`, or with the nearest of `words`: `'ligthouse' (lighthouse?)`.
fn nearest<'a>(unknown: &str, words: impl Iterator<Item = &'a String>) -> String {
    let near = words.map(|word| (strsim::jaro_winkler(unknown, word), word)).max_by(|a, b| a.0.total_cmp(&b.0));
    match near.filter(|(likeness, _)| *likeness > 0.85 && unknown.chars().count() > 3) {
        Some((_, word)) => format!("'{unknown}' ({word}?)"),
        None => format!("'{unknown}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_at_the_end_is_completed_by_words_that_begin_like_it() {
        let words = ["lake", "light", "lighthouse", "sea"].map(str::to_owned);
        let complete = |prompt: &'static str| completions(prompt, words.iter());
        assert_eq!(complete("a red Li"), ("Li", vec!["light", "lighthouse"]));
        assert_eq!(complete("a red light"), ("light", vec!["lighthouse"]));
        for nothing in ["", "a red ", "sea", "naïve é", "猫"] {
            assert!(complete(nothing).1.is_empty(), "{nothing}");
        }
        assert_eq!(nearest("ligthouse", words.iter()), "'ligthouse' (lighthouse?)");
        assert_eq!(nearest("cat", words.iter()), "'cat'");
    }
}
