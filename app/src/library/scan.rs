//! The pictures that lie in a folder: the folder is the database.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::entry::{About, Content, Entry, File};
use super::star;
use crate::record;

/// How deep folders in folders are looked into; grids and the like lie one or two deep.
const DEPTH: usize = 4;
/// Folders that are looked into: somebody may keep pictures beside everything else.
const FOLDERS: usize = 4096;

/// A picture's file, and whether it has a star.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) file: File,
    pub(super) starred: bool,
}

/// All PNG files below `folders`, newest first. Hidden files and folders are passed over, links to folders are not
/// followed; what cannot be listed has no pictures.
pub(super) fn list(folders: &[PathBuf]) -> Vec<Listed> {
    let (mut listed, mut left) = (Vec::new(), FOLDERS);
    for folder in folders {
        below(folder, DEPTH, &mut left, &mut listed);
    }
    listed.sort_unstable_by(|a, b| newest_first(&a.file, &b.file));
    // One folder may lie in another.
    listed.dedup_by(|a, b| a.file.path == b.file.path);
    listed
}

/// The order of the library.
pub(super) fn newest_first(a: &File, b: &File) -> std::cmp::Ordering {
    b.modified.cmp(&a.modified).then_with(|| a.path.cmp(&b.path))
}

/// Lists what lies below `folder`, `depth` folders deep, while folders are `left`.
fn below(folder: &Path, depth: usize, left: &mut usize, listed: &mut Vec<Listed>) {
    let Some(fewer) = left.checked_sub(1) else { return };
    *left = fewer;
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() {
            if depth > 1 {
                below(&path, depth - 1, left, listed);
            }
        } else if is_png(&path)
            && let Some(file) = file(path)
        {
            let starred = star::is_set(&file.path);
            listed.push(Listed { file, starred });
        }
    }
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
}

/// The file at `path` as it is now, if it is one.
pub(super) fn file(path: PathBuf) -> Option<File> {
    let about = fs::metadata(&path).ok().filter(Metadata::is_file)?;
    Some(File { path, bytes: about.len(), modified: about.modified().unwrap_or(SystemTime::UNIX_EPOCH) })
}

/// Reads the record in a file.
pub(super) fn read(file: File, starred: bool) -> Entry {
    let content = match record::read(&file.path) {
        Ok(record) => Content::Picture(About::new(&record)),
        Err(failure) => Content::Damaged(reason(&failure.what, &file.path)),
    };
    Entry { file, starred, content }
}

/// What is wrong with a file, without the path that everybody sees beside it.
pub(super) fn reason(what: &str, path: &Path) -> String {
    let path = path.display().to_string();
    let what = what.strip_prefix(&path).unwrap_or(what).trim_start_matches([':', ' ']);
    match what.starts_with("is ") || what.starts_with("carries ") || what.starts_with("has ") {
        true => format!("it {what}"),
        false => what.to_owned(),
    }
}
