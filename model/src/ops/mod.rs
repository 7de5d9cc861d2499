//! Operations the networks share, each in plain candle.

pub mod activation;
pub mod linear;
pub mod norm;
