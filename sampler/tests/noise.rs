//! The noise: its definition, its bits, its statistics.

use flowline_sampler::noise::{fill_normal, normal_at, philox4x32_10};
use flowline_sampler::{Keyed, Noise, NoiseKey, Stream};

fn normals(seed: u64, key: NoiseKey, count: usize) -> Vec<f32> {
    let mut out = vec![0.0; count];
    fill_normal(seed, key, &mut out);
    out
}

fn key(stream: Stream, step: u32, draw: u32) -> NoiseKey {
    NoiseKey { stream, step, draw }
}

#[test]
fn philox_gives_the_known_answers_of_random123() {
    // DEShawResearch/random123 tests/kat_vectors, the three lines of philox4x32 10.
    let answers = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ];
    for (counter, key, answer) in answers {
        assert_eq!(philox4x32_10(counter, key), answer);
    }
}

/// The bits come from an independent implementation of the definition, in Python's integers and `math`.
#[test]
fn the_bits_of_the_noise_never_change() {
    let goldens: [(u64, NoiseKey, [u32; 8]); 3] = [
        (
            42,
            key(Stream::INITIAL, 0, 0),
            [0xbf78_5e5c, 0x3e46_ace8, 0xbf9e_28d2, 0x3ff6_433b, 0xbd95_e030, 0x3e0e_7a0f, 0xbf8d_a733, 0x3ea7_42fd],
        ),
        (
            0xdead_beef_1234_5678,
            key(Stream::SAMPLER, 27, 1),
            [0xbe66_44be, 0xbed7_947a, 0x3ea5_81ad, 0xbfe3_6b9f, 0xbfaa_1a87, 0x3f11_69fe, 0x3ced_9af6, 0x3ebd_a77d],
        ),
        (
            u64::MAX,
            key(Stream::VAE, u32::MAX, 3),
            [0xbfba_97f1, 0x3faa_3618, 0x3e83_8e7d, 0x3e06_b692, 0xbf01_fc7e, 0x3e28_e50f, 0x3f1f_b5fe, 0x3e5a_bd6d],
        ),
    ];
    for (seed, key, golden) in goldens {
        let bits: Vec<u32> = normals(seed, key, 8).iter().map(|value| value.to_bits()).collect();
        assert_eq!(bits, golden, "seed {seed}, {key:?}");
    }
}

/// Before rounding, against the same Python: fine enough to tell `(n + 1/2)/2^32` from its neighbours.
#[test]
fn unrounded_values_agree_with_an_independent_implementation() {
    for (seed, key, golden) in [
        (42, key(Stream::INITIAL, 0, 0), [-0.970_189_790_019_769_1, 0.194_018_955_359_912_37]),
        (0xdead_beef_1234_5678, key(Stream::SAMPLER, 27, 1), [-0.224_871_600_721_038_65, -0.421_054_669_185_631_4]),
        (u64::MAX, key(Stream::VAE, u32::MAX, 3), [-1.457_761_909_058_329_8, 1.329_775_837_097_666_4]),
    ] {
        for (element, golden) in golden.into_iter().enumerate() {
            let value = normal_at(seed, key, element as u64);
            assert!((value - golden).abs() < 1e-14, "{value} for {golden}");
        }
    }
}

#[test]
fn the_first_elements_do_not_depend_on_how_many_follow() {
    let key = NoiseKey::first(Stream::INITIAL);
    let long = normals(7, key, 1003);
    for length in [0, 1, 2, 3, 4, 5, 63, 1001] {
        assert_eq!(normals(7, key, length), long[..length]);
    }
}

#[test]
fn a_single_element_is_the_one_of_the_whole() {
    let key = key(Stream::SAMPLER, 3, 1);
    for (element, value) in normals(11, key, 50).into_iter().enumerate() {
        assert_eq!(normal_at(11, key, element as u64) as f32, value);
    }
}

#[test]
fn the_states_of_tests_get_the_numbers_of_production() {
    let key = key(Stream::SAMPLER, 2, 0);
    let state = Keyed { seed: 5 }.normal(&vec![0.0; 9], key).unwrap();
    assert_eq!(state, normals(5, key, 9).into_iter().map(f64::from).collect::<Vec<_>>());
}

/// A million values; every bound is five standard errors of the statistic, and the outcome is the same every time.
#[test]
fn the_noise_is_standard_normal() {
    let count = 1_000_000;
    let values: Vec<f64> = normals(1, NoiseKey::first(Stream::INITIAL), count).into_iter().map(f64::from).collect();
    let n = count as f64;
    let moment = |power: i32| values.iter().map(|value| value.powi(power)).sum::<f64>() / n;
    // Standard errors: 1/sqrt n, sqrt(2/n), sqrt(15/n), sqrt(96/n) for the first four moments 0, 1, 0, 3.
    for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
        let error = (moment(power) - expected).abs();
        assert!(error < 5.0 * f64::sqrt(variance / n), "moment {power} is off by {error}");
    }
    // Two-sided tails beyond 1, 2, 3, 4 standard deviations.
    for (bound, share) in [(1.0, 0.317_310_5), (2.0, 0.045_500_3), (3.0, 0.002_699_8), (4.0, 6.334e-5)] {
        let beyond = values.iter().filter(|value| value.abs() > bound).count() as f64 / n;
        assert!((beyond - share).abs() < 5.0 * f64::sqrt(share / n), "{beyond} beyond {bound}, expected {share}");
    }
    let largest = values.iter().copied().fold(0.0, f64::max);
    assert!((4.0..6.764).contains(&largest), "{largest}");
}

#[test]
fn neighbours_seeds_streams_steps_and_draws_are_independent() {
    let count = 100_000;
    let base = key(Stream::INITIAL, 1, 1);
    let reference = normals(1, base, count + 4);
    let others = [
        ("the next element", reference[1..].to_vec()),
        ("the element of the next pair", reference[2..].to_vec()),
        ("the next block", reference[4..].to_vec()),
        ("the next seed", normals(2, base, count)),
        ("a seed that differs in its high word", normals(1 + (1 << 32), base, count)),
        ("another stream", normals(1, NoiseKey { stream: Stream::SAMPLER, ..base }, count)),
        ("the next step", normals(1, NoiseKey { step: 2, ..base }, count)),
        ("the next draw", normals(1, NoiseKey { draw: 2, ..base }, count)),
        ("step and draw exchanged", normals(1, key(Stream::INITIAL, 0, 1), count)),
    ];
    for (what, other) in others {
        let products = reference.iter().zip(&other).take(count).map(|(a, b)| f64::from(*a) * f64::from(*b));
        let correlation = products.sum::<f64>() / count as f64;
        // The product of two independent normals has variance 1.
        assert!(correlation.abs() < 5.0 / f64::sqrt(count as f64), "{what}: {correlation}");
        let squares = reference.iter().zip(&other).take(count).map(|(a, b)| (a * a - 1.0) * (b * b - 1.0));
        let correlation = squares.map(f64::from).sum::<f64>() / count as f64;
        assert!(correlation.abs() < 5.0 * 2.0 / f64::sqrt(count as f64), "squares, {what}: {correlation}");
    }
}
