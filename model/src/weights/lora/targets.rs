//! The matrices of a model that adapters may add to, under every name that adapters have for them.
//!
//! Some programs flatten the dots of names to underscores. To compare, all names are flattened here: no two modules of a
//! model become one.

use std::collections::{BTreeMap, BTreeSet};

use super::spelling::{Factor, Pair};
use crate::weights::Weights;
use crate::weights::naming::{self, Part};

/// The matrices of all parts of a model.
#[derive(Default)]
pub struct Targets(Vec<Matrices>);

/// The matrices of one part.
struct Matrices {
    /// Its weight file.
    file: String,
    place: Place,
    /// By their flattened names.
    modules: BTreeMap<String, Module>,
}

/// What adapters take for one matrix.
struct Module {
    /// The tensors that it is made of.
    parts: Vec<Part>,
    /// (rows, columns)
    shape: (usize, usize),
}

/// Which part of a model.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Transformer,
    Text(u8),
}

/// What weight files' names begin with.
const PLACES: [(&str, Place); 4] = [
    ("transformer/", Place::Transformer),
    ("text_encoder/", Place::Text(1)),
    ("text_encoder_2/", Place::Text(2)),
    ("text_encoder_3/", Place::Text(3)),
];

/// What stands before a module's name, flattened, and which part may be meant. T5 is the third text encoder of SD3 and
/// the second of FLUX.1, and kohya's `te3` in both.
const BEFORE: [(&str, &[Place]); 20] = [
    ("lora_unet_", &[Place::Transformer]),
    ("lora_transformer_", &[Place::Transformer]),
    ("transformer_", &[Place::Transformer]),
    ("unet_", &[Place::Transformer]),
    ("diffusion_model_", &[Place::Transformer]),
    ("model_diffusion_model_", &[Place::Transformer]),
    ("base_model_model_transformer_", &[Place::Transformer]),
    ("lycoris_", &[Place::Transformer]),
    ("lora_te_", &[Place::Text(1)]),
    ("lora_te1_", &[Place::Text(1)]),
    ("lora_te2_", &[Place::Text(2)]),
    ("lora_te3_", &[Place::Text(3), Place::Text(2)]),
    ("text_encoder_", &[Place::Text(1)]),
    ("text_encoder_2_", &[Place::Text(2)]),
    ("text_encoder_3_", &[Place::Text(3)]),
    ("text_encoders_clip_l_transformer_", &[Place::Text(1)]),
    ("text_encoders_clip_g_transformer_", &[Place::Text(2)]),
    ("text_encoders_t5xxl_transformer_", &[Place::Text(3), Place::Text(2)]),
    ("base_model_model_", &[Place::Transformer, Place::Text(1), Place::Text(2), Place::Text(3)]),
    ("", &[Place::Transformer, Place::Text(1), Place::Text(2), Place::Text(3)]),
];

/// Matrices whose rows are looked up, and never multiplied with.
const TABLES: [&str; 5] = [
    "token_embedding.weight",
    "position_embedding.weight",
    "shared.weight",
    "embed_tokens.weight",
    "relative_attention_bias.weight",
];

/// What a module of an adapter adds to.
pub(super) struct Found<'a> {
    /// The weight file of the part.
    pub(super) file: &'a str,
    /// The tensors, and which rows of the adapter are whose.
    pub(super) parts: &'a [Part],
}

/// A factor that does not fit what it should be added to.
pub(super) struct Misfit<'a> {
    pub(super) factor: &'a Factor,
    /// The dimension that does not fit, as words.
    pub(super) expected: String,
}

impl Targets {
    /// Adds the matrices of the part in `file`; files of other parts than transformer and text encoders have none.
    pub fn add(&mut self, file: &str, weights: &Weights) {
        let Some((_, place)) = PLACES.iter().find(|(prefix, _)| file.starts_with(prefix)) else { return };
        let shapes: BTreeMap<&str, (usize, usize)> = weights.tensors().filter_map(matrix).collect();
        let mut modules = BTreeMap::new();
        for (name, shape) in &shapes {
            let module = name.strip_suffix(".weight").unwrap_or(name);
            for spelled in spellings(module) {
                modules.insert(flat(&spelled), Module { parts: naming::itself(name), shape: *shape });
            }
        }
        for (module, parts) in naming::modules(&shapes.keys().copied().collect()) {
            if let Some(shape) = whole(&parts, &shapes) {
                modules.insert(flat(&module), Module { parts, shape });
            }
        }
        self.0.push(Matrices { file: file.to_owned(), place: *place, modules });
    }

    /// The flattened names of all modules of all parts, with their parts' weight files.
    pub fn modules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|part| part.modules.keys().map(|module| (part.file.as_str(), module.as_str())))
    }

    /// What the module `name` of an adapter adds to: `None` if there is nothing of this name.
    pub(super) fn find<'a>(&'a self, name: &str, pair: &'a Pair) -> Option<Result<Found<'a>, Misfit<'a>>> {
        let name = flat(name);
        let mut misfit = None;
        for (before, places) in BEFORE {
            let Some(module) = name.strip_prefix(before) else { continue };
            for place in places {
                let parts = self.0.iter().filter(|part| part.place == *place);
                for (part, module) in parts.filter_map(|part| Some((part, part.modules.get(module)?))) {
                    match module.misfit(pair) {
                        None => return Some(Ok(Found { file: &part.file, parts: &module.parts })),
                        Some(wrong) => misfit = misfit.or(Some(wrong)),
                    }
                }
            }
        }
        misfit.map(Err)
    }
}

impl Module {
    fn misfit<'a>(&self, pair: &'a Pair) -> Option<Misfit<'a>> {
        let (rows, columns) = self.shape;
        if pair.columns != columns {
            return Some(Misfit { factor: &pair.down, expected: format!("{columns} columns") });
        }
        (pair.rows != rows).then(|| Misfit { factor: &pair.up, expected: format!("{rows} rows") })
    }
}

/// A tensor that something is multiplied with, as a matrix. Convolutions are matrices of all weights of an output.
fn matrix<'a>((name, shape): (&'a str, &[usize])) -> Option<(&'a str, (usize, usize))> {
    let (rows, rest) = shape.split_first()?;
    let plain = name.ends_with(".weight") && !TABLES.iter().any(|table| name.ends_with(table));
    let columns = rest.iter().try_fold(1usize, |product, n| product.checked_mul(*n))?;
    (plain && matches!(rest.len(), 1 | 3)).then_some((name, (*rows, columns)))
}

/// A module's names. The CLIP encoders of transformers 5 have lost a level that all others have.
fn spellings(module: &str) -> Vec<String> {
    let mut spellings = vec![module.to_owned()];
    if let Some(bare) = module.strip_prefix("text_model.") {
        spellings.push(bare.to_owned());
    } else if module.starts_with("encoder.layers.") {
        spellings.push(format!("text_model.{module}"));
    }
    spellings
}

/// The matrix that tensors were cut from; `None` if they cannot all be cut from one.
fn whole(parts: &[Part], shapes: &BTreeMap<&str, (usize, usize)>) -> Option<(usize, usize)> {
    let wholes: Option<BTreeSet<_>> = parts
        .iter()
        .map(|part| {
            let (rows, columns) = shapes.get(part.name.as_str())?;
            let taken = part.rows.taken.len();
            let share = rows.is_multiple_of(taken).then(|| rows / taken)?;
            Some((share.checked_mul(part.rows.of)?, *columns))
        })
        .collect();
    let wholes = wholes?;
    wholes.first().copied().filter(|_| wholes.len() == 1)
}

fn flat(name: &str) -> String {
    name.replace('.', "_")
}
