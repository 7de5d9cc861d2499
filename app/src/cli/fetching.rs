//! Fetching a model that is not here: its terms and its size first, then its bytes, and Ctrl-C keeps what has come.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use flowline_model::weights::hub::{Amount, Fetching, Hub, HubModel};
use flowline_model::{Error, Opening, Pipeline};

use super::events::Line;
use super::interrupt::Interrupt;
use super::progress::{Reporter, Transfer};
use crate::shelf::{self, Pulled, Pulling, Terms};
use crate::{Registry, Result};

/// Fetches the model that `opening` names, if it is on the Hub and not here. A break means that the user stopped it.
///
/// # Errors
/// What went wrong; nothing where fetching is off limits, because opening will say what is missing.
pub fn fetch_missing(opening: &Opening, reporter: &mut Reporter) -> Result<ControlFlow<()>> {
    let going = ControlFlow::Continue(());
    // A folder goes before a repository of the same name, and a transformer of one's own before the catalogue's.
    let own = opening.parts.transformer.is_some() || Path::new(&opening.model).exists();
    if opening.hub.is_offline() || own {
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

/// Opens a model, and fetches the vocabularies that loose files of it do not bring. A break means that the user stopped it.
///
/// # Errors
/// What is wrong with the model, or with the fetching.
pub fn open(opening: &Opening, registry: &Registry, reporter: &mut Reporter) -> Result<ControlFlow<(), Pipeline>> {
    let mut fetched = Vec::new();
    loop {
        match registry.open(opening) {
            Err(error @ Error::Fetchable { reference, .. }) => {
                let known = HubModel::named(reference).filter(|_| !opening.hub.is_offline());
                // Once is enough: what has come and does not help will not help again.
                let Some(model) = known.filter(|_| !fetched.contains(&reference)) else { return Err(error.into()) };
                fetched.push(reference);
                if pull(&model, &opening.hub, reporter)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            opened => return Ok(ControlFlow::Continue(opened?)),
        }
    }
}

/// Fetches what is not here of a model. A break means that the user stopped it.
///
/// # Errors
/// What went wrong.
pub fn pull(model: &HubModel, hub: &Hub, reporter: &mut Reporter) -> Result<ControlFlow<(), Pulled>> {
    let interrupt = Interrupt::listen();
    let mut reached = None;
    let pulled = shelf::pull(hub, model, &mut |told| {
        match told {
            Pulling::Begins(terms) => tell(terms, reporter),
            Pulling::Fetching(Fetching::Bytes { file, bytes, total, rate, left }) => {
                reached = Some((bytes, total));
                reporter.transfer(&Transfer { work: "fetching", file: Some(file), bytes, total, rate, left });
            }
            Pulling::Fetching(Fetching::Retries { what, pause }) => reporter.waiting(what, pause),
            Pulling::Fetching(Fetching::Shared { file }) => {
                reporter.waiting(&format!("another program is fetching {file}; waiting for it"), Duration::ZERO);
            }
            Pulling::Fetching(Fetching::Begins { here, total, .. }) => reached = Some((here, total)),
            Pulling::Fetching(Fetching::Tick) => {}
        }
        if interrupt.pressed() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match pulled {
        Ok(pulled) => {
            if let Some(failure) = &pulled.unlisted {
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

/// Says what is about to be fetched, from whom, and under which licence.
fn tell(terms: &Terms, reporter: &Reporter) {
    let Terms { model, page, licence, files, here, total } = terms;
    let part = if *here > 0 { format!(", {} of it are here", Amount(*here)) } else { String::new() };
    let count = if *files == 1 { "1 file".to_owned() } else { format!("{files} files") };
    let said = licence.as_deref().unwrap_or("none is named; see its page");
    let text = format!("fetching {model}: {} in {count}{part}\nlicence: {said} ({page})", Amount(*total));
    let licence = licence.as_deref();
    reporter.pulling(&text, &Line::Pulling { model, page, licence, files: *files, total: *total });
}
