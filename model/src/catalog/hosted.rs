//! Models on the Hub: their repositories, which files of them make a model, how much that is, and who may have it.

use crate::weights::hub::{Reference, Wanted};

/// A repository on the Hub, and what of it makes the model.
#[derive(Debug, PartialEq)]
pub struct Hosted {
    /// `owner/repo`.
    pub repository: &'static str,
    /// The files, written as [`crate::weights::hub`] reads them.
    pub files: &'static [&'static str],
    /// About how many bytes these are; the Hub says exactly.
    pub bytes: u64,
    /// About how many bytes of memory a picture of its usual size takes, held as stored, with the parts taking turns.
    pub memory: u64,
    /// Whether its licence must be accepted on its page before the Hub sends it.
    pub gated: bool,
    /// The same model from others who ask for no account, or smaller.
    pub alternatives: &'static [Alternative],
}

/// Another place for a model, or for parts of it.
#[derive(Debug, PartialEq)]
pub struct Alternative {
    /// As typed after `-m`: `owner/repo:file`.
    pub reference: &'static str,
    /// What it is.
    pub about: &'static str,
}

impl Hosted {
    /// The repository as a reference; `None` only for a name that no repository can have.
    pub fn reference(&self) -> Option<Reference> {
        Reference::parse(self.repository).ok()
    }

    /// What is wanted of it.
    pub fn wanted(&self) -> Wanted<'static> {
        Wanted::Paths(self.files)
    }
}

// Repositories, names and gates: the Hub's pages as models.md cites them. Sizes are sums of the parts: CLIP-L 0.25 GB,
// CLIP-G 1.39, T5-XXL 9.52, the autoencoder 0.17, and the transformer, in 16 bits. Memory: the larger of the encoders
// together and the transformer, and 2 to 4 GB to work in (models.md 1, computed).

pub(super) static FLUX_SCHNELL: Hosted = Hosted {
    repository: "black-forest-labs/FLUX.1-schnell",
    files: FLUX,
    bytes: 33_700_000_000,
    memory: 28_000_000_000,
    gated: true,
    alternatives: &[
        Alternative {
            reference: "Comfy-Org/flux1-schnell:flux1-schnell-fp8.safetensors",
            about: "everything in one file, 8 bits",
        },
        Alternative {
            reference: "city96/FLUX.1-schnell-gguf:flux1-schnell-Q4_K_S.gguf",
            about: "the transformer alone, 4 bits, 6.8 GB",
        },
    ],
};

pub(super) static FLUX_DEV: Hosted = Hosted {
    repository: "black-forest-labs/FLUX.1-dev",
    files: FLUX,
    bytes: 33_700_000_000,
    memory: 28_000_000_000,
    gated: true,
    alternatives: &[
        Alternative {
            reference: "Comfy-Org/flux1-dev:flux1-dev-fp8.safetensors",
            about: "everything in one file, 8 bits",
        },
        Alternative {
            reference: "city96/FLUX.1-dev-gguf:flux1-dev-Q4_K_S.gguf",
            about: "the transformer alone, 4 bits, 6.8 GB",
        },
    ],
};

pub(super) static FLUX_KREA_DEV: Hosted = Hosted {
    repository: "black-forest-labs/FLUX.1-Krea-dev",
    files: FLUX,
    bytes: 33_700_000_000,
    memory: 28_000_000_000,
    gated: true,
    alternatives: &[],
};

pub(super) static SD3_MEDIUM: Hosted = Hosted {
    repository: "stabilityai/stable-diffusion-3-medium-diffusers",
    files: SD3,
    bytes: 15_400_000_000,
    memory: 13_000_000_000,
    gated: true,
    alternatives: &[],
};

pub(super) static SD35_MEDIUM: Hosted = Hosted {
    repository: "stabilityai/stable-diffusion-3.5-medium",
    files: SD3,
    bytes: 15_800_000_000,
    memory: 13_000_000_000,
    gated: true,
    alternatives: &[Alternative {
        reference: "city96/stable-diffusion-3.5-medium-gguf:sd3.5_medium-Q8_0.gguf",
        about: "the transformer alone, 8 bits, 2.9 GB",
    }],
};

pub(super) static SD35_LARGE: Hosted = Hosted {
    repository: "stabilityai/stable-diffusion-3.5-large",
    files: SD3,
    bytes: 27_400_000_000,
    memory: 20_000_000_000,
    gated: true,
    alternatives: &[],
};

pub(super) static SD35_LARGE_TURBO: Hosted = Hosted {
    repository: "stabilityai/stable-diffusion-3.5-large-turbo",
    files: SD3,
    bytes: 27_400_000_000,
    memory: 20_000_000_000,
    gated: true,
    alternatives: &[],
};

/// FLUX.1 as a diffusers folder.
const FLUX: &[&str] = &[
    "model_index.json",
    "scheduler/",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder_2/config.json",
    "text_encoder_2/model.safetensors",
    "tokenizer/",
    "tokenizer_2/",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
];

/// SD3 as a diffusers folder.
const SD3: &[&str] = &[
    "model_index.json",
    "scheduler/",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "text_encoder_2/config.json",
    "text_encoder_2/model.safetensors",
    "text_encoder_3/config.json",
    "text_encoder_3/model.safetensors",
    "tokenizer/",
    "tokenizer_2/",
    "tokenizer_3/",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{MODELS, Source};

    #[test]
    fn every_repository_and_alternative_of_the_catalogue_can_be_written() {
        for entry in MODELS {
            let Source::Hub(hosted) = entry.source else { continue };
            assert_eq!(hosted.reference().expect(entry.name).to_string(), hosted.repository);
            for alternative in hosted.alternatives {
                let reference = Reference::parse(alternative.reference).expect(alternative.reference);
                assert!(reference.file().is_some(), "{}", alternative.reference);
            }
        }
    }
}
