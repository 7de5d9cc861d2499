//! What to open, and how: everything about a model that is decided before a request.

use std::path::{Path, PathBuf};

use crate::{LoraRecord, ModelRecord};

/// A model as somebody names it, and how it is to be opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// A name in the catalogue, or the path of a folder.
    pub model: String,
    /// Where hashes of weight files are remembered.
    pub cache: Option<PathBuf>,
    /// Adapters, in this order.
    pub loras: Vec<Lora>,
    /// The most memory of its own that the program may take, bytes; `None` for what the system can give.
    pub memory: Option<u64>,
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
        Self { loras: model.loras.iter().map(Lora::from).collect(), ..Self::named(&model.name, cache) }
    }
}
