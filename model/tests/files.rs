//! Models by name and by folder: what is found, what is remembered, what is refused.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use flowline_model::weights::{HashCache, ModelFiles, sha256};
use flowline_model::{Error, Pipeline, catalog};

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The error of opening a model, and its hint.
fn refused(model: &str) -> (String, String) {
    match Pipeline::open(model, None) {
        Ok(_) => panic!("{model} was opened"),
        Err(error) => (error.to_string(), error.hint()),
    }
}

/// A copy of the default model's folder.
fn postcard_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard"), folder.path());
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn a_hash_is_remembered_by_path_size_and_time_and_by_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, file) = (folder.path().join("cache"), folder.path().join("weights.safetensors"));
    let write = |text: &str, seconds: u64| {
        fs::write(&file, text).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
    };
    let hash = || HashCache::open(Some(&cache)).sha256(&file).unwrap();
    write("abc", 1000);
    assert_eq!((hash(), sha256(b"abc")), (ABC.to_owned(), ABC.to_owned()));
    // Another content under the same size and time cannot be told: that is the bargain, and shows that it is cached.
    write("abd", 1000);
    assert_eq!(hash(), ABC);
    write("abd", 1001);
    assert_eq!(hash(), sha256(b"abd"));
    write("abcd", 1001);
    assert_eq!(hash(), sha256(b"abcd"));
    fs::write(cache.join("weight-hashes.json"), "{ half a file").unwrap();
    assert_eq!(hash(), sha256(b"abcd"));
    assert_eq!(HashCache::open(None).sha256(&file).unwrap(), sha256(b"abcd"));
    let nowhere = folder.path().join("weights.safetensors").join("cache");
    assert_eq!(HashCache::open(Some(&nowhere)).sha256(&file).unwrap(), sha256(b"abcd"));
}

#[test]
fn model_names_are_unique_and_a_typo_finds_the_nearest() {
    let mut names: Vec<_> = catalog::MODELS.iter().flat_map(|m| [&[m.name], m.aliases].concat()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert_eq!(catalog::find(" Schnell ").unwrap().name, "flux-schnell");
    let (error, hint) = refused("postcrad");
    assert_eq!(error, "there is no model named 'postcrad', and no such folder");
    assert!(hint.starts_with("did you mean 'postcard'?"), "{hint}");
    let (error, hint) = refused("schnell");
    assert_eq!(error, "flux-schnell is not on this machine");
    assert!(hint.starts_with("`flowline models pull flux-schnell` fetches it"), "{hint}");
}

#[test]
fn the_default_model_as_a_folder_is_the_default_model() {
    let folder = postcard_folder();
    let (built_in, from_folder) =
        (Pipeline::open("postcard", None).unwrap(), Pipeline::open(folder.path().to_str().unwrap(), None).unwrap());
    assert_eq!(built_in.spec().record().weights, from_folder.spec().record().weights);
    assert_eq!(from_folder.spec().entry.name, "postcard");
    assert_ne!(from_folder.spec().name, "postcard");
    let parameters = built_in.spec().parameters();
    assert!((14_000_000..16_000_000).contains(&parameters), "{parameters}");
}

#[test]
fn a_folder_that_is_no_model_is_refused_by_what_is_wrong_with_it() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    assert_eq!(refused(path).0, format!("the model folder {path} is empty"));
    let file = empty.path().join("model.ckpt");
    fs::write(&file, "x").unwrap();
    assert!(refused(file.to_str().unwrap()).0.ends_with("model.ckpt is text, not a model"));
    assert_eq!(refused(path).0, "transformer/config.json: the file is missing from the model folder");
    assert!(refused("./no/such/folder").0.starts_with("./no/such/folder: "));

    type Damage = fn(&Path);
    let damages: [(Damage, &str); 9] = [
        (
            |f| fs::write(f.join("transformer/config.json"), r#"{"_class_name": "HunyuanDiT2DModel"}"#).unwrap(),
            "transformer/config.json: 'HunyuanDiT2DModel' is not a transformer this version knows; it knows \
             FluxTransformer2DModel (FLUX.1) and SD3Transformer2DModel (SD3, SD3.5)",
        ),
        (|f| fs::remove_file(f.join("vae/config.json")).unwrap(), "vae/config.json: the file is missing"),
        (|f| fs::write(f.join("model_index.json"), "[").unwrap(), "model_index.json: EOF while parsing"),
        (
            |f| shorten(&f.join(TRANSFORMER), 100_000),
            "transformer/diffusion_pytorch_model.safetensors: the header promises",
        ),
        (
            |f| shorten(&f.join(TRANSFORMER), 20),
            "transformer/diffusion_pytorch_model.safetensors: not a safetensors file",
        ),
        (|f| shorten(&f.join(TRANSFORMER), 0), "transformer/diffusion_pytorch_model.safetensors: the file is empty"),
        (
            |f| overwrite(&f.join(TRANSFORMER), &u64::MAX.to_le_bytes()),
            "transformer/diffusion_pytorch_model.safetensors: not a",
        ),
        (
            |f| overwrite(&f.join("vae/diffusion_pytorch_model.safetensors"), &[0; 64]),
            "vae/diffusion_pytorch_model.safetensors: not a",
        ),
        (|f| fs::write(f.join("vae/preview.json"), r#"{"weight": 3}"#).unwrap(), "vae/preview.json: "),
    ];
    for (damage, expected) in damages {
        let folder = postcard_folder();
        damage(folder.path());
        let (error, hint) = refused(folder.path().to_str().unwrap());
        assert!(error.starts_with(expected), "{error}\nis not\n{expected}");
        assert!(!hint.is_empty());
    }
}

const TRANSFORMER: &str = "transformer/diffusion_pytorch_model.safetensors";

fn shorten(file: &Path, length: u64) {
    File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

fn overwrite(file: &Path, start: &[u8]) {
    let mut bytes = fs::read(file).unwrap();
    bytes[..start.len()].copy_from_slice(start);
    fs::write(file, bytes).unwrap();
}

#[test]
fn weights_that_do_not_fit_the_configuration_name_file_tensor_and_shapes() {
    let cases = [
        ("\"num_layers\": 2", "\"num_layers\": 3", "tensor 'transformer_blocks.2."),
        ("\"num_layers\": 2", "\"num_layers\": 1", "unknown tensor 'transformer_blocks.1."),
        (
            "\"pooled_projection_dim\": 256",
            "\"pooled_projection_dim\": 128",
            "has shape [256, 256], expected [256, 128]",
        ),
    ];
    for (old, new, expected) in cases {
        let folder = postcard_folder();
        let config = folder.path().join("transformer/config.json");
        let text = fs::read_to_string(&config).unwrap();
        assert!(text.contains(old));
        fs::write(&config, text.replace(old, new)).unwrap();
        let mut pipeline = Pipeline::open(folder.path().to_str().unwrap(), None).unwrap();
        let draft = flowline_model::Draft { prompt: "a tent".into(), steps: Some(1), ..Default::default() };
        let request = draft.resolve(pipeline.spec()).unwrap().request;
        let error = pipeline.generate(&request, |_| std::ops::ControlFlow::Continue(())).unwrap_err().to_string();
        assert!(error.starts_with(TRANSFORMER) && error.contains(expected), "{error}");
    }
}

#[test]
fn a_missing_file_is_named_and_nothing_is_read_twice() {
    let folder = postcard_folder();
    let files = ModelFiles::folder(folder.path()).unwrap();
    assert!(matches!(files.read("scheduler/nothing.json"), Err(Error::Config { .. })));
    assert!(files.has("vae/config.json") && !files.has("vae"));
    assert!(files.read("vae").is_err());
}

#[test]
fn the_memory_plan_grows_with_the_picture_and_knows_what_there_is() {
    let pipeline = Pipeline::open("postcard", None).unwrap();
    let plan = |side: u32| {
        let draft = flowline_model::Draft { width: Some(side), height: Some(side), ..Default::default() };
        draft.resolve(pipeline.spec()).unwrap().request.memory_plan(pipeline.spec())
    };
    let (small, large) = (plan(256), plan(1024));
    assert!(large.peak.heap > small.peak.heap && large.decoding > 2 * small.decoding, "{small:?} {large:?}");
    assert!(small.peak.heap < 256 << 20, "{small:?}");
    assert!(small.available.is_none_or(|available| available > 0));
}

#[test]
fn sizes_that_would_overflow_are_refused_by_the_name_of_the_field() {
    let cases = [
        (
            "model_index.json",
            "\"text_length\": 24",
            "\"text_length\": 18446744073709551615",
            "text_length is 184467440737095",
        ),
        (
            "model_index.json",
            "\"text_length\": 24",
            "\"text_length\": 1",
            "text_length is 1; it must be between 2 and 65536",
        ),
        (
            "text_encoder/config.json",
            "\"num_heads\": 4",
            "\"num_heads\": 9223372036854775807",
            "num_heads is 92233720368547758",
        ),
        ("text_encoder/config.json", "\"d_kv\": 64", "\"d_kv\": 0", "d_kv is 0; it must be between 1 and 65536"),
    ];
    for (file, old, new, expected) in cases {
        let folder = postcard_folder();
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file}: {old}");
        fs::write(&path, text.replace(old, new)).unwrap();
        let draft = flowline_model::Draft { steps: Some(1), ..Default::default() };
        let error = Pipeline::open(folder.path().to_str().unwrap(), None).and_then(|mut pipeline| {
            let request = draft.resolve(pipeline.spec())?.request;
            pipeline.generate(&request, |_| std::ops::ControlFlow::Continue(()))
        });
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{file}: {expected}")), "{error}");
    }
}
