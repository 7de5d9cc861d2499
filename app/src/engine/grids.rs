//! A whole grid as one entry of the queue: what `flowline grid` does, told as events.

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use flowline_model::{Event as Made, Outcome, Picture, Warning};

use super::ending::Endings;
use super::mailbox::Mailbox;
use super::making::End;
use super::worker::Worker;
use super::{Ending, Event};
use crate::Registry;
use crate::args::grid::grid_from;
use crate::error::{Failure, Result};
use crate::grid::{Begun, Cell, Folder, Models, Outline, Row, Work, whole};
use crate::queue::{Ended, GridJob, JobId};

pub use crate::grid::Teller;

/// How a grid is made: its words, who hears of it, and who hears warnings. Whether it was stopped.
pub type MakeGrid =
    Box<dyn FnMut(&GridJob, &mut dyn Teller, &mut dyn FnMut(&Warning)) -> Result<ControlFlow<()>> + Send>;

/// Makes grids with what `registry` offers; the hashes of weight files are remembered in `cache`.
pub fn make_grids(registry: Registry, cache: Option<PathBuf>) -> MakeGrid {
    Box::new(move |job, teller, warn| {
        let args = grid_from(job.words.iter().map(OsString::from))?;
        let generate = &args.all.generate;
        if args.merge.is_some() || generate.dry_run {
            let what = "the queue makes grids; it merges none and lists none";
            return Err(Failure::usage(what, "leave --merge and --dry-run out"));
        }
        let shard = args.shard.map(|shard| shard.numbers(|name| std::env::var(name).ok())).transpose()?;
        let folder = Folder::named(generate.output.as_deref())?;
        let outline = Outline::read(&args)?;
        folder.check(generate.force)?;
        let mut models = Models::new(&registry, cache.clone());
        let plan = whole::settle(&outline, Some(&folder), &mut models, warn)?;
        folder.sweep();
        let (shard, metadata) = (shard.unwrap_or((1, 1)), !generate.no_metadata);
        let made = Work { plan: &plan, folder: &folder, shard, metadata, models: &mut models }.run(teller)?;
        if made.stopped {
            return Ok(ControlFlow::Break(()));
        }
        whole::conclude(&plan, &folder, made)?;
        Ok(ControlFlow::Continue(()))
    })
}

/// Refuses grids: for engines whose models are stand-ins.
pub fn no_grids() -> MakeGrid {
    Box::new(|_, _, _| Err(Failure::new("there are no grids here", "ask for pictures")))
}

impl Worker {
    /// Makes what is missing of a grid.
    pub(super) fn grid(&mut self, id: JobId, job: &GridJob) -> Result<End> {
        // A grid opens its own models; two would need twice the memory.
        self.model = None;
        let (mailbox, endings) = (Arc::clone(&self.mailbox), Arc::clone(&self.endings));
        let mut told =
            Told { mailbox: &mailbox, endings: &endings, id, place: (0, 1), made: None, output: folder(job) };
        let mut warn = |warning: &Warning| mailbox.post(Event::Made(Made::Warning(warning.clone())));
        let stopped = (self.make_grid)(job, &mut told, &mut warn)?.is_break();
        mailbox.post(Event::Made(Made::Finished(Outcome { pictures: 1, stopped, ..Outcome::default() })));
        Ok(match endings.of(id) {
            _ if !stopped => End::Done(Ended::Whole),
            Some(Ending::Later) => End::Later,
            Some(Ending::Nothing) => End::GivenUp,
            Some(Ending::Best) | None => End::Done(Ended::Stopped),
        })
    }
}

/// Where a grid's pictures go.
fn folder(job: &GridJob) -> PathBuf {
    let args = grid_from(job.words.iter().map(OsString::from)).ok();
    args.and_then(|args| args.all.generate.output).unwrap_or_default()
}

/// Tells what happens in a grid as if it were one batch.
struct Told<'a> {
    mailbox: &'a Mailbox,
    endings: &'a Endings,
    id: JobId,
    /// Cells before the one at work, and all.
    place: (usize, usize),
    /// A picture whose row is not written yet.
    made: Option<Arc<Picture>>,
    output: PathBuf,
}

impl Teller for Told<'_> {
    fn begin(&mut self, begun: &Begun<'_>) {
        self.place = (begun.number.saturating_sub(1), begun.cells);
        let request = begun.reference.unwrap_or(&begun.cell.request);
        self.mailbox.post(Event::Started(Box::new(request.clone())));
    }

    fn event(&mut self, event: &Made) -> ControlFlow<()> {
        match event {
            Made::Picture(picture) => self.made = Some(Arc::new((**picture).clone())),
            // The grid ends once.
            Made::Finished(_) | Made::Tick => {}
            event => self.mailbox.post(Event::Made(event.clone().among(self.place.0, self.place.1))),
        }
        if self.endings.of(self.id).is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn done(&mut self, row: &Row) -> Result<()> {
        if let Some(picture) = self.made.take() {
            let path = self.output.join(&row.picture);
            self.mailbox.post(Event::Picture(picture, Ok(std::path::absolute(&path).unwrap_or(path))));
        }
        Ok(())
    }

    fn failed(&mut self, cell: &Cell, failure: &Failure) {
        let message = format!("the cell {} cannot be made: {}", cell.key, failure.what);
        self.mailbox.post(Event::Made(Made::Warning(Warning::new("cell-failed", message))));
    }
}
