//! Operations the networks share, each in plain candle.
