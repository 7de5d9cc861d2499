//! What models like, and what their authors run them with.

mod parity;

use flowline_model::catalog::{MODELS, Preset};
use flowline_model::{Draft, Pipeline, Request};
use parity::folders::{index, sd3_folder};
use serde_json::json;

/// A request with everything left open, of a folder that says it is of this kind.
fn resolved(kind: &str, preset: Preset) -> Request {
    let folder = sd3_folder("sd35_medium");
    index(&folder, json!({ "kind": kind, "skip_layers": [0] }));
    let pipeline = Pipeline::open(folder.path().to_str().unwrap(), None).unwrap();
    // The fixtures' grid of positions is too small for a real size.
    let draft = Draft { preset, width: Some(64), height: Some(64), seeds: vec![1], ..Draft::default() };
    draft.resolve(pipeline.spec()).unwrap().request
}

#[test]
fn every_choice_of_every_model_is_one_of_the_catalogues() {
    let pipeline = Pipeline::open("postcard", None).unwrap();
    let spec = pipeline.spec();
    for entry in MODELS {
        for likes in [Some(&entry.defaults), entry.reference.as_ref()].into_iter().flatten() {
            spec.samplers.complete(&likes.sampler()).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
            spec.schedules.complete(&likes.schedule()).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
            if let Some(rule) = likes.rule() {
                spec.rules.complete(&rule).unwrap_or_else(|e| panic!("{}: {e}", entry.name));
            }
        }
    }
}

#[test]
fn the_reference_preset_is_what_the_authors_program_does() {
    let medium = resolved("sd3.5-medium", Preset::Reference);
    assert_eq!((medium.steps, medium.cfg, medium.sampler.name.as_str()), (50, 5.0, "dpmpp2m"));
    assert_eq!((medium.schedule.to_string().as_str(), &medium.skip_layers[..]), ("sd3:shift=3", &[0][..]));
    // Stability-AI/sd3.5 `sd3_impls.py:219-268`: after 1 % and before 20 % of the steps.
    let acts = |sigma: f64| (0.925..=0.995).contains(&sigma);
    let acting: Vec<_> = (0..medium.steps).filter(|step| acts(medium.sigmas[*step])).collect();
    assert_eq!(acting, (1..10).collect::<Vec<_>>());
    assert!(medium.rule.to_string().contains("low=0.925") && medium.rule.to_string().contains("high=0.995"));

    let large = resolved("sd3.5-large", Preset::Reference);
    assert_eq!((large.steps, large.cfg, large.rule.to_string().as_str()), (40, 4.5, "cfg:scale=4.5"));
    assert_eq!(resolved("sd3-medium", Preset::Reference).schedule.to_string(), "sd3:shift=1");
    let default = resolved("sd3.5-medium", Preset::Default);
    assert_eq!((default.steps, default.cfg, default.rule.to_string().as_str()), (28, 4.5, "cfg:scale=4.5"));
    assert!(default.skip_layers.is_empty(), "layers are skipped only if somebody asks");
}

#[test]
fn a_model_without_a_reference_says_so() {
    let pipeline = Pipeline::open("postcard", None).unwrap();
    let refused = Draft { preset: Preset::Reference, ..Draft::default() }.resolve(pipeline.spec()).unwrap_err();
    assert!(refused.to_string().contains("postcard") && refused.hint().contains("sd3.5-medium"), "{refused}");
}
