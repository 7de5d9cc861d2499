//! Every network with every naming, against diffusers, peft and transformers.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flowline_model::Lora;
use flowline_model::conditioning::Conditioning;
use flowline_model::flux::{FluxConfig, FluxTransformer};
use flowline_model::ops::linear::Linear;
use flowline_model::ops::low_rank::LowRank;
use flowline_model::sd3::{Sd3Config, Sd3Transformer};
use flowline_model::text::{ClipText, ClipTextConfig, T5Config, T5Encoder};
use flowline_model::weights::{Activations, HeldAs, Holding, Reader, Weights};

use super::parity::{TOLERANCE, assert_agrees, fixture, relative_error, tensors};
use super::{TRANSFORMER, adapters, bits, go_on, lora, made};

const MODELS: [&str; 3] = ["flux_dev", "sd3", "sd35_medium"];
/// One adapter in the names of five programs.
const NAMINGS: [&str; 5] = ["kohya", "authors", "onetrainer", "diffusers", "old_diffusers"];

fn read(path: &Path, reader: impl FnOnce(&Weights, Reader<'_>)) {
    let weights = Weights::open(path).unwrap();
    reader(&weights, weights.reader(&Device::Cpu, &go_on));
}

/// What a transformer makes of its fixture's inputs.
fn output(model: &str, path: &Path, loras: &[Lora]) -> Tensor {
    output_held(model, path, loras, Holding::DENSE)
}

/// The same with its weights held so, each row of the batch at its own time.
fn output_held(model: &str, path: &Path, loras: &[Lora], holding: Holding) -> Tensor {
    let io = tensors(&format!("{model}/io.safetensors"));
    let json = fs::read(fixture(&format!("{model}/transformer/config.json"))).unwrap();
    let mut rows = Vec::new();
    read(path, |weights, reader| {
        let adapters = adapters(TRANSFORMER, weights, loras).unwrap();
        let reader = reader.holding(holding).adapted(&adapters, TRANSFORMER);
        let row = |row: usize| {
            let of = |name: &str| io[name].narrow(0, row, 1).unwrap();
            let scalar = |name: &str| io.get(name).map(|t| f64::from(t.to_vec1::<f32>().unwrap()[row]));
            let guidance = scalar("guidance");
            let conditioning = Conditioning { context: of("encoder_hidden_states"), pooled: of("pooled"), guidance };
            (of("hidden_states"), conditioning, scalar("timestep").unwrap())
        };
        if model == "flux_dev" {
            let network = FluxTransformer::load(&FluxConfig::parse("", &json).unwrap(), &reader).unwrap();
            for i in 0..2 {
                let (tokens, conditioning, sigma) = row(i);
                // (1, h w, c 2 2) -> (1, c, 2 h, 2 w)
                let x = tokens.reshape((1, 4, 3, 16, 2, 2)).unwrap().permute((0, 3, 1, 4, 2, 5)).unwrap();
                let x = x.reshape((1, 16, 8, 6)).unwrap();
                let v = network.forward(&x, &conditioning, sigma, &mut || Ok(())).unwrap();
                let v = v.reshape((1, 16, 4, 2, 3, 2)).unwrap().permute((0, 2, 4, 1, 3, 5)).unwrap();
                rows.push(v.reshape((1, 12, 64)).unwrap());
            }
        } else {
            let network = Sd3Transformer::load(&Sd3Config::parse("", &json).unwrap(), &reader).unwrap();
            for i in 0..2 {
                let (x, conditioning, sigma) = row(i);
                rows.push(network.forward(&x, &conditioning, sigma / 1000.0, &mut || Ok(())).unwrap());
            }
        }
        adapters.finish(TRANSFORMER, |tensor| weights.was_adapted(tensor)).unwrap();
    });
    Tensor::cat(&rows, 0).unwrap()
}

fn adapted(model: &str, loras: &[Lora]) -> Tensor {
    output(model, &fixture(&format!("{model}/{TRANSFORMER}")), loras)
}

#[test]
fn an_adapter_in_every_naming_does_what_the_merged_model_of_the_reference_does() {
    for model in MODELS {
        let want = tensors(&format!("lora/{model}/io.safetensors"));
        let plain = adapted(model, &[]);
        assert!(relative_error(&plain, &want["output"]) > 0.1, "{model}: the adapter does nothing");
        for naming in NAMINGS {
            let file = format!("{model}/{naming}.safetensors");
            assert_agrees(&file, &adapted(model, &[made(&file, 1.0)]), &want["output"]);
            assert_agrees(
                &format!("{file} at -0.5"),
                &adapted(model, &[made(&file, -0.5)]),
                &want["output_minus_half"],
            );
        }
    }
}

#[test]
fn adapters_that_peft_made_have_the_ranks_and_alphas_of_their_patterns() {
    for model in MODELS {
        let want = tensors(&format!("lora/{model}/io.safetensors"));
        let folder = format!("{model}/peft");
        assert_agrees(&folder, &adapted(model, &[made(&folder, 1.0)]), &want["output_peft"]);
    }
}

#[test]
fn adapters_of_xlabs_do_what_the_reference_does() {
    let want = &tensors("lora/flux_dev/io.safetensors")["output_xlabs"];
    assert_agrees("xlabs", &adapted("flux_dev", &[made("flux_dev/xlabs.safetensors", 1.0)]), want);
}

#[test]
fn beside_the_weights_and_merged_into_them_is_the_same() {
    for model in MODELS {
        let path = fixture(&format!("{model}/{TRANSFORMER}"));
        let loras = [made(&format!("{model}/kohya.safetensors"), 0.7)];
        let folder = tempfile::tempdir().unwrap();
        let merged = merged(&path, &loras, &folder);
        assert_agrees(&format!("{model} merged"), &adapted(model, &loras), &output(model, &merged, &[]));
    }
}

/// A transformer's file with adapters merged into its weights as f32, in `folder`.
fn merged(path: &Path, loras: &[Lora], folder: &tempfile::TempDir) -> std::path::PathBuf {
    let merged = folder.path().join("merged.safetensors");
    read(path, |own, reader| {
        let adapters = adapters(TRANSFORMER, own, loras).unwrap();
        let weights = own.tensors().map(|(name, shape)| {
            let dense = reader.tensor(name, shape).unwrap();
            let delta = adapters.low_rank(TRANSFORMER, name, &Device::Cpu).unwrap();
            let add =
                |w: Tensor, d: &LowRank| (&w + d.up.matmul(&d.down).unwrap().reshape(w.shape()).unwrap()).unwrap();
            (name.to_owned(), delta.iter().fold(dense, add))
        });
        candle_core::safetensors::save(&weights.collect::<HashMap<_, _>>(), &merged).unwrap();
    });
    merged
}

#[test]
fn beside_quantised_weights_an_adapter_does_what_it_does_merged_into_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let held = |weights, activations| Holding { weights, activations };
    for name in ["Q8_0", "Q4_0"] {
        let path = fixture(&format!("gguf/flux1-dev-tiny-{name}.gguf"));
        for file in ["flux_dev/kohya.safetensors", "flux_dev/peft"] {
            let loras = [made(file, 0.7)];
            let want = output("flux_dev", &merged(&path, &loras, &folder), &[]);
            let with = |holding| output_held("flux_dev", &path, &loras, holding);
            let dense = with(held(HeldAs::F32, Activations::F32));
            assert_agrees(&format!("{file} on {name} as f32"), &dense, &want);
            let stored = with(held(HeldAs::Stored, Activations::F32));
            assert_agrees(&format!("{file} on {name} as stored"), &stored, &want);
            assert_eq!(bits(&stored), bits(&dense), "{file} on {name}: decoded before and while it is multiplied");

            let fast = |loras: &[Lora]| output_held("flux_dev", &path, loras, held(HeldAs::Stored, Activations::Q8));
            assert_eq!(bits(&fast(&[made(file, 0.0)])), bits(&fast(&[])), "{file} on {name} at strength 0");
            // How far rounding carries is the network's affair; with an adapter it is another network.
            let plain = relative_error(&fast(&[]), &output("flux_dev", &path, &[]));
            let error = relative_error(&fast(&loras), &want);
            println!("{file} on {name}, activations rounded: relative error {error:.1e}, {plain:.1e} without");
            assert!(plain > TOLERANCE && error < 2.0 * plain, "{file} on {name}, activations rounded: {error:.1e}");
        }
    }
}

#[test]
fn what_an_adapter_adds_to_a_quantised_matrix_is_not_rounded() {
    const MODULE: &str = "transformer_blocks.0.ff.net.0.proj";
    let x: Vec<f32> = (0..5 * 32).map(|i| (i as f32 * 0.7).sin()).collect();
    let x = Tensor::from_vec(x, (5, 32), &Device::Cpu).unwrap();
    for name in ["Q8_0", "Q4_0"] {
        read(&fixture(&format!("gguf/flux1-dev-tiny-{name}.gguf")), |weights, reader| {
            let adapters = adapters(TRANSFORMER, weights, &[made("flux_dev/kohya.safetensors", 0.7)]).unwrap();
            let reader = reader.holding(Holding { weights: HeldAs::Stored, activations: Activations::Q8 });
            let plain = Linear::load(&reader.at(MODULE), 32, 128).unwrap();
            let both = Linear::load(&reader.adapted(&adapters, TRANSFORMER).at(MODULE), 32, 128).unwrap();
            let added = (both.forward(&x).unwrap() - plain.forward(&x).unwrap()).unwrap();
            let matrix = adapters.low_rank(TRANSFORMER, &format!("{MODULE}.weight"), &Device::Cpu).unwrap();
            let [LowRank { down, up, .. }] = &matrix[..] else { panic!("{matrix:?}") };
            let want = x.matmul(&up.matmul(down).unwrap().t().unwrap()).unwrap();
            assert_agrees(&format!("added to {name}"), &added, &want);
        });
    }
}

#[test]
fn at_strength_zero_a_model_is_what_it_is_without_to_the_last_bit() {
    for model in MODELS {
        let at_zero = adapted(model, &[made(&format!("{model}/kohya.safetensors"), 0.0)]);
        assert_eq!(bits(&at_zero), bits(&adapted(model, &[])), "{model}");
    }
}

#[test]
fn adapters_add_up_also_one_with_itself() {
    let file = |scale| made("sd3/kohya.safetensors", scale);
    let whole = adapted("sd3", &[file(1.0)]);
    assert_agrees("twice a half", &adapted("sd3", &[file(0.5), file(0.5)]), &whole);
    let one_less_itself = adapted("sd3", &[file(1.0), file(-1.0)]);
    assert_agrees("one less itself", &one_less_itself, &adapted("sd3", &[]));
    let other = made("sd3/peft", 1.0);
    let both = adapted("sd3", &[file(1.0), other.clone()]);
    let error = relative_error(&both, &adapted("sd3", &[other.clone(), file(1.0)]));
    assert!(error < TOLERANCE, "their order does not count: {error}");
    assert!(relative_error(&both, &whole) > 0.01 && relative_error(&both, &adapted("sd3", &[other])) > 0.01);
}

#[test]
fn text_encoders_do_what_the_reference_does_in_the_names_of_peft_and_kohya() {
    for (model, file) in [("clip_l", "text_encoder"), ("clip_g", "text_encoder_2")] {
        let (io, want) =
            (tensors(&format!("common/{model}/io.safetensors")), tensors(&format!("lora/{model}/io.safetensors")));
        let config =
            ClipTextConfig::parse("", &fs::read(fixture(&format!("common/{model}/config.json"))).unwrap()).unwrap();
        for naming in ["peft", "kohya.safetensors"] {
            let (file, lora) = (format!("{file}/model.safetensors"), made(&format!("{model}/{naming}"), 1.0));
            read(&fixture(&format!("common/{model}/model.safetensors")), |weights, reader| {
                let adapters = adapters(&file, weights, &[lora]).unwrap();
                let encoder = ClipText::load(&config, &reader.adapted(&adapters, &file)).unwrap();
                adapters.finish(&file, |tensor| weights.was_adapted(tensor)).unwrap();
                let got = encoder.forward(&io["input_ids"].to_dtype(DType::U32).unwrap()).unwrap();
                assert!(relative_error(&got.penultimate, &io["penultimate"]) > 0.01, "the adapter does nothing");
                assert_agrees(&format!("{model} {naming} penultimate"), &got.penultimate, &want["penultimate"]);
                assert_agrees("last", &got.last_hidden_state, &want["last_hidden_state"]);
                assert_agrees("projected", &got.projected.unwrap(), &want["text_embeds_projected"]);
            });
        }
    }
    let (io, want) = (tensors("common/t5/io.safetensors"), tensors("lora/t5/io.safetensors"));
    let config = T5Config::parse("", &fs::read(fixture("common/t5/config.json")).unwrap()).unwrap();
    // The second text encoder in FLUX.1, the third in SD3.
    for file in ["text_encoder_2/model.safetensors", "text_encoder_3/model.safetensors"] {
        for naming in ["peft", "kohya.safetensors"] {
            read(&fixture("common/t5/model.safetensors"), |weights, reader| {
                let adapters = adapters(file, weights, &[made(&format!("t5/{naming}"), 1.0)]).unwrap();
                let encoder = T5Encoder::load(&config, &reader.adapted(&adapters, file)).unwrap();
                adapters.finish(file, |tensor| weights.was_adapted(tensor)).unwrap();
                let got = encoder.forward(&io["input_ids"].to_dtype(DType::U32).unwrap(), None).unwrap();
                assert_agrees(&format!("t5 {naming}"), &got, &want["last_hidden_state"]);
            });
        }
    }
}

/// Every matrix that an adapter may add to is one that a network asks about: nothing is applied to what is not there.
#[test]
fn a_network_asks_about_every_matrix_that_may_be_added_to() {
    let folder = tempfile::tempdir().unwrap();
    for model in MODELS {
        let path = folder.path().join(format!("{model}.safetensors"));
        let mut pairs = Vec::new();
        for (name, tensor) in tensors(&format!("{model}/{TRANSFORMER}")) {
            let (Some(module), 2 | 4) = (name.strip_suffix(".weight"), tensor.rank()) else { continue };
            let columns = tensor.elem_count() / tensor.dim(0).unwrap();
            pairs.push((format!("transformer.{module}.lora_A.weight"), super::filled(0.01, &[1, columns])));
            pairs.push((
                format!("transformer.{module}.lora_B.weight"),
                super::filled(0.01, &[tensor.dim(0).unwrap(), 1]),
            ));
        }
        let count = pairs.len() / 2;
        candle_core::safetensors::save(&pairs.into_iter().collect::<HashMap<_, _>>(), &path).unwrap();
        let found = super::transformer_adapters(model, &[lora(&path, 1.0)]).unwrap();
        let applied = found.applied().next().unwrap().clone();
        assert_eq!((applied.applied, applied.modules, applied.rest.len()), (count, count, 0), "{model}");
        adapted(model, &[lora(&path, 1.0)]);
    }
}
