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
    /// A file that people put there, and the repository that has it.
    pub usual: &'static str,
}

const fn text(role: Role, folder: &'static str, tokenizer: &'static str, usual: &'static str) -> Slot {
    Slot { role, folder, tokenizer: Some(tokenizer), optional: false, usual }
}

const fn vae(usual: &'static str) -> Slot {
    Slot { role: Role::Vae, folder: "vae", tokenizer: None, optional: false, usual }
}

const CLIP_L: &str = "clip_l.safetensors of comfyanonymous/flux_text_encoders";
const CLIP_G: &str = "text_encoders/clip_g.safetensors of Comfy-Org/stable-diffusion-3.5-fp8";
const T5: &str = "t5xxl_fp16.safetensors of comfyanonymous/flux_text_encoders";

/// FLUX.1. The autoencoder's factors: black-forest-labs/flux `util.py`, `AutoEncoderParams`.
pub static FLUX: Layout = Layout {
    name: "FLUX.1",
    class: "FluxTransformer2DModel",
    slots: &[
        text(Role::ClipL, "text_encoder", "tokenizer", CLIP_L),
        text(Role::T5, "text_encoder_2", "tokenizer_2", T5),
        vae("ae.safetensors of black-forest-labs/FLUX.1-schnell"),
    ],
    scaling_factor: 0.3611,
    shift_factor: 0.1159,
    latents_a_token: 4,
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
        vae("vae/diffusion_pytorch_model.safetensors of stabilityai/stable-diffusion-3.5-medium"),
    ],
    scaling_factor: 1.5305,
    shift_factor: 0.0609,
    latents_a_token: 1,
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
