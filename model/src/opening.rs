//! What to open, and how: everything about a model that is decided before a request.

use std::path::{Path, PathBuf};

use crate::weights::hub::Hub;

/// A model as somebody names it, and how it is to be opened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Opening {
    /// A name in the catalogue, the path of a folder, or `owner/repo` on the Hub.
    pub model: String,
    /// Where models from the Hub lie on this machine. Opening fetches nothing.
    pub hub: Hub,
    /// Where hashes of weight files are remembered.
    pub cache: Option<PathBuf>,
}

impl Opening {
    /// The model called `model`, with nothing special about it.
    pub fn named(model: impl Into<String>, cache: Option<&Path>) -> Self {
        Self { model: model.into(), cache: cache.map(Path::to_owned), ..Self::default() }
    }
}
