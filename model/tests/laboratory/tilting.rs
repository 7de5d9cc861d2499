//! Pulling a picture towards another.

use flowline_model::{Draft, Request, Tilt};
use image::RgbImage;

use super::{draft, make, postcard, refused, resolve};

#[test]
fn a_stronger_tilt_brings_a_picture_nearer_to_its_target_and_strength_nought_changes_no_bit() {
    let mut pipeline = postcard();
    let night = Draft { prompt: "a castle in snow at night".into(), seeds: vec![1], ..draft(6) };
    let night = resolve(&pipeline, &night);
    let target = make(&mut pipeline, &night);
    let sha256 = pipeline.hold_picture(&target.picture().image).unwrap();
    let mut tilted = |strength| {
        let tilt = Some(Tilt { sha256: sha256.clone(), strength });
        let request = resolve(&pipeline, &Draft { tilt, ..draft(6) });
        make(&mut pipeline, &request)
    };
    let pulled = [0.0, 0.25, 1.0, 4.0, 16.0].map(&mut tilted);
    let apart = |made: &super::Made| made.picture().latents.distance(&target.picture().latents).unwrap();
    let distances = pulled.each_ref().map(apart);
    println!("distance to the target at strengths 0, 1/4, 1, 4, 16: {distances:.3?}");
    assert!(distances.is_sorted_by(|near, far| near > far), "{distances:?}");
    assert!(distances[4] < 0.5 * distances[0], "{distances:?}");
    assert!(apart(&tilted(-0.5)) > distances[0]);
    assert_eq!(pulled[1].picture().evaluations, pulled[0].picture().evaluations);
    let plain = resolve(&pipeline, &draft(6));
    assert_eq!(make(&mut pipeline, &plain).bits(), pulled[0].bits());
    // The record names the target by its hash; the picture itself must be given again.
    let request: Request = pulled[2].picture().request.clone();
    let mut alone = postcard();
    let mut refused = |request: &Request| {
        let error = alone.generate(request, |_| std::ops::ControlFlow::Continue(())).unwrap_err();
        (error.to_string(), error.hint())
    };
    let (what, hint) = refused(&request);
    assert_eq!(what, "the picture is tilted towards an image that is not here");
    assert_eq!(hint, "give it again: --tilt IMAGE:strength");
    assert_eq!(alone.hold_picture(&target.picture().image).unwrap(), sha256);
    assert_eq!(make(&mut alone, &request).bits(), pulled[2].bits());
}

#[test]
fn targets_of_another_size_and_strengths_that_are_none_are_refused() {
    let mut pipeline = postcard();
    let picture = |width, height| RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 90]));
    assert_eq!(pipeline.hold_picture(&picture(60, 64)).unwrap_err().to_string(), "postcard cannot make 60 x 64");
    assert!(pipeline.hold_picture(&picture(0, 0)).is_err());
    let sha256 = pipeline.hold_picture(&picture(96, 64)).unwrap();
    let tilted =
        |sha256: &str, strength| Draft { tilt: Some(Tilt { sha256: sha256.to_owned(), strength }), ..draft(2) };
    let request = resolve(&pipeline, &tilted(&sha256, 1.0));
    let error = pipeline.generate(&request, |_| std::ops::ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.hint(), "scale or crop it to 64 x 64");
    for strength in [f64::NAN, f64::INFINITY, -1001.0, 1001.0] {
        let said = refused(&pipeline, &tilted(&sha256, strength));
        assert_eq!(said, format!("the strength of a tilt cannot be {strength}"));
    }
    refused(&pipeline, &tilted("../secret", 1.0));
}
