//! The folder of a grid: what it holds, and that it holds one grid only.
//!
//! ```text
//! grid.json                    the plan; whoever writes it first decides, and seeds are drawn once
//! KEY.png                      a picture with its record
//! cells/KEY.json               its row, written last: the cell is done
//! references/KEY.safetensors   the final latents of a reference run
//! results.csv, results.json, sheet.png
//! ```
//! Every file is whole or not there, so programs that work side by side need no other agreement than these names.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flowline_model::{Latents, Picture};
use serde::Serialize;

use super::{Plan, Row};
use crate::library::atomic::{self, Named, Whole};
use crate::library::{Destination, Library, SaveOptions};
use crate::{Failure, Result, record};

/// The folder of a grid.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Whose grid a folder holds after [`Folder::claim`].
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Ours: the plan was written.
    Ours,
    /// That of a program that was faster.
    Theirs(Box<Plan>),
}

const PLAN: &str = "grid.json";
const CELLS: &str = "cells";
const REFERENCES: &str = "references";

impl Folder {
    /// The folder that `-o` names.
    ///
    /// # Errors
    /// Nothing, standard output, a file.
    pub fn named(output: Option<&Path>) -> Result<Self> {
        let hint = "say where its pictures and tables go: -o lab/";
        let Some(path) = output else {
            return Err(Failure::usage("a grid needs a folder", hint));
        };
        if path.as_os_str() == "-" {
            return Err(Failure::usage("a grid does not fit on standard output", hint));
        }
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png")) || path.is_file() {
            return Err(Failure::usage(format!("a grid is a folder, and {} is a file", path.display()), hint));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The plan of the grid that is here; `None` where there is none.
    ///
    /// # Errors
    /// A file `grid.json` that cannot be read or understood.
    pub fn plan(&self) -> Result<Option<Plan>> {
        let path = self.path.join(PLAN);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failure::io(&path, error)),
        };
        #[derive(serde::Deserialize)]
        struct Form {
            grid: u32,
        }
        let refused = |what: String| {
            let hint = "it is damaged or was made by a newer flowline; give another folder after -o";
            Failure::new(format!("{}: {what}", path.display()), hint)
        };
        // The form first: a newer one may well have other fields.
        let form: Form = serde_json::from_str(&text).map_err(|e| refused(format!("this is no grid ({e})")))?;
        if form.grid != Plan::FORM {
            return Err(refused(format!("the grid has form {}, this program knows {}", form.grid, Plan::FORM)));
        }
        let plan: Plan = serde_json::from_str(&text).map_err(|e| refused(format!("this is no grid ({e})")))?;
        match plan.is_whole() {
            true => Ok(Some(plan)),
            false => Err(refused("its cells are not those of its axes".into())),
        }
    }

    /// Says before any work whether a grid can go here. Leaves the disk as it is.
    ///
    /// # Errors
    /// A folder that is missing with its parent, cannot be written to, or holds other files, unless `force`.
    pub fn check(&self, force: bool) -> Result<()> {
        let options = SaveOptions { force, metadata: true };
        Library::new(Destination::Folder(self.path.clone()), options).check()?;
        if force || !self.path.is_dir() || self.path.join(PLAN).exists() {
            return Ok(());
        }
        let entries = fs::read_dir(&self.path).map_err(|e| Failure::io(&self.path, e))?;
        for entry in entries {
            let name = entry.map_err(|e| Failure::io(&self.path, e))?.file_name();
            // What systems and our own killed runs leave about.
            if !name.as_encoded_bytes().starts_with(b".") {
                let what = format!("{} holds other files, such as {}", self.path.display(), name.to_string_lossy());
                return Err(Failure::new(
                    what,
                    "give an empty or a new folder after -o, or --force to put a grid among them",
                ));
            }
        }
        Ok(())
    }

    /// Makes the folder and those inside, as far as they are missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn prepare(&self) -> Result<()> {
        for folder in [self.path.clone(), self.path.join(CELLS), self.path.join(REFERENCES)] {
            if let Err(error) = fs::create_dir(&folder)
                && !folder.is_dir()
            {
                return Err(Failure::io(&folder, error));
            }
        }
        Ok(())
    }

    /// Writes `plan` unless there is one.
    ///
    /// # Errors
    /// What the system says.
    pub fn claim(&self, plan: &Plan) -> Result<Claim> {
        let path = self.path.join(PLAN);
        let failed = |e| Failure::io(&path, e);
        let json = json(plan)?;
        let written = Whole::write(&self.path, |out| out.write_all(&json)).map_err(failed)?;
        if let Named::Done = written.name(&path).map_err(failed)? {
            return Ok(Claim::Ours);
        }
        match self.plan()? {
            Some(plan) => Ok(Claim::Theirs(Box::new(plan))),
            None => Err(failed(io::ErrorKind::NotFound.into())),
        }
    }

    /// The row of a cell that is done: row and picture are there.
    pub fn row(&self, key: &str) -> Option<Row> {
        let text = fs::read_to_string(self.path.join(CELLS).join(format!("{key}.json"))).ok()?;
        let row: Row = serde_json::from_str(&text).ok()?;
        (row.cell == key && row.picture == Row::picture(key) && self.at(&row.picture).is_file()).then_some(row)
    }

    /// Keeps what came of a cell: the picture, then the row.
    ///
    /// # Errors
    /// What the system says. What was there before is there still.
    pub fn keep(&self, row: &Row, picture: &Picture, metadata: bool) -> Result<()> {
        let chunks = if metadata { record::chunks(&picture.request) } else { Vec::new() };
        self.write(Path::new(&row.picture), |out| record::write_png(out, &picture.image, &chunks))?;
        let json = json(row)?;
        self.write(&Path::new(CELLS).join(format!("{}.json", row.cell)), |out| out.write_all(&json))
    }

    /// The final latents of a reference run; `None` if it is not done, or its file cannot be read any more.
    pub fn reference(&self, key: &str) -> Option<Latents> {
        Latents::read(&fs::read(self.path.join(REFERENCES).join(format!("{key}.safetensors"))).ok()?).ok()
    }

    /// Keeps the final latents of a reference run.
    ///
    /// # Errors
    /// What the system says.
    pub fn keep_reference(&self, key: &str, latents: &Latents) -> Result<()> {
        let bytes = latents.save()?;
        self.write(&Path::new(REFERENCES).join(format!("{key}.safetensors")), |out| out.write_all(&bytes))
    }

    /// Writes a file of the grid, whole, in the place of an older one.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, name: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let path = self.path.join(name);
        let failed = |e| Failure::io(&path, e);
        let folder = path.parent().unwrap_or(&self.path);
        Whole::write(folder, content).and_then(|whole| whole.replace(&path)).map_err(failed)
    }

    /// Takes away what programs that were killed left half-written.
    pub fn sweep(&self) {
        for folder in [self.path.clone(), self.path.join(CELLS), self.path.join(REFERENCES)] {
            // What cannot be taken away harms nobody.
            let _ = atomic::sweep(&folder);
        }
    }

    /// The path of a file of the grid.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    let no_form = |e| Failure::new(format!("a value has no JSON form ({e})"), "this is a bug; please report it");
    let mut json = serde_json::to_vec_pretty(value).map_err(no_form)?;
    json.push(b'\n');
    Ok(json)
}
