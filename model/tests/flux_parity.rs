//! The FLUX.1 transformer against diffusers, submodule by submodule.

mod parity;

use std::collections::HashMap;
use std::ops::ControlFlow;

use candle_core::{D, Device, Tensor};
use flowline_model::conditioning::Conditioning;
use flowline_model::flux::{FluxConfig, FluxTransformer, positions};
use flowline_model::probe::{Probe, Record};
use flowline_model::weights::Weights;
use flowline_model::{Error, Result};
use parity::{assert_agrees, fixture, relative_error, tensors};

/// The 12 image tokens of the fixtures are 4 rows of 3.
const GRID: (usize, usize) = (4, 3);

const TAPS: [&str; 10] = [
    "x_embedder",
    "context_embedder",
    "time_text_embed",
    "transformer_blocks.0.0",
    "transformer_blocks.0.1",
    "single_transformer_blocks.0.0",
    "single_transformer_blocks.0.1",
    "single_transformer_blocks.1.0",
    "single_transformer_blocks.1.1",
    "norm_out",
];

/// Both models share [dev]'s weights; [schnell] leaves the guidance embedding unread.
fn load(model: &str) -> FluxTransformer {
    let json = std::fs::read(fixture(&format!("{model}/transformer/config.json"))).unwrap();
    let config = FluxConfig::parse("config.json", &json).unwrap();
    let weights = Weights::open(&fixture("flux_dev/transformer/diffusion_pytorch_model.safetensors")).unwrap();
    let transformer =
        FluxTransformer::load(&config, &weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(()))).unwrap();
    weights.finish(transformer.optional_tensors()).unwrap();
    transformer
}

/// (b, h w, c 2 2) -> (b, c, 2 h, 2 w)
fn latents(tokens: &Tensor) -> Tensor {
    let ((h, w), (b, _, width)) = (GRID, tokens.dims3().unwrap());
    let c = width / 4;
    let x = tokens.reshape((b, h, w, c, 2, 2)).unwrap().permute((0, 3, 1, 4, 2, 5)).unwrap();
    x.reshape((b, c, 2 * h, 2 * w)).unwrap()
}

/// One forward pass of a fixture's batch at one of its times.
struct Pass {
    latents: Tensor,
    conditioning: Conditioning,
    sigma: f64,
}

impl Pass {
    /// The reference gives every row its own time and guidance, we have one for all: this is row `row`'s.
    fn new(io: &HashMap<String, Tensor>, row: usize) -> Self {
        let scalar = |name: &str| io.get(name).map(|t| f64::from(t.to_vec1::<f32>().unwrap()[row]));
        let (context, pooled) = (io["encoder_hidden_states"].clone(), io["pooled"].clone());
        Self {
            latents: latents(&io["hidden_states"]),
            conditioning: Conditioning { context, pooled, guidance: scalar("guidance") },
            sigma: scalar("timestep").unwrap(),
        }
    }

    fn run(&self, model: &FluxTransformer, probe: &mut dyn Probe) -> Result<Tensor> {
        model.forward_probed(&self.latents, &self.conditioning, self.sigma, probe)
    }
}

fn assert_parity(model: &str) {
    let (io, transformer) = (tensors(&format!("{model}/io.safetensors")), load(model));
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
        check("output", &output, &latents(&io["output"]));
    }
}

#[test]
fn flux_dev_agrees_with_the_reference_at_every_submodule() {
    assert_parity("flux_dev");
}

#[test]
fn flux_schnell_agrees_with_the_reference_without_the_guidance_weights() {
    assert_parity("flux_schnell");
}

#[test]
fn positions_turn_like_the_reference() {
    let io = tensors("flux_dev/io.safetensors");
    let rotary = positions([4, 6, 6], 7, GRID, &Device::Cpu).unwrap();
    // The reference stores every angle twice, once for each of a pair.
    let twice = |x: &Tensor| Tensor::stack(&[x, x], D::Minus1).unwrap().flatten_from(1).unwrap();
    assert_agrees("rope_cos", &twice(&rotary.cos), &io["rope_cos"]);
    assert_agrees("rope_sin", &twice(&rotary.sin), &io["rope_sin"]);
}

#[test]
fn a_second_picture_of_another_size_does_not_reuse_the_first_ones_positions() {
    let (io, used, fresh) = (tensors("flux_dev/io.safetensors"), load("flux_dev"), load("flux_dev"));
    let wide = Pass::new(&io, 0);
    // The same number of tokens, 3 rows of 4.
    let tall = Pass { latents: wide.latents.reshape((2, 16, 6, 8)).unwrap(), ..Pass::new(&io, 0) };
    wide.run(&used, &mut ()).unwrap();
    let (got, want) = (tall.run(&used, &mut ()).unwrap(), tall.run(&fresh, &mut ()).unwrap());
    assert_eq!(relative_error(&got, &want), 0.0);
}

#[test]
fn a_tick_comes_before_every_block_and_its_error_ends_the_pass() {
    let (io, transformer) = (tensors("flux_dev/io.safetensors"), load("flux_dev"));
    let pass = Pass::new(&io, 0);
    let mut ticks = 0;
    let mut count = || {
        ticks += 1;
        Ok(())
    };
    transformer.forward(&pass.latents, &pass.conditioning, pass.sigma, &mut count).unwrap();
    assert_eq!(ticks, 4, "one double block, two single blocks, the output");
    for last in 1..=4 {
        let mut left = last;
        let mut stop = || {
            left -= 1;
            if left == 0 { Err(Error::Cancelled) } else { Ok(()) }
        };
        let error = transformer.forward(&pass.latents, &pass.conditioning, pass.sigma, &mut stop).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(left, 0, "it stopped at the tick that said so");
    }
}

#[test]
fn what_does_not_fit_the_model_is_refused_with_a_hint() {
    let (io, transformer) = (tensors("flux_dev/io.safetensors"), load("flux_dev"));
    let with = |change: &dyn Fn(&mut Pass)| {
        let mut pass = Pass::new(&io, 0);
        change(&mut pass);
        pass.run(&transformer, &mut ()).unwrap_err()
    };
    let errors = [
        with(&|pass| pass.latents = pass.latents.narrow(2, 0, 7).unwrap()),
        with(&|pass| pass.latents = pass.latents.narrow(3, 0, 5).unwrap()),
        with(&|pass| pass.latents = pass.latents.narrow(1, 0, 8).unwrap()),
        with(&|pass| pass.latents = pass.latents.narrow(0, 0, 1).unwrap()),
        with(&|pass| pass.conditioning.guidance = None),
        with(&|pass| pass.conditioning.pooled = pass.conditioning.pooled.narrow(1, 0, 8).unwrap()),
        with(&|pass| pass.conditioning.context = pass.conditioning.context.narrow(2, 0, 8).unwrap()),
        with(&|pass| pass.sigma = f64::NAN),
    ];
    for error in errors {
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
        assert!(!error.hint().is_empty());
    }
}
