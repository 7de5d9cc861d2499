//! Where missing parts are looked for: beside the files that were named, and in the ComfyUI folder they lie in.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::loose::{Loose, Sizes};
use crate::weights::identify::{Layout, Role};

/// Folders to look in.
pub(super) struct Places {
    /// Beside the files, nearest first.
    beside: Vec<PathBuf>,
    /// `models` folders of ComfyUI.
    comfyui: Vec<PathBuf>,
}

/// The folders inside ComfyUI's `models`, by which it is known.
const COMFYUI: [&str; 7] = ["checkpoints", "diffusion_models", "unet", "vae", "text_encoders", "clip", "loras"];
/// Endings of files that may hold tensors.
const ENDINGS: [&str; 3] = ["safetensors", "sft", "gguf"];
/// Files of one folder that are looked at.
const MOST_FILES: usize = 500;

/// Where ComfyUI keeps such parts.
pub(super) fn comfyui_folder(role: Role) -> &'static str {
    match role {
        Role::Transformer => "diffusion_models",
        Role::Vae => "vae",
        Role::ClipL | Role::ClipG | Role::T5 => "text_encoders",
    }
}

impl Places {
    /// Those around `files`, then `more`: ComfyUI folders, or any others.
    pub(super) fn around<'a>(files: impl Iterator<Item = &'a PathBuf>, more: &[PathBuf]) -> Self {
        let (mut beside, mut comfyui) = (Vec::new(), Vec::new());
        let add = |list: &mut Vec<PathBuf>, folder: &Path| {
            if !list.iter().any(|known| known == folder) {
                list.push(folder.to_owned());
            }
        };
        for file in files {
            let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            let Some(folder) = file.parent() else { continue };
            add(&mut beside, folder);
            // A file in models/unet/flux/ is in the folder models.
            let kinds = file.ancestors().skip(1).take(4);
            let inside =
                kinds.filter(|kind| kind.file_name().is_some_and(|name| COMFYUI.iter().any(|kind| *kind == name)));
            for models in inside.filter_map(Path::parent) {
                add(&mut comfyui, models);
            }
        }
        for folder in more {
            let inside = folder.join("models");
            match (is_models(&inside), is_models(folder)) {
                (true, _) => add(&mut comfyui, &inside),
                (false, true) => add(&mut comfyui, folder),
                (false, false) => add(&mut beside, folder),
            }
        }
        Self { beside, comfyui }
    }

    /// The first part found that is the `role` of a model of these sizes.
    pub(super) fn find(&self, role: Role, layout: &'static Layout, sizes: &Sizes) -> Option<Loose> {
        let fits = |file: &PathBuf| {
            let part = Loose::open(file).ok()?.into_iter().find(|part| part.role() == role)?;
            let config = part.config(layout).ok()?;
            sizes.fit(role, layout, &config).then_some(part)
        };
        self.folders(role).iter().find_map(|folder| candidates(folder, role, layout).iter().find_map(fits))
    }

    /// Where a part of this kind may be, nearest first.
    fn folders(&self, role: Role) -> Vec<PathBuf> {
        let kinds: &[&str] = match role {
            Role::Transformer => &["transformer", "diffusion_models", "unet"],
            Role::Vae => &["vae"],
            _ => &["text_encoders", "clip", "text_encoder", "text_encoder_2", "text_encoder_3"],
        };
        let mut folders = Vec::new();
        for place in &self.beside {
            folders.push(place.clone());
            folders.extend(kinds.iter().map(|kind| place.join(kind)));
        }
        for models in &self.comfyui {
            for kind in kinds {
                let folder = models.join(kind);
                let inside = subfolders(&folder);
                folders.push(folder);
                folders.extend(inside);
            }
        }
        folders
    }

    /// Folders in which there may be a tokenizer for a text encoder in one of `files`, whose place in a diffusers folder is
    /// `at`.
    pub(super) fn tokenizers(&self, role: Role, at: &str, files: &[PathBuf]) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        let encoder = files.first().and_then(|file| file.parent());
        // X/text_encoder_2/model.safetensors has X/tokenizer_2.
        if let Some(encoder) = encoder {
            let own = encoder.file_name().map(|name| name.to_string_lossy().replace("text_encoder", "tokenizer"));
            folders.extend(own.zip(encoder.parent()).map(|(own, above)| above.join(own)));
            folders.push(encoder.to_owned());
        }
        let kind: &[&str] = match role {
            Role::T5 => &["tokenizer_t5", "t5_tokenizer", "t5"],
            _ => &["tokenizer_clip_l", "sd1_tokenizer", "clip"],
        };
        for place in encoder.map(Path::to_owned).iter().chain(&self.beside) {
            folders.push(place.join(at));
            folders.extend(["tokenizer", "tokenizer_2", "tokenizer_3"].iter().map(|name| place.join(name)));
            folders.extend(kind.iter().map(|name| place.join(name)));
        }
        folders.extend(self.beside.iter().cloned());
        // ComfyUI brings the vocabularies with its program.
        let program = match role {
            Role::T5 => "comfy/text_encoders/t5_tokenizer",
            _ => "comfy/sd1_tokenizer",
        };
        folders.extend(self.comfyui.iter().filter_map(|models| models.parent()).map(|root| root.join(program)));
        let mut seen = BTreeSet::new();
        folders.retain(|folder| seen.insert(folder.clone()) && folder.is_dir());
        folders
    }
}

/// The only file in `folder` that holds a transformer, if there is one and no other.
pub(super) fn only_transformer(folder: &Path) -> Option<PathBuf> {
    let holds =
        |file: &PathBuf| Loose::open(file).is_ok_and(|parts| parts.iter().any(|part| part.role() == Role::Transformer));
    let mut found = tensor_files(folder).into_iter().map(|(_, file)| file).filter(holds);
    found.next().filter(|_| found.next().is_none())
}

/// Whether this is the `models` folder of ComfyUI.
fn is_models(folder: &Path) -> bool {
    COMFYUI.iter().filter(|kind| folder.join(kind).is_dir()).count() >= 2
}

/// Files that may hold a part of this kind: those whose name says so first, then the largest, which is the least
/// quantised.
fn candidates(folder: &Path, role: Role, layout: &Layout) -> Vec<PathBuf> {
    let words: &[&str] = match role {
        Role::Transformer => &[],
        Role::Vae => &["ae.", "vae"],
        Role::ClipL => &["clip_l", "clip-l", "vit-l"],
        Role::ClipG => &["clip_g", "clip-g", "bigg"],
        Role::T5 => &["t5"],
    };
    let name = |file: &Path| file.file_name().map_or_else(String::new, |name| name.to_string_lossy().to_lowercase());
    let mut files = tensor_files(folder);
    // Shapes do not tell whose autoencoder it is.
    files.retain(|(_, file)| role != Role::Vae || !layout.disowns(&name(file)));
    files.sort_by_key(|(size, file)| {
        let said = words.iter().any(|word| name(file).contains(word));
        (!said, Reverse(*size), file.clone())
    });
    files.into_iter().map(|(_, file)| file).collect()
}

/// Files with an ending that tensors may have, and their sizes, by name.
fn tensor_files(folder: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let is_tensors = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)))
    };
    let mut files: Vec<PathBuf> = paths.filter(is_tensors).take(MOST_FILES).collect();
    files.sort();
    let sized = files.into_iter().filter_map(|file| {
        let metadata = std::fs::metadata(&file).ok().filter(std::fs::Metadata::is_file)?;
        Some((metadata.len(), file))
    });
    sized.collect()
}

fn subfolders(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).take(MOST_FILES).collect();
    folders.sort();
    folders
}
