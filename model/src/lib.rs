//! x
pub mod conditioning;
mod error;
pub mod event;
pub mod family;
pub mod flux;
pub mod latents;
pub mod memory;
pub mod ops;
pub mod preview;
pub mod probe;
pub mod text;
pub mod vae;
pub mod weights;

pub use conditioning::Conditioning;
pub use error::{Error, Result};
pub use event::{Event, Outcome, Picture, StepDone, Warning};
pub use latents::Latents;
pub use memory::MemoryPlan;
pub use pipeline::Pipeline;
pub use request::{Draft, MadeWith, ModelRecord, Request, Resolved, WeightRecord};
pub use spec::Spec;
