//! A model's files in diffusers' layout, wherever they are: built into the program, in a folder, or here and there.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::Weights;
use super::assembled::Assembled;
use super::file::TensorFile;
use super::hash::{HashCache, sha256};
use super::split::Split;
use crate::{Error, Result};

/// The files of one model.
#[derive(Clone, Debug)]
pub enum ModelFiles {
    /// Built into the program.
    Embedded(&'static [(&'static str, &'static [u8])]),
    /// In a folder.
    Folder(PathBuf),
    /// Loose files and parts of files, seen as a folder.
    Assembled(Box<Assembled>),
}

/// A configuration file larger than this is not one.
const LARGEST_TEXT_FILE: u64 = 64 << 20;

impl ModelFiles {
    /// Whether there is a file of this name.
    pub fn has(&self, file: &str) -> bool {
        match self {
            Self::Embedded(files) => files.iter().any(|(name, _)| *name == file),
            Self::Folder(folder) => folder.join(file).is_file(),
            Self::Assembled(parts) => parts.has(file),
        }
    }

    /// The bytes of a small file.
    ///
    /// # Errors
    /// [`Error::Config`] if it is not there or far too large, [`Error::Io`] if it cannot be read.
    pub fn read(&self, file: &str) -> Result<Cow<'static, [u8]>> {
        match self {
            Self::Embedded(files) => match files.iter().find(|(name, _)| *name == file) {
                Some((_, bytes)) => Ok(Cow::Borrowed(*bytes)),
                None => Err(missing(file)),
            },
            Self::Folder(folder) => read_small(&folder.join(file), file),
            Self::Assembled(parts) => parts.read(file).unwrap_or_else(|| Err(missing(file))),
        }
    }

    /// A JSON file as `T`.
    ///
    /// # Errors
    /// As [`ModelFiles::read`], and [`Error::Config`] if it does not parse.
    pub fn json<T: DeserializeOwned>(&self, file: &str) -> Result<T> {
        let bytes = self.read(file)?;
        serde_json::from_slice(&bytes).map_err(|e| Error::Config { file: file.to_owned(), what: e.to_string() })
    }

    /// Whether there is a weight file of this name, whole or split.
    pub fn has_weights(&self, file: &str) -> bool {
        self.has(file) || self.has(&format!("{file}.index.json"))
    }

    /// The files that the weight file `file` consists of: itself, or those that its index names, sorted. Where both are
    /// there, the whole one counts. Loose files go by their own names.
    ///
    /// # Errors
    /// [`Error::Config`] for an index that is none.
    pub fn weight_files(&self, file: &str) -> Result<Vec<String>> {
        if let Self::Assembled(parts) = self {
            return parts.weight_files(file).unwrap_or_else(|| Err(missing(file)));
        }
        Ok(match Split::read(self, file)? {
            Some(split) => split.shards().into_iter().map(str::to_owned).collect(),
            None => vec![file.to_owned()],
        })
    }

    /// Where the files on disk are that the weight file `file` consists of.
    ///
    /// # Errors
    /// [`Error::Config`] for an index that is none, or a model that is built in.
    pub fn paths(&self, file: &str) -> Result<Vec<PathBuf>> {
        match self {
            Self::Embedded(_) => Err(missing(file)),
            Self::Folder(folder) => Ok(self.weight_files(file)?.into_iter().map(|file| folder.join(file)).collect()),
            Self::Assembled(parts) => parts.paths(file).unwrap_or_else(|| Err(missing(file))),
        }
    }

    /// Opens a weight file, whole or split.
    ///
    /// # Errors
    /// [`Error::Config`] if it or a file of its index is not there, or the index is wrong, [`Error::WeightFile`] if one
    /// is truncated, its header lies, or two hold the same tensor, else [`Error::Io`].
    pub fn weights(&self, file: &str) -> Result<Weights> {
        if let Self::Assembled(parts) = self {
            return parts.weights(file).unwrap_or_else(|| Err(missing(file)));
        }
        match Split::read(self, file)? {
            Some(split) => split.join(|shard| self.tensors(shard)),
            None => Weights::whole(self.tensors(file)?),
        }
    }

    /// Opens one safetensors file.
    fn tensors(&self, file: &str) -> Result<TensorFile> {
        match self {
            Self::Embedded(_) => match self.read(file)? {
                Cow::Borrowed(bytes) => TensorFile::embedded(file, bytes),
                Cow::Owned(_) => Err(missing(file)),
            },
            Self::Folder(folder) if self.has(file) => TensorFile::open(&folder.join(file)),
            Self::Folder(_) | Self::Assembled(_) => Err(missing(file)),
        }
    }

    /// The size of a file in bytes.
    ///
    /// # Errors
    /// [`Error::Config`] if a built-in model has no such file, [`Error::Io`] if it cannot be read.
    pub fn size(&self, file: &str) -> Result<u64> {
        match self {
            Self::Embedded(_) => Ok(self.read(file)?.len() as u64),
            Self::Folder(folder) => {
                let path = folder.join(file);
                Ok(std::fs::metadata(&path).map_err(|e| Error::io(&path, e))?.len())
            }
            Self::Assembled(parts) => match (parts.path(file), parts.base()) {
                (Some(path), _) => Ok(std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len()),
                (None, Some(base)) => base.size(file),
                (None, None) => Err(missing(file)),
            },
        }
    }

    /// SHA-256 of a file's bytes; those of files on disk are remembered in `cache`.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read.
    pub fn sha256(&self, file: &str, cache: &mut HashCache) -> Result<String> {
        match self {
            Self::Embedded(_) => Ok(sha256(&self.read(file)?)),
            Self::Folder(folder) => cache.sha256(&folder.join(file)),
            Self::Assembled(parts) => match (parts.path(file), parts.base()) {
                (Some(path), _) => cache.sha256(path),
                (None, Some(base)) => base.sha256(file, cache),
                (None, None) => Err(missing(file)),
            },
        }
    }

    /// What the model is called where it is: the folder's own name, or that of loose files; `None` if it is built in.
    pub fn folder_name(&self) -> Option<String> {
        match self {
            Self::Embedded(_) => None,
            Self::Folder(folder) => {
                let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                let name = absolute.file_name().map(|name| name.to_string_lossy().into_owned());
                Some(name.unwrap_or_else(|| "model".into()))
            }
            Self::Assembled(parts) => Some(parts.name().to_owned()),
        }
    }

    /// What the files call the model, beside its name; empty if they say nothing.
    pub fn title(&self) -> &str {
        match self {
            Self::Assembled(parts) => parts.title(),
            Self::Embedded(_) | Self::Folder(_) => "",
        }
    }

    /// The files of the model in `folder`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such folder or nothing in it.
    pub fn folder(folder: &Path) -> Result<Self> {
        let hint = "name a diffusers folder: one that holds model_index.json, transformer/, vae/ and text encoders";
        let mut entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
                let what = format!("{} is a file, not a model folder", folder.display());
                return Err(Error::invalid(what, hint));
            }
            Err(e) => return Err(Error::io(folder, e)),
        };
        if entries.next().is_none() {
            return Err(Error::invalid(format!("the model folder {} is empty", folder.display()), hint));
        }
        Ok(Self::Folder(folder.to_owned()))
    }
}

/// The bytes of a small file at `path`, which the model knows as `file`.
pub(super) fn read_small(path: &Path, file: &str) -> Result<Cow<'static, [u8]>> {
    let size = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Err(missing(file)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(missing(file)),
        Err(e) => return Err(Error::io(path, e)),
    };
    if size > LARGEST_TEXT_FILE {
        let what = format!("{size} bytes is far too large for this kind of file");
        return Err(Error::Config { file: file.to_owned(), what });
    }
    Ok(Cow::Owned(std::fs::read(path).map_err(|e| Error::io(path, e))?))
}

fn missing(file: &str) -> Error {
    Error::Config { file: file.to_owned(), what: "the file is missing from the model folder".into() }
}
