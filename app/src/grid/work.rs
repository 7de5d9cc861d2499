//! Making cells, one after the other, each saved as soon as it is done.

use std::ops::ControlFlow;

use flowline_model::{Error, Event, Latents, Picture, Pipeline, Request};

use super::{Cell, Folder, Gathered, Models, Plan, Row};
use crate::{Failure, Result};

/// A grid at work.
pub struct Work<'a, 'm> {
    /// What is made.
    pub plan: &'a Plan,
    /// Where it goes.
    pub folder: &'a Folder,
    /// Which shard of how many, from 1.
    pub shard: (usize, usize),
    /// Write the record into the pictures.
    pub metadata: bool,
    /// What makes them.
    pub models: &'a mut Models<'m>,
}

/// Hears what happens, and says whether to go on.
pub trait Teller {
    /// A run begins.
    fn begin(&mut self, begun: &Begun<'_>);
    /// Something happened in it.
    fn event(&mut self, event: &Event) -> ControlFlow<()>;
    /// A cell is on the disk.
    ///
    /// # Errors
    /// If it cannot be told, and there is no sense in going on.
    fn done(&mut self, row: &Row) -> Result<()>;
    /// A cell cannot be made; the others are.
    fn failed(&mut self, cell: &Cell, failure: &Failure);
}

/// A run that begins.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// The cell, or the cell that needs a reference.
    pub cell: &'a Cell,
    /// Its place among the cells of this shard, from 1.
    pub number: usize,
    /// How many those are.
    pub cells: usize,
    /// The reference run, if it is one.
    pub reference: Option<&'a Request>,
}

/// How the work ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Cells made.
    pub made: usize,
    /// Cells that were done before.
    pub found: usize,
    /// Cells that cannot be made.
    pub failed: usize,
    /// Whether it was stopped.
    pub stopped: bool,
}

/// One run that came to its end.
struct Ran {
    picture: Picture,
    gathered: Gathered,
}

impl Work<'_, '_> {
    /// Makes every cell of the shard that is not done.
    ///
    /// # Errors
    /// What keeps all further cells from being made, a full disk among it. The cells that are done stay.
    pub fn run(&mut self, teller: &mut dyn Teller) -> Result<Made> {
        let (index, count) = self.shard;
        let mine = self.plan.cells.iter().skip(index.saturating_sub(1)).step_by(count.max(1));
        // One model at a time, and one prompt after the other, of which the pipeline remembers a few.
        let mut order: Vec<(usize, &Cell)> = mine.enumerate().collect();
        let first = |same: &dyn Fn(&Cell) -> bool| self.plan.cells.iter().position(same);
        order.sort_by_cached_key(|(place, cell)| {
            let (opening, request) = (&cell.opening, &cell.request);
            let words = |request: &Request| (request.prompt.clone(), request.negative_prompt.clone());
            (first(&|other| other.opening == *opening), first(&|other| words(&other.request) == words(request)), *place)
        });
        let mut made = Made::default();
        for (at, (_, cell)) in order.iter().enumerate() {
            if self.folder.row(&cell.key).is_some() {
                made.found += 1;
            } else {
                let begun = Begun { cell, number: at + 1, cells: order.len(), reference: None };
                match self.cell(&begun, teller) {
                    Ok(Some(row)) => {
                        made.made += 1;
                        teller.done(&row)?;
                    }
                    Ok(None) => {
                        made.stopped = true;
                        break;
                    }
                    // The numbers of this cell blew up; those of others need not.
                    Err(CellFailure::Numbers(failure)) => {
                        made.failed += 1;
                        teller.failed(cell, &failure);
                    }
                    Err(CellFailure::Everything(failure)) => return Err(failure),
                }
            }
            if order.get(at + 1).is_none_or(|(_, next)| next.opening != cell.opening) {
                self.models.close(&cell.opening);
            }
        }
        Ok(made)
    }

    /// Makes and keeps a cell; `None` if it was stopped.
    fn cell(&mut self, begun: &Begun<'_>, teller: &mut dyn Teller) -> Result<Option<Row>, CellFailure> {
        let cell = begun.cell;
        let pipeline = self.models.open(&cell.opening)?;
        let reference = match &cell.reference {
            None => None,
            Some(key) => match reference(pipeline, self.folder, self.plan, begun, key, teller)? {
                None => return Ok(None),
                found => found,
            },
        };
        teller.begin(begun);
        let Some(Ran { picture, gathered }) = run(pipeline, &cell.request, teller)? else { return Ok(None) };
        let distance = match (reference, &self.plan.reference) {
            (Some(latents), Some(written)) => {
                let distance = picture.latents.distance(&latents).map_err(Failure::from)?;
                Some((distance, written.clone()))
            }
            _ => None,
        };
        let row = Row::new(cell, &picture, &gathered, distance);
        self.folder.keep(&row, &picture, self.metadata)?;
        Ok(Some(row))
    }
}

/// The final latents of a reference run, which is made if it is not done; `None` if it was stopped.
fn reference(
    pipeline: &mut Pipeline,
    folder: &Folder,
    plan: &Plan,
    begun: &Begun<'_>,
    key: &str,
    teller: &mut dyn Teller,
) -> Result<Option<Latents>, CellFailure> {
    let Some(request) = plan.references.get(key) else {
        let what = format!("the grid does not say what the reference {key} is");
        return Err(Failure::new(what, "grid.json is damaged; give another folder after -o").into());
    };
    let spec = pipeline.spec();
    let (c, h, w) = spec.latent_shape(request.width, request.height);
    if let Some(latents) = folder.reference(key)
        && latents.tensor().dims() == [1, c, h, w]
    {
        return Ok(Some(latents));
    }
    teller.begin(&Begun { reference: Some(request), ..*begun });
    let Some(Ran { picture, .. }) = run(pipeline, request, teller)? else { return Ok(None) };
    folder.keep_reference(key, &picture.latents)?;
    Ok(Some(picture.latents))
}

/// One run to its end; `None` if it was stopped.
fn run(pipeline: &mut Pipeline, request: &Request, teller: &mut dyn Teller) -> Result<Option<Ran>, CellFailure> {
    let (mut gathered, mut made) = (Gathered::default(), None);
    pipeline.generate(request, |event| {
        if let Event::Step(step) = &event {
            gathered.step(step);
        }
        let answer = teller.event(&event);
        if let Event::Picture(picture) = event {
            made = Some(*picture);
        }
        answer
    })?;
    let whole = |picture: &Picture| {
        let taken = picture.stopped.map_or(request.steps, |(taken, _)| taken);
        taken == request.stop_after.unwrap_or(request.steps)
    };
    Ok(made.filter(whole).map(|picture| Ran { picture, gathered }))
}

/// Why a cell is not made.
enum CellFailure {
    /// Its numbers are none; other cells may do better.
    Numbers(Failure),
    /// A reason that no other cell escapes.
    Everything(Failure),
}

impl From<Failure> for CellFailure {
    fn from(failure: Failure) -> Self {
        Self::Everything(failure)
    }
}

impl From<Error> for CellFailure {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFinite { .. } => Self::Numbers(error.into()),
            other => Self::Everything(other.into()),
        }
    }
}
