//! Weights on their way from the Hub and files to networks: the only network access, the only memory mapping.

mod assembled;
pub mod convert;
mod encoding;
mod file;
mod files;
mod gguf;
mod hash;
mod header;
mod holding;
pub mod hub;
pub mod identify;
mod lora;
mod memory;
mod naming;
mod reader;
mod safetensors;
mod scales;
mod split;

pub use self::assembled::Assembled;
pub use self::encoding::{ENCODINGS, Encoding};
pub(crate) use self::file::Bytes;
pub use self::file::TensorFile;
pub use self::files::ModelFiles;
pub use self::hash::{HashCache, sha256};
pub use self::header::{Fact, Stored};
pub use self::holding::{Activations, Fallbacks, HeldAs, Holding};
pub use self::lora::{Adapters, Applied, Targets};
pub use self::memory::Memory;
pub use self::reader::{OnRead, Reader, Weights};
