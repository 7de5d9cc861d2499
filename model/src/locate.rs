//! From what somebody names to a model's files: a catalogue name, a diffusers folder, one file, or parts here and there
//! become one folder in diffusers' layout, on disk or only seen so.

mod folder;
mod loose;
mod search;
mod tokenizer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::catalog::{self, Entry, Source};
use crate::model_index::ModelIndex;
use crate::opening::Opening;
use crate::weights::hub::HubModel;
use crate::weights::identify::{Inferred, Layout, Role};
use crate::weights::{Assembled, ModelFiles};
use crate::{Error, Result, Warning};
use loose::{Loose, Sizes};
use search::Places;

/// A model's files, found.
pub(crate) struct Located {
    /// The files.
    pub(crate) files: ModelFiles,
    /// The catalogue entry whose defaults apply, if it was named.
    pub(crate) entry: Option<&'static Entry>,
    /// What the model is called, where its files are called something else.
    pub(crate) name: Option<String>,
    /// What was guessed on the way.
    pub(crate) warnings: Vec<Warning>,
}

/// What the name of a model stands for.
enum Base {
    /// Nothing: all parts are named one by one, for a model of this kind if it is known.
    Nothing(Option<&'static Entry>),
    /// A whole model.
    Files(ModelFiles, Option<&'static Entry>),
    /// One file that holds some of the parts.
    File(PathBuf),
}

/// Finds the files of the model that `opening` names.
///
/// # Errors
/// [`Error::Invalid`] if there is no such model, a file is something else, or a part is nowhere to be found; else what is
/// wrong with the files.
pub(crate) fn locate(opening: &Opening) -> Result<Located> {
    let kind = opening.kind.as_deref().map(kind_named).transpose()?;
    let base = base(opening)?;
    let named = opening.parts.named().next().is_some() || !opening.pieces.is_empty();
    // A folder in the Hub's cache is called by its commit.
    let name = hosted(opening).filter(|_| opening.parts.transformer.is_none()).map(|model| model.name());
    let located = match base {
        Base::Files(ModelFiles::Embedded(files), entry) if !named => {
            Located { files: ModelFiles::Embedded(files), entry, name: None, warnings: Vec::new() }
        }
        Base::Files(files, entry) => {
            let (files, warnings) = Assembly::new(opening).over(files)?;
            Located { files, entry, name, warnings }
        }
        Base::File(path) => {
            let mut assembly = Assembly::new(opening);
            assembly.offer(Loose::open(&path)?);
            let (files, warnings) = assembly.alone()?;
            Located { files, entry: None, name, warnings }
        }
        Base::Nothing(entry) => {
            let (files, warnings) = Assembly::new(opening).alone()?;
            Located { entry: checked(entry, &files)?, files, name, warnings }
        }
    };
    Ok(match kind {
        Some(kind) => Located { entry: checked(Some(kind), &located.files)?, ..located },
        None => located,
    })
}

/// The catalogue entry of a kind.
fn kind_named(kind: &str) -> Result<&'static Entry> {
    let unknown =
        |_| Error::invalid(format!("there is no kind of model named '{kind}'"), "`flowline models` lists them");
    catalog::find(kind).map_err(unknown)
}

/// What the model's name stands for.
fn base(opening: &Opening) -> Result<Base> {
    let model = opening.model.as_str();
    let whole = opening.parts.transformer.is_some() || !opening.pieces.is_empty();
    if model.is_empty() && whole {
        return Ok(Base::Nothing(None));
    }
    match catalog::find(model) {
        Ok(entry) => match entry.source {
            Source::Embedded(files) => Ok(Base::Files(ModelFiles::Embedded(files), Some(entry))),
            Source::Hub(_) if is_path(model) => at(Path::new(model)),
            Source::Hub(_) if whole => Ok(Base::Nothing(Some(entry))),
            Source::Hub(_) => fetched(opening, Some(entry)),
        },
        Err(_) if hosted(opening).is_some() => fetched(opening, None),
        Err(_) if is_path(model) => at(Path::new(model)),
        Err(unknown) => Err(unknown),
    }
}

/// The model on the Hub that is meant; a file or folder goes before a repository of the same name.
fn hosted(opening: &Opening) -> Option<HubModel> {
    if Path::new(&opening.model).exists() { None } else { HubModel::named(&opening.model) }
}

/// What was fetched from the Hub.
fn fetched(opening: &Opening, entry: Option<&'static Entry>) -> Result<Base> {
    let Some(hosted) = hosted(opening) else { return at(Path::new(&opening.model)) };
    Ok(match at(&hosted.here(&opening.hub)?)? {
        Base::Files(files, _) => Base::Files(files, entry),
        other => other,
    })
}

/// What is at a path.
fn at(path: &Path) -> Result<Base> {
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_dir()) {
        return Ok(Base::File(path.to_owned()));
    }
    let files = ModelFiles::folder(path)?;
    // A folder that is no model, and holds a single file that is one, is taken for that file.
    let model = files.has("model_index.json") || path.join("transformer").is_dir();
    Ok(match search::only_transformer(path).filter(|_| !model) {
        Some(file) => Base::File(file),
        None => Base::Files(folder::with_variants(path, files)?, None),
    })
}

/// Whether `model` reads as a path rather than as a name.
fn is_path(model: &str) -> bool {
    model.contains(['/', '\\']) || model.starts_with('.') || Path::new(model).exists()
}

/// A kind that was named, if the files can be of it.
///
/// # Errors
/// [`Error::Invalid`] naming the kinds that they can be of.
fn checked(kind: Option<&'static Entry>, files: &ModelFiles) -> Result<Option<&'static Entry>> {
    let Some(entry) = kind else { return Ok(None) };
    let index: ModelIndex = if files.has(MODEL_INDEX) { files.json(MODEL_INDEX)? } else { ModelIndex::default() };
    let family = crate::family::open(files, &index)?;
    let kinds: Vec<&str> = [Some(family.kind()), family.twin(), index.kind.as_deref()].into_iter().flatten().collect();
    if kinds.contains(&entry.name) {
        return Ok(Some(entry));
    }
    let what = format!("the model is no {}, its tensors are those of {}", entry.name, family.kind());
    Err(Error::invalid(what, format!("leave --kind out, or give one of: {}", kinds.join(", "))))
}

const MODEL_INDEX: &str = "model_index.json";

/// A model being put together.
struct Assembly<'a> {
    opening: &'a Opening,
    /// The parts that were named, and those beside them in the same files.
    parts: BTreeMap<Role, Loose>,
    warnings: Vec<Warning>,
}

impl<'a> Assembly<'a> {
    fn new(opening: &'a Opening) -> Self {
        Self { opening, parts: BTreeMap::new(), warnings: Vec::new() }
    }

    /// Takes the parts of a file that are not there yet.
    fn offer(&mut self, parts: Vec<Loose>) {
        for part in parts {
            self.parts.entry(part.role()).or_insert(part);
        }
    }

    /// Takes the parts that are named one by one, before all others; what else is in their files comes last.
    fn take_named(&mut self) -> Result<()> {
        let mut beside = Vec::new();
        for (role, path) in self.opening.parts.named() {
            let (part, others) = Loose::named(path, role)?;
            self.parts.insert(role, part);
            beside.extend(others);
        }
        self.offer(beside);
        for piece in &self.opening.pieces {
            self.offer(Loose::open(piece)?);
        }
        Ok(())
    }

    /// The model of loose files alone.
    fn alone(mut self) -> Result<(ModelFiles, Vec<Warning>)> {
        self.take_named()?;
        let Some(transformer) = self.parts.get(&Role::Transformer) else {
            let (role, part) =
                self.parts.iter().next().map_or(("nothing", None), |(role, part)| (role.name(), Some(part)));
            let file = part.map_or_else(|| "the file".into(), |part| part.name());
            let what = format!("{file} holds no transformer, only the {role}");
            let hint = "name the transformer's file with -m or --transformer, and this one by its part";
            return Err(Error::invalid(what, hint));
        };
        let Some(layout) = transformer.found.layout else {
            return Err(Error::invalid("the transformer is of no known family", "name a FLUX.1 or SD3 model"));
        };
        let (name, title) = (transformer.stem(), transformer.title.clone());
        let mut index = transformer.said.get("model").and_then(Value::as_object).cloned().unwrap_or_default();
        index.insert("_class_name".into(), json!(layout.class));
        let mut folder = Assembled::new(name, None);
        folder.put_text(MODEL_INDEX, Value::Object(index).to_string());
        folder.entitle(title);
        let sizes = Sizes::of(&self.configured(Role::Transformer, layout)?.config, layout);
        self.complete(layout, &sizes, None, &mut folder)?;
        Ok((ModelFiles::Assembled(Box::new(folder)), self.warnings))
    }

    /// A whole model, some parts of which are replaced or missing.
    fn over(mut self, base: ModelFiles) -> Result<(ModelFiles, Vec<Warning>)> {
        self.take_named()?;
        let class = || base.json::<Map<String, Value>>("transformer/config.json").ok();
        let class = class().and_then(|config| Some(config.get("_class_name")?.as_str()?.to_owned()));
        let replaced = self.parts.get(&Role::Transformer);
        let layout = match (replaced.and_then(|part| part.found.layout), class) {
            (Some(layout), _) => layout,
            (None, Some(class)) if !self.parts.is_empty() => Layout::of_class(&class)?,
            (None, class) => match class.and_then(|class| Layout::of_class(&class).ok()) {
                Some(layout) => layout,
                // What is wrong with it, opening it will say.
                None => return Ok((base, self.warnings)),
            },
        };
        let name = base.folder_name().or_else(|| replaced.map(Loose::stem)).unwrap_or_else(|| "model".into());
        let mut folder = Assembled::new(name, Some(base.clone()));
        if replaced.is_some() {
            // What the base says about its own transformer is not true of another.
            let mut index: Map<String, Value> = base.json(MODEL_INDEX).unwrap_or_default();
            index.retain(|field, _| !["kind", "skip_layers", "words", "draws", "pooled"].contains(&field.as_str()));
            folder.put_text(MODEL_INDEX, Value::Object(index).to_string());
        }
        let sizes = match self.parts.contains_key(&Role::Transformer) {
            true => Sizes::of(&self.configured(Role::Transformer, layout)?.config, layout),
            false => Sizes::of(&base.json("transformer/config.json")?, layout),
        };
        let touched = self.complete(layout, &sizes, Some(&base), &mut folder)?;
        let files = if touched { ModelFiles::Assembled(Box::new(folder)) } else { base };
        Ok((files, self.warnings))
    }

    /// Puts all parts in their places; those that are missing are looked for. Returns whether there were any.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a part that the family does not have, or that is nowhere to be found.
    fn complete(
        &mut self,
        layout: &'static Layout,
        sizes: &Sizes,
        base: Option<&ModelFiles>,
        folder: &mut Assembled,
    ) -> Result<bool> {
        for (role, _) in self.opening.parts.named() {
            if layout.folder(role).is_none() {
                let what = format!("{} has no {}", layout.name, role.name());
                return Err(Error::invalid(what, format!("leave --{} out", role.key().replace('_', "-"))));
            }
        }
        let own = Some(PathBuf::from(&self.opening.model)).filter(|path| path.is_dir());
        let more: Vec<PathBuf> = own.into_iter().chain(self.opening.places.iter().cloned()).collect();
        let places = Places::around(self.parts.values().flat_map(|part| &part.files), &more);
        let mut sizes = sizes.clone();
        // The wider encoder first: how wide the narrower must be follows from it.
        let mut slots: Vec<_> = layout.slots.iter().collect();
        slots.sort_by_key(|slot| slot.role != Role::ClipG);
        for slot in slots {
            let (role, weights) = (slot.role, format!("{}/{}", slot.folder, slot.role.weights()));
            let there = base.is_some_and(|base| base.has_weights(&weights));
            if !self.parts.contains_key(&role) && !there {
                // What a folder lacks that can be done without was left out on purpose.
                let wanted = base.is_none() || (!slot.optional && base.is_some_and(folder::reads_clip));
                match places.find(role, layout, &sizes).filter(|_| wanted) {
                    Some(part) => {
                        self.warnings.push(part_found(role, &part));
                        self.parts.insert(role, part);
                    }
                    None if slot.optional || base.is_some() => {}
                    None => return Err(self.missing(layout, role)),
                }
            }
            if role == Role::ClipG && self.parts.contains_key(&role) {
                sizes.clip_g = Some(self.configured(role, layout)?.size("projection_dim"));
            }
        }
        let mut touched = false;
        for role in Role::ALL {
            let (Some(place), true) = (layout.folder(role), self.parts.contains_key(&role)) else { continue };
            let config = self.configured(role, layout)?;
            let Some(part) = self.parts.get(&role) else { continue };
            self.warnings.extend(part.guesses(&config));
            folder.put_text(format!("{place}/config.json"), Value::Object(config.config.clone()).to_string());
            folder.put_tensors(format!("{place}/{}", role.weights()), part.files.clone(), &*part.found.prefix);
            if role == Role::Vae {
                // The map of another autoencoder's latents to colours.
                folder.leave_out("vae/preview.json");
            }
            touched = true;
        }
        for slot in layout.slots {
            if let (Some(at), Some(part)) = (slot.tokenizer, self.parts.get(&slot.role)) {
                self.warnings.extend(tokenizer::put(at, slot.role, part, &places, folder)?);
            }
        }
        Ok(touched)
    }

    /// The configuration of a part.
    fn configured(&self, role: Role, layout: &Layout) -> Result<Inferred> {
        let part = self.parts.get(&role);
        part.map_or_else(|| Ok(Inferred::default()), |part| part.config(layout))
    }

    fn missing(&self, layout: &Layout, role: Role) -> Error {
        let file = self.parts.get(&Role::Transformer).map_or_else(|| "the model".into(), |part| part.name());
        let what = format!("{file} brings no {}, and none was found beside it", role.name());
        let usual = layout.slots.iter().find(|slot| slot.role == role).map_or("the file", |slot| slot.usual);
        let option = role.key().replace('_', "-");
        let hint = format!(
            "put {usual} beside it, or into models/{} of its ComfyUI folder, or name it: --{option} FILE",
            search::comfyui_folder(role)
        );
        Error::invalid(what, hint)
    }
}

fn part_found(role: Role, part: &Loose) -> Warning {
    let (name, option) = (role.name(), role.key().replace('_', "-"));
    let file = part.files.first().map_or_else(String::new, |file| file.display().to_string());
    Warning::new("part-found", format!("the {name} is taken from {file}; --{option} names another"))
}
