//! How strongly a pair works: its product is multiplied with alpha / rank. kohya writes an alpha beside each pair,
//! diffusers the settings of peft into the file's metadata, peft into `adapter_config.json` beside the file. Where nothing
//! is said, alpha is the rank (diffusers `utils/peft_utils.py`, `get_peft_kwargs`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::refusal;
use super::spelling::Pair;
use crate::weights::file::TensorFile;
use crate::weights::header::Fact;
use crate::{Error, Result};

/// What a file says of its strengths.
pub(super) struct Alphas {
    /// The settings of modules whose names begin with this.
    settings: Vec<(String, Settings)>,
    /// The file that they are in, if it is another.
    pub(super) config: Option<PathBuf>,
}

/// peft's `LoraConfig`, as far as it says what is computed.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    peft_type: Option<String>,
    lora_alpha: Option<f64>,
    /// Other alphas for some modules. peft takes the first that matches, and writes them sorted.
    alpha_pattern: Option<BTreeMap<String, f64>>,
    /// Whether alpha is divided by the root of the rank (Kalajdzievski 2023, <https://arxiv.org/abs/2312.03732>).
    use_rslora: Option<bool>,
    use_dora: Option<bool>,
    use_qalora: Option<bool>,
    /// Settings of its own, or nothing.
    use_bdlora: serde_json::Value,
}

/// Where diffusers keeps the settings (`utils/state_dict_utils.py`).
const METADATA: &str = "lora_adapter_metadata";
/// What peft calls the two files.
const PEFT: (&str, &str) = ("adapter_model.safetensors", "adapter_config.json");
/// peft's names before those of the model's modules.
const WRAPPED: &str = "base_model.model.";
/// A larger file holds no settings.
const LARGEST_CONFIG: u64 = 1 << 20;
/// What peft's patterns may not hold here: they are regular expressions, and only plain names are understood.
const EXPRESSION: &[char] = &['*', '+', '?', '[', ']', '(', ')', '{', '}', '|', '\\', '$'];

impl Alphas {
    /// Reads what is said in the metadata of `file` at `path`, or beside it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings that cannot be read or mean another computation, [`Error::Io`].
    pub(super) fn read(file: &TensorFile, path: &Path) -> Result<Self> {
        let wrong = |what: String| Error::invalid(what, "fetch the adapter again, with all its files");
        let mut found = Self { settings: Vec::new(), config: None };
        let beside = path.with_file_name(PEFT.1);
        if let Some(Fact::Text(text)) = file.facts().get(METADATA) {
            let said: BTreeMap<String, serde_json::Value> = serde_json::from_str(text)
                .map_err(|e| wrong(format!("{}: its metadata '{METADATA}' cannot be read: {e}", file.name())))?;
            found.settings = sorted_by_part(said, file.name())?;
        } else if path.file_name().is_some_and(|name| name == PEFT.0) && beside.is_file() {
            let size = std::fs::metadata(&beside).map_err(|e| Error::io(&beside, e))?.len();
            if size > LARGEST_CONFIG {
                return Err(wrong(format!("{}: {size} bytes hold no settings of an adapter", beside.display())));
            }
            let bytes = std::fs::read(&beside).map_err(|e| Error::io(&beside, e))?;
            let settings: Settings =
                serde_json::from_slice(&bytes).map_err(|e| wrong(format!("{}: {e}", beside.display())))?;
            found.settings.push((WRAPPED.into(), settings));
            found.config = Some(beside);
        }
        for (_, settings) in &found.settings {
            settings.check(file.name())?;
        }
        Ok(found)
    }

    /// What the product of `pair` is multiplied with.
    ///
    /// # Errors
    /// [`Error::TensorDtype`], and [`Error::Invalid`] for an alpha that is no number.
    pub(super) fn factor(&self, file: &TensorFile, module: &str, pair: &Pair) -> Result<f64> {
        let rank = pair.rank as f64;
        let settings =
            self.settings.iter().find_map(|(prefix, set)| Some((module.strip_prefix(prefix.as_str())?, set)));
        let factor = match (&pair.alpha, settings) {
            (Some(alpha), _) => {
                let values = match alpha.stored.shape.iter().all(|n| *n == 1) {
                    true => file.values(&alpha.name, &alpha.stored)?,
                    false => Vec::new(),
                };
                values.first().map_or(f64::NAN, |alpha| f64::from(*alpha)) / rank
            }
            (None, Some((module, settings))) => settings.alpha(module).map_or(1.0, |alpha| match settings.use_rslora {
                Some(true) => alpha / rank.sqrt(),
                _ => alpha / rank,
            }),
            (None, None) => 1.0,
        };
        if factor.is_finite() {
            return Ok(factor);
        }
        let what = format!("{}: the alpha of '{module}' is not a finite number", file.name());
        Err(Error::invalid(what, refusal::DAMAGED))
    }
}

impl Settings {
    fn check(&self, file: &str) -> Result<()> {
        let said = |what: &str| format!("its settings say {what}");
        if self.use_dora == Some(true) {
            return Err(refusal::other_kind(file, &said("use_dora"), "DoRA"));
        }
        if self.use_qalora == Some(true) || !(self.use_bdlora.is_null() || self.use_bdlora == false) {
            return Err(refusal::other_kind(file, &said("use_qalora or use_bdlora"), "varied LoRA"));
        }
        if let Some(kind) = self.peft_type.as_deref().filter(|kind| *kind != "LORA") {
            return Err(refusal::other_kind(file, &said(&format!("peft_type '{kind}'")), kind));
        }
        match self
            .patterns()
            .map(|(pattern, _)| pattern)
            .find(|pattern| pattern.trim_start_matches('^').contains(EXPRESSION))
        {
            None => Ok(()),
            Some(pattern) => {
                let what = format!("{file}: its alpha_pattern '{pattern}' is no plain name of modules");
                Err(Error::invalid(what, "save the adapter with the modules' names written out"))
            }
        }
    }

    /// The alpha of a module: that of the first pattern that is its name, or the end of it from a dot on
    /// (peft `utils/other.py`, `get_pattern_key`).
    fn alpha(&self, module: &str) -> Option<f64> {
        let matches = |pattern: &str| match pattern.strip_prefix('^') {
            Some(whole) => module == whole,
            None => module.strip_suffix(pattern).is_some_and(|before| before.is_empty() || before.ends_with('.')),
        };
        let own = self.patterns().find(|(pattern, _)| matches(pattern));
        own.map(|(_, alpha)| alpha).or(self.lora_alpha)
    }

    fn patterns(&self) -> impl Iterator<Item = (&str, f64)> {
        self.alpha_pattern.iter().flatten().map(|(pattern, alpha)| (pattern.as_str(), *alpha))
    }
}

/// diffusers keeps the settings of all parts in one object: `transformer.lora_alpha`, `text_encoder.lora_alpha`. An
/// adapter of one part alone may have no such prefix.
fn sorted_by_part(said: BTreeMap<String, serde_json::Value>, file: &str) -> Result<Vec<(String, Settings)>> {
    let mut parts: BTreeMap<String, serde_json::Map<String, serde_json::Value>> = BTreeMap::new();
    for (key, value) in said {
        let (part, key) = match key.rsplit_once('.') {
            Some((part, key)) => (format!("{part}."), key.to_owned()),
            None => (String::new(), key),
        };
        parts.entry(part).or_default().insert(key, value);
    }
    // The longest prefix first: the empty one fits all.
    let read = parts.into_iter().rev().map(|(part, settings)| match serde_json::from_value(settings.into()) {
        Ok(settings) => Ok((part, settings)),
        Err(e) => {
            let what = format!("{file}: its metadata '{METADATA}' cannot be read: {e}");
            Err(Error::invalid(what, "fetch the adapter again"))
        }
    });
    read.collect()
}
