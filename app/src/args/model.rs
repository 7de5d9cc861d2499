//! Which model, and how it is opened.

use clap::ValueHint;
use flowline_model::Opening;
use flowline_model::weights::{Activations, HeldAs, Holding};

use super::values;

/// Options that say which model is opened, and how.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Model {
    /// A model's name (`flowline models`) or its folder
    #[arg(id = "model", short = 'm', long = "model", value_name = "MODEL", value_parser = values::model_parser(), hide_possible_values = true, value_hint = ValueHint::AnyPath)]
    pub name: Option<String>,

    /// How weights are held: as f32 where it fits and else as stored (auto), or smaller than they are stored
    #[arg(long, value_name = "FORM", value_parser = values::weights_parser(), hide_possible_values = true)]
    pub weights: Option<HeldAs>,

    /// What quantised weights are multiplied with: f32, or activations rounded to 8 bits, which is faster and about 1 % off
    #[arg(long, value_name = "FORM", value_parser = values::activations_parser(), hide_possible_values = true)]
    pub activations: Option<Activations>,

    /// The most memory to take, such as 8GiB; less means that parts of the model take turns
    #[arg(long, value_name = "SIZE", value_parser = values::memory, allow_hyphen_values = true)]
    pub memory: Option<u64>,
}

impl Model {
    /// The model called `name`, opened as these options say.
    pub fn opening(&self, name: impl Into<String>) -> Opening {
        self.over(Opening::named(name, None))
    }

    /// `opening` with what these options say about how.
    pub fn over(&self, opening: Opening) -> Opening {
        let Holding { weights, activations } = opening.holding;
        let holding =
            Holding { weights: self.weights.unwrap_or(weights), activations: self.activations.unwrap_or(activations) };
        Opening { holding, memory: self.memory.or(opening.memory), ..opening }
    }
}
