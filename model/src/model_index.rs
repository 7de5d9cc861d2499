//! `model_index.json`: what a model's folder says about the whole.

use std::collections::BTreeSet;

use serde::Deserialize;

/// `model_index.json` as diffusers writes it, with fields of ours, all optional.
#[derive(Debug, Default, Deserialize)]
pub struct ModelIndex {
    /// The catalogue entry whose defaults apply.
    pub kind: Option<String>,
    /// Tokens of text the model was trained with.
    pub text_length: Option<usize>,
    /// Where FLUX's pooled vector comes from.
    #[serde(default)]
    pub pooled: Pooled,
    /// The layers of the transformer that skip-layer guidance skips.
    pub skip_layers: Option<Vec<usize>>,
    /// All words a narrow model knows.
    pub words: Option<BTreeSet<String>>,
    /// What a narrow model draws, as the end of a sentence.
    pub draws: Option<String>,
    /// Pieces of prompts for a narrow model: one of each list, in this order, make one that it can draw.
    #[serde(default)]
    pub phrases: Vec<Vec<String>>,
}

/// Where FLUX's pooled vector comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooled {
    /// The CLIP-L text encoder, as in FLUX.1.
    #[default]
    Clip,
    /// The mean over all positions of the T5 features.
    T5Mean,
}
