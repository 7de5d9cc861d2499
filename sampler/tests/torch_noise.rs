//! Torch's noise: the numbers that torch itself gave, its sequence, and its keys.

use flowline_sampler::noise::torch::{Generator, TorchCpu};
use flowline_sampler::{Keyed, Noise, NoiseKey, Stream};
use serde_json::Value;

fn fixture(name: &str) -> Vec<f32> {
    let all: Value = serde_json::from_str(include_str!("fixtures/rng_torch_cpu.json")).unwrap();
    all[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

fn randn(seed: u64, count: usize) -> Vec<f32> {
    let mut out = vec![0.0; count];
    Generator::new(seed).fill_normal(&mut out);
    out
}

#[test]
fn the_words_are_those_of_the_mersenne_twister() {
    // The 10000th word of the default seed, as the C++ standard (rand.predef) demands of std::mt19937.
    let mut generator = Generator::new(5489);
    let words: Vec<u32> = (0..10_000).map(|_| generator.word()).collect();
    assert_eq!((words[0], words[9999]), (3_499_211_612, 4_123_659_995));
}

#[test]
fn short_calls_are_torchs_to_the_last_bit() {
    assert_eq!(randn(42, 7), fixture("randn_seed42_7"));
}

/// 89 values of torch on a processor with AVX2.
#[test]
fn long_calls_are_torchs_to_the_last_bit() {
    for (count, name) in [(16, "randn_seed42_16"), (40, "randn_seed42_40"), (17, "randn_f32_seed42_17")] {
        assert_eq!(randn(42, count), fixture(name), "{name}");
    }
    let whole = randn(42, 16 * 8 * 8);
    let ends = [&whole[..8], &whole[1016..]].concat();
    assert_eq!(ends, fixture("randn_seed42_1x16x8x8_first8_last8"));
}

/// FLUX's reference draws in bf16: the same values, rounded.
#[test]
fn torchs_noise_in_bf16_is_the_rounded_one() {
    let rounded = randn(42, 16).into_iter().map(|value| {
        let bits = value.to_bits();
        f32::from_bits((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF_0000)
    });
    assert_eq!(rounded.collect::<Vec<_>>(), fixture("randn_bf16_seed42_16"));
}

/// The approximations against f64: many blocks, all quadrants, both ends of the logarithm.
#[test]
fn long_calls_are_box_muller_within_the_precision_of_f32() {
    let count = 16 * 4096;
    let mut words = Generator::new(3);
    let uniform: Vec<f64> = (0..count).map(|_| f64::from(words.word() & 0x00FF_FFFF) / 16_777_216.0).collect();
    for (block, uniform) in randn(3, count).chunks(16).zip(uniform.chunks(16)) {
        for j in 0..8 {
            let radius = (-2.0 * (1.0 - uniform[j]).ln()).sqrt();
            let (sin, cos) = (std::f64::consts::TAU * uniform[j + 8]).sin_cos();
            for (ours, golden) in [(block[j], radius * cos), (block[j + 8], radius * sin)] {
                // The angle itself is rounded to f32: 2 pi times half a unit.
                assert!((f64::from(ours) - golden).abs() < 5e-7 * radius + 1e-12, "{ours} for {golden}");
            }
        }
    }
}

#[test]
fn calls_go_on_where_the_one_before_stopped() {
    for length in [1, 5, 15, 16, 17, 40, 64] {
        let (mut drawn, mut skipped) = (Generator::new(7), Generator::new(7));
        let (mut first, mut second, mut after) = (vec![0.0; length], vec![0.0; length], vec![0.0; length]);
        drawn.fill_normal(&mut first);
        drawn.fill_normal(&mut second);
        skipped.skip_normal(length);
        skipped.fill_normal(&mut after);
        assert_eq!(second, after, "{length}");
        assert_eq!(drawn, skipped, "{length}");
        assert_ne!(first, second);
    }
    // The sine that a call of odd length leaves over is kept through a long call.
    let mut generator = Generator::new(42);
    let (mut one, mut long, mut rest) = ([0.0; 1], [0.0; 16], [0.0; 1]);
    generator.fill_normal(&mut one);
    generator.fill_normal(&mut long);
    generator.fill_normal(&mut rest);
    assert_eq!([one[0], rest[0]], fixture("randn_seed42_7")[..2]);
}

#[test]
fn only_the_low_half_of_a_seed_counts_as_in_torch() {
    assert_eq!(randn(42 + (1 << 32), 16), randn(42, 16));
    assert_ne!(randn(43, 16), randn(42, 16));
}

fn key(stream: Stream, step: u32, draw: u32) -> NoiseKey {
    NoiseKey { stream, step, draw }
}

#[test]
fn keys_stand_for_the_calls_of_a_run_and_do_not_depend_on_what_was_asked_before() {
    for length in [7, 33] {
        let mut generator = Generator::new(42);
        let calls: Vec<Vec<f64>> = (0..7)
            .map(|_| {
                let mut call = vec![0.0; length];
                generator.fill_normal(&mut call);
                call.into_iter().map(f64::from).collect()
            })
            .collect();
        let like = vec![0.0; length];
        let mut once = TorchCpu::new(42);
        let mut twice = TorchCpu::new(42).with_draws(2);
        assert_eq!(once.normal(&like, NoiseKey::first(Stream::INITIAL)).unwrap(), calls[0]);
        // Forwards, backwards, again, and from the middle as after a restart.
        for step in [0, 1, 5, 2, 2, 0, 4] {
            assert_eq!(once.normal(&like, key(Stream::SAMPLER, step, 0)).unwrap(), calls[1 + step as usize]);
            let fresh = TorchCpu::new(42).normal(&like, key(Stream::SAMPLER, step, 0)).unwrap();
            assert_eq!(fresh, calls[1 + step as usize]);
        }
        for (step, draw) in [(0, 0), (0, 1), (2, 1), (1, 0)] {
            let call = 1 + 2 * step as usize + draw as usize;
            assert_eq!(twice.normal(&like, key(Stream::SAMPLER, step, draw)).unwrap(), calls[call]);
        }
    }
}

#[test]
fn keys_without_a_place_are_refused_and_other_streams_have_the_keyed_noise() {
    let like = vec![0.0; 20];
    let mut torch = TorchCpu::new(42);
    let error = torch.normal(&like, key(Stream::SAMPLER, 3, 1)).unwrap_err();
    assert_eq!(error.to_string(), "torch's noise has no place for draw 1 of step 3");
    assert!(torch.normal(&like, key(Stream::INITIAL, 1, 0)).is_err());
    let vae = NoiseKey::first(Stream::VAE);
    assert_eq!(torch.normal(&like, vae).unwrap(), Keyed { seed: 42 }.normal(&like, vae).unwrap());
}
