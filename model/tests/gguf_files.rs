//! GGUF files: what is read of them, and what is refused of those that lie.

mod parity;

use std::ops::ControlFlow;
use std::path::PathBuf;

use candle_core::Device;
use flowline_model::weights::{ENCODINGS, Encoding, Fact, TensorFile, Weights};
use flowline_model::{Error, Result};
use parity::gguf::{Gguf, text};
use tempfile::TempDir;

/// Bytes as a file of this name.
fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn open(bytes: &[u8]) -> Result<TensorFile> {
    let (_folder, path) = file("model.gguf", bytes);
    TensorFile::open(&path)
}

/// What is said about a file that is refused.
#[track_caller]
fn refused(bytes: &[u8]) -> String {
    match open(bytes) {
        Ok(file) => panic!("opened, with {} tensors", file.tensors().len()),
        Err(error) => {
            assert!(!error.hint().is_empty());
            error.to_string()
        }
    }
}

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 + 11) % 101) as f32 / 50.0 - 1.0).collect()
}

fn small() -> Gguf {
    Gguf::default()
        .text("general.architecture", "flux")
        .whole("general.file_type", 7)
        .tensor("a.weight", &[2, 32], Encoding::Q8_0, &values(64))
        .tensor("b.weight", &[3], Encoding::F32, &values(3))
}

#[test]
fn a_file_is_known_by_its_magic_and_gives_shapes_facts_and_numbers() {
    let (_folder, path) = file("diffusion_pytorch_model.safetensors", &small().bytes(32));
    let file = TensorFile::open(&path).unwrap();
    assert_eq!(file.facts()["general.architecture"], Fact::Text("flux".into()));
    assert_eq!(file.facts()["general.file_type"], Fact::Integer(7));
    assert_eq!(file.tensors()["a.weight"].shape, [2, 32]);
    assert_eq!(file.tensors()["a.weight"].encoding, Ok(Encoding::Q8_0));
    for encoding in ENCODINGS.into_iter().filter(|encoding| ![Encoding::F8E4M3, Encoding::F8E5M2].contains(encoding)) {
        let (_folder, path) =
            self::file("model.gguf", &Gguf::default().tensor("x", &[3, 512], encoding, &values(1536)).bytes(32));
        let weights = Weights::open(&path).unwrap();
        let got = weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(())).tensor("x", (3, 512)).unwrap();
        let mut want = Vec::new();
        encoding.decode(&encoding.encode(&values(1536)).unwrap(), &mut want);
        assert_eq!(got.flatten_all().unwrap().to_vec1::<f32>().unwrap(), want, "{encoding:?}");
    }
}

#[test]
fn every_kind_of_value_is_read() {
    let mut file = small();
    let scalars: [(u32, &[u8], Fact); 12] = [
        (0, &[200], Fact::Integer(200)),
        (1, &[200], Fact::Integer(-56)),
        (2, &[1, 2], Fact::Integer(513)),
        (3, &[0, 128], Fact::Integer(-32768)),
        (4, &[0, 0, 0, 128], Fact::Integer(1 << 31)),
        (5, &[255, 255, 255, 255], Fact::Integer(-1)),
        (6, &1.5f32.to_le_bytes(), Fact::Number(1.5)),
        (7, &[1], Fact::Flag(true)),
        (10, &u64::MAX.to_le_bytes(), Fact::Number(u64::MAX as f64)),
        (10, &7u64.to_le_bytes(), Fact::Integer(7)),
        (11, &(-7i64).to_le_bytes(), Fact::Integer(-7)),
        (12, &2.5f64.to_le_bytes(), Fact::Number(2.5)),
    ];
    for (at, (kind, bytes, _)) in scalars.iter().enumerate() {
        file.facts.push((format!("key {at}"), [&kind.to_le_bytes()[..], bytes].concat()));
    }
    let list = |kind: u32, values: &[Vec<u8>]| {
        let head = [&9u32.to_le_bytes()[..], &kind.to_le_bytes(), &(values.len() as u64).to_le_bytes()].concat();
        [head, values.concat()].concat()
    };
    file.facts.push(("words".into(), list(8, &[text("one"), text("")])));
    file.facts.push(("numbers".into(), list(6, &[1.5f32.to_le_bytes().to_vec(), 2f32.to_le_bytes().to_vec()])));
    file.facts.push(("flags".into(), list(7, &[vec![1], vec![0]])));
    let file = open(&file.bytes(32)).unwrap();
    for (at, (.., fact)) in scalars.into_iter().enumerate() {
        assert_eq!(file.facts()[&format!("key {at}")], fact);
    }
    assert_eq!(file.facts()["words"], Fact::Texts(vec!["one".into(), String::new()]));
    assert_eq!(file.facts()["numbers"], Fact::Numbers(vec![1.5, 2.0]));
    assert_eq!(file.facts()["flags"], Fact::Numbers(vec![1.0, 0.0]));
}

#[test]
fn the_alignment_and_the_original_shape_that_a_file_names_hold() {
    let file = Gguf::default()
        .whole("general.alignment", 8)
        .list("comfy.gguf.orig_shape.b", &[4, 2, 2, 4])
        .tensor("a", &[3], Encoding::F32, &values(3))
        .tensor("b", &[2, 32], Encoding::Q4_0, &values(64));
    let opened = open(&file.bytes(8)).unwrap();
    assert_eq!(opened.tensors()["b"].shape, [4, 2, 2, 4]);
    // At the usual multiples of 32 the tensors would lie elsewhere.
    assert!(
        refused(&file.bytes(8).iter().copied().take(file.bytes(8).len() - 1).collect::<Vec<_>>()).contains("beyond")
    );
    let wrong =
        Gguf::default().list("comfy.gguf.orig_shape.b", &[5, 13]).tensor("b", &[64], Encoding::F32, &values(64));
    assert!(refused(&wrong.bytes(32)).contains("tensor 'b' has shape [64], which cannot stand for [5, 13]"));
    for (alignment, said) in [(0, "is 0"), (24, "is 24"), (1 << 31, "is 2147483648")] {
        let error = refused(&small().whole("general.alignment", alignment).bytes(32));
        assert!(error.contains(&format!("general.alignment {said}, which is no power of two")), "{error}");
    }
    assert!(refused(&small().text("general.alignment", "32").bytes(32)).contains("general.alignment is not a whole"));
}

#[test]
fn a_header_cut_anywhere_is_refused_and_never_panics() {
    let whole = small().bytes(32);
    for length in 4..whole.len() {
        let error = refused(&whole[..length]);
        assert!(error.contains("ends within its header") || error.contains("beyond"), "{length}: {error}");
    }
    open(&whole).unwrap();
}

#[test]
fn numbers_that_lie_are_refused_without_believing_them() {
    let good = small().bytes(32);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let lies = u64::MAX.to_le_bytes();
    let first_key = 24;
    let of = |what: &[u8]| good.windows(what.len()).position(|window| window == what).unwrap();
    let (a, b) = (of(b"a.weight"), of(b"b.weight"));
    for (bytes, said) in [
        (with(4, &4u32.to_le_bytes()), "GGUF version 4; versions 2 and 3 are read"),
        (with(4, &3u32.to_be_bytes()), "the numbers are big-endian"),
        (with(4, &0u32.to_le_bytes()), "GGUF version 0"),
        (with(8, &lies), "the file ends within its header"),
        (with(16, &lies), "the file ends within its header"),
        (with(first_key, &lies), "the file ends within its header, at a key"),
        (with(first_key + 8, &[0xff]), "a key is not UTF-8"),
        (with(first_key + 28, &99u32.to_le_bytes()), "has a value of the unknown kind 99"),
        (with(a - 8, &lies), "at the name of a tensor"),
        (with(a + 8, &9u32.to_le_bytes()), "tensor 'a.weight' claims to have 9 dimensions"),
        (with(a + 12, &lies), "has more values than can be counted"),
        (with(a + 12, &33u64.to_le_bytes()), "has rows that are no whole blocks of q8_0"),
        (with(a + 20, &(u64::MAX / 32).to_le_bytes()), "has more bytes than can be counted"),
        (with(a + 20, &1000u64.to_le_bytes()), "lies beyond the"),
        (with(a + 32, &16u64.to_le_bytes()), "begins at 16, which is no multiple of 32"),
        (with(a + 32, &(u64::MAX - 31).to_le_bytes()), "lies beyond the"),
        (with(b + 24, &32u64.to_le_bytes()), "tensors 'a.weight' and 'b.weight' overlap"),
        (with(b, b"a.weight"), "tensor 'a.weight' is there twice"),
    ] {
        let error = refused(&bytes);
        assert!(error.contains(said), "{error} instead of {said}");
    }
    let list = |count: u64| {
        let mut file = small();
        let head = [&9u32.to_le_bytes()[..], &0u32.to_le_bytes(), &count.to_le_bytes()].concat();
        file.facts.push(("list".into(), head));
        file.bytes(32)
    };
    assert!(refused(&list(u64::MAX)).contains("'list' claims to be a list of 18446744073709551615 values"));
    assert!(refused(&list(1 << 24)).contains("the file ends within its header, at list"));
    let empty = Gguf::default().tensor("a.weight", &[0, 1 << 40, 1 << 40], Encoding::F32, &[]).bytes(32);
    assert!(refused(&empty).contains("tensor 'a.weight' has more values than can be counted"));
    let nested = {
        let mut file = small();
        file.facts.push(("list".into(), [9u32, 9, 1, 0].iter().flat_map(|n| n.to_le_bytes()).collect()));
        file.bytes(32)
    };
    assert!(refused(&nested).contains("'list' has a value of the unknown kind 9"));
    assert!(
        refused(&small().text("general.architecture", "sd3").bytes(32))
            .contains("'general.architecture' is there twice")
    );
}

#[test]
fn a_type_that_cannot_be_read_is_named_when_somebody_wants_it() {
    for (kind, name) in [(20, "iq4_nl"), (39, "mxfp4"), (77, "ggml type 77")] {
        let mut file = small();
        file.tensors[0].2 = kind;
        let (_folder, path) = self::file("model.gguf", &file.bytes(32));
        let weights = Weights::open(&path).unwrap();
        let reader = weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(()));
        assert_eq!(reader.tensor("b.weight", 3).unwrap().to_vec1::<f32>().unwrap(), values(3));
        let error = reader.tensor("a.weight", (2, 32)).unwrap_err();
        assert!(
            error.to_string().ends_with(&format!("'a.weight' is stored as {name}, which is not supported")),
            "{error}"
        );
        assert!(error.hint().contains("gguf"), "{}", error.hint());
    }
}

#[test]
fn leading_ones_that_ggml_drops_are_no_difference_in_shape() {
    let (_folder, path) =
        file("model.gguf", &Gguf::default().tensor("x", &[3, 4], Encoding::F32, &values(12)).bytes(32));
    let weights = Weights::open(&path).unwrap();
    let reader = weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(()));
    assert_eq!(reader.tensor("x", (1, 3, 4)).unwrap().dims(), [1, 3, 4]);
    assert!(matches!(reader.tensor("x", (3, 4, 1)), Err(Error::TensorShape { .. })));
    assert!(matches!(reader.tensor("x", (4, 3)), Err(Error::TensorShape { .. })));
}

#[test]
fn a_pickle_is_refused_with_the_reason_whatever_its_name() {
    let zip = [&b"PK\x03\x04\x00\x00\x08\x08"[..], &[0; 40]].concat();
    let bare = [&b"\x80\x02}q\x00(X\x05\x00\x00\x00"[..], &[0; 40]].concat();
    for bytes in [zip, bare] {
        for name in ["model.ckpt", "model.safetensors"] {
            let (_folder, path) = file(name, &bytes);
            let error = TensorFile::open(&path).err().unwrap();
            assert!(error.to_string().contains(&format!("{name} is a pickled checkpoint")), "{error}");
            assert!(error.hint().contains("pickles are programs"), "{}", error.hint());
        }
    }
    // The length of this header begins like a pickle, and it is none.
    let mut header = br#"{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.to_vec();
    header.resize(0x280, b' ');
    let (_folder, path) = file("x.bin", &[&0x280u64.to_le_bytes()[..], &header, &[7]].concat());
    assert_eq!(TensorFile::open(&path).unwrap().tensors().len(), 1);
}
