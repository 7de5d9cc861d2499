//! What cannot be used, and why, in words.

use std::collections::BTreeMap;

use super::targets::Misfit;
use crate::weights::file::TensorFile;
use crate::weights::header::Fact;
use crate::{Error, Result};

/// What to do about a file that contradicts itself.
pub(super) const DAMAGED: &str = "the file may be damaged or half written; fetch it again";
/// What to do about the adapter of another model.
const OTHER_MODEL: &str = "use an adapter that was made for this model";

/// Kinds of adapters that are computed differently: what a part of their tensors' names begins with, and what they are
/// called.
const KINDS: [(&str, &str); 11] = [
    ("dora_scale", "DoRA"),
    ("lora_magnitude_vector", "DoRA"),
    ("hada_", "LoHa"),
    ("lokr_", "LoKr"),
    ("lora_mid", "LoCon of three factors"),
    ("oft_", "OFT"),
    ("boft_", "BOFT"),
    ("vera_lambda_", "VeRA"),
    ("randlora_", "RandLoRA"),
    ("ia3_", "(IA)^3"),
    ("fourierft_", "FourierFT"),
];

/// What tells models apart that have adapters: a piece of a flattened name that no other has.
const MODELS: [(&str, &str); 10] = [
    ("down_blocks_", UNET),
    ("up_blocks_", UNET),
    ("mid_block_", UNET),
    ("input_blocks_", UNET),
    ("output_blocks_", UNET),
    ("middle_block_", UNET),
    ("joint_blocks_", "SD3"),
    ("single_transformer_blocks_", "FLUX"),
    ("double_blocks_", "FLUX"),
    ("refiner_", "Z-Image or Lumina"),
];
const UNET: &str = "Stable Diffusion 1, 2 or XL, which have a U-Net";

/// Refuses a tensor of an adapter that is no plain LoRA: without it the rest would make another picture.
pub(super) fn check_kind(file: &TensorFile, tensor: &str) -> Result<()> {
    let of = |start: &str| tensor.split('.').any(|part| part.starts_with(start));
    match KINDS.iter().find(|(start, _)| of(start)) {
        Some((_, kind)) => Err(other_kind(file.name(), &format!("tensor '{tensor}' says so"), kind)),
        None => Ok(()),
    }
}

/// The refusal of another kind of adapter.
pub(super) fn other_kind(file: &str, evidence: &str, kind: &str) -> Error {
    let what = format!("{file} is a {kind} adapter ({evidence}), and this version applies plain LoRA only");
    Error::invalid(what, "use a LoRA, or merge the adapter into the model with the program it was made with")
}

/// The models that an adapter's modules belong to, and whether ours has any of this name. The text encoder of another
/// model may be one of ours too (CLIP-L is in most), and half an adapter would apply.
#[derive(Default)]
pub(super) struct Models(BTreeMap<&'static str, bool>);

impl Models {
    /// One more module.
    pub(super) fn add(&mut self, module: &str, is_ours: bool) {
        if let Some(model) = whose(module) {
            *self.0.entry(model).or_default() |= is_ours;
        }
    }

    /// Refuses adapters of another model.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub(super) fn check(&self, file: &TensorFile) -> Result<()> {
        match self.0.iter().find(|(_, is_ours)| !**is_ours) {
            None => Ok(()),
            Some((model, _)) => {
                let what = format!("{} was made for {model}{}, and this model is another", file.name(), said(file));
                Err(Error::invalid(what, OTHER_MODEL))
            }
        }
    }
}

/// A pair that does not fit the matrix of the same name.
pub(super) fn shape(file: &TensorFile, Misfit { factor, expected }: &Misfit<'_>) -> Error {
    let (file_name, name, shape) = (file.name(), &factor.name, &factor.stored.shape);
    let what =
        format!("{file_name}: tensor '{name}' has shape {shape:?}, and the model's has {expected}{}", said(file));
    Error::invalid(what, OTHER_MODEL)
}

/// An adapter of which nothing fits.
pub(super) fn nothing_applies(file: &TensorFile, modules: usize) -> Error {
    let name = file.name();
    if modules == 0 {
        let what = match file.tensors().keys().next() {
            Some(first) => format!("{name} is not a LoRA: it holds no pair of factors, but tensors like '{first}'"),
            None => format!("{name} is not a LoRA: it holds no tensor"),
        };
        return Error::invalid(what, "name an adapter's file; a whole model is opened with -m");
    }
    let first = file.tensors().keys().next().map_or("", String::as_str);
    let what = format!("{name}: 0 of {modules} applied: this model has nothing called like '{first}'{}", said(file));
    Error::invalid(what, OTHER_MODEL)
}

fn whose(module: &str) -> Option<&'static str> {
    let flat = module.replace('.', "_");
    MODELS.iter().find(|(piece, _)| flat.contains(piece)).map(|(_, model)| *model)
}

/// What the file itself says it was made for.
fn said(file: &TensorFile) -> String {
    /// More than this is no name of a model.
    const LONGEST: usize = 60;
    let keys = ["modelspec.architecture", "ss_base_model_version"];
    let said = keys.iter().find_map(|key| match file.facts().get(*key) {
        Some(Fact::Text(text)) => Some(text.chars().filter(|c| !c.is_control()).take(LONGEST).collect::<String>()),
        _ => None,
    });
    said.map(|model| format!(" (the file says: {model})")).unwrap_or_default()
}
