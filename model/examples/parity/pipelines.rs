//! Whole pipelines: a prompt's features, every step from where the reference stands, the end, the pixels.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{DType, Tensor};
use flowline_model::{Draft, Error, Latents, Pipeline, Request, Result};
use serde_json::{Value, json};

use super::report::{Compared, F32, Report, json, listed, tensors};

/// A part of a model's folder, and the fixture it is made of.
type Part = (&'static str, &'static str);

const FLUX: [Part; 5] = [
    ("tokenizer", "common/tokenizer_clip_l"),
    ("text_encoder", "common/clip_l"),
    ("tokenizer_2", "common/tokenizer_t5"),
    ("text_encoder_2", "common/t5"),
    ("vae", "common/vae16"),
];

const SD3: [Part; 7] = [
    ("tokenizer", "common/tokenizer_clip_l"),
    ("text_encoder", "common/clip_l"),
    ("tokenizer_2", "common/tokenizer_clip_g"),
    ("text_encoder_2", "common/clip_g"),
    ("tokenizer_3", "common/tokenizer_t5"),
    ("text_encoder_3", "common/t5"),
    ("vae", "common/vae16"),
];

/// Compares every pipeline of which the folder has a recording.
pub fn compare(root: &Path, report: &mut Report) {
    for file in listed(&root.join("pipelines")) {
        let Some(name) = file.file_name().and_then(|name| name.to_str()?.strip_suffix(".json")) else { continue };
        let shown = format!("pipelines/{name}");
        let class = json(&root.join(name).join("transformer/config.json"))["_class_name"].as_str().map(str::to_owned);
        let parts = match class.as_deref() {
            Some("FluxTransformer2DModel") => &FLUX[..],
            Some("SD3Transformer2DModel") => &SD3[..],
            other => {
                report.skip(format!("{shown} ({})", other.unwrap_or("no transformer of this name")));
                continue;
            }
        };
        let recording = file.with_extension("safetensors");
        if !recording.is_file() {
            report.skip(format!("{shown} (no recording)"));
            continue;
        }
        for (naming, names) in [("diffusers' names", false), ("the authors' names", true)] {
            let compared = tempfile::tempdir().map_err(|e| Error::io(root, e)).and_then(|folder| {
                assemble(root, folder.path(), name, parts, names)?;
                let call = json(&file)["call"].clone();
                index(folder.path(), &call)?;
                walk(folder.path(), &call, &tensors(&recording)?)
            });
            report.line(format!("{shown}, {naming}"), "pipeline", F32, compared);
        }
    }
}

/// Puts a model together as diffusers lays it out; transformer and autoencoder in the names of their authors if so asked.
fn assemble(root: &Path, folder: &Path, name: &str, parts: &[Part], authors: bool) -> Result<()> {
    for (place, part) in parts.iter().copied().chain([("transformer", "")]) {
        let from = if part.is_empty() { root.join(name).join("transformer") } else { root.join(part) };
        let to = folder.join(place);
        fs::create_dir_all(&to).map_err(|e| Error::io(&to, e))?;
        for file in listed(&from) {
            copy(&file, &to.join(file.file_name().unwrap_or_default()))?;
        }
    }
    let whole = "diffusion_pytorch_model.safetensors";
    let transformer = folder.join("transformer").join(whole);
    // FLUX.1 without guidance leaves some weights of the one with guidance unread.
    let of = if transformer.is_file() { name } else { "flux_dev" };
    if !transformer.is_file() {
        copy(&root.join(of).join("transformer").join(whole), &transformer)?;
    }
    if authors {
        for (fixture, to) in [(root.join(of), transformer), (root.join("common/vae16"), folder.join("vae").join(whole))]
        {
            let named =
                listed(&fixture).into_iter().find(|file| file.to_string_lossy().ends_with("_names.safetensors"));
            let what =
                || Error::Config { file: fixture.display().to_string(), what: "no file in the authors' names".into() };
            copy(&named.ok_or_else(what)?, &to)?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(|e| Error::io(from, e))
}

/// Says how long prompts are, and gives SD3's autoencoder its factors: that of the fixtures has FLUX.1's
/// (Stability-AI/sd3.5 `sd3_impls.py:271-282`).
fn index(folder: &Path, call: &Value) -> Result<()> {
    let write = |file: &str, json: &Value| {
        let path = folder.join(file);
        fs::write(&path, json.to_string()).map_err(|e| Error::io(&path, e))
    };
    write("model_index.json", &json!({ "text_length": call["max_sequence_length"] }))?;
    if folder.join("tokenizer_3").is_dir() {
        let mut vae = json(&folder.join("vae/config.json"));
        (vae["scaling_factor"], vae["shift_factor"]) = (json!(1.5305), json!(0.0609));
        write("vae/config.json", &vae)?;
    }
    Ok(())
}

/// The recording keeps FLUX.1's latents as tokens: (b, h w, 4 c) -> (b, c, 2 h, 2 w).
fn unpacked(x: &Tensor, like: &Tensor) -> Result<Tensor> {
    let Ok((b, _, width)) = x.dims3() else { return Ok(x.clone()) };
    let (_, _, height, across) = like.dims4()?;
    let x = x.reshape((b, height / 2, across / 2, width / 4, 2, 2))?.permute((0, 3, 1, 4, 2, 5))?;
    Ok(x.reshape((b, width / 4, height, across))?)
}

fn walk(folder: &Path, call: &Value, recording: &HashMap<String, Tensor>) -> Result<Compared> {
    let mut compared = Compared::default();
    let wanted = |name: &str| {
        let what = || Error::Config { file: "recording".into(), what: format!("there is no tensor '{name}'") };
        recording.get(name).ok_or_else(what)
    };
    let number = |name: &str| call[name].as_f64().unwrap_or_default();
    let text = |name: &str| call[name].as_str().unwrap_or_default().to_owned();
    let mut pipeline = Pipeline::open(&folder.to_string_lossy(), None)?;
    let sides =
        [("prompt", "prompt_embeds", "pooled"), ("negative_prompt", "negative_prompt_embeds", "negative_pooled")];
    for (prompt, context, pooled) in sides.into_iter().filter(|(_, context, _)| recording.contains_key(*context)) {
        let encoding = pipeline.encode(&text(prompt))?;
        compared.tensor(context, &encoding.context, wanted(context)?)?;
        compared.tensor(pooled, &encoding.pooled, wanted(pooled)?)?;
    }
    let guided = recording.contains_key("negative_prompt_embeds");
    let noise = wanted(if recording.contains_key("noise") { "noise" } else { "noise_unpacked" })?;
    let sigmas: Vec<f64> = wanted("sigmas")?.to_dtype(DType::F64)?.to_vec1()?;
    let has_guidance = pipeline.spec().has_guidance();
    let draft = Draft {
        prompt: text("prompt"),
        negative_prompt: guided.then(|| text("negative_prompt")),
        width: Some(number("width") as u32),
        height: Some(number("height") as u32),
        seeds: vec![0],
        sigmas: Some(sigmas.clone()),
        guidance: has_guidance.then(|| number("guidance_scale")),
        cfg: Some(if guided { number("guidance_scale") } else { 1.0 }),
        ..Draft::default()
    };
    let request = draft.resolve(pipeline.spec())?.request;
    let mut x = noise.clone();
    for (step, sigma) in sigmas.iter().take(request.steps).enumerate() {
        // Stopped after a step the pipeline returns its denoised prediction, x - sigma v, v = negative + cfg (v - negative);
        // the reference evaluates the negative prompt first.
        let v = wanted(&format!("model_out_{step}"))?;
        let v = match guided {
            false => unpacked(v, noise)?,
            true => {
                let (negative, positive) = (v.narrow(0, 0, 1)?, v.narrow(0, 1, 1)?);
                ((positive - &negative)?.affine(request.cfg, 0.0)? + negative)?
            }
        };
        let want = (&x - v.affine(*sigma, 0.0)?)?;
        let rest = sigmas.get(step..).unwrap_or_default().to_vec();
        let alone = Request { steps: rest.len() - 1, sigmas: rest, stop_after: Some(1), ..request.clone() };
        let got = pipeline.denoise(&alone, Latents::new(x.clone())?, |_| ControlFlow::Continue(()))?;
        compared.tensor(format!("denoised in step {}", step + 1), got.tensor(), &want)?;
        x = unpacked(wanted(&format!("latents_{step}"))?, noise)?;
    }
    let end = pipeline.denoise(&request, Latents::new(noise.clone())?, |_| ControlFlow::Continue(()))?;
    compared.tensor("latents at the end", end.tensor(), &x)?;
    // Pixels within half a level, where rounding may fall either way.
    let image = pipeline.decode(&end)?;
    let want = wanted("image")?.squeeze(0)?.permute((1, 2, 0))?.flatten_all()?.to_vec1::<f32>()?;
    let worst =
        image.as_raw().iter().zip(&want).map(|(got, want)| (f32::from(*got) - want * 255.0).abs()).fold(0f32, f32::max);
    if image.as_raw().len() != want.len() || worst > 0.51 {
        compared.missing(format!("image ({worst} of 255)"));
    }
    Ok(compared)
}
