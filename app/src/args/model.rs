//! Which model, and how it is opened.

use clap::ValueHint;
use flowline_model::Opening;

use super::values;

/// Options that say which model is opened, and how.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Model {
    /// A model's name (`flowline models`) or its folder
    #[arg(id = "model", short = 'm', long = "model", value_name = "MODEL", value_parser = values::model_parser(), hide_possible_values = true, value_hint = ValueHint::AnyPath)]
    pub name: Option<String>,
    /// The most memory to take, such as 8GiB; less means that parts of the model take turns
    #[arg(long, value_name = "SIZE", value_parser = values::memory, allow_hyphen_values = true)]
    pub memory: Option<u64>,
}

impl Model {
    /// The model called `name`, opened as these options say.
    pub fn opening(&self, name: impl Into<String>) -> Opening {
        Opening { memory: self.memory, ..Opening::named(name, None) }
    }
}
