//! Fits the preview of a VAE: `fit_preview VAE_FOLDER FILE.safetensors... > preview.json`.
//!
//! Every tensor (b, c, h, w) of the files with as many channels as the VAE's latents is taken for latents, decoded, and
//! shrunk to their size; the map between the two with the least squared error is printed as JSON.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use candle_core::{Device, Tensor};
use flowline_model::preview::LinearPreview;
use flowline_model::vae::{Autoencoder, VaeConfig, to_rgb};
use flowline_model::weights::Weights;
use flowline_model::{Error, Result};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((vae, files)) if !files.is_empty() => fit(Path::new(vae), files),
        _ => Err(Error::invalid("nothing to fit", "usage: fit_preview VAE_FOLDER FILE.safetensors...")),
    };
    match result {
        Ok(preview) => match serde_json::to_string_pretty(&preview) {
            Ok(json) => {
                println!("{json}");
                ExitCode::SUCCESS
            }
            Err(error) => fail(&error.to_string(), "this is a bug"),
        },
        Err(error) => fail(&error.to_string(), &error.hint()),
    }
}

fn fail(what: &str, hint: &str) -> ExitCode {
    eprintln!("error: {what}\nhint: {hint}");
    ExitCode::FAILURE
}

fn fit(folder: &Path, files: &[String]) -> Result<LinearPreview> {
    let path = folder.join("config.json");
    let json = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
    let config = VaeConfig::parse("vae/config.json", &json)?;
    let weights = Weights::open(&folder.join("diffusion_pytorch_model.safetensors"))?;
    let vae = Autoencoder::load_decoder(&config, &weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(())))?;
    let (mut latents, mut pictures) = (Vec::new(), Vec::new());
    for file in files {
        for (_, tensor) in candle_core::safetensors::load(file, &Device::Cpu)? {
            if !matches!(tensor.dims(), [_, channels, _, _] if *channels == vae.latent_channels()) {
                continue;
            }
            for n in 0..tensor.dim(0)? {
                let latent = tensor.narrow(0, n, 1)?;
                let decoded = vae.decode(&latent)?.clamp(-1f32, 1f32)?;
                let f = vae.latent_factor();
                pictures.extend(to_rgb(&decoded.avg_pool2d((f, f))?)?);
                latents.push(latent.squeeze(0)?);
            }
        }
    }
    let preview = LinearPreview::fit(&latents, &pictures)?;
    eprintln!("{} latents, mean error {:.1} of 255 levels", latents.len(), mean_error(&preview, &latents, &pictures)?);
    Ok(preview)
}

/// How far the previews are from the pictures they were fitted to.
fn mean_error(preview: &LinearPreview, latents: &[Tensor], pictures: &[image::RgbImage]) -> Result<f64> {
    let (mut sum, mut count) = (0u64, 0u64);
    for (latent, picture) in latents.iter().zip(pictures) {
        for fitted in preview.apply(&latent.unsqueeze(0)?)? {
            sum += fitted.iter().zip(picture.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
            count += picture.len() as u64;
        }
    }
    Ok(sum as f64 / count.max(1) as f64)
}
