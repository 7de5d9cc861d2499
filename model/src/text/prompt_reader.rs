//! What the text encoders will see of a prompt, known without their weights: while somebody types.

use std::collections::BTreeSet;

use super::Tokenizer;
use crate::{Result, Spec};

/// The tokenizers of a model, and the words it knows if those are few.
pub struct PromptReader {
    /// Each with its encoder's name; the last is of the encoder that reads most.
    tokenizers: Vec<(&'static str, Tokenizer)>,
    words: Option<BTreeSet<String>>,
    phrases: Vec<Vec<String>>,
}

/// What is seen of a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Tokens for each encoder; the last reads most.
    pub tokens: Vec<Tokens>,
    /// The end of the prompt that no encoder reads, as it was typed.
    pub cut: Option<String>,
    /// The words a narrow model does not know, each once.
    pub unknown: Vec<String>,
}

/// How much of an encoder's room a prompt takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The encoder's name.
    pub encoder: &'static str,
    /// How many there are, start and end token included.
    pub count: usize,
    /// How many are read.
    pub room: usize,
}

impl PromptReader {
    /// A reader with these tokenizers, for the model of `spec`.
    pub(crate) fn new(tokenizers: Vec<(&'static str, Tokenizer)>, spec: &Spec) -> Self {
        Self { tokenizers, words: spec.words.clone(), phrases: spec.phrases.clone() }
    }

    /// The words a narrow model knows; `None` for models of the whole language.
    pub fn words(&self) -> Option<&BTreeSet<String>> {
        self.words.as_ref()
    }

    /// Whether it can think of prompts.
    pub fn can_surprise(&self) -> bool {
        self.phrases.iter().flatten().any(|phrase| !phrase.is_empty())
    }

    /// A prompt that a narrow model can draw, the same for the same number; `None` for models of the whole language.
    pub fn surprise(&self, mut number: u64) -> Option<String> {
        let mut pieces = Vec::new();
        for phrases in self.phrases.iter().filter(|phrases| !phrases.is_empty()) {
            let count = phrases.len() as u64;
            pieces.extend(phrases.get((number % count) as usize).map(String::as_str));
            number /= count;
        }
        pieces.retain(|piece| !piece.is_empty());
        (!pieces.is_empty()).then(|| pieces.join(" "))
    }

    /// What is seen of `prompt`.
    ///
    /// # Errors
    /// [`crate::Error::Tokenizer`] if a vocabulary cannot express it.
    pub fn read(&self, prompt: &str) -> Result<Reading> {
        let mut reading = Reading::default();
        for (encoder, tokenizer) in &self.tokenizers {
            let encoded = tokenizer.encode(prompt)?;
            reading.tokens.push(Tokens { encoder, count: encoded.tokens, room: encoded.ids.len() });
            // The last has its say: what the others leave out, it may still read.
            reading.cut = encoded.cut;
        }
        if let (Some(words), Some((_, tokenizer))) = (&self.words, self.tokenizers.last()) {
            reading.unknown = tokenizer.unknown_words(words, prompt)?;
        }
        Ok(reading)
    }
}

impl std::fmt::Debug for PromptReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.tokenizers.iter().map(|(encoder, _)| encoder)).finish()
    }
}
