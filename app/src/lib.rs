//! How people use Flowline: the command line, the window, and the files they share.
//!
//! [`args`] is the command line as types and [`cli`] what it does; [`library`] is where pictures go and [`record`] what
//! they say about themselves. Pictures are made through [`flowline_model::Pipeline::generate`] and nowhere else.

#![deny(missing_docs)]

pub mod args;
pub mod cli;
pub mod command;
#[cfg(feature = "desktop")]
pub mod desktop;
pub mod drawing;
pub mod engine;
pub mod error;
pub mod library;
pub mod plot;
pub mod record;

pub use error::{Exit, Failure, Result};
