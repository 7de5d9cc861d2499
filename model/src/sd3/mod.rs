//! The transformers of Stable Diffusion 3 and 3.5, MMDiT and MMDiT-X (Esser et al. 2024,
//! <https://arxiv.org/abs/2403.03206>; Stability-AI/sd3.5 `mmditx.py`), by diffusers' names.

mod blocks;
mod config;
mod family;
mod positions;
mod text;
mod transformer;

pub use self::config::{QkNorm, Sd3Config};
pub use self::family::Sd3Family;
pub use self::transformer::{Sd3Transformer, Skipping};
