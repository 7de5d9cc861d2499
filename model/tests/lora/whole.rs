//! Whole pictures with adapters: made, recorded, and made again.

use std::fs;

use flowline_model::weights::sha256;
use flowline_model::{Draft, Error, Lora, ModelRecord, Opening, Pipeline, Result};
use tempfile::TempDir;

use super::parity::fixture;
use super::parity::folders::{flux_folder, picture, sd3_folder};
use super::{lora, made};

fn open(folder: &TempDir, loras: Vec<Lora>) -> Result<Pipeline> {
    let cache = Some(folder.path().join("cache"));
    Pipeline::open_as(&Opening { loras, ..Opening::named(folder.path().display().to_string(), cache.as_deref()) })
}

/// The pixels of a picture with these adapters.
fn pixels(folder: &TempDir, loras: Vec<Lora>) -> Vec<u8> {
    picture(&mut open(folder, loras).unwrap()).0.image.into_raw()
}

#[test]
fn each_part_of_a_model_has_its_own_adapters() {
    for (folder, adapters) in [
        (
            flux_folder("flux_dev"),
            vec!["flux_dev/kohya.safetensors", "clip_l/kohya.safetensors", "t5/kohya.safetensors"],
        ),
        (
            sd3_folder("sd3"),
            vec![
                "sd3/authors.safetensors",
                "clip_l/kohya.safetensors",
                "clip_g/kohya.safetensors",
                "t5/kohya.safetensors",
            ],
        ),
    ] {
        let plain = pixels(&folder, Vec::new());
        let all = adapters.iter().map(|file| made(file, 1.0)).collect::<Vec<_>>();
        let mut seen = vec![plain.clone(), pixels(&folder, all)];
        for file in &adapters {
            let one = pixels(&folder, vec![made(file, 1.0)]);
            assert!(!seen.contains(&one), "{file} does nothing");
            assert_eq!(pixels(&folder, vec![made(file, 0.0)]), plain, "{file} at strength 0");
            seen.push(one);
        }
    }
}

#[test]
fn a_record_names_adapters_by_their_hashes_and_opens_them_again() {
    let folder = flux_folder("flux_dev");
    let file = folder.path().join("cats=dogs.safetensors");
    fs::copy(fixture("lora/flux_dev/onetrainer.safetensors"), &file).unwrap();
    let mut pipeline = open(&folder, vec![lora(&file, -0.25), made("flux_dev/peft", 1.0)]).unwrap();
    let (first, _, _) = picture(&mut pipeline);
    let record = first.request.model.clone();
    let [cats, peft] = record.loras.as_slice() else { panic!("{record:?}") };
    assert_eq!((cats.file.as_str(), cats.scale, &cats.config), ("cats=dogs.safetensors", -0.25, &None));
    assert_eq!(cats.sha256, sha256(&fs::read(&file).unwrap()));
    let settings = fs::read(fixture("lora/flux_dev/peft/adapter_config.json")).unwrap();
    assert_eq!((peft.file.as_str(), peft.config.as_deref()), ("adapter_model.safetensors", Some(&*sha256(&settings))));
    let json = serde_json::to_string(&record).unwrap();
    assert!(!json.contains(&*folder.path().to_string_lossy()), "a path of this computer: {json}");
    let read: ModelRecord = serde_json::from_str(&json).unwrap();
    assert_eq!(read, record);

    let again = Opening::recorded(&read, None).loras;
    let (second, _, _) = picture(&mut open(&folder, again.clone()).unwrap());
    assert_eq!(second.image, first.image);
    assert_eq!(second.request.differences(&first.request), [""; 0]);

    // Moved, and seen at its new place.
    let moved = folder.path().join("moved.safetensors");
    fs::rename(&file, &moved).unwrap();
    let Err(error) = open(&folder, again.clone()) else { panic!("the file is gone") };
    assert!(error.to_string().contains(&cats.sha256) && error.to_string().contains(&cats.file), "{error}");
    assert_eq!(error.hint(), "say where it is: --lora path/to/cats=dogs.safetensors=-0.25");
    open(&folder, vec![lora(&moved, 1.0)]).unwrap();
    assert_eq!(picture(&mut open(&folder, again).unwrap()).0.image, first.image);

    // Other adapters, or none, are told.
    let other = open(&folder, vec![lora(&moved, 0.5)]).unwrap();
    let other = Draft { prompt: "x".into(), ..Draft::default() }.resolve(other.spec()).unwrap().request;
    let told = other.differences(&first.request);
    assert!(
        told.iter().any(|told| told.contains("adapter cats=dogs.safetensors") && told.contains("-0.25")),
        "{told:?}"
    );
    assert!(told.iter().any(|told| told.contains("adapter adapter_model.safetensors")), "{told:?}");
    let plain = open(&folder, Vec::new()).unwrap();
    let plain = Draft { prompt: "x".into(), ..Draft::default() }.resolve(plain.spec()).unwrap().request;
    assert!(first.request.differences(&plain).iter().any(|told| told.contains("made with none")));
}

#[test]
fn without_adapters_a_record_is_what_it_always_was() {
    let pipeline = open(&flux_folder("flux_dev"), Vec::new()).unwrap();
    let record = serde_json::to_value(pipeline.spec().record()).unwrap();
    assert_eq!(record.as_object().unwrap().keys().collect::<Vec<_>>(), ["name", "weights"]);
}

#[test]
fn the_memory_plan_counts_adapters_that_work() {
    let folder = flux_folder("flux_dev");
    let draft = Draft { prompt: "x".into(), width: Some(48), height: Some(64), ..Draft::default() };
    let plan = |loras| {
        let pipeline = open(&folder, loras).unwrap();
        draft.resolve(pipeline.spec()).unwrap().request.memory_plan(pipeline.spec())
    };
    let plain = plan(Vec::new());
    let adapted = plan(vec![made("flux_dev/peft", 1.0)]);
    let file = fixture("lora/flux_dev/peft/adapter_model.safetensors");
    let numbers = flowline_model::weights::Weights::open(&file).unwrap().parameters();
    assert_eq!(adapted.transformer.heap, plain.transformer.heap + 4 * numbers);
    assert_eq!(adapted.text_encoders, plain.text_encoders);
    assert_eq!(plan(vec![made("flux_dev/peft", 0.0)]).transformer, plain.transformer);
    assert!(plan(vec![made("clip_l/peft", 1.0)]).text_encoders.heap > plain.text_encoders.heap);
}

#[test]
fn numbers_that_are_none_stop_a_picture_when_they_are_read() {
    let folder = flux_folder("flux_dev");
    let path = folder.path().join("cats.safetensors");
    let module = "transformer.transformer_blocks.0.attn.to_out.0";
    let [down, up] = [format!("{module}.lora_A.weight"), format!("{module}.lora_B.weight")];
    super::write(&path, &[(&down, super::filled(f32::NAN, &[2, 32])), (&up, super::filled(1.0, &[32, 2]))]);
    let mut pipeline = open(&folder, vec![lora(path, 1.0)]).unwrap();
    let request = Draft { prompt: "x".into(), width: Some(48), height: Some(64), ..Draft::default() };
    let request = request.resolve(pipeline.spec()).unwrap().request;
    let error = pipeline.generate(&request, super::parity::quiet).unwrap_err();
    assert!(matches!(&error, Error::Invalid { what, .. } if what.contains(&down)), "{error}");
}
