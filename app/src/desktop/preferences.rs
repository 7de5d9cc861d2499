//! How the user likes the program.

use std::path::PathBuf;

use eframe::egui::ThemePreference;
use serde::{Deserialize, Serialize};

use crate::engine::Wishes;

/// The smallest and the largest scale of the window.
pub const SCALES: std::ops::RangeInclusive<f32> = 0.75..=3.0;

/// What is set on the page of settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// Dark, light, or as the system has it.
    pub theme: Look,
    /// How large everything is drawn; 1 as the system has it.
    pub scale: f32,
    /// Where pictures go; `None` for Flowline in the pictures folder.
    pub pictures: Option<PathBuf>,
    /// Folders in which parts of models are looked for.
    pub models: Vec<PathBuf>,
    /// How many threads compute; `None` for one a core.
    pub threads: Option<usize>,
    /// The most memory the program takes, GiB; `None` for what the system can give.
    pub memory: Option<f64>,
}

/// A theme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Look {
    /// As the system has it.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { theme: Look::System, scale: 1.0, pictures: None, models: Vec::new(), threads: None, memory: None }
    }
}

impl Preferences {
    /// What the engine starts with.
    pub fn wishes(&self) -> Wishes {
        let bytes = |gib: f64| (gib * f64::from(1 << 30)) as u64;
        Wishes {
            model: None,
            pictures: self.pictures.clone(),
            places: self.models.clone(),
            memory: self.memory.filter(|gib| *gib > 0.0).map(bytes),
        }
    }

    /// The scale, within its bounds whatever the file says.
    pub fn scale(&self) -> f32 {
        if self.scale.is_finite() { self.scale.clamp(*SCALES.start(), *SCALES.end()) } else { 1.0 }
    }
}

impl Look {
    /// All, and what they are called.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::System, "As the system"), (Self::Light, "Light"), (Self::Dark, "Dark")];
}

impl From<Look> for ThemePreference {
    fn from(look: Look) -> Self {
        match look {
            Look::System => Self::System,
            Look::Light => Self::Light,
            Look::Dark => Self::Dark,
        }
    }
}
