//! Which model, and how it is opened.

use clap::ValueHint;
use flowline_model::{Lora, ModelRecord, Opening};

use super::values;

/// Options that say which model is opened, and how.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Model {
    /// A model's name (`flowline models`) or its folder
    #[arg(id = "model", short = 'm', long = "model", value_name = "MODEL", value_parser = values::model_parser(), hide_possible_values = true, value_hint = ValueHint::AnyPath)]
    pub name: Option<String>,
    /// Apply an adapter (LoRA), such as cats.safetensors=0.8: as it was trained if no strength is given; may be repeated
    ///
    /// Strength 0 is the model without it, below 0 works the other way. Names as kohya, diffusers, peft, XLabs and the
    /// models' authors write them are understood.
    #[arg(long = "lora", value_name = "PATH[=SCALE]", value_parser = values::lora, value_hint = ValueHint::FilePath)]
    pub loras: Vec<Lora>,
    /// The most memory to take, such as 8GiB; less means that parts of the model take turns
    #[arg(long, value_name = "SIZE", value_parser = values::memory, allow_hyphen_values = true)]
    pub memory: Option<u64>,
}

impl Model {
    /// The model called `name`, opened as these options say.
    pub fn opening(&self, name: impl Into<String>) -> Opening {
        Opening { loras: self.loras.clone(), memory: self.memory, ..Opening::named(name, None) }
    }

    /// The model called `name`, opened as a record says it was, where these options do not say otherwise.
    pub fn opening_again(&self, name: impl Into<String>, recorded: &ModelRecord) -> Opening {
        let asked = self.opening(name);
        let loras = if asked.loras.is_empty() { Opening::recorded(recorded, None).loras } else { asked.loras };
        Opening { loras, ..asked }
    }
}
