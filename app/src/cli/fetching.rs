//! Fetching a model that is not here: its terms and its size first, then its bytes, and Ctrl-C keeps what has come.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flowline_model::weights::hub::{Amount, Fetching, Hub, HubModel, Listing, RemoteFile};
use flowline_model::{Error, Opening};

use super::events::Line;
use super::interrupt::Interrupt;
use super::progress::{Reporter, Transfer};
use crate::Result;
use crate::shelf::Shelf;

/// A model that is here now.
#[derive(Debug)]
pub struct Pulled {
    /// Its folder, or its file where one was named.
    pub path: PathBuf,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The bytes among them that had to be fetched.
    pub fetched: u64,
    /// At which commit.
    pub listing: Listing,
}

/// Fetches the model that `opening` names, if it is on the Hub and not here. A break means that the user stopped it.
///
/// # Errors
/// What went wrong; nothing where fetching is off limits, because opening will say what is missing.
pub fn fetch_missing(opening: &Opening, reporter: &mut Reporter) -> Result<ControlFlow<()>> {
    let going = ControlFlow::Continue(());
    // A folder goes before a repository of the same name.
    if opening.hub.is_offline() || Path::new(&opening.model).exists() {
        return Ok(going);
    }
    let Some(model) = HubModel::named(&opening.model) else { return Ok(going) };
    if model.here(&opening.hub).is_ok() {
        return Ok(going);
    }
    Ok(match pull(&model, &opening.hub, reporter)? {
        ControlFlow::Continue(_) => going,
        ControlFlow::Break(()) => ControlFlow::Break(()),
    })
}

/// Fetches what is not here of a model. A break means that the user stopped it.
///
/// # Errors
/// What went wrong.
pub fn pull(model: &HubModel, hub: &Hub, reporter: &mut Reporter) -> Result<ControlFlow<(), Pulled>> {
    let interrupt = Interrupt::listen();
    let mut reached = None;
    let mut observe = |reporter: &mut Reporter, happened: Fetching<'_>| {
        match happened {
            Fetching::Bytes { file, bytes, total, rate, left } => {
                reached = Some((bytes, total));
                reporter.transfer(&Transfer { work: "fetching", file: Some(file), bytes, total, rate, left });
            }
            Fetching::Retries { what, pause } => reporter.waiting(what, pause),
            Fetching::Shared { file } => {
                reporter.waiting(&format!("another program is fetching {file}; waiting for it"), Duration::ZERO);
            }
            Fetching::Begins { here, total, .. } => reached = Some((here, total)),
            Fetching::Tick => {}
        }
        if interrupt.pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let pulled = hub.listing(&model.reference, &mut |happened| observe(reporter, happened)).and_then(|listing| {
        let files = listing.wanted(model.wanted())?;
        let bytes = sum(&files);
        let here = hub.here(&listing, &files);
        if here < bytes {
            terms(model, hub, &listing, (files.len(), bytes, here), reporter);
        }
        let folder = hub.fetch(&listing, &files, &mut |happened| observe(reporter, happened))?;
        let path = model.reference.file().map_or_else(|| folder.clone(), |file| folder.join(file));
        Ok(Pulled { path, files: files.len(), bytes, fetched: bytes - here, listing: listing.clone() })
    });
    match pulled {
        Ok(pulled) => {
            if let Err(failure) = Shelf::usual(true).fetched(model) {
                reporter.talk(&format!("warning: it will not be listed: {}", failure.what));
            }
            Ok(ControlFlow::Continue(pulled))
        }
        Err(Error::Cancelled) => {
            let so_far = match reached {
                Some((bytes, total)) => format!("{} of {} are here", Amount(bytes), Amount(total)),
                None => "nothing was fetched".to_owned(),
            };
            reporter.talk(&format!("stopped; {so_far}, and the same command goes on from there"));
            Ok(ControlFlow::Break(()))
        }
        Err(error) => Err(error.into()),
    }
}

fn sum(files: &[&RemoteFile]) -> u64 {
    files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
}

/// Says what is about to be fetched, from whom, and under which licence.
fn terms(model: &HubModel, hub: &Hub, listing: &Listing, (files, total, here): (usize, u64, u64), reporter: &Reporter) {
    let (name, page) = (model.name(), hub.page(&model.reference));
    let licence = model.entry.map(|entry| entry.licence).or(listing.licence.as_deref());
    let part = if here > 0 { format!(", {} of it are here", Amount(here)) } else { String::new() };
    let count = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    let said = licence.unwrap_or("none is named; see its page");
    let text = format!("fetching {name}: {} in {count}{part}\nlicence: {said} ({page})", Amount(total));
    reporter.pulling(&text, &Line::Pulling { model: &name, page: &page, licence, files, total });
}
