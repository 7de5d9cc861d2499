//! The prompt: its features, and what should be said about it.

use std::ops::ControlFlow;

use super::Pipeline;
use super::loading::Progress;
use super::observer::Observer;
use crate::family::Encoding;
use crate::spec::Spec;
use crate::text::PromptReader;
use crate::{Error, Event, Request, Result, Warning};

/// How many prompts' features are kept.
const ENCODINGS_KEPT: usize = 32;

impl Pipeline {
    /// A prompt's features.
    ///
    /// # Errors
    /// Those of the text encoders and their files.
    pub fn encode(&mut self, prompt: &str) -> Result<Encoding> {
        if let Some((_, encoding)) = self.encoded.iter().find(|(known, _)| known == prompt) {
            return Ok(encoding.clone());
        }
        let encoding = self.text()?.encode(prompt)?;
        if self.encoded.len() == ENCODINGS_KEPT {
            self.encoded.remove(0);
        }
        self.encoded.push((prompt.to_owned(), encoding.clone()));
        Ok(encoding)
    }

    /// What its text encoders will see of prompts, which reads no weights.
    ///
    /// # Errors
    /// Those of the tokenizers' files.
    pub fn prompt_reader(&self) -> Result<PromptReader> {
        let tokenizers = self.spec.family.tokenizers(&self.files, self.spec.text_length)?;
        Ok(PromptReader::new(tokenizers, &self.spec))
    }

    /// Reads the prompts of several requests, 32 texts at most, so that text encoders that leave are read once for all of
    /// them. A break of the observer ends it.
    ///
    /// # Errors
    /// Those of the text encoders and their files.
    pub fn encode_ahead(
        &mut self,
        requests: &[Request],
        observe: impl FnMut(Event) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let observer = Observer::new(observe);
        let done = requests.iter().try_for_each(|request| {
            self.residency = request.memory_plan(&self.spec).residency;
            let progress = Progress::new(&observer, self.to_read(request));
            self.load_first(request, &progress)?;
            observer.proceed(Event::Encoding)?;
            self.condition(request).map(drop)
        });
        match done {
            Err(Error::Cancelled) if observer.stopped() => Ok(ControlFlow::Break(())),
            done => done.map(ControlFlow::Continue),
        }
    }

    /// Whether the features of everything that `request` reads are kept already.
    pub(super) fn is_encoded(&self, request: &Request) -> bool {
        let kept = |prompt: &str| self.encoded.iter().any(|(known, _)| known == prompt);
        kept(&request.prompt) && (!request.uses_negative() || kept(&request.negative_prompt))
    }

    /// What should be said about a prompt: words the model does not know, an end that did not fit.
    ///
    /// # Errors
    /// Those of [`Pipeline::encode`].
    pub fn prompt_warnings(&mut self, prompt: &str) -> Result<Vec<Warning>> {
        let mut warnings = Vec::new();
        if prompt.trim().is_empty() {
            warnings.push(Warning::new("prompt-empty", "the prompt is empty; the model draws what it likes"));
        }
        if self.spec.words.is_some() {
            self.text()?;
        }
        if let (Some(words), Some(text)) = (&self.spec.words, &self.parts.text) {
            warnings.extend(unknown_words(&self.spec, &text.unknown_words(words, prompt)?));
        }
        if let Some(cut) = self.encode(prompt)?.cut {
            let shown: String = cut.chars().take(60).collect();
            let more = if shown.len() < cut.len() { "…" } else { "" };
            let message = format!(
                "the prompt is too long for {} ({} tokens of text); from here on it was cut: \"{shown}{more}\"",
                self.spec.name,
                self.spec.family.prompt_tokens(self.spec.text_length)
            );
            warnings.push(Warning::new("prompt-cut", message));
        }
        Ok(warnings)
    }
}

fn unknown_words(spec: &Spec, unknown: &[String]) -> Option<Warning> {
    if unknown.is_empty() {
        return None;
    }
    let shown = unknown.iter().take(12).map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    let more = if unknown.len() > 12 { format!(" and {} more", unknown.len() - 12) } else { String::new() };
    let draws = spec.draws.as_ref().map(|draws| format!("; it draws {draws}")).unwrap_or_default();
    let message = format!("{} does not know {shown}{more}{draws}", spec.name);
    Some(Warning::new("unknown-words", message))
}
