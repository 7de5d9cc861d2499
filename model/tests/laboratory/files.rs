//! The file of a kept run: what it holds, and what is refused.

use std::collections::BTreeMap;

use flowline_model::{Draft, Error, Kept, Latents};
use flowline_sampler::catalog::Choice;
use safetensors::SafeTensors;
use serde_json::{Value, json};

use super::{draft, keep, postcard};

/// A run with a memory: of the sampler, and of the guidance.
fn kept() -> Kept {
    let rule = Some("apg:scale=3,momentum=-0.5".parse().unwrap());
    let asked = Draft { sampler: Some(Choice::new("ab2")), rule, ..draft(3) };
    keep(&mut postcard(), &asked).kept().clone()
}

/// A trajectory's file taken apart: its description, and its tensors with their shapes and values.
#[derive(Clone)]
struct Parts {
    text: Value,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

const KEY: &str = "flowline-trajectory";

impl Parts {
    fn of(file: &[u8]) -> Self {
        let (_, metadata) = SafeTensors::read_metadata(file).unwrap();
        let text = serde_json::from_str(&metadata.metadata().as_ref().unwrap()[KEY]).unwrap();
        let tensors = SafeTensors::deserialize(file).unwrap().tensors().into_iter().map(|(name, view)| {
            let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (name, (view.shape().to_vec(), values))
        });
        Self { text, tensors: tensors.collect() }
    }

    fn file(&self) -> Vec<u8> {
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        header.insert("__metadata__".into(), json!({ KEY: self.text.to_string() }));
        for (name, (shape, values)) in &self.tensors {
            let begin = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            let info = json!({ "dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()] });
            header.insert(name.clone(), info);
        }
        let header = Value::Object(header).to_string();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }
}

fn refused(file: &[u8]) -> String {
    let error = Kept::from_bytes(file).map(|kept| kept.taken()).unwrap_err();
    assert!(matches!(error, Error::Trajectory { .. }), "{error:?}");
    assert!(!error.hint().is_empty());
    error.to_string()
}

#[test]
fn a_file_holds_every_latent_and_prediction_once_under_its_name_and_is_written_alike_twice() {
    let kept = kept();
    let file = kept.to_bytes().unwrap();
    assert_eq!(kept.to_bytes().unwrap(), file);
    let parts = Parts::of(&file);
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    for at in 0..=3 {
        let (shape, values) = &parts.tensors[&format!("latents.{at}")];
        assert_eq!(shape, &[1, 8, 4, 4]);
        assert_eq!(bits(values), bits(&kept.state(at).unwrap().x.values().unwrap()));
        assert_eq!(parts.text["states"][at]["sigma"], kept.request.sigmas[at]);
    }
    for step in 1..=3 {
        let denoised = kept.steps[step - 1].denoised.values().unwrap();
        assert_eq!(bits(&parts.tensors[&format!("denoised.{step}")].1), bits(&denoised));
    }
    assert_eq!(parts.text["request"]["seeds"], json!(["7"]));
    // ab2 remembers a velocity a step, apg a difference; the last step, to 0, is the prediction.
    let memories = parts.tensors.keys().filter(|name| name.starts_with("memory.")).count();
    assert!((2..=6).contains(&memories), "{:?}", parts.tensors.keys());
    assert_eq!(Kept::from_bytes(&parts.file()).unwrap().to_bytes().unwrap(), file);
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    let file = kept().to_bytes().unwrap();
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let lengths = (0..64).chain([header - 1, header, header + 1, file.len() - 1]).chain((64..file.len()).step_by(97));
    for length in lengths {
        refused(&file[..length]);
    }
    refused(&[&file[..], b"more"].concat());
}

#[test]
fn a_flipped_byte_is_refused_or_read_as_a_run_of_the_same_shape() {
    let file = kept().to_bytes().unwrap();
    let header = 8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    for at in (0..header).chain((header..file.len()).step_by(61)) {
        for bit in [0x01, 0x20, 0x80] {
            let mut changed = file.clone();
            changed[at] ^= bit;
            match Kept::from_bytes(&changed) {
                Ok(kept) => assert_eq!((kept.taken(), kept.start.x.tensor().dims()), (3, &[1, 8, 4, 4][..])),
                Err(error) => assert!(matches!(error, Error::Trajectory { .. }) && !error.hint().is_empty()),
            }
        }
    }
}

/// A change of a file, and the beginning of what is said about it.
type Damage = (&'static str, fn(&mut Parts));

const DAMAGED: &[Damage] = &[
    ("the trajectory has form 2, this program knows 1", |parts| parts.text["version"] = json!(2)),
    ("the trajectory's description cannot be read", |parts| parts.text["version"] = json!("one")),
    ("the trajectory's description cannot be read", |parts| parts.text = json!(null)),
    ("the trajectory's description cannot be read", |parts| parts.text["more"] = json!(1)),
    ("the trajectory's description cannot be read", |parts| parts.text["request"]["steps"] = json!(-1)),
    ("the trajectory's description cannot be read", |parts| parts.text["states"][1]["sigma"] = json!(null)),
    ("the trajectory's description cannot be read", |parts| parts.text["states"] = json!({})),
    ("the trajectory has 2 seeds, a run has one", |parts| parts.text["request"]["seeds"] = json!(["1", "2"])),
    ("the trajectory has 0 seeds, a run has one", |parts| parts.text["request"]["seeds"] = json!([])),
    ("the trajectory has a wrong schedule: ", |parts| parts.text["request"]["sigmas"] = json!([0.0, 1.0])),
    ("the trajectory holds 4 states for 9 steps and 4 sigmas", |parts| parts.text["request"]["steps"] = json!(9)),
    ("the trajectory holds 4 states for 1 steps and 2 sigmas", |parts| {
        parts.text["request"]["steps"] = json!(1);
        parts.text["request"]["sigmas"] = json!([1.0, 0.0]);
    }),
    ("state 1 of the trajectory is at sigma 0.5, ", |parts| parts.text["states"][1]["sigma"] = json!(0.5)),
    ("state 2 of the trajectory has fewer evaluations", |parts| parts.text["states"][2]["evaluations"] = json!(0)),
    ("the trajectory is empty", |parts| {
        parts.text["states"] = json!([]);
        parts.tensors.clear();
    }),
    ("the trajectory lacks the tensor 'latents.2'", |parts| drop(parts.tensors.remove("latents.2"))),
    ("the trajectory lacks the tensor 'denoised.1'", |parts| drop(parts.tensors.remove("denoised.1"))),
    ("the trajectory lacks the tensor 'nothing'", |parts| {
        parts.text["states"][1]["sampler"]["latents"] = json!(["nothing"]);
    }),
    ("the trajectory has no use for the tensor 'latents.4'", |parts| {
        let last = parts.tensors["latents.3"].clone();
        parts.tensors.insert("latents.4".into(), last);
    }),
    ("the trajectory's tensor 'latents.1' has shape [1, 8, 2, 8], the first has [1, 8, 4, 4]", |parts| {
        parts.tensors.get_mut("latents.1").unwrap().0 = vec![1, 8, 2, 8];
    }),
    ("the trajectory's tensor 'latents.0' has shape [2, 4, 4, 4]", |parts| {
        parts.tensors.values_mut().for_each(|(shape, _)| *shape = vec![2, 4, 4, 4]);
    }),
    ("the trajectory's tensor 'latents.0' has shape [128]; latents have four dimensions", |parts| {
        parts.tensors.get_mut("latents.0").unwrap().0 = vec![128];
    }),
    ("the trajectory's tensor 'latents.1' is empty or holds a value that is not a finite number", |parts| {
        parts.tensors.get_mut("latents.1").unwrap().1[5] = f32::NAN;
    }),
    ("the trajectory's tensor 'denoised.2' is empty or holds a value that is not a finite number", |parts| {
        parts.tensors.get_mut("denoised.2").unwrap().1[0] = f32::INFINITY;
    }),
    ("the trajectory's tensor 'latents.0' is empty", |parts| {
        parts.tensors.insert("latents.0".into(), (vec![1, 8, 0, 4], Vec::new()));
    }),
    ("the trajectory is cut short", |parts| {
        parts.tensors.get_mut("latents.3").unwrap().0 = vec![1 << 20, 1 << 20, 1 << 20, 1 << 20];
    }),
    ("the trajectory's memories hold memories without end", |parts| {
        let deeper = |inner: Value| json!({ "inner": [inner] });
        parts.text["states"][1]["sampler"] = (0..20).fold(json!({}), |inner, _| deeper(inner));
    }),
    ("the trajectory's description cannot be read", |parts| {
        let deeper = |inner: Value| json!({ "inner": [inner] });
        parts.text["states"][1]["sampler"] = (0..100).fold(json!({}), |inner, _| deeper(inner));
    }),
    ("the trajectory's description has ", |parts| parts.text["flowline"] = json!("x".repeat(40 << 20))),
];

#[test]
fn damaged_and_foreign_files_are_refused_each_with_its_reason() {
    let parts = Parts::of(&kept().to_bytes().unwrap());
    for (said, damage) in DAMAGED {
        let mut damaged = parts.clone();
        damage(&mut damaged);
        let message = refused(&damaged.file());
        // A tensor whose shape does not fit its bytes is refused by the reader of safetensors, in its own words.
        let foreign = said.ends_with("cut short") && message.starts_with("the file is no trajectory: not safetensors");
        assert!(message.starts_with(said) || foreign, "{message:?} instead of {said:?}");
    }
    assert_eq!(
        refused(&Latents::flat((8, 4, 4), 0.5).unwrap().save().unwrap()),
        "the file holds tensors, but no trajectory"
    );
    for bytes in [&b""[..], b"\x89PNG\r\n\x1a\n and so on", &[0xff; 64], &[0; 64]] {
        refused(bytes);
    }
}

/// What is wrong with a file for a model can only be told with the model.
#[test]
fn a_run_of_another_model_or_another_size_or_with_memories_of_another_sampler_is_not_gone_on_with() {
    let parts = Parts::of(&kept().to_bytes().unwrap());
    let changed = |change: fn(&mut Parts)| {
        let mut parts = parts.clone();
        change(&mut parts);
        Kept::from_bytes(&parts.file()).unwrap()
    };
    let mut pipeline = postcard();
    let mut held = |kept: Kept| pipeline.hold(kept).unwrap_err().to_string();
    let weights = changed(|parts| parts.text["request"]["model"]["weights"][0]["sha256"] = json!("0".repeat(64)));
    assert_eq!(held(weights), "the trajectory was made with other weights of postcard");
    let model = changed(|parts| {
        parts.text["request"]["model"] = json!({ "name": "flux-dev", "weights": [] });
    });
    assert_eq!(held(model), "the trajectory was made with flux-dev, this is postcard");
    let size = changed(|parts| parts.text["request"]["width"] = json!(96));
    assert_eq!(held(size), "the trajectory's latents have shape [1, 8, 4, 4], its size needs [1, 8, 4, 6]");
    let absurd = changed(|parts| parts.text["request"]["width"] = json!(4_000_000_000_u32));
    assert_eq!(held(absurd), "4000000000 x 64 is too large");
    assert_eq!(pipeline.hold_at(kept(), 4).unwrap_err().to_string(), "the trajectory holds 3 steps, there is no @4");
    let forgetful = changed(|parts| parts.text["states"][1]["sampler"]["numbers"] = json!([0.5, 0.25, 0.1]));
    let request = forgetful.request.clone();
    pipeline.hold_at(forgetful, 1).unwrap();
    let error = pipeline.generate(&request, |_| std::ops::ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().starts_with("the saved state does not fit"), "{error}");
}

#[test]
fn latents_are_saved_and_read_with_their_bits_and_compared_only_in_one_shape() {
    let latents = kept().start.x;
    let back = Latents::read(&latents.save().unwrap()).unwrap();
    assert_eq!((back.values().unwrap(), back.distance(&latents).unwrap()), (latents.values().unwrap(), 0.0));
    let [one, three] = [1.0, 4.0].map(|value| Latents::flat((8, 4, 4), value).unwrap());
    assert_eq!(one.distance(&three).unwrap(), 3.0);
    assert!(one.distance(&Latents::flat((8, 4, 5), 1.0).unwrap()).is_err());
    let nothing = Latents::flat((8, 4, 4), f32::NAN).unwrap().save().unwrap();
    for bytes in [&b"no file"[..], &kept().to_bytes().unwrap(), &nothing] {
        assert!(matches!(Latents::read(bytes), Err(Error::Invalid { .. })));
    }
}
