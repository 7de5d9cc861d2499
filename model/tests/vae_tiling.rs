//! Pictures that are decoded and encoded in pieces: the same bits, in less memory.

mod parity;

use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use flowline_model::vae::{Autoencoder, Tiling, VaeConfig};
use flowline_model::weights::Weights;
use parity::fixture;

/// Bytes of maps to hold: whatever is wanted twice, some of it, and hardly anything.
const HELD: [u64; 4] = [u64::MAX, 3 << 20, 1 << 20, 1 << 18];

fn load(folder: &std::path::Path) -> Autoencoder {
    let config = VaeConfig::parse("config.json", &std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let weights = Weights::open(&folder.join("diffusion_pytorch_model.safetensors")).unwrap();
    Autoencoder::load(&config, &weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(()))).unwrap()
}

fn autoencoders() -> [(&'static str, Autoencoder); 2] {
    let postcard = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard/vae");
    [("vae16", load(&fixture("common/vae16"))), ("postcard", load(&postcard))]
}

fn normals(shape: (usize, usize, usize, usize)) -> Tensor {
    let (b, c, h, w) = shape;
    let mut values = vec![0f32; b * c * h * w];
    let key = flowline_sampler::NoiseKey::first(flowline_sampler::Stream::INITIAL);
    flowline_sampler::noise::fill_normal(7, key, &mut values);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn bits(x: &Tensor) -> Vec<u32> {
    x.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

/// Heights and widths in latents: many strips, sides that no band divides, one column, one row.
fn sizes(vae: &Autoencoder) -> [(usize, usize); 4] {
    let side = 256 / vae.latent_factor();
    [(side, side), (side + 5, side / 2 + 3), (8 * side + 1, 1), (1, 8 * side + 1)]
}

#[test]
fn a_picture_decoded_in_strips_has_the_bits_of_the_whole() {
    for (name, vae) in autoencoders() {
        for (h, w) in sizes(&vae) {
            let latents = normals((1, vae.latent_channels(), h, w));
            let whole = vae.decode(&latents).unwrap();
            for held in HELD {
                let tiled = vae.decode_tiled(&latents, Tiling::Strips { held }, &mut ()).unwrap();
                assert_eq!(tiled.dims(), whole.dims());
                assert!(bits(&tiled) == bits(&whole), "{name}: {w} x {h} latents, {held} bytes held");
            }
        }
    }
}

#[test]
fn a_picture_encoded_in_strips_has_the_bits_of_the_whole() {
    for (name, vae) in autoencoders() {
        for (h, w) in sizes(&vae) {
            let f = vae.latent_factor();
            let picture = normals((1, 3, f * h, f * w));
            let whole = vae.encode_moments(&picture, &mut ()).unwrap();
            for held in HELD {
                let tiled = vae.encode_tiled(&picture, Tiling::Strips { held }, &mut ()).unwrap();
                assert!(bits(&tiled.mean) == bits(&whole.mean), "{name}: {w} x {h} latents, {held} bytes held");
                assert!(bits(&tiled.logvar) == bits(&whole.logvar), "{name}: {w} x {h} latents, {held} bytes held");
            }
        }
    }
}
