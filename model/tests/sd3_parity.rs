//! The SD3 transformers against diffusers, submodule by submodule.

mod parity;

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{Device, Tensor};
use flowline_model::conditioning::Conditioning;
use flowline_model::probe::{Probe, Record};
use flowline_model::sd3::{Sd3Config, Sd3Transformer};
use flowline_model::weights::Weights;
use flowline_model::{Error, Result};
use parity::{assert_agrees, fixture, relative_error, tensors};

/// MMDiT, and MMDiT-X with normalised queries and keys and with two attentions in the first of its two blocks.
const MODELS: [&str; 2] = ["sd3", "sd35_medium"];

const TAPS: [&str; 7] = [
    "pos_embed",
    "context_embedder",
    "time_text_embed",
    "transformer_blocks.0.0",
    "transformer_blocks.0.1",
    "transformer_blocks.1.1",
    "norm_out",
];

fn config(model: &str) -> Sd3Config {
    let json = fs::read(fixture(&format!("{model}/transformer/config.json"))).unwrap();
    Sd3Config::parse("config.json", &json).unwrap()
}

fn read(config: &Sd3Config, path: &Path) -> Result<Sd3Transformer> {
    let weights = Weights::open(path)?;
    let transformer = Sd3Transformer::load(config, &weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(())))?;
    weights.finish(&[])?;
    Ok(transformer)
}

fn weights_of(model: &str) -> String {
    format!("{model}/transformer/diffusion_pytorch_model.safetensors")
}

fn load(model: &str) -> Sd3Transformer {
    read(&config(model), &fixture(&weights_of(model))).unwrap()
}

/// The model's tensors, changed, in a file that lasts as long as the folder.
fn changed(model: &str, change: impl FnOnce(&mut HashMap<String, Tensor>)) -> (tempfile::TempDir, std::path::PathBuf) {
    let mut weights = tensors(&weights_of(model));
    change(&mut weights);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    candle_core::safetensors::save(&weights, &path).unwrap();
    (folder, path)
}

/// One forward pass of a fixture's batch at one of its times.
struct Pass {
    latents: Tensor,
    conditioning: Conditioning,
    sigma: f64,
}

impl Pass {
    /// The reference gives every row its own time, we have one for all: this is row `row`'s.
    fn new(io: &HashMap<String, Tensor>, row: usize) -> Self {
        let (context, pooled) = (io["encoder_hidden_states"].clone(), io["pooled"].clone());
        let time = f64::from(io["timestep"].to_vec1::<f32>().unwrap()[row]);
        Self {
            latents: io["hidden_states"].clone(),
            conditioning: Conditioning { context, pooled, guidance: None },
            sigma: time / 1000.0,
        }
    }

    fn run(&self, model: &Sd3Transformer, probe: &mut dyn Probe) -> Result<Tensor> {
        model.forward_probed(&self.latents, &self.conditioning, self.sigma, probe)
    }
}

fn io(model: &str) -> HashMap<String, Tensor> {
    tensors(&format!("{model}/io.safetensors"))
}

fn assert_parity(model: &str) {
    let (io, transformer) = (io(model), load(model));
    for row in 0..2 {
        let mut record = Record::default();
        let output = Pass::new(&io, row).run(&transformer, &mut record).unwrap();
        let check = |name: &str, got: &Tensor, want: &Tensor| {
            let got = got.narrow(0, row.min(got.dim(0).unwrap() - 1), 1).unwrap();
            assert_agrees(&format!("{model} row {row} {name}"), &got, &want.narrow(0, row, 1).unwrap());
        };
        for tap in TAPS {
            check(tap, &record.0[tap], &io[&format!("tap.{tap}")]);
        }
        check("output", &output, &io["output"]);
        let shown = TAPS.len();
        assert_eq!(record.0.len(), shown, "after the last block there is no text: {:?}", record.0.keys());
    }
}

#[test]
fn sd3_agrees_with_the_reference_at_every_submodule() {
    assert_parity("sd3");
}

#[test]
fn sd35_medium_agrees_with_the_reference_at_every_submodule() {
    assert_parity("sd35_medium");
}

#[test]
fn a_transformer_that_skips_its_first_block_is_one_without_it() {
    for model in MODELS {
        let (_folder, path) = changed(model, |weights| {
            weights.retain(|name, _| !name.starts_with("transformer_blocks.0."));
            *weights = weights
                .drain()
                .map(|(name, x)| (name.replace("transformer_blocks.1.", "transformer_blocks.0."), x))
                .collect();
        });
        let config = Sd3Config { num_layers: 1, dual_attention_layers: Vec::new(), ..config(model) };
        let (short, whole, pass) = (read(&config, &path).unwrap(), load(model), Pass::new(&io(model), 1));
        let want = pass.run(&short, &mut ()).unwrap();
        let skipping = whole.skipping(&[0]).unwrap();
        let got = skipping.forward_probed(&pass.latents, &pass.conditioning, pass.sigma, &mut ()).unwrap();
        assert_eq!(relative_error(&got, &want), 0.0, "{model}");
        assert!(relative_error(&got, &pass.run(&whole, &mut ()).unwrap()) > 0.01, "{model}");
    }
}

#[test]
fn a_layer_that_is_not_there_cannot_be_skipped() {
    let model = load("sd35_medium");
    assert!(model.skipping(&[0, 1]).is_ok());
    let error = model.skipping(&[1, 2]).unwrap_err();
    assert_eq!(error.to_string(), "layer 2 cannot be skipped, there is none");
    assert_eq!(error.hint(), "the last one is 1");
}

#[test]
fn a_picture_as_large_as_the_grid_is_made_and_no_larger_one() {
    let (io, model) = (io("sd3"), load("sd3"));
    // 12 x 12 places of 2 x 2 latents.
    let sized = |h: usize, w: usize| {
        let pass = Pass {
            latents: Tensor::zeros((2, 16, h, w), io["pooled"].dtype(), &Device::Cpu).unwrap(),
            ..Pass::new(&io, 0)
        };
        pass.run(&model, &mut ())
    };
    assert_eq!(sized(24, 24).unwrap().dims(), [2, 16, 24, 24]);
    for (h, w) in [(26, 24), (24, 26)] {
        let error = sized(h, w).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert_eq!(error.hint(), "ask for a smaller picture");
    }
}

#[test]
fn a_tick_comes_before_every_block_that_is_not_skipped_and_its_error_ends_the_pass() {
    let (pass, model) = (Pass::new(&io("sd35_medium"), 0), load("sd35_medium"));
    for (skipped, ticks) in [(&[][..], 3), (&[1], 2)] {
        for last in 1..=ticks + 1 {
            struct Stop(usize);
            impl Probe for Stop {
                fn tick(&mut self) -> Result<()> {
                    self.0 -= 1;
                    if self.0 == 0 { Err(Error::Cancelled) } else { Ok(()) }
                }
            }
            let mut stop = Stop(last);
            let ran = model.skipping(skipped).unwrap().forward_probed(
                &pass.latents,
                &pass.conditioning,
                pass.sigma,
                &mut stop,
            );
            match last <= ticks {
                true => assert!(matches!(ran, Err(Error::Cancelled)), "tick {last} of {ticks}"),
                false => assert!(ran.is_ok(), "no more than {ticks} ticks"),
            }
        }
    }
}

#[test]
fn what_does_not_fit_the_model_is_refused_with_a_hint() {
    let (io, model) = (io("sd3"), load("sd3"));
    let with = |change: &dyn Fn(&mut Pass)| {
        let mut pass = Pass::new(&io, 0);
        change(&mut pass);
        pass.run(&model, &mut ()).unwrap_err()
    };
    let errors = [
        with(&|pass| pass.latents = pass.latents.narrow(2, 0, 7).unwrap()),
        with(&|pass| pass.latents = pass.latents.narrow(3, 0, 5).unwrap()),
        with(&|pass| pass.latents = pass.latents.narrow(1, 0, 8).unwrap()),
        with(&|pass| pass.latents = pass.latents.narrow(0, 0, 1).unwrap()),
        with(&|pass| pass.conditioning.pooled = pass.conditioning.pooled.narrow(1, 0, 8).unwrap()),
        with(&|pass| pass.conditioning.context = pass.conditioning.context.narrow(2, 0, 8).unwrap()),
        with(&|pass| pass.sigma = f64::NAN),
    ];
    for error in errors {
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn weights_of_another_kind_are_refused_by_the_tensor_that_tells() {
    let swapped = |of: &str, weights: &str| read(&config(of), &fixture(&weights_of(weights))).unwrap_err();
    let error = swapped("sd35_medium", "sd3");
    assert!(matches!(&error, Error::MissingTensor { tensor, .. } if tensor.contains("norm")), "{error}");
    let error = swapped("sd3", "sd35_medium");
    assert!(matches!(&error, Error::TensorShape { tensor, .. } if tensor.contains("norm1")), "{error}");
    // The last block of a longer model is not a last block.
    let longer = Sd3Config { num_layers: 3, ..config("sd3") };
    let error = read(&longer, &fixture(&weights_of("sd3"))).unwrap_err();
    assert!(matches!(&error, Error::TensorShape { tensor, .. } if tensor.contains("1.norm1_context")), "{error}");
}
