//! What `-o` may say, and the names pictures get.

use std::ffi::OsStr;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use crate::error::{Failure, Result};

/// Where pictures go, as `-o` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A folder: pictures are named `{model}-{seed}.png`. A missing folder is created when the first picture is saved,
    /// if its parent exists; the default folder with its parents.
    Folder(PathBuf),
    /// One file name, used as it is. A further picture, or one that finds the name taken, gets the next free one:
    /// `name-2.png`, `name-3.png`.
    File(PathBuf),
    /// A file name with `{seed}`, `{index}` or `{model}` in it.
    Pattern(Pattern),
    /// PNG bytes on stdout, one picture after the other.
    Stdout,
}

/// A file name with places to fill in: `{seed}`, `{index}` (position in the run, from 0, four digits) and `{model}`.
/// `{{` and `}}` stand for braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    folder: PathBuf,
    name: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Seed,
    Index,
    Model,
}

/// The kind of file that a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// What its names end in, without the dot.
    pub extension: &'static str,
    /// What to do about a name that ends otherwise.
    pub hint: &'static str,
}

/// Pictures.
pub const PNG: Format = Format { extension: "png", hint: "pictures are written as PNG; end the name in .png" };

/// Which picture of a run, to fill in its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The picture's seed.
    pub seed: u64,
    /// Its position in the run, from 0.
    pub index: usize,
}

impl Destination {
    /// Reads what was written after `-o`. An existing folder or a name that ends in a slash is a folder; a name without
    /// an extension gets `.png`.
    ///
    /// # Errors
    /// A usage error: nothing, an unknown `{word}`, an extension that is no picture format we write.
    pub fn parse(written: &OsStr) -> Result<Self> {
        if written.is_empty() {
            return Err(Failure::usage(
                "the name of the output is empty",
                "give a file, a folder, a pattern or - after -o",
            ));
        }
        if written == "-" {
            return Ok(Self::Stdout);
        }
        let path = PathBuf::from(written);
        let as_folder = written.as_encoded_bytes().last().is_some_and(|byte| std::path::is_separator((*byte).into()));
        if as_folder || path.is_dir() || path.file_name().is_none() {
            return Ok(Self::Folder(path));
        }
        match written.to_str() {
            Some(text) if text.contains(['{', '}']) => Pattern::parse(text, PNG).map(Self::Pattern),
            _ => file(path, PNG).map(Self::File),
        }
    }

    /// Where a picture goes if the name is free; `None` for stdout.
    pub(super) fn path(&self, which: Which<'_>) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => Some(folder.join(format!("{}-{}.png", safe(which.model), which.seed))),
            Self::File(path) => Some(path.clone()),
            Self::Pattern(pattern) => Some(pattern.path(which)),
            Self::Stdout => None,
        }
    }

    /// The folder that pictures go to; `None` for stdout.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::File(path) => Some(path.parent().unwrap_or(Path::new(""))),
            Self::Pattern(pattern) => Some(&pattern.folder),
            Self::Stdout => None,
        }
    }
}

impl Pattern {
    pub(super) fn parse(text: &str, format: Format) -> Result<Self> {
        let is_separator = |c: char| std::path::is_separator(c);
        let (folder, name) = match text.rfind(is_separator) {
            Some(at) => text.split_at(at + 1),
            None => ("", text),
        };
        let folder = match parts(folder)?.as_slice() {
            [] => PathBuf::new(),
            [Part::Text(folder)] => PathBuf::from(folder),
            _ => {
                let hint = "put {seed}, {index} and {model} behind the last slash";
                return Err(Failure::usage(format!("'{text}' has a placeholder in the name of a folder"), hint));
            }
        };
        let mut name = parts(name)?;
        match name.last() {
            Some(Part::Text(end)) if end.contains('.') => {
                let extension = end.rsplit('.').next().unwrap_or_default();
                if !extension.eq_ignore_ascii_case(format.extension) {
                    return Err(Failure::usage(format!("cannot write .{extension} files"), format.hint));
                }
            }
            _ => name.push(Part::Text(format!(".{}", format.extension))),
        }
        Ok(Self { folder, name })
    }

    /// The folder, empty for the current one.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the names of two pictures of a run differ.
    pub(super) fn tells_apart(&self) -> bool {
        self.name.iter().any(|part| matches!(part, Part::Seed | Part::Index))
    }

    pub(super) fn path(&self, which: Which<'_>) -> PathBuf {
        let fill = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Seed => which.seed.to_string(),
            Part::Index => format!("{:04}", which.index),
            Part::Model => safe(which.model),
        };
        self.folder.join(self.name.iter().map(fill).collect::<String>())
    }
}

/// Splits a pattern at its placeholders.
fn parts(text: &str) -> Result<Vec<Part>> {
    let hint = "the placeholders are {seed}, {index} and {model}; write {{ and }} for braces";
    let refuse = |what: &str| Failure::usage(format!("'{text}' has {what}"), hint);
    let (mut parts, mut plain) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        plain.push_str(before);
        if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
            plain.extend(brace.chars().next());
            rest = after;
            continue;
        }
        let inside = brace.strip_prefix('{').ok_or_else(|| refuse("a } without a {"))?;
        let (word, after) = inside.split_once('}').ok_or_else(|| refuse("a { without a }"))?;
        let part = match word {
            "seed" => Part::Seed,
            "index" => Part::Index,
            "model" => Part::Model,
            unknown => return Err(refuse(&format!("the unknown placeholder {{{unknown}}}"))),
        };
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(part);
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// A file name whose extension says what it is.
fn file(path: PathBuf, format: Format) -> Result<PathBuf> {
    match path.extension() {
        None => {
            let mut name = path.into_os_string();
            name.push(".");
            name.push(format.extension);
            Ok(name.into())
        }
        Some(extension) if extension.eq_ignore_ascii_case(format.extension) => Ok(path),
        Some(extension) => {
            Err(Failure::usage(format!("cannot write .{} files", extension.to_string_lossy()), format.hint))
        }
    }
}

/// Longest part of a file name that a model's name may take, in bytes; file systems allow 255 in all.
const LONGEST_NAME: usize = 100;

/// A model's name as it may stand in a file name anywhere.
fn safe(name: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let mut safe: String = name.chars().map(keep).collect();
    while safe.len() > LONGEST_NAME {
        safe.pop();
    }
    match safe.trim_matches(['.', '-']) {
        "" => "picture".into(),
        trimmed => trimmed.into(),
    }
}

/// The `n`th name of a file, from 1: `name.png`, `name-2.png`, `name-3.png`.
pub(super) fn numbered(path: &Path, n: usize) -> PathBuf {
    if n < 2 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{n}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// A folder as people read it: the current one is not the empty string.
pub(super) fn shown(folder: &Path) -> String {
    match folder.as_os_str().is_empty() {
        true => format!(".{MAIN_SEPARATOR}"),
        false => folder.display().to_string(),
    }
}
