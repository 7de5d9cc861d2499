//! The proof table fills row by row, and says what `flowline verify` says.

use flowline::Registry;
use flowline::laboratory::proof::judge;
use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::Choice;

use super::Laboratory;

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

#[test]
fn it_stops_after_the_sampler_at_hand_and_keeps_what_it_found() {
    let mut laboratory = Laboratory::at("Verify");
    laboratory.window.click("Prove all samplers");
    // Where all are judged before a frame is drawn there is nothing to stop.
    laboratory.until(|window| window.shows("judged…") || window.shows("are what they declare"));
    if laboratory.window.shows("judged…") {
        laboratory.window.click("Stop");
    }
    laboratory.until(|window| window.shows("Stopped after") || window.shows("are what they declare"));
    assert!(laboratory.window.shows("Prove a"), "it can begin again");
}
