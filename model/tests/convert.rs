//! Weights written anew: what is read back is what was meant, in the names that other programs read.

mod parity;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use candle_core::quantized::gguf_file;
use candle_core::{DType, Device, Tensor};
use flowline_model::weights::convert::{Conversion, Format, Names, Progress, convert};
use flowline_model::weights::{ENCODINGS, Encoding, Fact, HeldAs, Holding, TensorFile, Weights};
use flowline_model::{Error, Opening, Pipeline};
use parity::folders::{drawn, flux_folder, sd3_folder};
use parity::{fixture, tensors};

/// In diffusers' names, in the authors', what GGUF calls it.
const MODELS: [(&str, &str, &str); 2] = [
    ("flux_dev/transformer/diffusion_pytorch_model.safetensors", "flux_dev/flux1-dev_bfl_names.safetensors", "flux"),
    (
        "sd35_medium/transformer/diffusion_pytorch_model.safetensors",
        "sd35_medium/sd35_medium_sai_names.safetensors",
        "sd3",
    ),
];

fn quiet<T>(_: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn to(path: &Path, format: Format, names: Names, encoding: Option<Encoding>) -> Conversion {
    Conversion { to: path.to_owned(), format, names, encoding }
}

fn values(x: &Tensor) -> Vec<f32> {
    x.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// All tensors, as networks get them with this holding.
fn read(weights: &Weights, holding: Holding) -> BTreeMap<String, Vec<f32>> {
    let reader = weights.reader(&Device::Cpu, &quiet).holding(holding);
    let value = |name: &str, shape: &[usize]| match *shape {
        [rows, columns] if name.ends_with(".weight") => {
            let unit = Tensor::eye(columns, DType::F32, &Device::Cpu).unwrap();
            values(&reader.matrix(name, rows, columns).unwrap().apply(&unit).unwrap().t().unwrap())
        }
        _ => values(&reader.tensor(name, shape.to_vec()).unwrap()),
    };
    weights.tensors().map(|(name, shape)| (name.to_owned(), value(name, shape))).collect()
}

#[test]
fn every_encoding_reads_back_as_the_original_encoded_on_load_from_either_naming() {
    let folder = tempfile::tempdir().unwrap();
    for (diffusers, authors, architecture) in MODELS {
        for encoding in ENCODINGS.into_iter().filter(|encoding| encoding.is_quantised()) {
            let original = Weights::open(&fixture(diffusers)).unwrap();
            let want = read(&original, Holding { weights: HeldAs::Encoded(encoding), ..Holding::default() });
            for (at, source) in [diffusers, authors].into_iter().enumerate() {
                let path = folder.path().join(format!("{architecture}-{}-{at}.gguf", encoding.name()));
                let source = Weights::open(&fixture(source)).unwrap();
                let told = convert(&source, &to(&path, Format::Gguf, Names::Authors, Some(encoding)), &quiet).unwrap();
                assert_eq!(told.bytes, fs::metadata(&path).unwrap().len());
                let file = TensorFile::open(&path).unwrap();
                assert_eq!(file.facts()["general.architecture"], Fact::Text(architecture.into()));
                assert_eq!(told.tensors.iter().map(|(_, count)| count).sum::<usize>(), file.tensors().len());
                let names: Vec<_> = tensors(authors).into_iter().map(|(name, x)| (name, x.dims().to_vec())).collect();
                let found = file.tensors().iter().map(|(name, stored)| (name.clone(), stored.shape.clone()));
                assert_eq!(found.collect::<HashMap<_, _>>(), names.into_iter().collect());
                let got = read(&Weights::open(&path).unwrap(), Holding::DENSE);
                assert!(got == want, "{architecture} as {}", encoding.name());
            }
        }
    }
}

#[test]
fn plain_encodings_read_back_to_the_bit_in_both_formats_and_namings() {
    let folder = tempfile::tempdir().unwrap();
    for (at, (diffusers, authors, _)) in MODELS.into_iter().enumerate() {
        let source = Weights::open(&fixture(authors)).unwrap();
        let want = read(&source, Holding::DENSE);
        for (format, ending) in [(Format::Gguf, "gguf"), (Format::Safetensors, "safetensors")] {
            for names in [Names::Authors, Names::Diffusers] {
                for encoding in [None, Some(Encoding::F32), Some(Encoding::Bf16)] {
                    let path = folder.path().join(format!("{at}-{names:?}-{encoding:?}.{ending}"));
                    assert_eq!(Format::of(&path), Some(format));
                    convert(&source, &to(&path, format, names, encoding), &quiet).unwrap();
                    let file = TensorFile::open(&path).unwrap();
                    let like = tensors(if names == Names::Authors { authors } else { diffusers });
                    assert!(file.tensors().keys().eq(like.into_iter().collect::<BTreeMap<_, _>>().keys()));
                    assert!(read(&Weights::open(&path).unwrap(), Holding::DENSE) == want, "{path:?}");
                }
            }
        }
        // 8-bit floats are for the matrices of blocks.
        let path = folder.path().join(format!("{at}-f8.safetensors"));
        convert(&source, &to(&path, Format::Safetensors, Names::Authors, Some(Encoding::F8E4M3)), &quiet).unwrap();
        for (name, got) in read(&Weights::open(&path).unwrap(), Holding::DENSE) {
            let mut f8 = Vec::new();
            Encoding::F8E4M3.decode(&Encoding::F8E4M3.encode(&want[&name]).unwrap(), &mut f8);
            assert!(got == want[&name] || got == f8, "{name}");
            assert_eq!(
                got == f8 && got != want[&name],
                name.contains("blocks.") && name.ends_with("weight") && !name.contains("norm_"),
                "{name}"
            );
        }
    }
}

#[test]
fn another_reader_reads_the_same_numbers_from_a_new_gguf() {
    let folder = tempfile::tempdir().unwrap();
    for (encoding, at) in [Encoding::Q8_0, Encoding::Q4_1, Encoding::Bf16].into_iter().zip(0..) {
        let path = folder.path().join(format!("{at}.gguf"));
        let source = Weights::open(&fixture(MODELS[0].1)).unwrap();
        convert(&source, &to(&path, Format::Gguf, Names::Authors, Some(encoding)), &quiet).unwrap();
        let mut file = fs::File::open(&path).unwrap();
        let content = gguf_file::Content::read(&mut file).unwrap();
        let ours = TensorFile::open(&path).unwrap();
        assert_eq!(content.tensor_infos.len(), ours.tensors().len());
        let weights = Weights::open(&path).unwrap();
        let reader = weights.reader(&Device::Cpu, &quiet);
        // One that is the same tensor to both.
        let theirs = content.tensor(&mut file, "single_blocks.1.linear2.weight", &Device::Cpu).unwrap();
        let ours = reader.tensor("single_transformer_blocks.1.proj_out.weight", (32, 160)).unwrap();
        assert_eq!(values(&theirs.dequantize(&Device::Cpu).unwrap()), values(&ours));
    }
}

#[test]
fn a_folder_with_a_converted_transformer_draws_what_the_folder_draws_encoded_on_load() {
    for (at, (diffusers, ..)) in MODELS.into_iter().enumerate() {
        let folder = || if at == 0 { flux_folder("flux_dev") } else { sd3_folder("sd35_medium") };
        let (original, converted) = (folder(), folder());
        let transformer = converted.path().join("transformer/diffusion_pytorch_model.safetensors");
        fs::remove_file(&transformer).unwrap();
        for encoding in [Encoding::Q8_0, Encoding::Q4_0, Encoding::Q6K] {
            let weights = Weights::open(&fixture(diffusers)).unwrap();
            convert(&weights, &to(&transformer, Format::Gguf, Names::Authors, Some(encoding)), &quiet).unwrap();
            let draw = |folder: &tempfile::TempDir| {
                let holding = Holding { weights: HeldAs::Encoded(encoding), ..Holding::default() };
                let opening = Opening { holding, ..Opening::named(folder.path().to_str().unwrap(), None) };
                values(drawn(&mut Pipeline::open_as(&opening).unwrap()).latents.tensor())
            };
            assert!(draw(&converted) == draw(&original), "{diffusers} as {}", encoding.name());
            fs::remove_file(&transformer).unwrap();
        }
    }
}

#[test]
fn t5_is_written_in_the_names_of_llama_cpp_and_reads_back_as_it_is_encoded_on_load() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t5.gguf");
    let source = Weights::open(&fixture("common/t5/model.safetensors")).unwrap();
    convert(&source, &to(&path, Format::Gguf, Names::Authors, Some(Encoding::Q5_1)), &quiet).unwrap();
    let file = TensorFile::open(&path).unwrap();
    assert_eq!(file.facts()["general.architecture"], Fact::Text("t5encoder".into()));
    for name in
        ["token_embd.weight", "enc.blk.1.ffn_gate.weight", "enc.blk.0.attn_rel_b.weight", "enc.output_norm.weight"]
    {
        assert!(file.tensors().contains_key(name), "{name}");
    }
    let mut want = read(&source, Holding { weights: HeldAs::Encoded(Encoding::Q5_1), ..Holding::default() });
    want.remove("encoder.embed_tokens.weight");
    assert!(read(&Weights::open(&path).unwrap(), Holding::DENSE) == want);
}

#[test]
fn what_cannot_be_written_is_refused_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/model.gguf");
    let there = || fs::read_dir(path.parent().unwrap()).map_or(0, |entries| entries.count());
    let source = Weights::open(&fixture(MODELS[0].0)).unwrap();
    let refused = |source: &Weights, conversion: &Conversion| {
        let error = convert(source, conversion, &quiet).unwrap_err();
        assert!(!error.hint().is_empty());
        error.to_string()
    };
    let good = to(&path, Format::Gguf, Names::Authors, Some(Encoding::Q8_0));
    let vae = Weights::open(&fixture("common/vae16/diffusion_pytorch_model.safetensors")).unwrap();
    let error = refused(&vae, &good);
    assert!(error.starts_with("the names that other programs read are not known for"), "{error}");
    let error = refused(&source, &Conversion { format: Format::Safetensors, ..good.clone() });
    assert_eq!(error, "a .safetensors file cannot hold q8_0");
    let gguf = Weights::open(&fixture("gguf/flux1-dev-tiny-Q4_0.gguf")).unwrap();
    let error = refused(&gguf, &Conversion { format: Format::Safetensors, encoding: None, ..good.clone() });
    assert_eq!(error, "a .safetensors file cannot hold q4_0");
    assert_eq!(there(), 0);

    let mut heard = 0;
    let stop = std::cell::RefCell::new(&mut heard);
    let breaks = |progress: Progress| {
        **stop.borrow_mut() += 1;
        if progress.written * 2 > progress.total { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert!(matches!(convert(&source, &good, &breaks), Err(Error::Cancelled)));
    assert_eq!(there(), 0);
    assert!(heard > 3, "{heard}");

    let last = std::cell::Cell::new(None);
    let told = convert(&source, &good, &|progress| {
        last.set(Some(progress));
        ControlFlow::Continue(())
    });
    assert_eq!(last.get(), Some(Progress { written: told.as_ref().unwrap().bytes, total: told.unwrap().bytes }));
    assert_eq!(there(), 1);
    assert!(refused(&source, &good).ends_with("model.gguf is there already"));
    assert_eq!(there(), 1);
    let nowhere = path.join("inside/a/file.gguf");
    assert!(matches!(convert(&source, &Conversion { to: nowhere, ..good }, &quiet), Err(Error::Io { .. })));
}

#[test]
fn rows_that_blocks_do_not_divide_are_told_in_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let source = Weights::open(&fixture(MODELS[0].0)).unwrap();
    let told = convert(&source, &to(&path, Format::Gguf, Names::Authors, Some(Encoding::Q4K)), &quiet).unwrap();
    let [warning] = &told.warnings[..] else { panic!("{:?}", told.warnings) };
    assert_eq!(warning.code, "weights-fallback");
    assert!(told.tensors.iter().any(|(encoding, count)| *encoding == Encoding::Q5_0 && *count > 10), "{told:?}");
}
