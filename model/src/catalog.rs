//! The one list of models: what they are called, where their files are, what they like.

mod hosted;

use flowline_sampler::catalog::Choice;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};
pub use hosted::{Alternative, Hosted};

/// A model people can name, or a kind of model that a folder can hold.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// As typed after `-m`.
    pub name: &'static str,
    /// Other names people type.
    pub aliases: &'static [&'static str],
    /// One line for people.
    pub about: &'static str,
    /// Under which terms the weights may be used.
    pub licence: &'static str,
    /// Where its files are.
    pub source: Source,
    /// What it likes, unless the user says otherwise.
    pub defaults: Defaults,
    /// What its authors' own program runs it with, where that is known (`--preset reference`).
    pub reference: Option<Defaults>,
    /// The only size it was trained at, where there is only one: width, height.
    pub trained_size: Option<(u32, u32)>,
    /// Tokens of text it reads (T5), unless its folder says otherwise.
    pub text_length: usize,
    /// The layers that skip-layer guidance skips; none where nobody has found any.
    pub skip_layers: &'static [usize],
}

/// Where a model's files are.
#[derive(Debug, PartialEq)]
pub enum Source {
    /// Built into the program: path inside the model's folder, and bytes.
    Embedded(&'static [(&'static str, &'static [u8])]),
    /// On the Hub, fetched into the cache that its programs share.
    Hub(&'static Hosted),
}

/// What a model likes.
#[derive(Debug, PartialEq)]
pub struct Defaults {
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Number of steps.
    pub steps: usize,
    /// Sampler, in its written form.
    sampler: &'static str,
    /// Schedule, in its written form.
    schedule: &'static str,
    /// Classifier-free guidance; 1 is off.
    pub cfg: f64,
    /// The rule of guidance, in its written form, where it is not the plain one.
    rule: Option<&'static str>,
    /// Distilled guidance, for models with a guidance embedding.
    pub guidance: Option<f64>,
}

impl Defaults {
    /// The sampler it likes.
    pub fn sampler(&self) -> Choice {
        written(self.sampler)
    }

    /// The schedule it likes.
    pub fn schedule(&self) -> Choice {
        written(self.schedule)
    }

    /// The rule of guidance it likes, where it is not the plain one.
    pub fn rule(&self) -> Option<Choice> {
        self.rule.map(written)
    }
}

/// A choice as this file writes it; a test reads them all.
fn written(text: &str) -> Choice {
    text.parse().unwrap_or_else(|_| Choice::new(text))
}

/// Which of a model's sets of choices applies to all that is left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// [`Entry::defaults`].
    #[default]
    Default,
    /// [`Entry::reference`].
    Reference,
}

impl Preset {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Default, Self::Reference];

    /// How it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Reference => "reference",
        }
    }

    /// What it is, a line.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Default => "what the model likes",
            Self::Reference => "what its authors' own program runs it with",
        }
    }
}

impl Entry {
    /// The choices of `preset`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are none.
    pub fn preset(&self, preset: Preset) -> Result<&Defaults> {
        match preset {
            Preset::Default => Ok(&self.defaults),
            Preset::Reference => self.reference.as_ref().ok_or_else(|| {
                let known: Vec<_> = MODELS.iter().filter(|entry| entry.reference.is_some()).map(|e| e.name).collect();
                let what = format!("nobody but its defaults says how {} should be run", self.name);
                Error::invalid(what, format!("leave --preset out; there is a reference of {}", known.join(", ")))
            }),
        }
    }
}

/// The files of an embedded model, listed once.
macro_rules! embedded {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        Source::Embedded(&[$(($file, include_bytes!(concat!("../../assets/", $folder, "/", $file)))),+])
    };
}

/// All models, the default first.
pub static MODELS: &[Entry] = &[
    Entry {
        name: "postcard",
        aliases: &["default"],
        about: "small painted scenes: ten subjects by sea, lake, meadow, desert, snow and mountains; built in",
        licence: "MIT OR Apache-2.0",
        source: embedded!("postcard":
            "model_index.json",
            "tokenizer/tokenizer.json",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "transformer/config.json",
            "transformer/diffusion_pytorch_model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "vae/preview.json",
        ),
        defaults: Defaults {
            size: (256, 256),
            steps: 8,
            sampler: "euler",
            schedule: "uniform",
            cfg: 2.5,
            rule: None,
            guidance: None,
        },
        reference: None,
        trained_size: Some((256, 256)),
        text_length: 24,
        skip_layers: &[],
    },
    // Black Forest Labs, black-forest-labs/flux src/flux/util.py:288 and cli.py:165-183.
    Entry {
        name: "flux-schnell",
        aliases: &["schnell", "flux1-schnell", "flux.1-schnell"],
        about: "FLUX.1 [schnell], 12 B parameters, 1 to 4 steps",
        licence: "Apache-2.0",
        source: Source::Hub(&hosted::FLUX_SCHNELL),
        defaults: flux(4, "uniform", None),
        reference: Some(bfl(4, "uniform", None)),
        trained_size: None,
        text_length: 256,
        skip_layers: &[],
    },
    Entry {
        name: "flux-dev",
        aliases: &["dev", "flux1-dev", "flux.1-dev"],
        about: "FLUX.1 [dev], 12 B parameters, guidance-distilled",
        licence: "FLUX.1 [dev] Non-Commercial",
        source: Source::Hub(&hosted::FLUX_DEV),
        defaults: flux(28, "flux", Some(3.5)),
        reference: Some(bfl(50, "flux", Some(3.5))),
        trained_size: None,
        text_length: 512,
        skip_layers: &[],
    },
    // Guidance: its model card, black-forest-labs/FLUX.1-Krea-dev, which leaves the steps at the 28 of diffusers' pipeline.
    Entry {
        name: "flux-krea-dev",
        aliases: &["krea-dev", "flux1-krea-dev", "flux.1-krea-dev"],
        about: "FLUX.1 Krea [dev], 12 B parameters, dev trained for photographs",
        licence: "FLUX.1 [dev] Non-Commercial",
        source: Source::Hub(&hosted::FLUX_KREA_DEV),
        defaults: flux(28, "flux", Some(4.5)),
        reference: None,
        trained_size: None,
        text_length: 512,
        skip_layers: &[],
    },
    // Stability AI. Guidance, shift and turbo's steps: Stability-AI/sd3.5 sd3_infer.py:502-546 (which gives SD3 medium no
    // shift and says at :210 that it was released for 3); medium's guidance: its model card. Steps and text length:
    // diffusers pipeline_stable_diffusion_3.py, where 28 and 256 are the defaults. Euler is diffusers' sampler for all.
    Entry {
        name: "sd3-medium",
        aliases: &["sd3", "stable-diffusion-3-medium"],
        about: "Stable Diffusion 3 medium, 2 B parameters",
        licence: STABILITY,
        source: Source::Hub(&hosted::SD3_MEDIUM),
        defaults: sd3(28, 5.0),
        reference: Some(sai(50, 5.0, "sd3:shift=1")),
        trained_size: None,
        text_length: 256,
        skip_layers: &[],
    },
    Entry {
        name: "sd3.5-medium",
        aliases: &["sd35-medium", "stable-diffusion-3.5-medium"],
        about: "Stable Diffusion 3.5 medium, 2.2 B parameters",
        licence: STABILITY,
        source: Source::Hub(&hosted::SD35_MEDIUM),
        defaults: sd3(28, 4.5),
        // Its guidance of skipped layers acts after 1 and before 20 % of the steps: along 50 steps of its grid these are
        // the sigmas from 0.93 to 0.993. sd3_infer.py:587 and :641 pass the guidance 5, not the 4 of that configuration.
        reference: Some(Defaults {
            rule: Some("cfg+skip-layer:scale=2.5,low=0.925,high=0.995"),
            ..sai(50, 5.0, "sd3")
        }),
        trained_size: None,
        text_length: 256,
        // Stability-AI/sd3.5 sd3_infer.py:502-528, where it alone has them.
        skip_layers: &[7, 8, 9],
    },
    Entry {
        name: "sd3.5-large",
        aliases: &["sd35-large", "stable-diffusion-3.5-large"],
        about: "Stable Diffusion 3.5 large, 8.1 B parameters",
        licence: STABILITY,
        source: Source::Hub(&hosted::SD35_LARGE),
        defaults: sd3(28, 4.5),
        reference: Some(sai(40, 4.5, "sd3")),
        trained_size: None,
        text_length: 256,
        skip_layers: &[],
    },
    Entry {
        name: "sd3.5-large-turbo",
        aliases: &["sd35-large-turbo", "stable-diffusion-3.5-large-turbo"],
        about: "Stable Diffusion 3.5 large turbo, 8.1 B parameters, 4 steps",
        licence: STABILITY,
        source: Source::Hub(&hosted::SD35_LARGE_TURBO),
        defaults: sd3(4, 1.0),
        reference: Some(sd3(4, 1.0)),
        trained_size: None,
        text_length: 256,
        skip_layers: &[],
    },
];

/// The licence of Stability AI's models.
const STABILITY: &str = "Stability AI Community (free below 1,000,000 US$ of revenue a year)";

/// What the SD3 models like; they differ in steps and guidance.
const fn sd3(steps: usize, cfg: f64) -> Defaults {
    Defaults { size: (1024, 1024), steps, sampler: "euler", schedule: "sd3", cfg, rule: None, guidance: None }
}

/// What Stability AI's own program runs them with (Stability-AI/sd3.5 `sd3_infer.py:502-528`).
const fn sai(steps: usize, cfg: f64, schedule: &'static str) -> Defaults {
    Defaults { sampler: "dpmpp2m", schedule, ..sd3(steps, cfg) }
}

/// What Black Forest Labs' own program runs them with (black-forest-labs/flux `cli.py:105-183`).
const fn bfl(steps: usize, schedule: &'static str, guidance: Option<f64>) -> Defaults {
    Defaults { size: (1360, 768), ..flux(steps, schedule, guidance) }
}

/// What the FLUX.1 models like; they differ in steps, schedule and guidance.
const fn flux(steps: usize, schedule: &'static str, guidance: Option<f64>) -> Defaults {
    Defaults { size: (1024, 1024), steps, sampler: "euler", schedule, cfg: 1.0, rule: None, guidance }
}

/// The entry called `name`.
///
/// # Errors
/// [`Error::Invalid`] with the nearest name.
pub fn find(name: &str) -> Result<&'static Entry> {
    let wanted = name.trim().to_lowercase();
    let names = |entry: &'static Entry| std::iter::once(entry.name).chain(entry.aliases.iter().copied());
    if let Some(entry) = MODELS.iter().find(|entry| names(entry).any(|known| known == wanted)) {
        return Ok(entry);
    }
    let all = MODELS.iter().flat_map(|entry| names(entry).map(move |known| (entry.name, known)));
    let nearest = all.map(|(name, known)| (strsim::damerau_levenshtein(&wanted, known), name)).min();
    let hint = match nearest {
        Some((distance, name)) if distance <= 2.max(wanted.chars().count() / 2) => {
            format!("did you mean '{name}'? `flowline models` lists them all; a folder is named by its path")
        }
        _ => "`flowline models` lists them all; a folder is named by its path".into(),
    };
    Err(Error::invalid(format!("there is no model named '{name}', and no such folder"), hint))
}
