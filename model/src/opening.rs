//! What to open, and how: everything about a model that is decided before a request.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::weights::hub::Hub;
use crate::weights::identify::Role;
use crate::weights::{HashCache, Holding};
use crate::{LoraRecord, ModelRecord, WeightRecord};

/// A model as somebody names it, and how it is to be opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// A name in the catalogue, the path of a folder or of a file, or `owner/repo[:file]` on the Hub; empty if `parts` or
    /// `pieces` bring the transformer.
    pub model: String,
    /// Where models from the Hub lie on this machine. Opening fetches nothing.
    pub hub: Hub,
    /// Parts that are named one by one, in the place of the model's own.
    pub parts: Parts,
    /// Files whose parts are told by their tensors: whatever `model` and `parts` lack is taken from them first.
    pub pieces: Vec<PathBuf>,
    /// The catalogue entry whose defaults apply, where the files fit several.
    pub kind: Option<String>,
    /// Folders in which missing parts are looked for, beside those around the files that are named: a ComfyUI folder, or
    /// its `models`.
    pub places: Vec<PathBuf>,
    /// Where hashes of weight files are remembered.
    pub cache: Option<PathBuf>,
    /// How weights are held in memory.
    pub holding: Holding,
    /// The most memory of its own that the program may take, bytes; `None` for what the system can give.
    pub memory: Option<u64>,
    /// Adapters, in this order.
    pub loras: Vec<Lora>,
}

/// An adapter, and how strongly it works (LoRA, Hu et al. 2021, <https://arxiv.org/abs/2106.09685>).
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    /// Its file.
    pub file: LoraFile,
    /// What it adds is multiplied with this: 1 is as it was trained, 0 is nothing, below 0 is the other way.
    pub scale: f64,
}

/// Where an adapter's file is.
#[derive(Clone, Debug, PartialEq)]
pub enum LoraFile {
    /// At this path, or the one in this folder.
    Path(PathBuf),
    /// Wherever the file is that a record names: records hold no paths.
    Recorded(LoraRecord),
}

impl From<&LoraRecord> for Lora {
    fn from(record: &LoraRecord) -> Self {
        Self { file: LoraFile::Recorded(record.clone()), scale: record.scale }
    }
}

impl Opening {
    /// The model called `model`, with nothing special about it.
    pub fn named(model: impl Into<String>, cache: Option<&Path>) -> Self {
        Self { model: model.into(), cache: cache.map(Path::to_owned), ..Self::default() }
    }

    /// The model of a record, opened as it was then.
    pub fn recorded(model: &ModelRecord, cache: Option<&Path>) -> Self {
        Self {
            loras: model.loras.iter().map(Lora::from).collect(),
            holding: model.holding,
            kind: model.kind.clone(),
            ..Self::named(&model.name, cache)
        }
    }

    /// The same where its files were last seen, by the hashes remembered in `cache`; `None` if one is there no longer.
    pub fn seen(model: &ModelRecord, cache: &Path) -> Option<Self> {
        let mut hashes = HashCache::open(Some(cache));
        let seen: Vec<PathBuf> =
            model.weights.iter().map(|weights| hashes.find(&weights.sha256)).collect::<Option<_>>()?;
        // X/transformer/a.safetensors, recorded as transformer/a.safetensors, is in the folder X.
        let folder = |(path, weights): (&PathBuf, &WeightRecord)| {
            let inside = Path::new(&weights.file);
            let whole = weights.file.contains('/') && path.ends_with(inside);
            path.ancestors().nth(inside.components().count()).filter(|_| whole).map(Path::to_owned)
        };
        let folders: Option<BTreeSet<PathBuf>> = seen.iter().zip(&model.weights).map(folder).collect();
        let (opening, folders) = (Self::recorded(model, Some(cache)), folders.unwrap_or_default());
        Some(match folders.first().filter(|_| folders.len() == 1) {
            Some(folder) => Self { model: folder.to_string_lossy().into_owned(), ..opening },
            None => Self { model: String::new(), pieces: seen, ..opening },
        })
    }
}

/// Parts of a model that are named one by one: files, or folders of diffusers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// The velocity network.
    pub transformer: Option<PathBuf>,
    /// The autoencoder.
    pub vae: Option<PathBuf>,
    /// The smaller CLIP text encoder.
    pub clip_l: Option<PathBuf>,
    /// The larger CLIP text encoder.
    pub clip_g: Option<PathBuf>,
    /// The T5 text encoder.
    pub t5: Option<PathBuf>,
}

impl Parts {
    /// Those that are named.
    pub fn named(&self) -> impl Iterator<Item = (Role, &Path)> {
        let of = |role| match role {
            Role::Transformer => &self.transformer,
            Role::Vae => &self.vae,
            Role::ClipL => &self.clip_l,
            Role::ClipG => &self.clip_g,
            Role::T5 => &self.t5,
        };
        Role::ALL.into_iter().filter_map(move |role| Some((role, of(role).as_deref()?)))
    }
}
