//! The proof table fills row by row, and says what `flowline verify` says.

use std::sync::{Arc, Mutex, mpsc};

use flowline::Registry;
use flowline::laboratory::proof::judge;
use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::{About, Choice};
use flowline_sampler::exponential::{Diffusion, Exponential};

use super::{Laboratory, PATIENCE};

#[test]
fn the_proof_of_all_samplers_runs_from_a_button_to_the_command_lines_verdicts() {
    let mut laboratory = Laboratory::at("Verify");
    assert!(laboratory.window.shows("The table fills row by row"));
    laboratory.window.click("Prove all samplers");
    laboratory.until_shows("are what they declare");
    let registry = Registry::builtin();
    let all = registry.proof_samplers().iter().count();
    assert!(laboratory.window.shows(&format!("All {all} are what they declare")));
    let first = Choice::new(registry.proof_samplers().iter().next().unwrap().name);
    let judged = judge(&first, &registry, &Bench::smooth().unwrap()).unwrap();
    assert!(laboratory.window.shows(&judged.sampler));
    assert!(laboratory.window.shows(&format!("{:.2}", judged.order)));
    assert!(laboratory.window.shows(&format!("{:+.1e}", judged.spread[1])));
    assert!(laboratory.window.shows("Prove again"));
}

const WAITING: About = About {
    name: "waiting",
    aliases: &[],
    ve_names: &[],
    meaning: "a sampler that is not there before it is let go",
    formula: "x' = x + (sigma' - sigma) v",
    citation: "this test",
    parameters: &[],
};

#[test]
fn it_stops_after_the_sampler_at_hand_and_keeps_what_it_found() {
    let mut registry = Registry::builtin();
    let (let_go, waits) = mpsc::channel();
    let waits = Arc::new(Mutex::new(waits));
    registry.add(WAITING, move |_| {
        waits.lock().unwrap().recv_timeout(PATIENCE).expect("it is let go");
        Ok(Exponential { diffusion: Diffusion::Ode })
    });
    registry.add(About { name: "never", ..WAITING }, |_| Ok(Exponential { diffusion: Diffusion::Ode }));
    let all = registry.proof_samplers().iter().count();
    let mut laboratory = Laboratory::offering("Verify", registry);
    laboratory.window.click("Prove all samplers");
    laboratory.until_shows(&format!("{} of {all} judged…", all - 2));
    laboratory.window.click("Stop");
    assert!(laboratory.window.shows("Stopping after"));
    assert!(!laboratory.window.is_enabled("Stop"));
    let_go.send(()).unwrap();
    laboratory.until_shows(&format!("Stopped after {} of {all}", all - 1));
    assert!(laboratory.window.shows("waiting") && !laboratory.window.shows("never"));
    assert!(laboratory.window.shows("Prove again"));
}
