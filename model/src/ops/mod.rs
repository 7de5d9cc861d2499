//! Operations the networks share, each in plain candle.

pub mod activation;
pub mod attention;
pub(crate) mod bands;
pub mod conv;
pub mod group_norm;
pub(crate) mod host;
pub mod linear;
pub mod low_rank;
pub mod norm;
pub mod patches;
pub mod rope;
pub mod timestep;
pub mod weight;
