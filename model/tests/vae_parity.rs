//! AutoencoderKL against diffusers. The tolerance is tighter than elsewhere, because a wrong epsilon in the group norms
//! moves the result by 1.4e-5 only.

mod parity;

use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use flowline_model::probe::{Probe, Record};
use flowline_model::vae::{Autoencoder, VaeConfig};
use flowline_model::weights::{Reader, Weights};
use flowline_model::{Error, Result};
use parity::{fixture, relative_error, tensors};

const TOLERANCE: f64 = 5e-6;

fn load(part: fn(&VaeConfig, &Reader<'_>) -> Result<Autoencoder>) -> Autoencoder {
    let json = std::fs::read(fixture("common/vae16/config.json")).unwrap();
    let config = VaeConfig::parse("config.json", &json).unwrap();
    let weights = Weights::open(&fixture("common/vae16/diffusion_pytorch_model.safetensors")).unwrap();
    let vae = part(&config, &weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(()))).unwrap();
    weights.finish(vae.optional_tensors()).unwrap();
    vae
}

#[track_caller]
fn assert_agrees(name: &str, got: &Tensor, want: &Tensor) {
    let error = relative_error(got, want);
    println!("{name}: relative error {error:.1e}");
    assert!(error <= TOLERANCE, "{name}: relative error {error:.3e}, shapes {:?} and {:?}", got.dims(), want.dims());
}

#[test]
fn decoding_agrees_with_the_reference_at_every_submodule_without_an_encoder() {
    let (io, vae) = (tensors("common/vae16/io.safetensors"), load(Autoencoder::load_decoder));
    let mut record = Record::default();
    let decoded = vae.decode_unscaled(&io["z"], &mut record).unwrap();
    for tap in ["decoder.conv_in", "decoder.mid_block", "decoder.up_blocks.0"] {
        assert_agrees(tap, &record.0[tap], &io[&format!("tap.{tap}")]);
    }
    assert_agrees("decoded", &decoded, &io["decoded"]);
    // z = latents / 0.3611 + 0.1159
    let latents = io["z"].affine(0.3611, -0.1159 * 0.3611).unwrap();
    assert_agrees("decoded from latents", &vae.decode(&latents).unwrap(), &io["decoded"]);
}

#[test]
fn encoding_agrees_with_the_reference() {
    let (io, vae) = (tensors("common/vae16/io.safetensors"), load(Autoencoder::load));
    let mut record = Record::default();
    let moments = vae.encode_moments(&io["image"], &mut record).unwrap();
    assert_agrees("encoder.mid_block", &record.0["encoder.mid_block"], &io["tap.encoder.mid_block"]);
    let both = Tensor::cat(&[&moments.mean, &moments.logvar], 1).unwrap();
    assert_agrees("moments", &both, &io["moments"]);
    assert_agrees("mean", &moments.mean, &io["mean"]);
    assert_agrees("logvar", &moments.logvar, &io["logvar"]);
    let latents = ((&io["mean"] - 0.1159).unwrap() * 0.3611).unwrap();
    assert_agrees("latents", &vae.encode_mean(&io["image"]).unwrap(), &latents);
}

#[test]
fn a_sample_is_the_mean_and_as_much_noise_as_the_variance_says() {
    let (io, vae) = (tensors("common/vae16/io.safetensors"), load(Autoencoder::load));
    let moments = vae.encode_moments(&io["image"], &mut ()).unwrap();
    let nothing = moments.mean.zeros_like().unwrap();
    assert_eq!(relative_error(&moments.sample(&nothing).unwrap(), &moments.mean), 0.0);
    // diffusers `DiagonalGaussianDistribution.sample`: mean + exp(logvar / 2) noise.
    let noise = Tensor::arange(0f32, moments.mean.elem_count() as f32, &Device::Cpu).unwrap();
    let noise = noise.affine(0.37, 0.0).unwrap().sin().unwrap().reshape(moments.mean.dims()).unwrap();
    let spread = (&moments.logvar * 0.5).unwrap().exp().unwrap();
    let want = (&moments.mean + (spread * &noise).unwrap()).unwrap();
    assert_agrees("sample", &moments.sample(&noise).unwrap(), &want);
    assert!(matches!(moments.sample(&noise.narrow(1, 0, 3).unwrap()), Err(Error::Invalid { .. })));
}

#[test]
fn a_decoder_alone_says_that_it_cannot_encode() {
    let (io, vae) = (tensors("common/vae16/io.safetensors"), load(Autoencoder::load_decoder));
    assert!(matches!(vae.encode_mean(&io["image"]), Err(Error::Invalid { .. })));
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let (io, vae) = (tensors("common/vae16/io.safetensors"), load(Autoencoder::load));
    assert_eq!((vae.latent_factor(), vae.latent_channels()), (8, 16));
    let (image, z) = (&io["image"], &io["z"]);
    for wrong in [image.narrow(2, 0, 63), image.narrow(3, 0, 44), image.narrow(1, 0, 1), image.narrow(2, 0, 0)] {
        assert!(matches!(vae.encode_mean(&wrong.unwrap()), Err(Error::Invalid { .. })));
    }
    assert!(matches!(vae.decode(&z.narrow(1, 0, 8).unwrap()), Err(Error::Invalid { .. })));
}

#[test]
fn a_tick_can_stop_decoding() {
    struct Stop;
    impl Probe for Stop {
        fn tick(&mut self) -> Result<()> {
            Err(Error::Cancelled)
        }
    }
    let (io, vae) = (tensors("common/vae16/io.safetensors"), load(Autoencoder::load_decoder));
    assert!(matches!(vae.decode_probed(&io["z"], &mut Stop), Err(Error::Cancelled)));
}
