//! What a seed means: keyed noise, a Brownian path, torch's sequence.

use flowline_model::{Draft, Latents, Rng};
use flowline_sampler::catalog::Choice;
use flowline_sampler::noise::brownian::fill_increment;
use flowline_sampler::noise::fill_normal;
use flowline_sampler::noise::torch::TorchCpu;
use flowline_sampler::{Latent, NoiseKey, Span, Stream};
use serde_json::Value;

use super::{bits, draft, keep, make, postcard, resolve};

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

/// Compared at sigma 0.5: from there on a model may decide for one thing or another, and small differences grow.
#[test]
fn every_noise_is_repeated_by_its_record_and_only_brownian_noise_keeps_its_path_when_the_steps_change() {
    const SEEDS: [u64; 3] = [1, 2, 3];
    let mut pipeline = postcard();
    let mut moved = Vec::new();
    for rng in Rng::ALL {
        let [few, many] = [12, 24].map(|steps| {
            let (sampler, cfg) = (Some("langevin:scale=2".parse().unwrap()), Some(1.0));
            let (seeds, stop_after) = (SEEDS.to_vec(), Some(steps / 2));
            let asked = Draft { rng: Some(rng), sampler, cfg, seeds, stop_after, ..draft(steps) };
            assert_eq!(resolve(&pipeline, &asked).rng, rng);
            keep(&mut pipeline, &asked)
        });
        let again = make(&mut postcard(), &few.pictures[2].request);
        assert_eq!(again.bits(), bits(&few.pictures[2]), "{rng}");
        let apart = few.pictures.iter().zip(&many.pictures).map(|(few, many)| {
            let [few, many] = [(few, 6), (many, 12)].map(|(run, at)| run.kept.as_ref().unwrap().state(at).unwrap());
            assert_eq!((few.sigma, many.sigma), (0.5, 0.5));
            few.x.distance(&many.x).unwrap()
        });
        moved.push(apart.sum::<f64>() / SEEDS.len() as f64);
    }
    println!("12 and 24 steps lie apart by {moved:.3?} with {}", Rng::ALL.map(Rng::name).join(", "));
    assert!(moved[1] < 0.5 * moved[0] && moved[1] < 0.5 * moved[2], "{moved:?}");
}

/// A step of lcm is `x' = (1 - s') D + s' z`, so the noise can be read off it.
#[test]
fn a_branch_draws_the_noise_that_follows_its_parents_and_none_of_it_again() {
    let mut pipeline = postcard();
    for rng in Rng::ALL {
        // Two draws a step before the branch, one after it.
        let sampler = Some("ddpm+corrector:k=1".parse().unwrap());
        let parent = keep(&mut pipeline, &Draft { sampler, rng: Some(rng), ..draft(4) });
        pipeline.hold(parent.kept().clone()).unwrap();
        let branch = Draft { sampler: Some(Choice::new("lcm")), ..parent.kept().branch_draft(2).unwrap() };
        let branch = keep(&mut pipeline, &branch);
        let (first, span) = (&branch.kept().steps[0], &branch.kept().request.sigmas[..2]);
        let noise = [(1.0 / span[1], &first.state.x), (1.0 - 1.0 / span[1], &first.denoised)];
        let noise = Latents::lincomb(&noise).unwrap();
        let mut want = vec![0.0; 128];
        let key = NoiseKey { stream: Stream::SAMPLER, step: 2, draw: 0 };
        match rng {
            Rng::Flowline => fill_normal(7, key, &mut want),
            Rng::Brownian => fill_increment(7, Span { from: span[0], to: span[1] }, &mut want).unwrap(),
            Rng::TorchCpu => TorchCpu::new(7).with_draws(2).fill_normal(key, &mut want).unwrap(),
        }
        let far = noise.values().unwrap().iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-5, "{rng}: {far}");
    }
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
