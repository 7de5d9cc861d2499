//! What to open, and how: everything about a model that is decided before a request.

use std::path::{Path, PathBuf};

use crate::weights::Holding;

/// A model as somebody names it, and how it is to be opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// A name in the catalogue, or the path of a folder.
    pub model: String,
    /// Where hashes of weight files are remembered.
    pub cache: Option<PathBuf>,
    /// How weights are held in memory.
    pub holding: Holding,
    /// The most memory of its own that the program may take, bytes; `None` for what the system can give.
    pub memory: Option<u64>,
}

impl Opening {
    /// The model called `model`, with nothing special about it.
    pub fn named(model: impl Into<String>, cache: Option<&Path>) -> Self {
        Self { model: model.into(), cache: cache.map(Path::to_owned), ..Self::default() }
    }
}
