//! How people use Flowline: the command line, the window, and where pictures go.

#![deny(missing_docs)]

pub mod command;
#[cfg(feature = "desktop")]
pub mod desktop;
pub mod engine;
pub mod error;
pub mod library;
pub mod record;
