//! What a registry holds is what every face offers.

use flowline::Registry;
use flowline::engine::open_pipeline;
use flowline_model::Opening;
use flowline_sampler::catalog::{About, Choice};
use flowline_sampler::exponential::{Diffusion, Exponential};

const MINE: About = About {
    name: "mine",
    aliases: &[],
    ve_names: &[],
    meaning: "a sampler that was added",
    formula: "x' = x + (sigma' - sigma) v",
    citation: "this test",
    parameters: &[],
};

#[test]
fn the_window_offers_and_resolves_a_sampler_that_was_added() {
    let mut registry = Registry::builtin();
    registry.add(MINE, |_| Ok(Exponential { diffusion: Diffusion::Ode }));
    assert!(registry.proof_samplers().about("mine").is_ok());
    let model = open_pipeline(registry, Opening::default())("postcard").unwrap();
    assert!(model.offer().samplers.iter().any(|about| about.name == "mine"));
    let draft = flowline_model::Draft { sampler: Some(Choice::new("mine")), ..Default::default() };
    assert_eq!(model.resolve(&draft).unwrap().request.sampler, Choice::new("mine"));
    let without = open_pipeline(Registry::builtin(), Opening::default())("postcard").unwrap();
    assert!(!without.offer().samplers.iter().any(|about| about.name == "mine"));
    assert!(without.resolve(&draft).is_err());
}
