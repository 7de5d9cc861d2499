//! What the window's laboratory does besides drawing: proofs, schedules shaped by hand, and work on threads of its own.
//!
//! Nothing here is a second implementation. The proof is the one that `flowline verify` prints, particles are carried by
//! what `flowline playground` calls, and a schedule that is kept is a file that `--sigmas` reads.

pub mod branch;
pub mod curve;
pub mod errand;
pub mod proof;
pub mod schedules;
