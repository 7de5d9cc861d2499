//! Whole pipelines against diffusers: token ids to pixels, step by step.

mod parity;

use candle_core::Tensor;
use flowline_model::{Draft, Latents, Pipeline, Request};
use flowline_sampler::catalog::Choice;
use parity::folders::flux_folder;
use parity::{assert_agrees, assert_pixels, quiet, tensors};

fn assert_flux_pipeline(model: &str, schedule: &str) {
    let folder = flux_folder(model);
    let reference = tensors(&format!("pipelines/{model}.safetensors"));
    let mut pipeline = Pipeline::open(folder.path().to_str().unwrap(), None).unwrap();
    let sigmas: Vec<f32> = reference["sigmas"].to_vec1().unwrap();

    let encoding = pipeline.encode("a lovely cat holding a sign").unwrap();
    assert_agrees("context", &encoding.context, &reference["prompt_embeds"]);
    assert_agrees("pooled", &encoding.pooled, &reference["pooled"]);

    // The fixture's own scheduler has no defaults of a released model: its sigmas are given one by one.
    let draft = Draft {
        prompt: "a lovely cat holding a sign".into(),
        width: Some(48),
        height: Some(64),
        seeds: vec![0],
        sigmas: Some(sigmas.iter().map(|&sigma| f64::from(sigma)).collect()),
        ..Draft::default()
    };
    let request = draft.resolve(pipeline.spec()).unwrap().request;
    let noise = Latents::new(reference["noise_unpacked"].clone()).unwrap();
    let denoised = pipeline.denoise(&request, noise, quiet).unwrap();
    let packed = pack(denoised.tensor());
    assert_agrees("latents", &packed, &reference[&format!("latents_{}", sigmas.len() - 2)]);
    let image = pipeline.decode(&denoised).unwrap();
    assert_pixels(model, &image, &reference["image"]);

    // The schedule by name gives the fixture's sigmas, within what f32 can tell.
    let named = Draft { sigmas: None, steps: Some(sigmas.len() - 1), schedule: Some(Choice::new(schedule)), ..draft };
    let named = named.resolve(pipeline.spec()).unwrap().request.sigmas;
    for (ours, theirs) in named.iter().zip(&sigmas) {
        assert!((ours - f64::from(*theirs)).abs() < 2e-7, "{model}: {named:?} is not {sigmas:?}");
    }
}

/// FLUX's 2 x 2 packing, (b, c, h, w) -> (b, h/2 w/2, 4 c): the fixtures keep latents packed.
fn pack(latents: &Tensor) -> Tensor {
    let (b, c, h, w) = latents.dims4().unwrap();
    let cells = latents.reshape((b, c, h / 2, 2, w / 2, 2)).unwrap().permute((0, 2, 4, 1, 3, 5)).unwrap();
    cells.contiguous().unwrap().reshape((b, h / 2 * (w / 2), c * 4)).unwrap()
}

#[test]
fn flux_dev_goes_from_prompt_to_pixels_like_diffusers() {
    assert_flux_pipeline("flux_dev", "flux");
}

#[test]
fn flux_schnell_goes_from_prompt_to_pixels_like_diffusers() {
    assert_flux_pipeline("flux_schnell", "uniform");
}

#[test]
fn postcard_agrees_with_its_reference_at_every_step() {
    let reference = tensors("postcard/reference.safetensors");
    let mut pipeline = Pipeline::open("postcard", None).unwrap();
    let prompt = "a red lighthouse by the sea at sunset";
    for (row, prompt) in [prompt, ""].into_iter().enumerate() {
        let encoding = pipeline.encode(prompt).unwrap();
        assert_agrees(&format!("text of {prompt:?}"), &encoding.context, &reference["text"].narrow(0, row, 1).unwrap());
    }
    let draft = Draft { prompt: prompt.into(), seeds: vec![0], ..Draft::default() };
    let request = draft.resolve(pipeline.spec()).unwrap().request;
    assert_eq!((request.steps, request.cfg, request.width, request.height), (8, 2.5, 256, 256));
    let sigmas: Vec<f32> = reference["sigmas"].to_vec1().unwrap();
    assert_eq!(request.sigmas, sigmas.iter().map(|&sigma| f64::from(sigma)).collect::<Vec<_>>());

    let noise = || Latents::new(reference["noise"].clone()).unwrap();
    for step in 0..8 {
        // Stopped after `step + 1` steps the pipeline returns that step's denoised prediction: x - sigma v, with
        // v = empty + cfg (prompt - empty).
        let x = if step == 0 { &reference["noise"] } else { &reference[&format!("latents_{}", step - 1)] };
        let v = &reference[&format!("model_out_{step}")];
        let (positive, negative) = (v.narrow(0, 0, 1).unwrap(), v.narrow(0, 1, 1).unwrap());
        let v = ((positive - &negative).unwrap().affine(request.cfg, 0.0).unwrap() + negative).unwrap();
        let want = (x - v.affine(request.sigmas[step], 0.0).unwrap()).unwrap();
        let stopped = Request { stop_after: Some(step + 1), ..request.clone() };
        let got = pipeline.denoise(&stopped, noise(), quiet).unwrap();
        assert_agrees(&format!("denoised after step {}", step + 1), got.tensor(), &want);
    }
    let latents = pipeline.denoise(&request, noise(), quiet).unwrap();
    assert_agrees("latents at the end", latents.tensor(), &reference["latents_7"]);
    assert_pixels("postcard", &pipeline.decode(&latents).unwrap(), &reference["image"]);
}
