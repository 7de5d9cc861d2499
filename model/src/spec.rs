//! What a model is and can do, known from its configuration files before a weight is read.

use std::collections::BTreeSet;

use flowline_sampler::catalog::{Samplers, Schedules};
use flowline_sampler::guidance::Rules;

use crate::catalog::Entry;
use crate::family::Family;
use crate::memory::{Footprint, available, free};
use crate::model_index::ModelIndex;
use crate::preview::LinearPreview;
use crate::provenance::{ModelRecord, WeightRecord};
use crate::vae::{Tiling, VaeConfig};
use crate::weights::{Activations, Adapters, Applied, HashCache, Holding, Memory, ModelFiles, Targets};
use crate::{Error, Latents, Lora, Opening, Result, Warning};

/// Everything a request is resolved against.
pub struct Spec {
    /// Its catalogue entry: defaults, licence.
    pub entry: &'static Entry,
    /// The entry's name, or the folder's.
    pub name: String,
    /// The samplers that may be chosen; add your own with [`Samplers::add`].
    pub samplers: Samplers<Latents>,
    /// The schedules that may be chosen.
    pub schedules: Schedules,
    /// The rules of guidance that may be chosen.
    pub rules: Rules<Latents>,
    /// The words a narrow model knows; `None` for models of the whole language.
    pub words: Option<BTreeSet<String>>,
    /// What a narrow model draws, as the end of a sentence.
    pub draws: Option<String>,
    /// Pieces of prompts for a narrow model: one of each list, in this order, make one that it can draw.
    pub phrases: Vec<Vec<String>>,
    /// Tokens of text it reads.
    pub text_length: usize,
    /// The layers that skip-layer guidance skips unless told otherwise; none where it cannot.
    pub skip_layers: Vec<usize>,
    /// What the user should know about the model.
    pub(crate) warnings: Vec<Warning>,
    pub(crate) family: Box<dyn Family>,
    pub(crate) vae: VaeConfig,
    pub(crate) preview: Option<LinearPreview>,
    /// The most memory that may be taken, see [`crate::Opening::memory`].
    pub(crate) limit: Option<u64>,
    weights: Vec<WeightRecord>,
    /// The kind that somebody said it is.
    kind: Option<String>,
    /// Numbers of weights: of the text encoders, the transformer, the autoencoder.
    parameters: [u64; 3],
    holding: Holding,
    /// What the parts take, held so.
    memory: [Memory; 3],
    /// Bytes of the same.
    pub(crate) bytes: [u64; 3],
    adapters: Adapters,
}

/// Tokens of text a model may read: an end token and at least one of the prompt's, and no more than anybody trains.
const TEXT_LENGTHS: std::ops::RangeInclusive<usize> = 2..=1 << 16;
/// Largest width or height that is planned for at all.
const LARGEST_SIDE: u32 = 16_384;

impl Spec {
    /// Reads the configuration files of a model; `entry` is the catalogue's, if it was named there.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::WeightFile`] or [`Error::Io`] naming the file that is missing or wrong.
    pub fn open(files: &ModelFiles, entry: Option<&'static Entry>, hashes: &mut HashCache) -> Result<Self> {
        let index: ModelIndex = match files.has(MODEL_INDEX) {
            true => files.json(MODEL_INDEX)?,
            false => ModelIndex::default(),
        };
        if let Some(length) = index.text_length.filter(|length| !TEXT_LENGTHS.contains(length)) {
            let (least, most) = (TEXT_LENGTHS.start(), TEXT_LENGTHS.end());
            let what = format!("text_length is {length}; it must be between {least} and {most}");
            return Err(Error::Config { file: MODEL_INDEX.into(), what });
        }
        let family = crate::family::open(files, &index)?;
        let name = files.folder_name();
        let mut warnings = family.warnings();
        let entry = match (entry, &index.kind) {
            (Some(entry), _) => entry,
            (None, Some(kind)) => crate::catalog::find(kind)?,
            (None, None) => {
                let (entry, warning) = guessed_kind(family.as_ref(), files)?;
                warnings.extend(warning);
                entry
            }
        };
        let vae = VaeConfig::parse("vae/config.json", &files.read("vae/config.json")?)?;
        let (transformer, latents) = (family.latent_channels(), vae.latent_channels);
        if transformer != latents {
            let what = format!("{latents} latent channels, but the transformer works on {transformer}");
            return Err(Error::Config { file: "vae/config.json".into(), what });
        }
        let skip_layers = skip_layers(&index, entry, family.layers())?;
        let preview = match files.has("vae/preview.json") {
            true => Some(files.json::<LinearPreview>("vae/preview.json")?),
            false => None,
        };
        let parts = [family.text_weights(), vec![TRANSFORMER], vec![AUTOENCODER]];
        let (mut weights, mut parameters, mut bytes) = (Vec::new(), [0; 3], [0; 3]);
        for (files_of_part, (parameters, bytes)) in parts.iter().zip(parameters.iter_mut().zip(&mut bytes)) {
            for file in files_of_part {
                let part = files.weights(file)?;
                *parameters += part.parameters();
                *bytes += part.bytes();
                for file in files.weight_files(file)? {
                    // Several parts may be in one file.
                    if !weights.iter().any(|known: &WeightRecord| known.file == file) {
                        weights.push(WeightRecord { sha256: files.sha256(&file, hashes)?, file });
                    }
                }
            }
        }
        Ok(Self {
            entry,
            name: name.unwrap_or_else(|| entry.name.to_owned()),
            samplers: Samplers::builtin(),
            schedules: Schedules::builtin(),
            rules: Rules::builtin(),
            words: index.words,
            draws: index.draws,
            phrases: index.phrases,
            text_length: index.text_length.unwrap_or(entry.text_length),
            skip_layers,
            warnings,
            family,
            vae,
            preview,
            limit: None,
            weights,
            kind: None,
            parameters,
            holding: Holding::DENSE,
            memory: parameters.map(|parameters| Memory::heap(parameters.saturating_mul(size_of::<f32>() as u64))),
            bytes,
            adapters: Adapters::default(),
        })
    }

    /// The same model with its weights held so, where at most `limit` bytes of memory may be taken.
    ///
    /// # Errors
    /// Those of the weight files.
    pub(crate) fn held(mut self, files: &ModelFiles, holding: Holding, limit: Option<u64>) -> Result<Self> {
        let dense = self.parameters().saturating_mul(size_of::<f32>() as u64);
        let holding = holding.settled(dense, available(limit));
        let takes = |parts: &[&str], holding: Holding| -> Result<Memory> {
            let parts = parts.iter().map(|file| Ok(files.weights(file)?.memory(holding)));
            Ok(parts.collect::<Result<Vec<_>>>()?.into_iter().fold(Memory::default(), |sum, part| sum + part))
        };
        self.memory = [
            takes(&self.family.text_weights(), holding)?,
            takes(&[TRANSFORMER], holding)?,
            takes(&[AUTOENCODER], Holding::DENSE)?,
        ];
        let mut matrices = self.family.text_weights().into_iter().chain([TRANSFORMER]);
        if holding.activations == Activations::Q8
            && !matrices.try_fold(false, |some, file| Ok::<_, Error>(some || files.weights(file)?.packs(holding)))?
        {
            let message = "--activations q8 changes nothing here: no weights are quantised as it needs them";
            self.warnings.push(Warning::new("activations-unused", message));
        }
        (self.holding, self.limit) = (holding, limit);
        Ok(self)
    }

    /// How its weights are held, decided for the memory that there is.
    pub fn holding(&self) -> Holding {
        self.holding
    }

    /// Memory that its weights take.
    pub fn memory(&self) -> Memory {
        self.memory.into_iter().fold(Memory::default(), |sum, part| sum + part)
    }

    /// The same model with adapters, which its `files` say the places of.
    ///
    /// # Errors
    /// Those of [`Adapters::open`].
    pub fn adapted(mut self, loras: &[Lora], files: &ModelFiles, hashes: &mut HashCache) -> Result<Self> {
        if loras.is_empty() {
            return Ok(self);
        }
        let mut targets = Targets::default();
        for file in self.family.text_weights().into_iter().chain([TRANSFORMER]) {
            targets.add(file, &files.weights(file)?);
        }
        self.adapters = Adapters::open(loras, &targets, hashes)?;
        let added =
            |is: fn(&str) -> bool| Memory::heap(self.adapters.parameters(is).saturating_mul(size_of::<f32>() as u64));
        let [text, transformer, autoencoder] = self.memory;
        self.memory =
            [text + added(|file| file != TRANSFORMER), transformer + added(|file| file == TRANSFORMER), autoencoder];
        self.warnings.extend(self.adapters.applied().filter_map(Applied::warning));
        Ok(self)
    }

    /// What is added to the weights.
    pub fn adapters(&self) -> &Adapters {
        &self.adapters
    }

    /// Width and height must be multiples of this: the autoencoder's factor times the transformer's patch.
    pub fn size_multiple(&self) -> u32 {
        (self.vae.latent_factor() * self.family.patch()) as u32
    }

    /// Tokens the transformer sees for a picture of this size.
    pub fn image_tokens(&self, width: u32, height: u32) -> usize {
        let multiple = self.size_multiple().max(1);
        (width / multiple) as usize * (height / multiple) as usize
    }

    /// Shape of the latents of a picture of this size: channels, height, width.
    pub fn latent_shape(&self, width: u32, height: u32) -> (usize, usize, usize) {
        let factor = self.vae.latent_factor();
        (self.vae.latent_channels, height as usize / factor, width as usize / factor)
    }

    /// Notes how the model was opened, as far as a record must say it, and what was guessed on the way.
    pub(crate) fn opened_as(&mut self, opening: &Opening, name: Option<String>, warnings: Vec<Warning>) {
        self.name = name.unwrap_or_else(|| std::mem::take(&mut self.name));
        self.kind = opening.kind.as_ref().map(|_| self.entry.name.to_owned());
        self.warnings.splice(0..0, warnings);
    }

    /// What the user should know about the model: what was guessed, what it does without.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The model as a record names it.
    pub fn record(&self) -> ModelRecord {
        let (name, weights, loras) = (self.name.clone(), self.weights.clone(), self.adapters.records());
        ModelRecord { name, weights, holding: self.holding.recorded(), kind: self.kind.clone(), loras }
    }

    /// Number of weights in all.
    pub fn parameters(&self) -> u64 {
        self.parameters.iter().sum()
    }

    /// From latents to small pictures; `None` where a model brings no preview factors.
    pub fn preview(&self) -> Option<&LinearPreview> {
        self.preview.as_ref()
    }

    /// Whether the model has a guidance embedding (`--guidance`).
    pub fn has_guidance(&self) -> bool {
        self.entry.defaults.guidance.is_some()
    }

    /// The size near `width` x `height` that the model can make: both sides multiples, neither too long, the shape kept as
    /// nearly as that allows.
    pub fn nearest_size(&self, width: u32, height: u32) -> (u32, u32) {
        let (multiple, longest) = (self.size_multiple().max(1), self.longest_side());
        let scale = (f64::from(longest) / f64::from(width.max(height).max(1))).min(1.0);
        let near = |side: u32| {
            let units = (f64::from(side) * scale / f64::from(multiple)).round() as u32;
            units.clamp(1, (longest / multiple).max(1)) * multiple
        };
        (near(width), near(height))
    }

    /// The longest width or height.
    fn longest_side(&self) -> u32 {
        let longest = self.family.longest_side().and_then(|tokens| u32::try_from(tokens).ok());
        longest.map_or(LARGEST_SIDE, |tokens| tokens.saturating_mul(self.size_multiple()).min(LARGEST_SIDE))
    }

    /// In what pieces a picture of this size is decoded beside the transformer, as planned for.
    pub(crate) fn decode_tiling(&self, width: u32, height: u32) -> Tiling {
        let [_, transformer, autoencoder] = self.memory;
        let room = available(self.limit).map(|room| room.saturating_sub((transformer + autoencoder).heap));
        Tiling::fitting_decode(&self.vae, width, height, room.map_or(u64::MAX, without_kept))
    }

    /// The same now that transformer and autoencoder are in memory.
    pub(crate) fn decode_tiling_now(&self, width: u32, height: u32) -> Tiling {
        let [_, transformer, autoencoder] = self.memory;
        let limit = self.limit.map(|limit| limit.saturating_sub((transformer + autoencoder).heap));
        let room = [free(), limit].into_iter().flatten().min();
        Tiling::fitting_decode(&self.vae, width, height, room.map_or(u64::MAX, without_kept))
    }

    /// In what pieces a picture of this size is encoded, which is done with nothing but the autoencoder in memory.
    ///
    /// # Errors
    /// [`Error::Memory`] if it does not fit in any.
    pub(crate) fn encode_tiling(&self, width: u32, height: u32) -> Result<Tiling> {
        let available = available(self.limit).unwrap_or(u64::MAX);
        let tiling = Tiling::fitting_encode(&self.vae, width, height, without_kept(available));
        match with_kept(tiling.encode_bytes(&self.vae, width, height)) {
            needed if needed > available => Err(Error::Memory { needed, available }),
            _ => Ok(tiling),
        }
    }

    /// Refuses sizes the model cannot make.
    ///
    /// # Errors
    /// [`Error::Invalid`], with a size that it can.
    pub fn check_size(&self, width: u32, height: u32) -> Result<()> {
        let multiple = self.size_multiple();
        let size = format!("{width} x {height}");
        if width == 0 || height == 0 {
            return Err(Error::invalid(
                format!("a picture of {size} has no pixels"),
                "give a width and a height above 0",
            ));
        }
        let longest = self.longest_side();
        if width > longest || height > longest {
            let hint = format!("no side may be longer than {longest}");
            return Err(Error::invalid(format!("{size} is too large"), hint));
        }
        if !width.is_multiple_of(multiple) || !height.is_multiple_of(multiple) {
            let near = |side: u32| (side.saturating_add(multiple / 2) / multiple).max(1) * multiple;
            let hint = format!("both must be multiples of {multiple}; {} x {} is near", near(width), near(height));
            return Err(Error::invalid(format!("{} cannot make {size}", self.name), hint));
        }
        Ok(())
    }

    /// What decides the memory of a picture of this size.
    pub(crate) fn footprint(&self, width: u32, height: u32) -> Footprint {
        let tiling = self.decode_tiling(width, height);
        Footprint {
            weights: self.memory,
            prompt: self.family.prompt_tokens(self.text_length) as u64,
            tokens: (self.image_tokens(width, height) + self.family.text_tokens(self.text_length)) as u64,
            hidden: self.family.hidden() as u64,
            heads: self.family.heads() as u64,
            decoding: with_kept(tiling.decode_bytes(&self.vae, width, height)),
            tiling,
        }
    }
}

/// Memory of the process while an autoencoder has allocated `bytes`: the system's allocator keeps a part of what was given
/// back to it. Decoding 1024 x 1024 whole, 3145 MiB are resident at the peak where 2700 MiB are allocated.
fn with_kept(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 5)
}

/// What may be allocated so that the process takes `bytes`, see [`with_kept`].
fn without_kept(bytes: u64) -> u64 {
    (bytes / 6).saturating_mul(5)
}

/// The kind of a model that does not say which it is: by its configuration, and where two have the same, by its name.
fn guessed_kind(family: &dyn Family, files: &ModelFiles) -> Result<(&'static Entry, Option<Warning>)> {
    let kind = family.kind();
    let Some(twin) = family.twin() else { return Ok((crate::catalog::find(kind)?, None)) };
    let name = files.folder_name().unwrap_or_else(|| "the model".into());
    let called = format!("{name} {}", files.title()).to_lowercase();
    // What the twin's name has and the other has not: "turbo", "krea".
    let mut telling = twin.split('-').filter(|word| !kind.split('-').any(|other| other == *word));
    let (taken, other) = if telling.any(|word| called.contains(word)) { (twin, kind) } else { (kind, twin) };
    let message = format!("{name} is taken for {taken}; {other} looks the same: if it is that, give --kind {other}");
    Ok((crate::catalog::find(taken)?, Some(Warning::new("kind-guessed", message))))
}

/// The layers that skip-layer guidance skips, of so many: as the folder says, or the catalogue.
fn skip_layers(index: &ModelIndex, entry: &Entry, layers: usize) -> Result<Vec<usize>> {
    let exist = |wanted: &[usize]| wanted.iter().all(|layer| *layer < layers);
    match &index.skip_layers {
        Some(wanted) if exist(wanted) => Ok(wanted.clone()),
        Some(wanted) => {
            let what = format!("skip_layers is {wanted:?}; the transformer has {layers} layers that could be skipped");
            Err(Error::Config { file: MODEL_INDEX.into(), what })
        }
        // A model of the same kind and another depth: nobody knows which of its layers to skip.
        None if !exist(entry.skip_layers) => Ok(Vec::new()),
        None => Ok(entry.skip_layers.to_vec()),
    }
}

const MODEL_INDEX: &str = "model_index.json";
/// The transformer's weights.
pub(crate) const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";
/// The autoencoder's weights.
pub(crate) const AUTOENCODER: &str = "vae/diffusion_pytorch_model.safetensors";
