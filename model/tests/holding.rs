//! How weights are held: what is encoded anew and what is not, what it costs, 8-bit floats with their scales, and that
//! nothing of it depends on how the tensors are cut and laid out.

mod parity;

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use flowline_model::ops::weight::Weight;
use flowline_model::weights::{Activations, ENCODINGS, Encoding, HeldAs, Holding, Memory, Reader, Weights};
use flowline_model::{Draft, Event, Opening, Pipeline};
use parity::folders::{drawn, flux_folder, sd3_folder};
use parity::gguf::Gguf;
use parity::{fixture, tensors};
use serde_json::json;

const CPU: Device = Device::Cpu;

fn quiet(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn held_as(weights: HeldAs) -> Holding {
    Holding { weights, ..Holding::default() }
}

fn values(x: &Tensor) -> Vec<f32> {
    x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (0..count).map(|i| (((i + seed) * 7919 + 13) % 10007) as f32 / 5003.5 - 1.0).collect()
}

/// A safetensors file of tensors with any encoding: name, dtype, shape, bytes.
fn safetensors(path: &Path, tensors: &[(&str, &str, Vec<usize>, Vec<u8>)]) {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let from = data.len();
        data.extend(bytes);
        header.insert((*name).into(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [from, data.len()] }));
    }
    let header = serde_json::to_vec(&header).unwrap();
    fs::write(path, [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()).unwrap();
}

fn opened(tensors: &[(&str, &str, Vec<usize>, Vec<u8>)]) -> Weights {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    safetensors(&path, tensors);
    Weights::open(&path).unwrap()
}

/// What a matrix is, as f32: its product with the unit matrix.
fn matrix(reader: &Reader<'_>, name: &str, dims: (usize, usize)) -> Vec<f32> {
    let (rows, columns) = dims;
    let weight = reader.matrix(name, rows, columns).unwrap();
    let unit = Tensor::eye(columns, DType::F32, &CPU).unwrap();
    values(&weight.apply(&unit).unwrap().t().unwrap())
}

fn decoded(encoding: Encoding, values: &[f32]) -> Vec<f32> {
    let mut back = Vec::new();
    encoding.decode(&encoding.encode(values).unwrap(), &mut back);
    back
}

#[test]
fn f8_weights_are_read_with_and_without_scales_and_nothing_is_left_over() {
    let raw = numbers(1, 6 * 32);
    let f8 = |values: &[f32]| Encoding::F8E4M3.encode(values).unwrap();
    let plain = decoded(Encoding::F8E4M3, &raw);
    let f32s = |values: &[f32]| Encoding::F32.encode(values).unwrap();
    let rows = [0.5f32, 2.0, 3.0, -1.0, 0.25, 1.5];
    let format = br#"{"format": "float8_e4m3fn"}"#.to_vec();
    let weights = opened(&[
        ("plain.weight", "F8_E4M3", vec![6, 32], f8(&raw)),
        ("wide.weight", "F8_E5M2", vec![6, 32], Encoding::F8E5M2.encode(&raw).unwrap()),
        ("comfy.weight", "F8_E4M3", vec![6, 32], f8(&raw)),
        ("comfy.scale_weight", "F32", vec![1], f32s(&[0.125])),
        ("comfy.scale_input", "F32", vec![1], f32s(&[9.0])),
        ("newer.weight", "F8_E4M3", vec![6, 32], f8(&raw)),
        ("newer.weight_scale", "F32", vec![], f32s(&[3.0])),
        ("newer.input_scale", "F32", vec![], f32s(&[9.0])),
        ("newer.comfy_quant", "U8", vec![format.len()], format),
        ("rows.weight", "F8_E4M3", vec![6, 32], f8(&raw)),
        ("rows.weight_scale", "F32", vec![6, 1], f32s(&rows)),
        ("scaled_fp8", "F8_E4M3", vec![0], vec![]),
    ]);
    let scaled = |scale: f32| plain.iter().map(|value| value * scale).collect::<Vec<_>>();
    let by_row: Vec<f32> =
        plain.chunks(32).zip(rows).flat_map(|(row, scale)| row.iter().map(move |v| v * scale)).collect();
    for holding in [Holding::DENSE, held_as(HeldAs::Stored)] {
        let reader = weights.reader(&CPU, &quiet).holding(holding);
        assert_eq!(matrix(&reader, "plain.weight", (6, 32)), plain);
        assert_eq!(matrix(&reader, "wide.weight", (6, 32)), decoded(Encoding::F8E5M2, &raw));
        assert_eq!(matrix(&reader, "comfy.weight", (6, 32)), scaled(0.125));
        assert_eq!(matrix(&reader, "newer.weight", (6, 32)), scaled(3.0));
        assert_eq!(matrix(&reader, "rows.weight", (6, 32)), by_row);
        assert_eq!(values(&reader.tensor("rows.weight", (6, 32)).unwrap()), by_row);
    }
    weights.finish(&[]).unwrap();
}

#[test]
fn formats_of_scaled_blocks_are_refused_by_name() {
    let raw = Encoding::F8E4M3.encode(&numbers(1, 64)).unwrap();
    let f32s = |count| Encoding::F32.encode(&vec![1.0; count]).unwrap();
    let named = |format: &str| {
        let json = format!(r#"{{"format": "{format}"}}"#).into_bytes();
        ("x.comfy_quant", "U8", vec![json.len()], json)
    };
    let weight = || ("x.weight", "F8_E4M3", vec![2, 32], raw.clone());
    for (tensors, said) in [
        (
            vec![("x.weight", "U8", vec![2, 16], vec![0; 32]), ("x.weight_scale_2", "F32", vec![], f32s(1))],
            "stored as nvfp4",
        ),
        (vec![weight(), named("nvfp4")], "stored as nvfp4"),
        (vec![weight(), named("mxfp8")], "stored as mxfp8"),
        (vec![weight(), ("x.comfy_quant", "U8", vec![2], b"{}".to_vec())], "stored as an unknown quantised format"),
        (vec![weight(), ("x.weight_scale", "F32", vec![4], f32s(4))], "stored as f8_e4m3 with 4 scales"),
    ] {
        let weights = opened(&tensors);
        let columns = tensors[0].2[1];
        let error = weights.reader(&CPU, &quiet).matrix("x.weight", 2, columns).err().unwrap();
        assert!(error.to_string().contains(said), "{error}");
    }
    // A scale of nothing is a tensor that nobody asked for.
    let weights = opened(&[("x.weight_scale", "F32", vec![], f32s(1))]);
    assert!(weights.finish(&[]).unwrap_err().to_string().contains("unknown tensor 'x.weight_scale'"));
}

#[test]
fn what_is_encoded_on_load_are_the_matrices_of_blocks_and_rows_that_blocks_do_not_divide_fall_back() {
    let bf16 = |name: &'static str, rows: usize, columns: usize| {
        (name, "BF16", vec![rows, columns], Encoding::Bf16.encode(&numbers(columns, rows * columns)).unwrap())
    };
    let names: [(&str, usize, usize, Encoding); 7] = [
        ("blocks.0.attn.weight", 8, 512, Encoding::Q4K),
        ("blocks.1.attn.weight", 8, 2432, Encoding::Q5_0),
        ("blocks.1.ff.weight", 8, 48, Encoding::Bf16),
        ("x_embedder.weight", 8, 512, Encoding::Bf16),
        ("blocks.0.relative_attention_bias.weight", 8, 512, Encoding::Bf16),
        ("shared.weight", 40, 512, Encoding::Bf16),
        ("norm_out.linear.weight", 8, 512, Encoding::Bf16),
    ];
    let weights = opened(&names.map(|(name, rows, columns, _)| bf16(name, rows, columns)));
    let holding = held_as(HeldAs::Encoded(Encoding::Q4K));
    let reader = weights.reader(&CPU, &quiet).holding(holding);
    let mut memory = Memory::default();
    for (name, rows, columns, encoding) in names {
        let stored = decoded(Encoding::Bf16, &numbers(columns, rows * columns));
        let want = if encoding == Encoding::Bf16 { stored } else { decoded(encoding, &stored) };
        assert_eq!(matrix(&reader, name, (rows, columns)), want, "{name}");
        memory += reader.matrix(name, rows, columns).unwrap().memory();
    }
    assert_eq!(memory, weights.memory(holding));
    let heap = [Encoding::Q4K.bytes(8 * 512), Encoding::Q5_0.bytes(8 * 2432)].map(Option::unwrap);
    assert_eq!(memory.heap, heap.iter().sum::<usize>() as u64);
}

#[test]
fn the_memory_that_is_told_before_is_the_memory_that_is_taken() {
    let files = [
        "gguf/flux1-dev-tiny-Q8_0.gguf",
        "gguf/flux1-dev-tiny-Q4_0.gguf",
        "flux_dev/transformer/diffusion_pytorch_model.safetensors",
        "common/t5/model.safetensors",
        "sd35_medium/sd35_medium_sai_names.safetensors",
        "common/vae16/ae_ldm_names.safetensors",
    ];
    for (file, activations) in files.into_iter().flat_map(|file| Activations::ALL.map(|form| (file, form))) {
        for held in HeldAs::all().filter(|held| *held != HeldAs::Auto) {
            let weights = Weights::open(&fixture(file)).unwrap();
            let holding = Holding { weights: held, activations };
            let reader = weights.reader(&CPU, &quiet).holding(holding);
            let mut taken = Memory::default();
            for (name, shape) in weights.tensors() {
                taken += match *shape {
                    [rows, columns] | [1, rows, columns]
                        if name.ends_with(".weight") || name == "pos_embed.pos_embed" =>
                    {
                        reader.matrix(name, rows, columns).unwrap().memory()
                    }
                    _ => Weight::Dense(reader.tensor(name, shape.to_vec()).unwrap()).memory(),
                };
            }
            assert_eq!(taken, weights.memory(holding), "{file} as {held}, {activations:?}");
        }
    }
}

#[test]
fn a_model_encoded_on_load_makes_the_same_bits_from_any_naming_and_layout() {
    let names = [
        ("flux_dev/transformer/diffusion_pytorch_model.safetensors", "flux_dev/flux1-dev_bfl_names.safetensors"),
        (
            "sd35_medium/transformer/diffusion_pytorch_model.safetensors",
            "sd35_medium/sd35_medium_sai_names.safetensors",
        ),
    ];
    for (at, (_, authors)) in names.into_iter().enumerate() {
        let folder = || if at == 0 { flux_folder("flux_dev") } else { sd3_folder("sd35_medium") };
        let (diffusers, renamed, gguf) = (folder(), folder(), folder());
        let place = |folder: &tempfile::TempDir| folder.path().join("transformer/diffusion_pytorch_model.safetensors");
        fs::copy(fixture(authors), place(&renamed)).unwrap();
        // Fused and encoded before, in the authors' names.
        let fused: BTreeMap<_, _> = tensors(authors).into_iter().collect();
        Gguf::of(&fused, Encoding::Q8_0).write(&place(&gguf));
        let draw = |folder: &tempfile::TempDir, weights| {
            let holding = Holding { weights, ..Holding::default() };
            let opening = Opening { holding, ..Opening::named(folder.path().to_str().unwrap(), None) };
            drawn(&mut Pipeline::open_as(&opening).unwrap())
        };
        let encoded = HeldAs::Encoded(Encoding::Q8_0);
        let want = draw(&diffusers, encoded);
        assert_eq!(draw(&renamed, encoded).image, want.image, "{authors}");
        let bits = |picture: &flowline_model::Picture| values(picture.latents.tensor());
        assert_eq!(bits(&draw(&renamed, encoded)), bits(&want), "{authors}");
        assert_ne!(bits(&draw(&diffusers, HeldAs::F32)), bits(&want), "{authors}");
        assert_eq!(serde_json::to_value(want.request.model.holding).unwrap(), json!({ "weights": "q8_0" }));
        // Text encoders of the folder with the GGUF are encoded on load, its transformer is already.
        assert_eq!(bits(&draw(&gguf, encoded)), bits(&want), "{authors} as GGUF");
    }
}

#[test]
fn fallbacks_are_one_warning_with_counts() {
    let folder = flux_folder("flux_dev");
    let holding = held_as(HeldAs::Encoded(Encoding::Q4K));
    let opening = Opening { holding, ..Opening::named(folder.path().to_str().unwrap(), None) };
    let mut pipeline = Pipeline::open_as(&opening).unwrap();
    let draft = Draft { prompt: "a".into(), width: Some(48), height: Some(64), steps: Some(1), ..Draft::default() };
    let request = draft.resolve(pipeline.spec()).unwrap().request;
    let mut warnings = Vec::new();
    pipeline
        .generate(&request, |event| {
            if let Event::Warning(warning) = event {
                warnings.push(warning);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let told: Vec<_> = warnings.iter().filter(|warning| warning.code == "weights-fallback").collect();
    let [told] = told[..] else { panic!("{warnings:?}") };
    assert!(told.message.contains("that blocks of 256 do not divide, and are not held as q4_k"), "{}", told.message);
    println!("{}", told.message);
}

#[test]
fn rounded_activations_that_meet_no_quantised_weights_are_a_warning() {
    let folder = flux_folder("flux_dev");
    let path = folder.path().to_str().unwrap();
    let told = |weights| {
        let holding = Holding { weights, activations: Activations::Q8 };
        let pipeline = Pipeline::open_as(&Opening { holding, ..Opening::named(path, None) }).unwrap();
        pipeline.spec().warnings().iter().any(|warning| warning.code == "activations-unused")
    };
    assert!(told(HeldAs::Auto) && told(HeldAs::F32));
    assert!(!told(HeldAs::Encoded(Encoding::Q8_0)));
}

#[test]
fn every_form_has_a_name_that_names_it() {
    for held in HeldAs::all() {
        assert_eq!(held.name().parse(), Ok(held));
        let json = serde_json::to_value(held).unwrap();
        assert_eq!(serde_json::from_value::<HeldAs>(json).unwrap(), held);
    }
    assert!(
        "q3".parse::<HeldAs>()
            .unwrap_err()
            .starts_with("'q3' is no way to hold weights; there are auto, stored, f32, q8_0")
    );
    assert!(serde_json::from_value::<Holding>(json!({ "weights": "q9" })).is_err());
    for encoding in ENCODINGS {
        assert_eq!(Encoding::named(encoding.name()), Some(encoding));
    }
    let auto = Holding::default();
    assert_eq!(auto.settled(100, Some(200)).weights, HeldAs::F32);
    assert_eq!(auto.settled(101, Some(200)).weights, HeldAs::Stored);
    assert_eq!(auto.settled(1, None).weights, HeldAs::Stored);
    let fast = Holding { activations: Activations::Q8, ..auto };
    assert_eq!(fast.settled(100, Some(200)).weights, HeldAs::Stored);
}
