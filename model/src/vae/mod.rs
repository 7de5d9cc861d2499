//! AutoencoderKL: pictures to latents and back (Kingma & Welling 2013, <https://arxiv.org/abs/1312.6114>; the
//! architecture of Rombach et al. 2021, <https://arxiv.org/abs/2112.10752>), by diffusers' names.

mod autoencoder;
mod blocks;
mod config;
mod decoder;
mod encoder;
mod picture;
mod strips;
mod tiling;

pub use self::autoencoder::{Autoencoder, Moments};
pub use self::config::VaeConfig;
pub use self::decoder::Decoder;
pub use self::encoder::Encoder;
pub use self::picture::{from_rgb, to_rgb};
pub use self::tiling::Tiling;

/// The most scores that the middle block holds at once, bytes: at 1024 x 1024 pixels a 64th of all.
const SCORES: usize = 16 << 20;
