//! `flowline grid`: every combination of some options as pictures, tables and a contact sheet.

use std::ops::ControlFlow;
use std::path::Path;

use flowline_model::{Event, Outcome};
use serde::Serialize;
use serde_json::Value;

use super::dry_run::describe;
use super::events::Line;
use super::interrupt::Interrupt;
use super::progress::Reporter;
use super::{fetching, output};
use crate::args::{Generate, Grid};
use crate::grid::table::Table;
use crate::grid::{Begun, Cell, Folder, Made, Models, Outline, Plan, Row, Teller, Work, whole};
use crate::library::cache_folder;
use crate::{Exit, Failure, Registry, Result};

/// Makes the grid that `args` asks for, or joins what several shards have made of one.
pub fn run(args: &Grid, registry: &Registry) -> Exit {
    let mut reporter = Reporter::new(args.all.generate.progress);
    let done = match &args.merge {
        Some(folder) => merge(folder, args, &mut reporter),
        None => make(args, registry, &mut reporter),
    };
    match done {
        Ok(exit) => {
            reporter.close();
            exit
        }
        Err(failure) => reporter.fail(&failure),
    }
}

fn make(args: &Grid, registry: &Registry, reporter: &mut Reporter) -> Result<Exit> {
    // Everything that can be refused is refused before a weight is read.
    let generate = &args.all.generate;
    let shard = args.shard.map(|shard| shard.numbers(|name| std::env::var(name).ok())).transpose()?;
    let folder = match (&generate.output, generate.dry_run) {
        (None, true) => None,
        (output, _) => Some(Folder::named(output.as_deref())?),
    };
    let outline = Outline::read(args)?;
    if let (Some(folder), false) = (&folder, generate.dry_run) {
        folder.check(generate.force)?;
    }
    if let (Some(name), false) = (generate.model.named(), generate.dry_run)
        && fetching::fetch_missing(&generate.model.opening(name), reporter)?.is_break()
    {
        return Ok(Exit::Cancelled);
    }
    let cache = cache_folder().map_err(|warning| reporter.warning(&warning)).ok();
    let mut models = Models::new(registry, cache);
    let settle = if generate.dry_run { whole::preview } else { whole::settle };
    let plan = settle(&outline, folder.as_ref(), &mut models, &mut |warning| reporter.warning(warning))?;
    for seed in &plan.seeds {
        reporter.talk(&format!("seed: {seed} (random)"));
    }
    let Some(folder) = folder.filter(|_| !generate.dry_run) else {
        list(&plan, generate)?;
        return Ok(Exit::Done);
    };
    folder.sweep();
    let mut told = Told {
        plan: &plan,
        generate,
        reporter,
        interrupt: Interrupt::listen(),
        heard: false,
        spent: Outcome::default(),
    };
    let mut work = Work {
        plan: &plan,
        folder: &folder,
        shard: shard.unwrap_or((1, 1)),
        metadata: !generate.no_metadata,
        models: &mut models,
    };
    let made = work.run(&mut told).inspect_err(|_| {
        // The failure says what happened; this, that nothing is lost.
        told.reporter.talk(&format!("{}, and the same command goes on from here", progress(&plan, &folder)));
    })?;
    if generate.verbose {
        told.reporter.times(&told.spent);
    }
    finish(&plan, &folder, made, generate, reporter)
}

/// `3 of 5 cells are done`.
fn progress(plan: &Plan, folder: &Folder) -> String {
    let done = plan.cells.iter().filter(|cell| folder.row(&cell.key).is_some()).count();
    format!("{done} of {} cells are done", plan.cells.len())
}

/// Writes the tables of what is done if nothing is left to do, and says how it went.
fn finish(plan: &Plan, folder: &Folder, made: Made, generate: &Generate, reporter: &Reporter) -> Result<Exit> {
    let progress = progress(plan, folder);
    if made.stopped {
        reporter.talk(&format!("stopped; {progress}, and the same command goes on from here"));
        return Ok(Exit::Cancelled);
    }
    let Some(files) = whole::conclude(plan, folder, made)? else {
        let named = crate::command::quoted(&folder.path().to_string_lossy());
        reporter.talk(&format!("{progress}; when all shards are: flowline grid --merge {named}"));
        return Ok(Exit::Done);
    };
    if !generate.json {
        reporter.beside(|| paths(folder, &files))?;
    }
    Ok(Exit::Done)
}

fn paths(folder: &Folder, files: &[String]) -> Result<()> {
    files.iter().try_for_each(|file| {
        let path = folder.at(file);
        output::data(&[path.as_os_str().as_encoded_bytes(), b"\n"].concat())
    })
}

/// What `--merge --json` prints.
#[derive(Serialize)]
struct Merged {
    cells: usize,
    done: usize,
    missing: Vec<String>,
    files: Vec<String>,
}

fn merge(path: &Path, args: &Grid, reporter: &mut Reporter) -> Result<Exit> {
    let Grid { axis, shard, reference, all, .. } = args;
    let own = [("axis", !axis.is_empty()), ("shard", shard.is_some()), ("reference", reference.is_some())];
    let own = own.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    let told = |name: &&str| !["json", "progress", "verbose", "threads"].contains(name);
    if let Some(name) = own.chain(all.written.iter().map(|(name, _)| name.as_str())).find(told) {
        let name = if name == "prompt" { name.to_owned() } else { format!("--{name}") };
        let what = format!("--merge takes no {name}");
        return Err(Failure::usage(what, "the folder says what its grid is: flowline grid --merge lab/"));
    }
    let folder = Folder::named(Some(path))?;
    let Some(plan) = folder.plan()? else {
        let what = format!("there is no grid in {}", path.display());
        return Err(Failure::new(what, "name the folder that was given to grid after -o"));
    };
    folder.sweep();
    let table = Table::read(&plan, &folder)?;
    let (cells, done) = (plan.cells.len(), table.rows.len());
    if done == 0 {
        let what = format!("none of the {cells} cells in {} is done", path.display());
        return Err(Failure::new(what, "run the grid first"));
    }
    let files = whole::write(&plan, &folder, &table)?;
    if args.all.generate.json {
        let files = files.iter().map(|file| folder.at(file).display().to_string()).collect();
        output::pretty(&Merged { cells, done, missing: table.missing, files })?;
        return Ok(Exit::Done);
    }
    if !table.missing.is_empty() {
        const SHOWN: usize = 4;
        let shown: Vec<&str> = table.missing.iter().take(SHOWN).map(String::as_str).collect();
        let more = if table.missing.len() > SHOWN { ", …" } else { "" };
        let missing = table.missing.len();
        reporter.talk(&format!("warning: {missing} of {cells} cells are missing: {}{more}", shown.join(", ")));
    }
    paths(&folder, &files)?;
    Ok(Exit::Done)
}

/// The cells of a dry run.
fn list(plan: &Plan, generate: &Generate) -> Result<()> {
    if generate.json {
        return output::pretty(plan);
    }
    let width = plan.cells.iter().map(|cell| cell.key.len()).max().unwrap_or(0);
    let line = |cell: &Cell| {
        let label = output::printable(&plan.label(cell)).replace('\n', " ");
        format!("{:width$}  {:>5} evaluations  {label}\n", cell.key, cell.evaluations)
    };
    output::data(plan.cells.iter().map(line).collect::<String>().as_bytes())
}

/// Tells what happens, and hears Ctrl-C.
struct Told<'a> {
    plan: &'a Plan,
    generate: &'a Generate,
    reporter: &'a mut Reporter,
    interrupt: Interrupt,
    /// Whether the user was told that a key was heard.
    heard: bool,
    /// Where the time went.
    spent: Outcome,
}

impl Teller for Told<'_> {
    fn begin(&mut self, begun: &Begun<'_>) {
        let Begun { cell, number, cells, reference } = begun;
        let label = output::printable(&self.plan.label(cell)).replace('\n', " ");
        let text = match reference {
            None => format!("cell {number}/{cells} {label}"),
            Some(request) => {
                format!("reference {} steps={} for cell {number}/{cells} {label}", request.sampler, request.steps)
            }
        };
        let pairs = self.plan.axes.iter().zip(&cell.at);
        let at = pairs.map(|(axis, value)| (axis.name.clone(), Value::from(value.as_str()))).collect();
        let reference = reference.and_then(|_| cell.reference.clone());
        self.reporter.cell(&text, &Line::Cell { cell: &cell.key, number: *number, cells: *cells, at, reference });
        if self.generate.verbose {
            self.reporter.talk(describe(begun.reference.unwrap_or(&cell.request)).trim_end());
        }
    }

    fn event(&mut self, event: &Event) -> ControlFlow<()> {
        self.reporter.event(event);
        if let Event::Finished(outcome) = event {
            self.spent.loading += outcome.loading;
            self.spent.encoding += outcome.encoding;
            self.spent.sampling += outcome.sampling;
            self.spent.decoding += outcome.decoding;
        }
        if !self.interrupt.pressed() {
            return ControlFlow::Continue(());
        }
        if !self.heard {
            self.heard = true;
            self.reporter.talk("stopping; press Ctrl-C again to quit at once");
        }
        ControlFlow::Break(())
    }

    fn done(&mut self, row: &Row) -> Result<()> {
        if !self.generate.json {
            return Ok(());
        }
        let line = output::line(row)? + "\n";
        self.reporter.beside(|| output::data(line.as_bytes()))
    }

    fn failed(&mut self, cell: &Cell, failure: &Failure) {
        let message = format!("the cell {} cannot be made: {}", self.plan.label(cell), failure.what);
        self.reporter.warning(&flowline_model::Warning::new("cell-failed", message));
    }
}
