//! Weights on their way from files to networks: the only memory mapping, later the only network access.

mod encoding;
mod file;
mod files;
mod hash;
mod lora;
mod naming;
mod reader;
mod safetensors;
mod split;

pub use self::encoding::Encoding;
pub use self::file::{Fact, Stored, TensorFile};
pub use self::files::ModelFiles;
pub use self::hash::{HashCache, sha256};
pub use self::lora::{Adapters, Applied, Targets};
pub use self::reader::{OnRead, Reader, Weights};
