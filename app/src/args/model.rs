//! Which model, and how it is opened.

use clap::ValueHint;
use flowline_model::Opening;

use super::values;
use crate::shelf::Shelf;

/// Options that say which model is opened, and how.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Model {
    /// A model's name (`flowline models`), its folder, or owner/repo[@revision][:file] on the Hub
    ///
    /// What is not on this machine is fetched first, and said so.
    #[arg(id = "model", short = 'm', long = "model", value_name = "MODEL", value_parser = values::model_parser(), hide_possible_values = true, value_hint = ValueHint::AnyPath)]
    pub name: Option<String>,
    /// Fetch nothing, whatever is missing; HF_HUB_OFFLINE=1 does the same
    #[arg(long)]
    pub offline: bool,
}

impl Model {
    /// The model called `name`, opened as these options say.
    pub fn opening(&self, name: impl Into<String>) -> Opening {
        let shelf = Shelf::usual(self.offline);
        let name = name.into();
        Opening { hub: shelf.hub.clone(), ..Opening::named(shelf.path_or(name), None) }
    }
}
