//! The FLUX.1 transformer (Black Forest Labs 2024; architecture in their technical report,
//! <https://arxiv.org/abs/2506.15742>, section 3, and in black-forest-labs/flux `model.py`), by diffusers' names.

mod blocks;
mod config;
mod family;
mod packing;
mod positions;
mod transformer;

pub use self::config::FluxConfig;
pub use self::family::FluxFamily;
pub use self::positions::positions;
pub use self::transformer::FluxTransformer;
