//! Fits the linear preview of a model to pictures it makes itself, and prints it as JSON.
//!
//! `cargo run --release -p flowline-model --example fit_preview -- postcard prompts.json > preview.json`
//! where `prompts.json` is a list of prompts; every prompt is drawn with two seeds.

use std::error::Error;
use std::ops::ControlFlow;

use candle_core::Tensor;
use flowline_model::preview::LinearPreview;
use flowline_model::{Draft, Event, Latents, Pipeline};
use flowline_sampler::{NoiseKey, Stream};
use image::RgbImage;
use image::imageops::{FilterType, resize};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(model), Some(prompts)) = (arguments.next(), arguments.next()) else {
        return Err("usage: fit_preview MODEL PROMPTS.json".into());
    };
    let prompts: Vec<String> = serde_json::from_slice(&std::fs::read(prompts)?)?;
    let mut pipeline = Pipeline::open(&model, None)?;
    let (mut latents, mut pictures): (Vec<Tensor>, Vec<RgbImage>) = (Vec::new(), Vec::new());
    for (prompt, seed) in prompts.iter().flat_map(|prompt| [1, 2].map(|seed| (prompt, seed))) {
        let draft = Draft { prompt: prompt.clone(), seeds: vec![seed], ..Draft::default() };
        let request = draft.resolve(pipeline.spec())?.request;
        let (c, h, w) = pipeline.spec().latent_shape(request.width, request.height);
        let noise = Latents::normal(&[seed], (c, h, w), NoiseKey::first(Stream::INITIAL), &candle_core::Device::Cpu)?;
        let denoised = pipeline.denoise(&request, noise, |_: Event| ControlFlow::Continue(()))?;
        let picture = pipeline.decode(&denoised)?;
        pictures.push(resize(&picture, w as u32, h as u32, FilterType::Triangle));
        latents.push(denoised.tensor().squeeze(0)?);
    }
    println!("{}", serde_json::to_string_pretty(&LinearPreview::fit(&latents, &pictures)?)?);
    Ok(())
}
