//! FLUX.1 from GGUF against the reference: the same numbers where the weights are decoded, near ones where activations
//! are rounded too; and whole pictures from a folder whose transformer is a GGUF.

mod parity;

use std::fs;
use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use flowline_model::conditioning::Conditioning;
use flowline_model::flux::{FluxConfig, FluxTransformer};
use flowline_model::weights::{Activations, HeldAs, Holding, Weights};
use flowline_model::{Opening, Pipeline};
use parity::folders::{drawn, flux_folder};
use parity::{TOLERANCE, fixture, relative_error, tensors};

const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";
/// How far rounded activations may be off.
const FAST: f64 = 2e-2;

fn holding(weights: HeldAs, activations: Activations) -> Holding {
    Holding { weights, activations }
}

/// (b, 12, c 2 2) -> (b, c, 8, 6)
fn latents(tokens: &Tensor) -> Tensor {
    let x = tokens.reshape((2, 4, 3, 16, 2, 2)).unwrap().permute((0, 3, 1, 4, 2, 5)).unwrap();
    x.reshape((2, 16, 8, 6)).unwrap()
}

/// The transformer's output on the fixture's input, the first row with its own time and guidance.
fn output(weights: &Weights, holding: Holding) -> Tensor {
    let config = fs::read(fixture("flux_dev/transformer/config.json")).unwrap();
    let config = FluxConfig::parse("config.json", &config).unwrap();
    let reader = weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(())).holding(holding);
    let transformer = FluxTransformer::load(&config, &reader).unwrap();
    weights.finish(transformer.optional_tensors()).unwrap();
    let io = tensors("flux_dev/io.safetensors");
    let rows = (0..2).map(|row| {
        let scalar = |name: &str| f64::from(io[name].to_vec1::<f32>().unwrap()[row]);
        let (context, pooled) = (io["encoder_hidden_states"].clone(), io["pooled"].clone());
        let conditioning = Conditioning { context, pooled, guidance: Some(scalar("guidance")) };
        let latents = latents(&io["hidden_states"]);
        let all = transformer.forward(&latents, &conditioning, scalar("timestep"), &mut || Ok(())).unwrap();
        all.narrow(0, row, 1).unwrap()
    });
    Tensor::cat(&rows.collect::<Vec<_>>(), 0).unwrap()
}

#[test]
fn decoded_weights_agree_with_the_reference_and_rounded_activations_nearly() {
    for name in ["Q8_0", "Q4_0"] {
        let weights = Weights::open(&fixture(&format!("gguf/flux1-dev-tiny-{name}.gguf"))).unwrap();
        let io = tensors(&format!("gguf/flux1-dev-tiny-{name}.io.safetensors"));
        let want = latents(&io["output_dequantized"]);
        for (weights_as, activations, allowed) in [
            (HeldAs::F32, Activations::F32, TOLERANCE),
            (HeldAs::Stored, Activations::F32, TOLERANCE),
            (HeldAs::Stored, Activations::Q8, FAST),
        ] {
            let error = relative_error(&output(&weights, holding(weights_as, activations)), &want);
            println!("{name} held as {weights_as}, activations {activations:?}: relative error {error:.1e}");
            assert!(error <= allowed, "{name} {weights_as} {activations:?}: {error:.2e}");
            assert_eq!(error > TOLERANCE, activations == Activations::Q8, "rounding is where it should be");
        }
        let (full, dequantised) =
            (latents(&io["output_full"]), output(&weights, holding(HeldAs::Stored, Activations::F32)));
        println!("{name}: the encoding itself moves the output by {:.1e}", relative_error(&dequantised, &full));
    }
}

#[test]
fn weights_decoded_before_and_while_they_are_multiplied_give_the_same_bits() {
    for file in ["gguf/flux1-dev-tiny-Q4_0.gguf", "flux_dev/flux1-dev_bfl_names.safetensors"] {
        let weights = Weights::open(&fixture(file)).unwrap();
        let [dense, stored] =
            [HeldAs::F32, HeldAs::Stored].map(|held| output(&weights, holding(held, Activations::F32)));
        assert_eq!(relative_error(&dense, &stored), 0.0, "{file}");
    }
}

#[test]
fn a_folder_whose_transformer_is_a_gguf_makes_a_picture_and_its_record_makes_it_again() {
    let (folder, plain) = (flux_folder("flux_dev"), flux_folder("flux_dev"));
    fs::copy(fixture("gguf/flux1-dev-tiny-Q8_0.gguf"), folder.path().join(TRANSFORMER)).unwrap();
    let open = |holding| {
        let path = folder.path().to_str().unwrap();
        Pipeline::open_as(&Opening { holding, ..Opening::named(path, None) }).unwrap()
    };
    let exact = drawn(&mut open(Holding::default()));
    assert!(exact.request.model.holding.is_exact());
    for held in [HeldAs::Stored, HeldAs::F32] {
        let mut pipeline = open(holding(held, Activations::F32));
        assert_eq!(pipeline.spec().holding().weights, held);
        assert_eq!(drawn(&mut pipeline).image, exact.image);
    }
    // Nearer to the picture of the original weights than any other one would be.
    let original = drawn(&mut Pipeline::open(plain.path().to_str().unwrap(), None).unwrap());
    let error = relative_error(exact.latents.tensor(), original.latents.tensor());
    assert!(error > TOLERANCE && error < 0.1, "{error:.1e}");

    let fast = drawn(&mut open(holding(HeldAs::Stored, Activations::Q8)));
    let error = relative_error(fast.latents.tensor(), exact.latents.tensor());
    assert!(error > TOLERANCE && error < 0.1, "{error:.1e}");
    let record = &fast.request.model;
    assert_eq!(
        serde_json::to_value(record.holding).unwrap(),
        serde_json::json!({ "weights": "stored", "activations": "q8" })
    );
    let again = Opening { model: folder.path().to_str().unwrap().into(), ..Opening::recorded(record, None) };
    assert_eq!(drawn(&mut Pipeline::open_as(&again).unwrap()).image, fast.image);
}
