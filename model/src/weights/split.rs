//! Weights that are split into several files, as diffusers and transformers do above some gigabytes: beside
//! `X-00001-of-00003.safetensors` and its like lies `X.safetensors.index.json`, whose `weight_map` says which tensor is
//! where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::file::TensorFile;
use super::{ModelFiles, Weights};
use crate::{Error, Result};

/// The index of a split weight file.
pub(super) struct Split {
    /// Its path inside the model.
    index: String,
    /// Where each tensor is: a path inside the model.
    map: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Split {
    /// The index of the weight file `file`, if the file itself is not there and its index is.
    ///
    /// # Errors
    /// [`Error::Config`] if the index cannot be read, names nothing, or names files elsewhere.
    pub(super) fn read(files: &ModelFiles, file: &str) -> Result<Option<Self>> {
        let index = format!("{file}.index.json");
        if files.has(file) || !files.has(&index) {
            return Ok(None);
        }
        let Index { weight_map } = files.json(&index)?;
        let wrong = |what: String| Err(Error::Config { file: index.clone(), what });
        if weight_map.is_empty() {
            return wrong("the index names no tensor".into());
        }
        let mut map = BTreeMap::new();
        for (tensor, shard) in weight_map {
            if !is_plain(&shard) {
                return wrong(format!("'{shard}' is not the name of a safetensors file beside the index"));
            }
            let folder = file.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
            map.insert(tensor, format!("{folder}{shard}"));
        }
        Ok(Some(Self { index, map }))
    }

    /// The files it names, each once, in the order of their names.
    pub(super) fn shards(&self) -> BTreeSet<&str> {
        self.map.values().map(String::as_str).collect()
    }

    /// All its tensors, from the files that `open` opens.
    ///
    /// # Errors
    /// Those of `open`; [`Error::Config`] if a tensor is not where the index says, [`Error::WeightFile`] if one is in
    /// two files.
    pub(super) fn join(&self, open: impl Fn(&str) -> Result<TensorFile>) -> Result<Weights> {
        let mut opened = BTreeMap::new();
        for shard in self.shards() {
            opened.insert(shard, open(shard)?);
        }
        for (tensor, shard) in &self.map {
            if !opened.get(shard.as_str()).is_some_and(|file| file.tensors().contains_key(tensor)) {
                let what = format!("the index says that tensor '{tensor}' is in {shard}, and it is not");
                return Err(Error::Config { file: self.index.clone(), what });
            }
        }
        Weights::joined(self.index.clone(), opened.into_values().collect(), "")
    }
}

/// Whether this is the name of a safetensors file and no way out of the folder, on any system.
fn is_plain(name: &str) -> bool {
    let mut components = Path::new(name).components();
    let alone = matches!((components.next(), components.next()), (Some(Component::Normal(part)), None) if part == name);
    alone && !name.contains(['/', '\\', ':']) && name.ends_with(".safetensors")
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn only_the_plain_name_of_a_safetensors_file_is_followed() {
        assert!(is_plain("diffusion_pytorch_model-00001-of-00003.safetensors"));
        for name in [
            "",
            ".",
            "..",
            "../a.safetensors",
            "/a.safetensors",
            "b/a.safetensors",
            "./a.safetensors",
            "a.safetensors/",
            "..\\a.safetensors",
            "C:a.safetensors",
            "a.bin",
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
