//! Weights on their way from files to networks: the only memory mapping, later the only network access.

mod safetensors;

pub use self::safetensors::{Reader, Weights};
