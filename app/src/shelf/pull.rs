//! Fetching a model for this user: its terms are told before its first byte, and it is listed from then on.

use std::ops::ControlFlow;
use std::path::PathBuf;

use flowline_model::weights::hub::{Fetching, Hub, HubModel};

use super::Shelf;
use crate::Failure;

/// What is about to be fetched, and under which terms.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Its name.
    pub model: String,
    /// Where its licence stands.
    pub page: String,
    /// Its licence; `None` if its owner names none.
    pub licence: Option<String>,
    /// How many files.
    pub files: usize,
    /// Bytes that are here already.
    pub here: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What happens on the way.
#[derive(Debug)]
pub enum Pulling<'a> {
    /// Something is missing and will be fetched.
    Begins(&'a Terms),
    /// As the Hub tells.
    Fetching(Fetching<'a>),
}

/// A model that is here now.
#[derive(Debug)]
pub struct Pulled {
    /// Its folder, or its file where one was named.
    pub path: PathBuf,
    /// At which commit of its repository.
    pub commit: String,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes among them that had to be fetched.
    pub fetched: u64,
    /// Why it will not be listed, if it will not.
    pub unlisted: Option<Failure>,
}

/// Fetches what is not here of `model`.
///
/// # Errors
/// Those of [`Hub::listing`] and [`Hub::fetch`]; [`flowline_model::Error::Cancelled`] if `observe` breaks.
pub fn pull(
    hub: &Hub,
    model: &HubModel,
    observe: &mut dyn FnMut(Pulling<'_>) -> ControlFlow<()>,
) -> flowline_model::Result<Pulled> {
    let listing = hub.listing(&model.reference, &mut |told| observe(Pulling::Fetching(told)))?;
    let files = listing.wanted(model.wanted())?;
    let total = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
    let here = hub.here(&listing, &files);
    if here < total {
        let licence = model.entry.map(|entry| entry.licence.to_owned()).or_else(|| listing.licence.clone());
        let (name, page) = (model.name(), hub.page(&model.reference));
        let terms = Terms { model: name, page, licence, files: files.len(), here, total };
        if observe(Pulling::Begins(&terms)).is_break() {
            return Err(flowline_model::Error::Cancelled);
        }
    }
    let folder = hub.fetch(&listing, &files, &mut |told| observe(Pulling::Fetching(told)))?;
    Ok(Pulled {
        path: model.reference.file().map_or_else(|| folder.clone(), |file| folder.join(file)),
        commit: listing.commit().to_owned(),
        files: files.len(),
        bytes: total,
        fetched: total - here,
        unlisted: Shelf::usual(true).fetched(model).err(),
    })
}
