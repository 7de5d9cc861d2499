//! The library's page in front of a fake library.
#![cfg(feature = "desktop")]

mod grid;
mod picture;
#[path = "../sample/mod.rs"]
mod sample;
#[path = "../stand_in/mod.rs"]
mod stand_in;
mod window;
