//! Every network of a folder of fixtures against its reference: the comparison that the tests make, on any folder laid
//! out like theirs (`tests/fixtures`), so that fixtures nobody has seen can be checked.
//!
//! `cargo run --release -p flowline-model --example parity -- DIR`
//!
//! A line a fixture with its worst relative error, max|a - b| / max|b|. Ends with 1 if one is above its bar (2e-5 in
//! f32), cannot be read, or if a family that this program knows is not there.

mod networks;
mod pipelines;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next().map(PathBuf::from), arguments.next()) else {
        eprintln!(
            "error: name one folder of fixtures\nhint: cargo run --release -p flowline-model --example parity -- DIR"
        );
        return ExitCode::from(2);
    };
    let report = report::of(&folder);
    print!("{report}");
    if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
