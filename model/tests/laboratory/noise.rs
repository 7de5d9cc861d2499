//! What a seed means: keyed noise, a Brownian path, torch's sequence.

use flowline_model::{Draft, Rng};
use serde_json::Value;

use super::{draft, keep, make, postcard, resolve};

#[test]
fn names_are_read_as_they_are_written_and_others_refused() {
    for rng in Rng::ALL {
        assert_eq!(rng.to_string().parse::<Rng>().unwrap(), rng);
        assert_eq!(serde_json::to_string(&rng).unwrap(), format!("\"{rng}\""));
        assert!(!rng.meaning().is_empty());
    }
    let error = "torch".parse::<Rng>().unwrap_err();
    assert_eq!(error.to_string(), "there is no source of noise named 'torch'");
    assert_eq!(error.hint(), "there are flowline, brownian, torch-cpu");
}

/// `torch.randn((1, 16, 8, 8))` fills memory in order, so its numbers are those of any shape with as many elements.
#[test]
fn with_torchs_noise_a_picture_begins_at_torchs_numbers() {
    let mut pipeline = postcard();
    let size = (Some(256), Some(128));
    let asked = Draft { rng: Some(Rng::TorchCpu), seeds: vec![42], width: size.0, height: size.1, ..draft(1) };
    let start = keep(&mut pipeline, &asked).kept().start.x.clone();
    assert_eq!(start.tensor().dims(), [1, 8, 8, 16]);
    let values = start.values().unwrap();
    let all = include_str!("../../../sampler/tests/fixtures/rng_torch_cpu.json");
    let all: Value = serde_json::from_str(all).unwrap();
    let ends = all["randn_seed42_1x16x8x8_first8_last8"].as_array().unwrap();
    let ends: Vec<f32> = ends.iter().map(|value| value.as_f64().unwrap() as f32).collect();
    assert_eq!([&values[..8], &values[1016..]].concat(), ends);
}

#[test]
fn every_noise_is_repeated_by_its_record_and_only_brownian_noise_keeps_its_path_when_the_steps_change() {
    let mut pipeline = postcard();
    let mut moved = Vec::new();
    for rng in Rng::ALL {
        let run = |steps| Draft {
            rng: Some(rng),
            sampler: Some("langevin:scale=1".parse().unwrap()),
            cfg: Some(1.0),
            seeds: vec![3],
            ..draft(steps)
        };
        let [few, many] = [16, 32].map(|steps| {
            let request = resolve(&pipeline, &run(steps));
            assert_eq!(request.rng, rng);
            let made = make(&mut pipeline, &request);
            assert_eq!(make(&mut postcard(), &made.picture().request).bits(), made.bits(), "{rng}");
            made
        });
        moved.push(few.picture().latents.distance(&many.picture().latents).unwrap());
    }
    println!("16 and 32 steps lie apart by {moved:.3?} with {}", Rng::ALL.map(Rng::name).join(", "));
    assert!(moved[1] < 0.5 * moved[0] && moved[1] < 0.5 * moved[2], "{moved:?}");
}

#[test]
fn without_noise_on_the_way_a_brownian_picture_is_the_keyed_one_and_torchs_is_another() {
    let mut pipeline = postcard();
    let [keyed, brownian, torch] = Rng::ALL.map(|rng| {
        let request = resolve(&pipeline, &Draft { rng: Some(rng), ..draft(2) });
        make(&mut pipeline, &request).bits()
    });
    assert_eq!(keyed, brownian);
    assert_ne!(keyed, torch);
}
