//! Diffusers folders that are not quite whole: variants of the weights under other names.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::model_index::{ModelIndex, Pooled};
use crate::weights::identify::Role;
use crate::weights::{Assembled, ModelFiles};

/// The folders of a model in which there may be weights; the empty one is the folder of a single part.
const PLACES: [&str; 6] = ["", "transformer/", "vae/", "text_encoder/", "text_encoder_2/", "text_encoder_3/"];

/// The files of a folder in which `model.fp16.safetensors` stands for `model.safetensors`, and so on: diffusers calls the
/// same weights in other numbers so, and people fetch the smaller ones alone.
///
/// # Errors
/// Those of the pieces of a split file.
pub(super) fn with_variants(path: &Path, files: ModelFiles) -> Result<ModelFiles> {
    let name = files.folder_name().unwrap_or_else(|| "model".into());
    let (mut folder, mut any) = (Assembled::new(name, Some(files.clone())), false);
    for place in PLACES {
        for weights in [Role::Transformer.weights(), Role::T5.weights()] {
            let file = format!("{place}{weights}");
            if !files.has_weights(&file)
                && let Some(variant) = variant(&path.join(place), weights)
            {
                folder.put_tensors(file, super::loose::pieces(&variant)?, "");
                any = true;
            }
        }
    }
    Ok(if any { ModelFiles::Assembled(Box::new(folder)) } else { files })
}

/// A file in `folder` with the same weights as `weights` in other numbers, or its first piece; the first by name.
fn variant(folder: &Path, weights: &str) -> Option<PathBuf> {
    let (stem, ending) = weights.split_once('.')?;
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let is_variant = |name: &String| {
        let rest = name.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(ending)?.strip_suffix('.')?;
        let variant = rest.split_once("-00001-of-").map_or(rest, |(variant, _)| variant);
        (!variant.is_empty() && variant.bytes().all(|byte| byte.is_ascii_alphanumeric())).then_some(())
    };
    names.iter().find(|name| is_variant(name).is_some()).map(|name| folder.join(name))
}

/// Whether the model in `files` has the text encoders of its family; the built-in one does without CLIP.
pub(super) fn reads_clip(files: &ModelFiles) -> bool {
    let index = files.json::<ModelIndex>(super::MODEL_INDEX).unwrap_or_default();
    index.pooled == Pooled::Clip
}
