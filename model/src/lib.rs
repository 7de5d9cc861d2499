//! x
pub mod conditioning;
mod error;
pub mod flux;
pub mod ops;
pub mod preview;
pub mod probe;
pub mod text;
pub mod vae;
pub mod weights;
pub use error::{Error, Result};
