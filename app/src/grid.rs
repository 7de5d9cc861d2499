//! Grids: one picture over and over with a few options changed, in every combination.
//!
//! An [`Axis`] is an option of `generate` with its values. An [`Outline`] is a command line that was read; with the
//! models at hand it becomes a [`Plan`]: every combination as a [`Cell`], which is a whole request under a key that
//! depends on nothing but that request. A [`Folder`] holds the plan (`grid.json`), a picture and a row for every cell
//! that is done, and the reference runs. A cell is done when its row is there; rows are written last and whole, so a
//! grid that is killed at any moment goes on where it was. A [`Shard`] is the part of the cells that one of several
//! machines makes. [`Work`] makes cells, [`whole`] begins and ends it all; [`table`] and [`sheet`] show what came of them.

mod axis;
mod cell;
mod folder;
mod models;
mod outline;
mod plan;
mod reference;
mod row;
mod shard;
pub mod sheet;
pub mod table;
pub mod whole;
mod work;

pub use axis::Axis;
pub use cell::Cell;
pub use folder::{Claim, Folder};
pub use models::Models;
pub use outline::Outline;
pub use plan::{Plan, Seeding};
pub use reference::{Reference, comparable};
pub use row::{Gathered, Row};
pub use shard::Shard;
pub use work::{Begun, Made, Teller, Work};
