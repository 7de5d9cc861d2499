//! A grid from beginning to end, for whoever makes one: it is settled in its folder, made, and concluded with its tables.

use flowline_model::Warning;

use super::table::Table;
use super::{Claim, Folder, Made, Models, Outline, Plan, Seeding, sheet};
use crate::{Failure, Result};

/// The plan of `outline`, with the seeds that the folder's grid has drawn already, and written there if it is the first.
/// Without a folder, nothing is written.
///
/// # Errors
/// What any of the cells cannot do; a folder that holds another grid; what the system says.
pub fn settle(
    outline: &Outline,
    folder: Option<&Folder>,
    models: &mut Models<'_>,
    warn: &mut dyn FnMut(&Warning),
) -> Result<Plan> {
    let there = folder.map(Folder::plan).transpose()?.flatten();
    let plan = resume(outline, there.as_ref(), models, warn)?;
    let Some(folder) = folder else { return Ok(plan) };
    if let Some(there) = &there {
        same(there, &plan, folder)?;
    }
    folder.prepare()?;
    match there.map_or_else(|| folder.claim(&plan), |_| Ok(Claim::Ours))? {
        Claim::Ours => Ok(plan),
        // Another shard was faster: its seeds count.
        Claim::Theirs(there) => {
            let (plan, _) = outline.plan(models, Seeding::of(&there))?;
            same(&there, &plan, folder)?;
            Ok(plan)
        }
    }
}

/// The plan of `outline` as it would be in `folder`, where nothing is written.
///
/// # Errors
/// As [`settle`].
pub fn preview(
    outline: &Outline,
    folder: Option<&Folder>,
    models: &mut Models<'_>,
    warn: &mut dyn FnMut(&Warning),
) -> Result<Plan> {
    let there = folder.map(Folder::plan).transpose()?.flatten();
    let plan = resume(outline, there.as_ref(), models, warn)?;
    if let (Some(there), Some(folder)) = (&there, folder) {
        same(there, &plan, folder)?;
    }
    Ok(plan)
}

fn resume(
    outline: &Outline,
    there: Option<&Plan>,
    models: &mut Models<'_>,
    warn: &mut dyn FnMut(&Warning),
) -> Result<Plan> {
    let (plan, warnings) = outline.plan(models, there.map(Seeding::of).unwrap_or_default())?;
    warnings.iter().for_each(warn);
    Ok(plan)
}

/// Refuses a folder with another grid.
fn same(there: &Plan, plan: &Plan, folder: &Folder) -> Result<()> {
    match there.difference(plan) {
        None => Ok(()),
        Some(difference) => {
            let what = format!("{} holds another grid: {difference}", folder.path().display());
            Err(Failure::new(what, "give another folder after -o, or the command that began this grid"))
        }
    }
}

/// Writes the tables and sheets of a grid whose cells are all there, and returns the files' names; `None` while cells of
/// other shards are missing.
///
/// # Errors
/// If cells could not be made; what the system says.
pub fn conclude(plan: &Plan, folder: &Folder, made: Made) -> Result<Option<Vec<String>>> {
    if made.failed > 0 {
        let what = format!("{} of {} cells could not be made", made.failed, plan.cells.len());
        let hint = "the others are done; grid --merge writes their table";
        return Err(Failure::new(what, hint));
    }
    let table = Table::read(plan, folder)?;
    if table.missing.is_empty() { write(plan, folder, &table).map(Some) } else { Ok(None) }
}

/// Writes the tables and the sheets of what is done, and returns their names.
///
/// # Errors
/// What the system says.
pub fn write(plan: &Plan, folder: &Folder, table: &Table) -> Result<Vec<String>> {
    let tables = table.write(folder)?.map(str::to_owned);
    Ok(tables.into_iter().chain(sheet::write(plan, folder)?).collect())
}
