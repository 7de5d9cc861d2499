//! Weights on their way from the Hub and files to networks: the only network access, the only memory mapping.

mod encoding;
mod file;
mod files;
mod hash;
pub mod hub;
mod naming;
mod reader;
mod safetensors;
mod split;

pub use self::encoding::Encoding;
pub use self::file::{Fact, Stored, TensorFile};
pub use self::files::ModelFiles;
pub use self::hash::{HashCache, sha256};
pub use self::reader::{OnRead, Reader, Weights};
