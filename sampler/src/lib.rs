//! x
mod error;
pub use error::*;
