//! Which model, and how it is opened.

use std::path::PathBuf;

use clap::ValueHint;
use flowline_model::opening::Parts;
use flowline_model::weights::{Activations, HeldAs, Holding};
use flowline_model::{Lora, Opening};

use super::values;
use crate::shelf::Shelf;

/// Options that say which model is opened, and how.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Model {
    /// A model's name (`flowline models`), its diffusers folder, one file of it (safetensors or GGUF), or owner/repo[:file] on
    /// the Hub
    ///
    /// What is on the Hub and not on this machine is fetched first. What a file lacks is looked for beside it, in its ComfyUI
    /// folder and in the Hub's cache.
    #[arg(id = "model", short = 'm', long = "model", value_name = "MODEL", value_parser = values::model_parser(), hide_possible_values = true, value_hint = ValueHint::AnyPath)]
    pub name: Option<String>,

    /// Apply an adapter (LoRA), such as cats.safetensors=0.8: as it was trained if no strength is given; may be repeated
    ///
    /// Strength 0 is the model without it, below 0 works the other way. Names as kohya, diffusers, peft, XLabs and the
    /// models' authors write them are understood.
    #[arg(long = "lora", value_name = "PATH[=SCALE]", value_parser = values::lora, value_hint = ValueHint::FilePath)]
    pub loras: Vec<Lora>,

    /// Fetch nothing, whatever is missing; HF_HUB_OFFLINE=1 does the same
    #[arg(long)]
    pub offline: bool,

    /// How weights are held: as f32 where it fits and else as stored (auto), or smaller than they are stored
    #[arg(long, value_name = "FORM", value_parser = values::weights_parser(), hide_possible_values = true)]
    pub weights: Option<HeldAs>,

    /// What quantised weights are multiplied with: f32, or activations rounded to 8 bits, which is faster and about 1 % off
    #[arg(long, value_name = "FORM", value_parser = values::activations_parser(), hide_possible_values = true)]
    pub activations: Option<Activations>,

    /// The most memory to take, such as 8GiB; less means that parts of the model take turns
    #[arg(long, value_name = "SIZE", value_parser = values::memory, allow_hyphen_values = true)]
    pub memory: Option<u64>,

    /// The kind of the model, where its files fit several (large and turbo, dev and Krea-dev)
    #[arg(long, value_name = "NAME", help_heading = PARTS)]
    pub kind: Option<String>,

    /// The transformer's file, or its diffusers folder; -m may then be left out
    #[arg(long, alias = "diffusion-model", value_name = "FILE", value_hint = ValueHint::AnyPath, help_heading = PARTS)]
    pub transformer: Option<PathBuf>,

    /// The autoencoder's file or folder
    #[arg(long, value_name = "FILE", value_hint = ValueHint::AnyPath, help_heading = PARTS)]
    pub vae: Option<PathBuf>,

    /// The file or folder of the text encoder CLIP-L
    #[arg(long, alias = "clip_l", value_name = "FILE", value_hint = ValueHint::AnyPath, help_heading = PARTS)]
    pub clip_l: Option<PathBuf>,

    /// The file or folder of the text encoder CLIP-G (SD3)
    #[arg(long, alias = "clip_g", value_name = "FILE", value_hint = ValueHint::AnyPath, help_heading = PARTS)]
    pub clip_g: Option<PathBuf>,

    /// The file or folder of the text encoder T5
    #[arg(long, alias = "t5xxl", value_name = "FILE", value_hint = ValueHint::AnyPath, help_heading = PARTS)]
    pub t5: Option<PathBuf>,
}

/// Where the help lists what a model is made of.
const PARTS: &str = "Parts of the model";

impl Model {
    /// The model that is named; `None` if none is, and no transformer either.
    pub fn named(&self) -> Option<String> {
        self.name.clone().or_else(|| self.transformer.as_ref().map(|_| String::new()))
    }

    /// The model called `name`, opened as these options say.
    pub fn opening(&self, name: impl Into<String>) -> Opening {
        self.over(Opening::named(name, None))
    }

    /// `opening` with what these options say about how.
    pub fn over(&self, opening: Opening) -> Opening {
        let Holding { weights, activations } = opening.holding;
        let holding =
            Holding { weights: self.weights.unwrap_or(weights), activations: self.activations.unwrap_or(activations) };
        let parts = Parts {
            transformer: self.transformer.clone(),
            vae: self.vae.clone(),
            clip_l: self.clip_l.clone(),
            clip_g: self.clip_g.clone(),
            t5: self.t5.clone(),
        };
        let places = std::env::var_os("COMFYUI_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
        let loras = if self.loras.is_empty() { opening.loras.clone() } else { self.loras.clone() };
        Opening {
            loras,
            holding,
            parts,
            kind: self.kind.clone().or_else(|| opening.kind.clone()),
            places: places.into_iter().collect(),
            memory: self.memory.or(opening.memory),
            ..Shelf::usual(self.offline).over(opening)
        }
    }
}
