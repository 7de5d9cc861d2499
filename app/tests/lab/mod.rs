//! Grids of pictures as small as they get, and what their folders hold.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::binary::{Sandbox, files};

pub const PROMPT: &str = "a red lighthouse by the sea at sunset";

/// The words of a grid of small pictures, quick to make.
pub fn grid(more: &[&str]) -> Vec<String> {
    let common = ["grid", PROMPT, "-W", "32", "-H", "32", "--cfg", "1", "-t", "1"];
    common.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

/// The rows of a folder's table, by `results.json`.
pub fn rows(folder: &Path) -> Vec<Value> {
    let text = std::fs::read(folder.join("results.json")).expect("a table");
    serde_json::from_slice::<Value>(&text).expect("JSON").as_array().expect("rows").clone()
}

/// The lines of `results.csv` under the names of the columns.
pub fn csv(folder: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(folder.join("results.csv")).expect("a table");
    let rows = reader.deserialize().map(|row| row.expect("as many values as columns"));
    rows.collect()
}

/// The keys of the cells that are done, by the files that say so.
pub fn done(folder: &Path) -> Vec<String> {
    let stem = |path: &PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
    files(&folder.join("cells")).iter().map(stem).collect()
}

/// The cells of a dry run.
pub fn planned(sandbox: &Sandbox, words: &[&str]) -> Vec<Value> {
    let words = [words, &["--dry-run", "--json"]].concat();
    sandbox.run(words).json()["cells"].as_array().expect("cells").clone()
}

pub fn keys(cells: &[Value]) -> Vec<String> {
    cells.iter().map(|cell| cell["key"].as_str().expect("a key").to_owned()).collect()
}
