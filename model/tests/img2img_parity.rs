//! Pictures that begin at a picture, against diffusers: from pixels to pixels, step by step. How the fixtures were made
//! stands in `fixtures/img2img/make.py`.

mod parity;

use candle_core::{DType, Tensor};
use flowline_model::{Draft, Event, Pipeline, Rng, Start};
use image::RgbImage;
use parity::folders::{flux_folder, sd3_folder};
use parity::{assert_agrees, assert_pixels, quiet, tensors};
use tempfile::TempDir;

fn assert_img2img(model: &str, folder: &TempDir, draft: Draft) {
    let reference = tensors(&format!("img2img/{model}.safetensors"));
    let numbers = |name: &str| reference[name].to_vec1::<f32>().unwrap().into_iter().map(f64::from);
    let (sigmas, strength) = (numbers("sigmas").collect::<Vec<_>>(), numbers("strength").next().unwrap());
    let (height, width, _) = reference["image"].dims3().unwrap();
    let levels = reference["image"].to_dtype(DType::U8).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    let picture = RgbImage::from_raw(width as u32, height as u32, levels).unwrap();

    let mut pipeline = Pipeline::open(folder.path().to_str().unwrap(), None).unwrap();
    let sha256 = pipeline.hold_picture(&picture).unwrap();
    let start = |strength| Some(Start { sha256: sha256.clone(), strength, steps: None });
    let draft = Draft {
        prompt: "a lovely cat holding a sign".into(),
        width: Some(width as u32),
        height: Some(height as u32),
        seeds: vec![0],
        rng: Some(Rng::TorchCpu),
        sigmas: Some(sigmas.clone()),
        ..draft
    };
    let mut made = |strength| {
        let request = Draft { start: start(strength), ..draft.clone() }.resolve(pipeline.spec()).unwrap().request;
        let mut picture = None;
        pipeline.keep(true);
        let hear = |event| {
            if let Event::Picture(made) = event {
                picture = Some(*made);
            }
            quiet(Event::Encoding)
        };
        pipeline.generate(&request, hear).unwrap();
        picture.unwrap()
    };
    assert_agrees(&format!("{model} data"), made(0.0).latents.tensor(), &reference["data"]);
    let picture = made(strength);
    let kept = picture.kept.as_ref().unwrap();
    assert_eq!(kept.taken(), 3);
    for at in 0..=3 {
        let state = kept.state(at).unwrap();
        assert_eq!(state.sigma, sigmas[2 + at]);
        assert_agrees(&format!("{model} after {at} steps"), state.x.tensor(), &reference[&format!("latents_{at}")]);
    }
    let decoded: &Tensor = &reference["decoded"];
    assert_pixels(model, &picture.image, decoded);
}

#[test]
fn flux_begins_at_a_picture_like_diffusers() {
    assert_img2img("flux_dev", &flux_folder("flux_dev"), Draft::default());
}

#[test]
fn sd3_begins_at_a_picture_like_diffusers_with_a_negative_prompt() {
    let draft = Draft { negative_prompt: Some("the lazy dog".into()), cfg: Some(4.5), ..Draft::default() };
    assert_img2img("sd35_medium", &sd3_folder("sd35_medium"), draft);
}
