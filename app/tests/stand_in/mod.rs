//! Stand-ins for what a real model makes.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::time::Duration;

use flowline::engine::{Offer, Stocked};
use flowline_model::weights::Holding;
use flowline_model::{Latents, MadeWith, ModelRecord, Picture, Request, Rng, StepDone, WeightRecord};
use flowline_sampler::catalog::{Choice, Samplers, Schedules};
use flowline_sampler::metrics::StepMetrics;
use image::{Rgb, RgbImage};

/// What a model called postcard could offer.
pub fn offer() -> Offer {
    Offer {
        model: "postcard".into(),
        about: "painted scenes",
        draws: Some("a house".into()),
        samplers: Samplers::<Latents>::builtin().iter().cloned().collect(),
        schedules: Schedules::builtin().iter().cloned().collect(),
        sampler: Choice::new("euler"),
        steps: 8,
        cfg: 2.5,
        guidance: None,
        size: (256, 256),
        size_multiple: 32,
        trained_size: Some((256, 256)),
        reader: None,
    }
}

/// A model of the Hub.
pub fn stocked(name: &str, here: bool) -> Stocked {
    Stocked {
        name: name.into(),
        about: "12 B parameters".into(),
        licence: Some("for everybody".into()),
        page: Some("https://huggingface.co/lab/flow".into()),
        gated: true,
        bytes: Some(33_700_000_000),
        memory: Some(28_000_000_000),
        here,
    }
}

/// A decided request.
pub fn request(prompt: &str, seed: u64) -> Request {
    Request {
        schema: Request::SCHEMA,
        prompt: prompt.into(),
        negative_prompt: String::new(),
        width: 256,
        height: 256,
        seeds: vec![seed],
        steps: 2,
        sampler: Choice::new("euler"),
        schedule: Choice::new("uniform"),
        sigmas: vec![1.0, 0.5, 0.0],
        guidance: None,
        cfg: 2.5,
        rule: Choice::new("cfg").with("scale", 2.5),
        skip_layers: Vec::new(),
        rng: Rng::Flowline,
        tilt: None,
        start: None,
        branch: None,
        stop_after: None,
        model: ModelRecord {
            name: "postcard".into(),
            loras: Vec::new(),
            weights: vec![WeightRecord { file: "transformer.safetensors".into(), sha256: "0".repeat(64) }],
            holding: Holding::default(),
            kind: None,
        },
        made_with: MadeWith::here(),
    }
}

/// A picture of that request: a gradient.
pub fn picture(request: &Request, (width, height): (u32, u32)) -> Arc<Picture> {
    Arc::new(Picture {
        index: 0,
        seed: request.seeds.first().copied().unwrap_or_default(),
        image: gradient(width, height),
        latents: Latents::flat((8, 8, 8), 0.5).unwrap(),
        request: request.clone(),
        stopped: None,
        evaluations: 4,
        elapsed: Duration::from_millis(900),
        kept: None,
    })
}

/// Step `taken` of 2, with a preview of a few pixels.
pub fn step(taken: usize) -> StepDone {
    StepDone {
        picture: 0,
        pictures: 1,
        taken,
        steps: 2,
        sigma: 1.0,
        next: 0.5,
        evaluations: 2 * taken as u64,
        elapsed: Duration::from_millis(400) * taken as u32,
        metrics: StepMetrics::default(),
        preview: Some(gradient(8, 8)),
        kept: None,
    }
}

fn gradient(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x % 256) as u8, (y % 256) as u8, 96]))
}
