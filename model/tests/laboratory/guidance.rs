//! Guidance by rule, in the pipeline: what it costs, what it needs, and that a record keeps it.

use flowline_model::{Draft, Pipeline, Request};
use flowline_sampler::catalog::Choice;

use super::{Made, bits, draft, keep, make, postcard, refused, resolve};

fn ruled(rule: &str, steps: usize) -> Draft {
    Draft { rule: Some(rule.parse().unwrap()), ..draft(steps) }
}

fn made(pipeline: &mut Pipeline, draft: &Draft) -> Made {
    let request = resolve(pipeline, draft);
    make(pipeline, &request)
}

#[test]
fn every_rule_makes_a_picture_of_its_own_that_its_record_makes_again() {
    let mut pipeline = postcard();
    let rules: Vec<String> = pipeline.spec().rules.iter().map(|about| about.name.to_owned()).collect();
    let wrapped = ["cfg+interval:low=0.3,high=0.7", "cfg+rescale:share=1", "apg+rescale+interval:low=0.1"];
    let mut seen = vec![made(&mut pipeline, &Draft { cfg: Some(1.0), ..draft(4) }).bits()];
    for rule in rules.into_iter().chain(wrapped.map(String::from)) {
        let picture = made(&mut pipeline, &ruled(&rule, 4));
        let request = &picture.picture().request;
        assert_eq!(request.cfg, 2.5, "{rule}: the model's own");
        let again: Request = serde_json::from_str(&serde_json::to_string(request).unwrap()).unwrap();
        assert_eq!((&again, &resolve(&pipeline, &again.to_draft())), (request, request), "{rule}");
        assert_eq!(make(&mut postcard(), &again).bits(), picture.bits(), "{rule}");
        assert!(!seen.contains(&picture.bits()), "{rule} changes nothing");
        seen.push(picture.bits());
    }
}

#[test]
fn the_plain_rule_is_cfg_and_evaluations_are_counted_as_runs_of_the_model() {
    let mut pipeline = postcard();
    let plain = made(&mut pipeline, &Draft { cfg: Some(3.0), ..draft(8) });
    let named = made(&mut pipeline, &ruled("cfg:scale=3", 8));
    assert_eq!((plain.bits(), plain.picture().evaluations), (named.bits(), 16));
    // Sigmas 5/8, 4/8 and 3/8 lie inside; outside only the prompt is evaluated.
    let interval = made(&mut pipeline, &ruled("cfg:scale=3+interval:low=0.375,high=0.7", 8));
    assert_eq!(interval.picture().evaluations, 8 + 3);
    // Nothing is evaluated at sigma 1.
    assert_eq!(made(&mut pipeline, &ruled("cfg-zero-star:scale=3", 8)).picture().evaluations, 14);
    assert_eq!(made(&mut pipeline, &ruled("apg:scale=1", 8)).picture().evaluations, 8);
}

#[test]
fn a_rule_with_a_memory_begins_each_picture_with_nothing_remembered() {
    let mut pipeline = postcard();
    let asked = Draft { seeds: vec![1, 2], ..ruled("apg:momentum=0.5", 4) };
    let together = made(&mut pipeline, &asked);
    let alone = made(&mut pipeline, &Draft { seeds: vec![2], ..asked });
    assert_eq!(bits(&together.pictures[1]), alone.bits());
}

#[test]
fn cfg_and_the_scale_of_a_rule_are_one_number() {
    let pipeline = postcard();
    let decided = |draft: Draft| {
        let request = resolve(&pipeline, &draft);
        (request.cfg, request.rule.to_string())
    };
    assert_eq!(decided(draft(2)), (2.5, "cfg:scale=2.5".into()));
    assert_eq!(decided(Draft { cfg: Some(4.0), ..ruled("tcfg", 2) }), (4.0, "tcfg:scale=4".into()));
    assert_eq!(decided(ruled("tangential:SCALE=4", 2)), (4.0, "tcfg:scale=4".into()));
    assert_eq!(decided(Draft { cfg: Some(4.0), ..ruled("tcfg:scale=4", 2) }), (4.0, "tcfg:scale=4".into()));
    assert_eq!(
        refused(&pipeline, &Draft { cfg: Some(3.0), ..ruled("apg:scale=4", 2) }),
        "cfg is 3, and the guidance apg has the scale 4"
    );
    let request = resolve(&pipeline, &draft(2));
    let changed = Request { cfg: 3.0, ..request };
    let error = changed.check(pipeline.spec()).unwrap_err();
    assert_eq!(error.to_string(), "cfg is 3, and the guidance is cfg:scale=2.5");
}

#[test]
fn rules_that_the_model_cannot_follow_and_rules_that_there_are_not_are_refused() {
    let pipeline = postcard();
    let weak = refused(&pipeline, &ruled("cfg+slg", 2));
    assert!(weak.starts_with("postcard cannot skip layers, and the guidance cfg:scale=2.5+skip-layer:"), "{weak}");
    resolve(&pipeline, &ruled("cfg+skip-layer:scale=0", 2));
    assert_eq!(refused(&pipeline, &ruled("agp", 2)), "there is no guidance named 'agp'");
    assert!(refused(&pipeline, &ruled("apg:eta=2", 2)).contains("'eta=2' is not allowed"));
    assert!(refused(&pipeline, &ruled("cfg+interval:low=0.9,high=0.1", 2)).contains("lies above"));
}

#[test]
fn a_record_of_the_first_form_means_keyed_noise_and_plain_guidance() {
    let mut pipeline = postcard();
    let picture = made(&mut pipeline, &Draft { cfg: Some(3.0), ..draft(2) });
    let mut record = serde_json::to_value(&picture.picture().request).unwrap();
    let object = record.as_object_mut().unwrap();
    object.insert("schema".into(), 1.into());
    for newer in ["rule", "rng"] {
        assert!(object.remove(newer).is_some());
    }
    let read: Request = serde_json::from_value(record.clone()).unwrap();
    assert_eq!(read, picture.picture().request);
    // The second form says which rule it is.
    record["schema"] = 2.into();
    assert_eq!(serde_json::from_value::<Request>(record).unwrap_err().to_string(), "missing field `rule`");
}

#[test]
fn the_metrics_of_a_step_are_told_with_it() {
    let mut pipeline = postcard();
    let run = keep(&mut pipeline, &Draft { sampler: Some(Choice::new("heun")), ..draft(3) });
    let zero = flowline_model::Latents::flat((8, 4, 4), 0.0).unwrap();
    for (before, step) in run.steps.iter().enumerate() {
        let x = run.kept().state(before).unwrap().x.distance(&zero).unwrap();
        assert!((step.metrics.x - x).abs() < 1e-12 * x, "{:?}", step.metrics);
        assert_eq!((step.metrics.drift.is_some(), step.metrics.turning.is_some()), (before > 0, before > 0));
        assert!(step.metrics.straightness > 0.5 && step.metrics.straightness < 1.0 + 1e-6);
    }
    // Heun tells how far it is from Euler; on the step to 0 it is Euler.
    assert!(run.steps[0].metrics.local_error.unwrap() > 0.0);
    assert!(run.steps[2].metrics.local_error.is_none());
}

#[test]
fn a_name_that_means_another_sampler_elsewhere_is_translated_with_a_warning() {
    let pipeline = postcard();
    let asked = Draft { sampler: Some(Choice::new("DPM++ 2M SDE")), ..draft(2) };
    let resolved = asked.resolve(pipeline.spec()).unwrap();
    assert_eq!(resolved.request.sampler.name, "dpmpp2m-sde");
    let warning = resolved.warnings.iter().find(|warning| warning.code == "sampler-translated").unwrap();
    assert!(warning.message.starts_with("'DPM++ 2M SDE' is"), "{warning}");
    let ours = Draft { sampler: Some(resolved.request.sampler), ..draft(2) }.resolve(pipeline.spec()).unwrap();
    assert!(ours.warnings.iter().all(|warning| warning.code != "sampler-translated"));
}
