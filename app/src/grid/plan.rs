//! From an outline to every cell as a whole request, before the first is made.

use std::collections::BTreeMap;

use flowline_model::{Draft, Request, Resolved, Spec, Warning};
use flowline_sampler::schedule::STEPS;
use serde::{Deserialize, Serialize};

use super::cell::{key, label};
use super::models::HolderOf;
use super::{Axis, Cell, Models, Outline, axis};
use crate::args::grid::{Align, generate_from, word};
use crate::args::{Generate, PICTURES_AT_ONCE};
use crate::cli::asked::Asked;
use crate::cli::brought;
use crate::{Failure, Result};

/// A grid with everything decided. Its JSON form is the file `grid.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this form: [`Plan::FORM`].
    pub grid: u32,
    /// The program that decided.
    pub flowline: String,
    /// What changes, the slowest first; seeds that nobody chose are here as they were drawn.
    pub axes: Vec<Axis>,
    /// What the axis `steps` counts: `steps` or `nfe`.
    pub align: String,
    /// What cells are compared with.
    pub reference: Option<String>,
    /// The seeds that nobody chose, in the order they were drawn, as strings.
    pub seeds: Vec<String>,
    /// Every combination.
    pub cells: Vec<Cell>,
    /// The reference runs by their keys.
    pub references: BTreeMap<String, Request>,
}

/// Seeds that nobody chose: first those that a grid has drawn already, then new ones.
#[derive(Clone, Debug, Default)]
pub struct Seeding {
    drawn: Vec<u64>,
    used: usize,
    /// The seed of all cells for which none was chosen.
    shared: Option<u64>,
}

impl Seeding {
    /// Beginning with the seeds of `plan`.
    pub fn of(plan: &Plan) -> Self {
        Self { drawn: plan.seeds.iter().filter_map(|seed| seed.parse().ok()).collect(), ..Self::default() }
    }

    fn next(&mut self, spec: &Spec) -> Result<u64> {
        if self.used == self.drawn.len() {
            // An empty draft is decided with a seed that nobody chose.
            self.drawn.extend(Draft::default().resolve(spec)?.request.seeds.first());
        }
        let seed = self.drawn.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        Ok(seed)
    }

    fn shared(&mut self, spec: &Spec) -> Result<u64> {
        let seed = match self.shared {
            Some(seed) => seed,
            None => self.next(spec)?,
        };
        self.shared = Some(seed);
        Ok(seed)
    }
}

impl Outline {
    /// Decides every cell.
    ///
    /// # Errors
    /// What any of the cells cannot do, naming the cell; more cells than can be, two that are the same picture.
    pub fn plan(&self, models: &mut Models<'_>, mut seeding: Seeding) -> Result<(Plan, Vec<Warning>)> {
        let mut warnings = Vec::new();
        let axes = self.seeded(models, &mut seeding)?;
        let (mut cells, mut references) = (Vec::new(), BTreeMap::new());
        for at in combinations(&axes)? {
            let mut words = self.words.clone();
            words.extend(axes.iter().zip(&at).map(|(axis, value)| axis.word(value)));
            let named = |failure: Failure| Failure {
                what: format!("in the cell {}: {}", label(&axes, &at), failure.what),
                ..failure
            };
            let generate = generate_from(words).map_err(named)?;
            let told = &mut warnings;
            let mut cell = self.cell(&generate, models, &mut seeding, told, at.clone()).map_err(named)?;
            if let Some(reference) = &self.reference {
                let samplers = models.registry().proof_samplers();
                let spec = models.open(&cell.opening)?.spec();
                if let Some(request) = reference.of(&cell.request, spec, samplers).map_err(named)? {
                    let key = key(&request)?;
                    cell.reference = Some(key.clone());
                    references.insert(key, request);
                }
            }
            cells.push(cell);
        }
        self.distinct(&axes, &cells)?;
        let align = match self.align {
            Align::Steps => "steps",
            Align::Nfe => "nfe",
        };
        seeding.drawn.truncate(seeding.used);
        let plan = Plan {
            grid: Plan::FORM,
            flowline: env!("CARGO_PKG_VERSION").into(),
            axes,
            align: align.into(),
            reference: self.reference().map(|reference| reference.to_string()),
            seeds: seeding.drawn.iter().map(u64::to_string).collect(),
            cells,
            references,
        };
        Ok((plan, warnings))
    }

    /// The axes with a number for every seed.
    fn seeded(&self, models: &mut Models<'_>, seeding: &mut Seeding) -> Result<Vec<Axis>> {
        let mut axes = self.axes.clone();
        for value in axes.iter_mut().filter(|axis| axis.name == "seed").flat_map(|axis| &mut axis.values) {
            if value == axis::RANDOM {
                let any = generate_from([word("prompt", Some("".as_ref()))])?;
                let pipeline = models.open(&Asked::read(&any)?.opening)?;
                *value = seeding.next(pipeline.spec())?.to_string();
            }
        }
        Ok(axes)
    }

    fn cell(
        &self,
        generate: &Generate,
        models: &mut Models<'_>,
        seeding: &mut Seeding,
        told: &mut Vec<Warning>,
        at: Vec<String>,
    ) -> Result<Cell> {
        let mut tell = |warnings: Vec<Warning>| {
            for warning in warnings {
                if !told.contains(&warning) {
                    told.push(warning);
                }
            }
        };
        let Asked { opening, mut draft, branch, warnings, .. } = Asked::read(generate)?;
        tell(warnings);
        let mut holder = HolderOf { models: &mut *models, opening: &opening };
        tell(brought::choose(&generate.beginning, generate.tilt.as_ref(), &mut draft, &mut holder)?);
        let pipeline = models.open(&opening)?;
        if draft.seeds.is_empty() {
            draft.seeds = vec![seeding.shared(pipeline.spec())?];
        }
        let budget = match (self.align, draft.steps) {
            (Align::Nfe, _) if branch.is_some() => {
                let what = "--align nfe cannot count the steps of a branch";
                return Err(Failure::usage(what, "leave one of them out"));
            }
            (Align::Nfe, Some(budget)) => {
                draft.steps = Some(fitting(&draft, budget as u64, pipeline.spec())?);
                Some(budget as u64)
            }
            _ => None,
        };
        let Resolved { request, warnings } = match branch {
            None => draft.resolve(pipeline.spec())?,
            Some(from) => from.resolve(&draft, generate, pipeline)?.0,
        };
        tell(warnings);
        let spec = pipeline.spec();
        let facts = spec.samplers.facts(&request.sampler)?;
        let evaluations = facts.evaluations.total(request.steps) * calls(&request);
        let key = key(&request)?;
        Ok(Cell { key, at, budget, evaluations, order: facts.order, reference: None, opening, request })
    }

    /// Refuses places that are the same picture; where evaluations are aligned, two budgets may well buy the same steps.
    fn distinct(&self, axes: &[Axis], cells: &[Cell]) -> Result<()> {
        let mut known: BTreeMap<&str, &Cell> = BTreeMap::new();
        for cell in cells {
            let Some(twin) = known.insert(&cell.key, cell) else { continue };
            if self.align == Align::Steps || twin.request != cell.request {
                let [one, other] = [twin, cell].map(|cell| label(axes, &cell.at));
                let what = format!("the cells {one} and {other} are the same picture");
                return Err(Failure::usage(what, "leave one of the values out"));
            }
        }
        Ok(())
    }
}

/// Every combination of values, the last axis changing fastest.
fn combinations(axes: &[Axis]) -> Result<Vec<Vec<String>>> {
    let count = axes.iter().try_fold(1usize, |count, axis| count.checked_mul(axis.values.len()));
    if count.is_none_or(|count| count > PICTURES_AT_ONCE) {
        let what = format!("the axes make more than {PICTURES_AT_ONCE} cells");
        return Err(Failure::usage(what, "make several smaller grids"));
    }
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for axis in axes {
        let longer = |at: &Vec<String>| {
            let longer = |value: &String| at.iter().chain([value]).cloned().collect::<Vec<_>>();
            axis.values.iter().map(longer).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    Ok(all)
}

/// How often the model runs for one evaluation of the guided field. A rule may do with less on a part of the way.
fn calls(request: &Request) -> u64 {
    1 + u64::from(request.uses_negative())
}

/// The largest number of steps whose evaluations fit into `budget`.
fn fitting(draft: &Draft, budget: u64, spec: &Spec) -> Result<usize> {
    let one = Draft { steps: Some(1), ..draft.clone() }.resolve(spec)?.request;
    let (evaluations, calls) = (spec.samplers.facts(&one.sampler)?.evaluations, calls(&one));
    // Every step costs something, so no more steps than evaluations come into question, and more steps cost more.
    let most = usize::try_from(budget).unwrap_or(usize::MAX).min(*STEPS.end());
    let (mut fits, mut exceeds) = (0, most + 1);
    while exceeds - fits > 1 {
        let middle = fits + (exceeds - fits) / 2;
        match evaluations.total(middle) * calls <= budget {
            true => fits = middle,
            false => exceeds = middle,
        }
    }
    match fits {
        0 => {
            let least = evaluations.total(1) * calls;
            let what = format!("not even one step of {} fits into {budget} evaluations", one.sampler.name);
            Err(Failure::usage(what, format!("allow for at least {least}")))
        }
        steps => Ok(steps),
    }
}

impl Plan {
    /// The version of the form of `grid.json` that this program writes.
    pub const FORM: u32 = 1;

    /// The place of a cell for people: `sampler=ab2 steps=8`.
    pub fn label(&self, cell: &Cell) -> String {
        label(&self.axes, &cell.at)
    }

    /// Whether every combination of the axes' values is a cell, in order; a plan may come from anywhere.
    pub(super) fn is_whole(&self) -> bool {
        let cells = self.cells.iter().map(|cell| &cell.at);
        combinations(&self.axes).is_ok_and(|all| all.iter().eq(cells))
    }

    /// What this grid has that `other` has not, if they are not the same grid.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let axes = |plan: &Self| {
            let written = |axis: &Axis| format!("{}={}", axis.name, axis.values.join(","));
            plan.axes.iter().map(written).collect::<Vec<_>>().join(" ")
        };
        let reference = |plan: &Self| plan.reference.clone().unwrap_or_else(|| "none".into());
        for (what, here, there) in [
            ("axes", axes(self), axes(other)),
            ("--align", self.align.clone(), other.align.clone()),
            ("--reference", reference(self), reference(other)),
        ] {
            if here != there {
                return Some(format!("{what}: {} here, {} asked for", shortened(&here), shortened(&there)));
            }
        }
        let pairs = self.cells.iter().zip(&other.cells);
        let (here, there) = pairs.into_iter().find(|(here, there)| here.key != there.key)?;
        Some(format!("the cell {}: {}", self.label(here), changed(&here.request, &there.request)))
    }
}

/// The first field in which two requests differ.
fn changed(here: &Request, there: &Request) -> String {
    let [here, there] = [here, there].map(|request| serde_json::to_value(request).unwrap_or_default());
    let fields = here.as_object().into_iter().flatten().filter(|(name, _)| *name != "made_with");
    let mut different = fields
        .filter_map(|(name, here)| Some((name, here, there.get(name)?)).filter(|_| there.get(name) != Some(here)));
    match different.next() {
        Some((name, here, there)) => {
            format!("{name} {} here, {} asked for", shortened(&here.to_string()), shortened(&there.to_string()))
        }
        None => "another request".into(),
    }
}

/// The beginning of a text, for messages.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}
