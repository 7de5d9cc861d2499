//! Adapters: files that add a matrix of low rank to some matrices of a model (LoRA, Hu et al. 2021,
//! <https://arxiv.org/abs/2106.09685>).
//!
//! `spelling` reads the names of a file's tensors, whoever trained it; `targets` says which matrices of the model they
//! mean; `alpha` how strongly each pair works; `refusal` says in words what cannot be used. Everything is decided from
//! headers when a model is opened, and the numbers are read when a network reads the matrix they are added to.

mod alpha;
mod place;
mod refusal;
mod spelling;
mod targets;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use candle_core::{Device, Tensor};

use self::alpha::Alphas;
use self::spelling::Pair;
pub use self::targets::Targets;
use super::file::TensorFile;
use super::hash::HashCache;
use super::naming::Rows;
use crate::opening::Lora;
use crate::ops::low_rank::LowRank;
use crate::provenance::LoraRecord;
use crate::{Error, Result, Warning};

/// The adapters that a model is opened with, in the order in which they were named.
#[derive(Default)]
pub struct Adapters(Vec<Adapter>);

/// One adapter, and what it adds where.
struct Adapter {
    file: TensorFile,
    /// By part, which is the name of its weight file, and tensor.
    additions: BTreeMap<(String, String), Addition>,
    applied: Applied,
    record: LoraRecord,
}

/// What is added to one matrix.
struct Addition {
    /// The module's name in the file.
    module: String,
    pair: Pair,
    /// Which rows of `up` are the matrix's own.
    rows: Rows,
    /// What the product is multiplied with.
    factor: f64,
}

/// What came of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// Its file.
    pub file: String,
    /// How strongly it works.
    pub scale: f64,
    /// How many of its modules add to the model.
    pub applied: usize,
    /// How many it has.
    pub modules: usize,
    /// The names of those that do not, and of tensors that belong to none.
    pub rest: Vec<String>,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, scale, applied, modules, .. } = self;
        write!(f, "{file}: {applied} of {modules} applied")?;
        if *scale == 1.0 { Ok(()) } else { write!(f, ", at {scale}") }
    }
}

impl Applied {
    /// What is left out, if anything is.
    pub fn warning(&self) -> Option<Warning> {
        /// Names that are written out.
        const SHOWN: usize = 8;
        if self.rest.is_empty() {
            return None;
        }
        let mut listed = self.rest.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if self.rest.len() > SHOWN {
            listed += &format!(" and {} more", self.rest.len() - SHOWN);
        }
        let message = format!("{self}; this model has no use for {listed}");
        Some(Warning::new("lora-rest", message))
    }
}

impl Adapters {
    /// Opens adapters and finds out where each adds.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::WeightFile`] for a file that cannot be read, [`Error::Invalid`] for one that is no
    /// adapter of this model, of a kind that is not computed, or contradicts itself.
    pub fn open(loras: &[Lora], targets: &Targets, hashes: &mut HashCache) -> Result<Self> {
        loras.iter().map(|lora| Adapter::open(lora, targets, hashes)).collect::<Result<_>>().map(Self)
    }

    /// What came of each.
    pub fn applied(&self) -> impl Iterator<Item = &Applied> {
        self.0.iter().map(|adapter| &adapter.applied)
    }

    /// Each as a record names it.
    pub fn records(&self) -> Vec<LoraRecord> {
        self.0.iter().map(|adapter| adapter.record.clone()).collect()
    }

    /// Numbers that are held beside those of the parts that `is_part` says yes to, by their weight files.
    pub fn parameters(&self, is_part: impl Fn(&str) -> bool) -> u64 {
        let additions = self.0.iter().filter(|adapter| adapter.works()).flat_map(|adapter| &adapter.additions);
        let of_part = additions.filter(|((file, _), _)| is_part(file));
        of_part.map(|(_, addition)| addition.pair.parameters(addition.rows)).sum()
    }

    /// What all of them add to `tensor` of the part in `file`.
    ///
    /// # Errors
    /// [`Error::TensorDtype`], and [`Error::Invalid`] for numbers that are none.
    pub fn low_rank(&self, file: &str, tensor: &str, device: &Device) -> Result<Vec<LowRank>> {
        let key = (file.to_owned(), tensor.to_owned());
        let working = self.0.iter().filter(|adapter| adapter.works());
        let added = working.filter_map(|adapter| Some((adapter, adapter.additions.get(&key)?)));
        added.map(|(adapter, addition)| adapter.read(addition, device)).collect()
    }

    /// Refuses adapters that add to a tensor of the part in `file` that nobody asked about.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the first one.
    pub fn finish(&self, file: &str, asked: impl Fn(&str) -> bool) -> Result<()> {
        for adapter in &self.0 {
            let mut unasked = adapter.additions.iter().filter(|((part, tensor), _)| part == file && !asked(tensor));
            if let Some(((_, tensor), addition)) = unasked.next() {
                let (name, module) = (adapter.file.name(), &addition.module);
                let what = format!("{name}: '{module}' adds to '{tensor}', which this model does not compute with");
                return Err(Error::invalid(what, "the adapter was made for another model; leave it out"));
            }
        }
        Ok(())
    }
}

impl Adapter {
    fn open(lora: &Lora, targets: &Targets, hashes: &mut HashCache) -> Result<Self> {
        let path = place::find(lora, hashes)?;
        place::check_scale(&path, lora.scale)?;
        let file = TensorFile::open(&path)?;
        let read = spelling::read(&file)?;
        let alphas = Alphas::read(&file, &path)?;
        let mut additions: BTreeMap<(String, String), Addition> = BTreeMap::new();
        let (modules, mut applied, mut rest) = (read.pairs.len(), 0, Vec::new());
        let (mut models, mut misfit) = (refusal::Models::default(), None);
        for (module, pair) in read.pairs {
            let found = targets.find(&module, &pair);
            models.add(&module, found.is_some());
            let found = match found {
                Some(Ok(found)) => found,
                Some(Err(wrong)) => {
                    misfit = misfit.or_else(|| Some(refusal::shape(&file, &wrong)));
                    continue;
                }
                None => {
                    rest.push(module);
                    continue;
                }
            };
            let taken = |tensor: &String| additions.contains_key(&(found.file.to_owned(), tensor.clone()));
            // Some files say the same in two namings.
            if found.parts.iter().any(|part| taken(&part.name)) {
                rest.push(format!("{module} (named twice)"));
                continue;
            }
            let factor = lora.scale * alphas.factor(&file, &module, &pair)?;
            for part in found.parts {
                let addition = Addition { module: module.clone(), pair: pair.clone(), rows: part.rows, factor };
                additions.insert((found.file.to_owned(), part.name.clone()), addition);
            }
            applied += 1;
        }
        models.check(&file)?;
        if let Some(misfit) = misfit {
            return Err(misfit);
        }
        if applied == 0 {
            return Err(refusal::nothing_applies(&file, modules));
        }
        rest.extend(read.rest);
        let applied = Applied { file: file.name().to_owned(), scale: lora.scale, applied, modules, rest };
        let record = LoraRecord {
            file: own_name(&path),
            sha256: hashes.sha256(&path)?,
            config: alphas.config.as_deref().map(|path| hashes.sha256(path)).transpose()?,
            scale: lora.scale,
        };
        Ok(Self { file, additions, applied, record })
    }

    /// Whether it changes anything: at strength 0 the model is what it is without, to the last bit.
    fn works(&self) -> bool {
        self.applied.scale != 0.0
    }

    /// The two factors, the strength in the second.
    fn read(&self, addition: &Addition, device: &Device) -> Result<LowRank> {
        let Addition { pair, rows, factor, .. } = addition;
        let (down, up) = (&pair.down, &pair.up);
        let downs = self.file.values(&down.name, &down.stored)?;
        let mut ups = self.file.values_of(&up.name, &up.stored, *rows)?;
        ups.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        for (name, values) in [(&down.name, &downs), (&up.name, &ups)] {
            if !values.iter().all(|value| value.is_finite()) {
                let what = format!("{}: tensor '{name}' holds values that are not finite numbers", self.file.name());
                return Err(Error::invalid(what, "the training went wrong, or the strength is too large"));
            }
        }
        let rows = ups.len() / pair.rank.max(1);
        let down = Tensor::from_vec(downs, (pair.rank, pair.columns), device)?;
        Ok(LowRank { down, up: Tensor::from_vec(ups, (rows, pair.rank), device)?, first: 0 })
    }
}

/// A file's own name, without the folder it is in.
fn own_name(path: &Path) -> String {
    path.file_name().map_or_else(|| "adapter".into(), |name| name.to_string_lossy().into_owned())
}
