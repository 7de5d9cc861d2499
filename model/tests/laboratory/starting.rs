//! Beginning at a picture.

use flowline_model::{Branch, Draft, Kept, Latents, Pipeline, Request, Rng, Start, Tilt};
use flowline_sampler::catalog::Choice;
use image::{Rgb, RgbImage};

use super::{bits, draft, keep, make, postcard, refused, resolve};

fn picture() -> RgbImage {
    RgbImage::from_fn(64, 64, |x, y| Rgb([(4 * x) as u8, (3 * y) as u8, (x ^ y) as u8]))
}

/// A draft that begins at [`picture`], which `pipeline` holds.
fn started(pipeline: &mut Pipeline, strength: f64, draft: Draft) -> Draft {
    let sha256 = pipeline.hold_picture(&picture()).unwrap();
    Draft { start: Some(Start { sha256, strength, steps: None }), ..draft }
}

fn names(pipeline: &Pipeline) -> Vec<&'static str> {
    pipeline.spec().samplers.iter().map(|about| about.name).collect()
}

#[test]
fn every_sampler_begins_exactly_at_the_strength_and_at_strength_1_makes_the_bits_of_text_alone() {
    let mut pipeline = postcard();
    let names = names(&pipeline);
    assert!(names.len() >= 30, "{names:?}");
    for name in names {
        let plain = Draft { sampler: Some(Choice::new(name)), ..draft(4) };
        let (text, whole) = (resolve(&pipeline, &plain), started(&mut pipeline, 1.0, plain.clone()));
        let whole = resolve(&pipeline, &whole);
        assert_eq!((&whole.sigmas, &whole.schedule, whole.steps), (&text.sigmas, &text.schedule, text.steps), "{name}");
        assert!(make(&mut pipeline, &whole).bits() == make(&mut pipeline, &text).bits(), "{name}");

        let part = started(&mut pipeline, 0.55, plain);
        let part = resolve(&pipeline, &part);
        let below: Vec<f64> = text.sigmas.iter().copied().filter(|sigma| *sigma < 0.55).collect();
        assert_eq!((part.sigmas[0], &part.sigmas[1..]), (0.55, &below[..]), "{name}");
        let made = make(&mut pipeline, &part);
        assert_eq!((made.steps[0].sigma, made.steps.len()), (0.55, part.steps), "{name}");
        assert!(made.bits() != make(&mut pipeline, &text).bits(), "{name}");
    }
}

#[test]
fn the_state_at_the_beginning_is_the_picture_under_the_noise_of_the_seed() {
    let mut pipeline = postcard();
    let values = |latents: &Latents| latents.values().unwrap();
    for rng in Rng::ALL {
        let plain = Draft { rng: Some(rng), ..draft(3) };
        let noise = keep(&mut pipeline, &plain).kept().start.x.clone();
        let nothing = started(&mut pipeline, 0.0, plain.clone());
        let nothing = resolve(&pipeline, &nothing);
        let data = make(&mut pipeline, &nothing).picture().latents.clone();
        let some = started(&mut pipeline, 0.3, plain);
        let x = keep(&mut pipeline, &some).kept().start.x.clone();
        for ((x, data), noise) in values(&x).into_iter().zip(values(&data)).zip(values(&noise)) {
            assert_eq!(x, (0.7 * f64::from(data) + 0.3 * f64::from(noise)) as f32, "{rng}");
        }
    }
}

#[test]
fn strength_0_gives_the_picture_back_through_the_autoencoder_and_the_least_strength_takes_one_step() {
    let mut pipeline = postcard();
    let none = started(&mut pipeline, 0.0, draft(4));
    let request = resolve(&pipeline, &none);
    assert_eq!((&request.sigmas[..], request.steps, request.walks()), (&[0.0][..], 0, false));
    let made = make(&mut pipeline, &request);
    assert!(made.steps.is_empty());
    assert_eq!((made.picture().evaluations, made.picture().stopped), (0, None));
    let back = pipeline.decode(&made.picture().latents).unwrap();
    assert_eq!(made.picture().image, back);
    let apart = picture().as_raw().iter().zip(back.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
    assert!(apart / (back.as_raw().len() as f64) < 20.0, "{apart}");
    // Whatever else was asked for: a record of it, another seed.
    let again: Request = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
    assert_eq!(make(&mut pipeline, &again).bits(), made.bits());
    assert_eq!(resolve(&pipeline, &request.to_draft()), request);

    let least = started(&mut pipeline, 1e-6, draft(4));
    let request = resolve(&pipeline, &least);
    assert_eq!((&request.sigmas[..], request.steps), (&[1e-6, 0.0][..], 1));
    assert_eq!(make(&mut pipeline, &request).steps.len(), 1);
}

#[test]
fn a_stronger_start_leaves_less_of_the_picture() {
    let mut pipeline = postcard();
    let mut made = |strength| {
        let draft = started(&mut pipeline, strength, draft(8));
        let request = resolve(&pipeline, &draft);
        make(&mut pipeline, &request).picture().latents.clone()
    };
    let data = made(0.0);
    let apart = [0.2, 0.5, 0.8].map(|strength| made(strength).distance(&data).unwrap());
    println!("distance from the picture at strengths 0.2, 0.5, 0.8: {apart:.3?}");
    assert!(apart.is_sorted_by(|near, far| near < far), "{apart:?}");
}

#[test]
fn a_record_makes_the_picture_again_when_the_picture_it_begins_at_is_given_again() {
    let mut pipeline = postcard();
    let draft = started(&mut pipeline, 0.6, Draft { seeds: vec![3, 4], ..draft(5) });
    let request = resolve(&pipeline, &draft);
    assert_eq!(request.start.as_ref().unwrap().steps, Some(5));
    let made = make(&mut pipeline, &request);
    let record = serde_json::to_string(&made.pictures[1].request).unwrap();
    let recorded: Request = serde_json::from_str(&record).unwrap();
    assert_eq!(resolve(&pipeline, &recorded.to_draft()), recorded);

    let mut alone = postcard();
    let error = alone.generate(&recorded, |_| std::ops::ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.to_string(), "the picture begins at an image that is not here");
    assert_eq!(error.hint(), "give it again: -i PICTURE");
    alone.hold_picture(&picture()).unwrap();
    assert_eq!(make(&mut alone, &recorded).bits(), bits(&made.pictures[1]));
    // The whole schedule stands behind the record: at another strength it is cut elsewhere.
    let weaker = Draft {
        sigmas: None,
        start: recorded.start.clone().map(|start| Start { strength: 0.3, ..start }),
        ..recorded.to_draft()
    };
    let fresh = started(&mut pipeline, 0.3, Draft { seeds: vec![4], ..self::draft(5) });
    assert_eq!(resolve(&alone, &weaker), resolve(&pipeline, &fresh));
}

#[test]
fn runs_that_begin_at_a_picture_are_kept_continued_branched_and_tilted() {
    let mut pipeline = postcard();
    let sampler = Some(Choice::new("langevin"));
    let begun = started(&mut pipeline, 0.7, Draft { sampler, ..draft(6) });
    let whole = keep(&mut pipeline, &begun);
    let kept = Kept::from_bytes(&whole.kept().to_bytes().unwrap()).unwrap();

    // From its file, and without the picture, a run goes on to the same bits.
    let mut alone = postcard();
    alone.hold_at(kept.clone(), 2).unwrap();
    assert_eq!(make(&mut alone, &kept.request).bits(), whole.bits());

    // A branch leaves it; where no run is held, it is walked to again, which takes the picture.
    let branch = Draft { sampler: Some(Choice::new("euler")), ..kept.branch_draft(2).unwrap() };
    let branch = Draft { start: None, sigmas: None, steps: None, schedule: None, ..branch };
    let branch = resolve(&alone, &branch);
    let left = make(&mut alone, &branch);
    let mut far = postcard();
    let error = far.generate(&branch, |_| std::ops::ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.hint(), "give it again: -i PICTURE");
    far.hold_picture(&picture()).unwrap();
    assert_eq!(make(&mut far, &branch).bits(), left.bits());

    // A tilt, towards the same picture, pulls it nearer.
    let start = begun.start.clone().unwrap();
    let tilted = Draft { tilt: Some(Tilt { sha256: start.sha256, strength: 50.0 }), ..begun.clone() };
    let tilted = resolve(&pipeline, &tilted);
    let nothing = started(&mut pipeline, 0.0, draft(6));
    let nothing = resolve(&pipeline, &nothing);
    let data = make(&mut pipeline, &nothing).picture().latents.clone();
    let tilted = make(&mut pipeline, &tilted);
    let apart = |latents: &Latents| latents.distance(&data).unwrap();
    assert!(apart(&tilted.picture().latents) < apart(&whole.picture().latents));
}

#[test]
fn starts_that_make_no_sense_are_refused() {
    let mut pipeline = postcard();
    for strength in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
        let wrong = started(&mut pipeline, strength, draft(4));
        assert_eq!(refused(&pipeline, &wrong), format!("the strength of a start cannot be {strength}"));
    }
    let good = started(&mut pipeline, 0.5, draft(4));
    let named =
        |sha256: &str| Draft { start: Some(Start { sha256: sha256.into(), strength: 0.5, steps: None }), ..draft(4) };
    assert!(refused(&pipeline, &named("../secret")).contains("not named by a SHA-256"));
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = resolve(&pipeline, &good);
        change(&mut request);
        request.check(pipeline.spec()).unwrap_err().to_string()
    };
    let begins = with(&|request| request.sigmas[0] = 0.6);
    assert_eq!(begins, "the schedule begins at sigma 0.6, the picture at strength 0.5");
    let walks = with(&|request| {
        request.start.as_mut().unwrap().strength = 0.0;
        request.sigmas[0] = 0.0;
    });
    assert!(walks.contains("strength 0 has no steps"), "{walks}");
    let parent = resolve(&pipeline, &draft(4));
    let both = with(&|request| request.branch = Some(Box::new(Branch { parent: parent.clone(), at: 2 })));
    assert_eq!(both, "a branch begins in the middle of a run, not at a picture");
    let sigmas = Draft { steps: None, sigmas: Some(vec![1.0, 0.2, 0.4, 0.0]), ..good.clone() };
    assert!(refused(&pipeline, &sigmas).contains("the schedule must fall"));
    let sigmas = Draft { steps: Some(9), sigmas: Some(vec![1.0, 0.4, 0.0]), ..good };
    assert_eq!(refused(&pipeline, &sigmas), "3 sigmas make 2 steps, not 9");
    // Of another size.
    let wide = started(&mut pipeline, 0.5, Draft { width: Some(96), ..draft(4) });
    let request = resolve(&pipeline, &wide);
    let error = pipeline.generate(&request, |_| std::ops::ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.hint(), "scale or crop it to 96 x 64");
}
