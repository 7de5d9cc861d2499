//! Rectified-flow transformers, their text encoders and autoencoders, and the pipeline from prompt to picture.
//!
//! Read [`pipeline`] first. [`catalog`] lists the models, [`request`] says what a picture is made from, [`event`] what
//! can happen on the way, [`trajectory`] how a run is kept. The networks live in [`text`], [`flux`], [`sd3`] and [`vae`]
//! and read their weights through [`weights`]. This crate knows no window, no command line and no stdout.

#![deny(missing_docs)]

pub mod catalog;
pub mod conditioning;
mod error;
pub mod event;
pub mod family;
pub mod flux;
pub mod latents;
mod locate;
pub mod memory;
mod mmdit;
pub mod model_index;
pub mod opening;
pub mod ops;
pub mod pipeline;
pub mod preview;
pub mod probe;
pub mod provenance;
pub mod request;
pub mod rng;
pub mod sd3;
pub mod spec;
pub mod text;
pub mod threads;
pub mod trajectory;
pub mod vae;
pub mod weights;

pub use conditioning::Conditioning;
pub use error::{Error, Result};
pub use event::{Event, Outcome, Picture, StepDone, Warning};
pub use latents::Latents;
pub use memory::{MemoryPlan, Residency};
pub use opening::{Lora, LoraFile, Opening};
pub use pipeline::Pipeline;
pub use provenance::{LoraRecord, MadeWith, ModelRecord, WeightRecord};
pub use request::{Branch, Draft, Request, Resolved, Start, Tilt};
pub use rng::Rng;
pub use spec::Spec;
pub use trajectory::{Kept, KeptStep};
