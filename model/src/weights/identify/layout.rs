//! Where diffusers puts the parts of a family's models: what a virtual folder of loose files must look like.

use super::Role;
use crate::{Error, Result};

/// A family's folder.
#[derive(Debug, PartialEq)]
pub struct Layout {
    /// The family's name, for people.
    pub name: &'static str,
    /// The transformer's class in diffusers.
    pub class: &'static str,
    /// The parts beside the transformer.
    pub slots: &'static [Slot],
    /// What latents are multiplied by after encoding.
    pub scaling_factor: f64,
    /// What is subtracted from them before that.
    pub shift_factor: f64,
    /// Channels of a token by channels of the latents, as the transformer's configuration counts them.
    pub latents_a_token: usize,
    /// Repositories whose files may be on this machine for another reason, and serve where a part or a vocabulary is
    /// missing.
    pub repositories: &'static [&'static str],
    /// What the names of the family's files begin with, where they are named after it.
    pub begins: &'static [&'static str],
}

/// The place of one part.
#[derive(Debug, PartialEq)]
pub struct Slot {
    /// What is there.
    pub role: Role,
    /// Its folder.
    pub folder: &'static str,
    /// Its tokenizer's folder, of a text encoder.
    pub tokenizer: Option<&'static str>,
    /// Whether the family can do without.
    pub optional: bool,
    /// A file that people put there, by its repository.
    pub usual: &'static str,
}

const fn text(role: Role, folder: &'static str, tokenizer: &'static str, usual: &'static str) -> Slot {
    Slot { role, folder, tokenizer: Some(tokenizer), optional: false, usual }
}

const fn vae(usual: &'static str) -> Slot {
    Slot { role: Role::Vae, folder: "vae", tokenizer: None, optional: false, usual }
}

const CLIP_L: &str = "comfyanonymous/flux_text_encoders:clip_l.safetensors";
const CLIP_G: &str = "Comfy-Org/stable-diffusion-3.5-fp8:text_encoders/clip_g.safetensors";
const T5: &str = "comfyanonymous/flux_text_encoders:t5xxl_fp16.safetensors";

/// FLUX.1. The autoencoder's factors: black-forest-labs/flux `util.py`, `AutoEncoderParams`.
pub static FLUX: Layout = Layout {
    name: "FLUX.1",
    class: "FluxTransformer2DModel",
    slots: &[
        text(Role::ClipL, "text_encoder", "tokenizer", CLIP_L),
        text(Role::T5, "text_encoder_2", "tokenizer_2", T5),
        vae("black-forest-labs/FLUX.1-schnell:ae.safetensors"),
    ],
    scaling_factor: 0.3611,
    shift_factor: 0.1159,
    latents_a_token: 4,
    repositories: &[
        "comfyanonymous/flux_text_encoders",
        "city96/t5-v1_1-xxl-encoder-gguf",
        "black-forest-labs/FLUX.1-schnell",
        "black-forest-labs/FLUX.1-dev",
        "openai/clip-vit-large-patch14",
        "google/t5-v1_1-xxl",
    ],
    begins: &["flux", "ae."],
};

/// SD3 and SD3.5. The autoencoder's factors: Stability-AI/sd3.5 `sd3_impls.py:271-282`.
pub static SD3: Layout = Layout {
    name: "SD3",
    class: "SD3Transformer2DModel",
    slots: &[
        text(Role::ClipL, "text_encoder", "tokenizer", CLIP_L),
        text(Role::ClipG, "text_encoder_2", "tokenizer_2", CLIP_G),
        Slot { optional: true, ..text(Role::T5, "text_encoder_3", "tokenizer_3", T5) },
        vae("stabilityai/stable-diffusion-3.5-medium:vae/diffusion_pytorch_model.safetensors"),
    ],
    scaling_factor: 1.5305,
    shift_factor: 0.0609,
    latents_a_token: 1,
    repositories: &[
        "Comfy-Org/stable-diffusion-3.5-fp8",
        "comfyanonymous/flux_text_encoders",
        "city96/t5-v1_1-xxl-encoder-gguf",
        "stabilityai/stable-diffusion-3.5-medium",
        "stabilityai/stable-diffusion-3.5-large",
        "stabilityai/stable-diffusion-3-medium-diffusers",
        "openai/clip-vit-large-patch14",
        "google/t5-v1_1-xxl",
    ],
    begins: &["sd3", "sd_3", "stable-diffusion-3", "stable_diffusion_3"],
};

/// All of them.
static LAYOUTS: [&Layout; 2] = [&FLUX, &SD3];

impl Layout {
    /// The family whose transformers diffusers calls `class`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one whose parts cannot be put together.
    pub fn of_class(class: &str) -> Result<&'static Self> {
        let known = LAYOUTS.iter().find(|layout| layout.class == class);
        known.copied().ok_or_else(|| {
            let what = format!("the parts of a model with a {class} cannot be named one by one");
            Error::invalid(what, "name a FLUX.1, SD3 or SD3.5 model")
        })
    }

    /// Where the part `role` is in the folder; `None` for a family that has no such part.
    pub fn folder(&self, role: Role) -> Option<&'static str> {
        match role {
            Role::Transformer => Some("transformer"),
            role => self.slots.iter().find(|slot| slot.role == role).map(|slot| slot.folder),
        }
    }

    /// Whether a file of this name says that it belongs to another family.
    pub fn disowns(&self, file_name: &str) -> bool {
        let name = file_name.to_lowercase();
        let begins = |layout: &&&Layout| layout.begins.iter().any(|begin| name.starts_with(begin));
        LAYOUTS.iter().find(begins).is_some_and(|owner| *owner != self)
    }
}

impl Role {
    /// The name of its weight file in a diffusers folder.
    pub fn weights(self) -> &'static str {
        if self.is_text() { "model.safetensors" } else { "diffusion_pytorch_model.safetensors" }
    }
}
