//! A part of a model in a file of its own, or in one with others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::weights::identify::{Found, Inferred, Layout, Role, check_bytes, identify};
use crate::weights::{Fact, ModelFiles, TensorFile};
use crate::{Error, Result, Warning};

/// A part, and what is said about it.
#[derive(Clone, Debug)]
pub(super) struct Loose {
    /// Its file, or the pieces of a split one.
    pub(super) files: Vec<PathBuf>,
    /// What it is.
    pub(super) found: Found,
    /// What somebody wrote about the model, by part: fields of configurations.
    pub(super) said: Map<String, Value>,
    /// How the file calls the model.
    pub(super) title: String,
    /// What the file says about itself.
    facts: Arc<BTreeMap<String, Fact>>,
}

/// What a transformer asks of the other parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Sizes {
    /// Channels of the latents.
    pub(super) latents: usize,
    /// Width of a text feature.
    pub(super) context: usize,
    /// Width of the pooled vector.
    pub(super) pooled: usize,
    /// The share of it that CLIP-G has, if that is known.
    pub(super) clip_g: Option<usize>,
}

impl Sizes {
    /// Those of a transformer.
    pub(super) fn of(config: &Map<String, Value>, layout: &Layout) -> Self {
        let size = |field: &str| config.get(field).and_then(Value::as_u64).map_or(0, |size| size as usize);
        let latents = size("in_channels") / layout.latents_a_token;
        Self { latents, context: size("joint_attention_dim"), pooled: size("pooled_projection_dim"), clip_g: None }
    }

    /// Whether a part of this configuration can be the part `role` of the model.
    pub(super) fn fit(&self, role: Role, layout: &Layout, config: &Inferred) -> bool {
        match role {
            Role::Transformer => false,
            Role::Vae => config.size("latent_channels") == self.latents,
            Role::T5 => config.size("d_model") == self.context,
            Role::ClipG => config.size("projection_dim") < self.pooled,
            Role::ClipL => match (layout.folder(Role::ClipG), self.clip_g) {
                (None, _) => config.size("hidden_size") == self.pooled,
                (Some(_), Some(other)) => config.size("hidden_size").saturating_add(other) == self.pooled,
                (Some(_), None) => config.size("hidden_size") < self.pooled,
            },
        }
    }
}

impl Loose {
    /// All parts of the file, the split file, or the folder of one part, at `path`.
    ///
    /// # Errors
    /// [`Error::Invalid`] saying what is there instead.
    pub(super) fn open(path: &Path) -> Result<Vec<Self>> {
        let files = pieces(path)?;
        let mut opened = Vec::new();
        for file in &files {
            check_bytes(file)?;
            opened.push(TensorFile::open(file)?);
        }
        let parts = identify(&opened)?;
        let facts = Arc::new(opened.first().map(|file| file.facts().clone()).unwrap_or_default());
        let told = ["modelspec.title", "modelspec.architecture", "general.name", "general.basename"];
        let text = |key: &&str| match facts.get(*key) {
            Some(Fact::Text(text)) => Some(text.clone()),
            _ => None,
        };
        let title = told.iter().filter_map(text).collect::<Vec<_>>().join(" ");
        let said = said(files.first().map_or(path, PathBuf::as_path), &facts)?;
        let loose = |found| Self {
            files: files.clone(),
            found,
            said: said.clone(),
            title: title.clone(),
            facts: facts.clone(),
        };
        Ok(parts.into_iter().map(loose).collect())
    }

    /// The part `role` of what is at `path`, and the other parts there.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is not there, and those of [`Loose::open`].
    pub(super) fn named(path: &Path, role: Role) -> Result<(Self, Vec<Self>)> {
        let (mut its, others): (Vec<_>, Vec<_>) =
            Self::open(&folder_of(path, role))?.into_iter().partition(|part| part.may_be(role));
        match its.pop() {
            Some(mut part) => {
                part.found.role = role;
                Ok((part, others))
            }
            None => {
                let there: Vec<_> = others.iter().map(|part| part.role()).collect();
                let names = there.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
                let what = format!("{} holds no {}, but the {names}", path.display(), role.name());
                let option = there.first().map_or("transformer", |role| role.key()).replace('_', "-");
                Err(Error::invalid(what, format!("give it with --{option}, or name another file")))
            }
        }
    }

    fn may_be(&self, role: Role) -> bool {
        let clip = |role| matches!(role, Role::ClipL | Role::ClipG);
        self.role() == role || (!self.found.sure && clip(role) && clip(self.role()))
    }

    /// What it is.
    pub(super) fn role(&self) -> Role {
        self.found.role
    }

    /// Its file's name.
    pub(super) fn name(&self) -> String {
        let name = self.files.first().and_then(|file| file.file_name());
        name.map_or_else(|| "the file".into(), |name| name.to_string_lossy().into_owned())
    }

    /// Its file's name without the ending and the number of a piece; that of its folder, if the file is called as all are.
    pub(super) fn stem(&self) -> String {
        let first = self.files.first();
        let own = first.and_then(|file| file.file_stem()).map(|stem| stem.to_string_lossy().into_owned());
        let own = own.unwrap_or_else(|| "model".into());
        match own.starts_with("diffusion_pytorch_model") {
            true => {
                let folder = first.and_then(|file| {
                    std::path::absolute(file).ok()?.ancestors().nth(2)?.file_name().map(ToOwned::to_owned)
                });
                folder.map_or(own, |name| name.to_string_lossy().into_owned())
            }
            false => own.split("-00001-of-").next().unwrap_or(&own).to_owned(),
        }
    }

    /// Its configuration: what its shapes tell, and over it what somebody says.
    ///
    /// # Errors
    /// Those of [`Found::infer`]; [`Error::Config`] for a configuration beside it that is none.
    pub(super) fn config(&self, layout: &Layout) -> Result<Inferred> {
        let mut config = self.found.infer(Some(layout))?;
        if let Some(beside) = self.config_beside()? {
            config.overlay(&beside);
        }
        if let Some(Value::Object(said)) = self.said.get(self.role().key()) {
            config.overlay(said);
        }
        Ok(config)
    }

    /// `config.json` in the part's folder, if it is of such a part.
    fn config_beside(&self) -> Result<Option<Map<String, Value>>> {
        let Some(folder) = self.files.first().and_then(|file| file.parent()) else { return Ok(None) };
        let files = ModelFiles::Folder(folder.to_owned());
        // A file that holds several parts has no configuration of one of them.
        if !self.found.prefix.is_empty() || !files.has("config.json") {
            return Ok(None);
        }
        let config: Map<String, Value> = files.json("config.json")?;
        Ok(Some(config).filter(|config| is_of(config, self.role())))
    }

    /// What had to be guessed about it.
    pub(super) fn guesses(&self, config: &Inferred) -> Option<Warning> {
        let value = |field: &&str| {
            let value = config.config.get(*field).map_or_else(String::new, Value::to_string);
            format!("{field} = {value}")
        };
        let guesses = config.guessed.iter().map(value).collect::<Vec<_>>().join(", ");
        let (name, role) = (self.name(), self.role());
        let key = role.key();
        let message = format!(
            "the shapes in {name} do not tell everything about its {}; taken: {guesses}; say otherwise in {}.json \
             beside it, under \"{key}\"",
            role.name(),
            self.files.first().and_then(|file| file.file_stem()).unwrap_or_default().display()
        );
        (!guesses.is_empty()).then(|| Warning::new("config-guessed", message))
    }

    /// What the file says about itself.
    pub(super) fn facts(&self) -> &BTreeMap<String, Fact> {
        &self.facts
    }
}

/// Whether a `config.json` is that of such a part.
fn is_of(config: &Map<String, Value>, role: Role) -> bool {
    let text = |field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default();
    match role {
        Role::Transformer => text("_class_name").ends_with("Transformer2DModel"),
        Role::Vae => text("_class_name") == "AutoencoderKL",
        Role::ClipL | Role::ClipG => text("model_type").starts_with("clip"),
        Role::T5 => text("model_type") == "t5",
    }
}

/// What is said about the model's parts: in the file's metadata, as `transformer.axes_dims_rope`, and in a JSON file of the
/// same name beside it.
fn said(file: &Path, facts: &BTreeMap<String, Fact>) -> Result<Map<String, Value>> {
    let mut said: Map<String, Value> = Map::new();
    for (key, fact) in facts {
        let (part, field) = key.split_once('.').unwrap_or(("model", key));
        let known = Role::ALL.iter().any(|role| role.key() == part) || (part == "model" && field == "kind");
        let value = match fact {
            // Safetensors knows text only: numbers and lists are written as JSON.
            Fact::Text(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())),
            Fact::Integer(number) => Value::from(*number),
            Fact::Number(number) => Value::from(*number),
            Fact::Flag(flag) => Value::from(*flag),
            Fact::Texts(texts) => Value::from(texts.clone()),
            Fact::Numbers(numbers) => Value::from(numbers.clone()),
        };
        if let (true, Value::Object(fields)) = (known, said.entry(part).or_insert_with(|| Map::new().into())) {
            fields.insert(field.to_owned(), value);
        }
    }
    let (Some(folder), Some(stem)) = (file.parent(), file.file_stem()) else { return Ok(said) };
    let (files, name) = (ModelFiles::Folder(folder.to_owned()), format!("{}.json", stem.to_string_lossy()));
    if files.has(&name) {
        let written: Map<String, Value> = files.json(&name)?;
        for (part, fields) in written {
            if let (Value::Object(known), Value::Object(fields)) =
                (said.entry(part).or_insert_with(|| Map::new().into()), fields)
            {
                known.extend(fields);
            }
        }
    }
    Ok(said)
}

/// The folder of the part `role` inside a diffusers folder, if `path` is one; else `path`.
fn folder_of(path: &Path, role: Role) -> PathBuf {
    let names: &[&str] = match role {
        Role::Transformer => &["transformer"],
        Role::Vae => &["vae"],
        Role::ClipL => &["text_encoder"],
        Role::ClipG => &["text_encoder_2"],
        Role::T5 => &["text_encoder_3", "text_encoder_2"],
    };
    let inside = names.iter().map(|name| path.join(name)).find(|folder| folder.is_dir());
    inside.unwrap_or_else(|| path.to_owned())
}

/// The files that `path` stands for: a file alone, all pieces of a split one, or the weight file in the folder of one part.
pub(super) fn pieces(path: &Path) -> Result<Vec<PathBuf>> {
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let folder = path.parent().unwrap_or(Path::new(""));
    if path.is_dir() {
        let weights = [Role::Transformer.weights(), Role::T5.weights()];
        let files = super::folder::with_variants(path, ModelFiles::Folder(path.to_owned()))?;
        let Some(there) = weights.into_iter().find(|weights| files.has_weights(weights)) else {
            let what = format!("{} holds no weights", path.display());
            return Err(Error::invalid(what, "name a file, or a folder that holds model.safetensors and config.json"));
        };
        return files.paths(there);
    }
    if let Some(whole) = name.strip_suffix(".index.json") {
        return ModelFiles::Folder(folder.to_owned()).paths(whole);
    }
    // X-00002-of-00003.safetensors
    let numbered = name.rsplit_once("-of-").and_then(|(begin, end)| {
        let (begin, number) = begin.rsplit_once('-')?;
        let (count, ending) = end.split_once('.')?;
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        (digits(number) && digits(count)).then_some((begin, count, ending))
    });
    let Some((begin, count, ending)) = numbered else { return Ok(vec![path.to_owned()]) };
    let last: usize = count.parse().unwrap_or(1);
    let pieces = (1..=last).map(|number| folder.join(format!("{begin}-{number:05}-of-{count}.{ending}")));
    let pieces: Vec<_> = pieces.collect();
    match pieces.iter().find(|piece| !piece.is_file()) {
        Some(piece) => {
            let what = format!("{name} is one of {last} pieces, and {} is not there", piece.display());
            Err(Error::invalid(what, "put all pieces into one folder"))
        }
        None => Ok(pieces),
    }
}
