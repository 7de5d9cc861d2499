//! The operations of the image networks against torch and diffusers.

mod parity;

use candle_core::{D, Device, Tensor};
use flowline_model::ops::attention::{attention, attention_within};
use flowline_model::ops::group_norm::GroupNorm;
use flowline_model::ops::rope::Rotary;
use flowline_model::ops::timestep::timestep_embedding;
use parity::{assert_agrees, relative_error, tensors};

#[test]
fn group_norm_agrees_with_torch_on_small_activations() {
    let ops = tensors("ops.safetensors");
    let norm = |eps| GroupNorm::new(ops["norm.w"].clone(), ops["norm.b"].clone(), 4, eps);
    let (x, want) = (&ops["group_norm.x_small"], &ops["group_norm_4_eps1e-6"]);
    assert_agrees("group_norm", &norm(1e-6).forward(x).unwrap(), want);
    assert!(relative_error(&norm(1e-5).forward(x).unwrap(), want) > 1e-3, "the values are small enough to see eps");
}

/// Frequency 12 of 128 is where the reference is not the nearest f32: with the nearest, a time of 1000 is off by 2.9e-5.
#[test]
fn times_are_embedded_like_the_reference_also_where_its_exponential_misses_one_bit() {
    const ROUNDING: f64 = 1.5e-7;
    let ops = tensors("ops.safetensors");
    let times = ops["timestep.t"].to_vec1::<f32>().unwrap();
    let exact: Vec<f64> = times.iter().map(|&t| f64::from(t)).collect();
    assert!(times.contains(&1000.0), "the longest time tells the frequencies best");
    let got = timestep_embedding(&exact, 256, &Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
    let want = ops["timestep_embedding_256"].to_vec2::<f32>().unwrap();
    let pairs = got.iter().flatten().zip(want.iter().flatten());
    let worst = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    println!("timestep_embedding_256: {worst:.1e}");
    assert_eq!(got.len(), want.len());
    assert!(worst <= ROUNDING, "{worst:.1e}");
}

#[test]
fn interleaved_rotations_agree_with_the_reference() {
    let ops = tensors("ops.safetensors");
    let ids: Vec<[f64; 3]> =
        ops["rope.ids"].to_vec2::<f32>().unwrap().iter().map(|id| [0, 1, 2].map(|axis| f64::from(id[axis]))).collect();
    let rotary = Rotary::new(&ids, [4, 6, 6], 10_000.0, &Device::Cpu).unwrap();
    // The reference stores every angle twice, once for each of a pair.
    let twice = |x: &Tensor| Tensor::stack(&[x, x], D::Minus1).unwrap().flatten_from(1).unwrap();
    assert_agrees("cos", &twice(&rotary.cos), &ops["rope_interleaved.cos_theta10000"]);
    assert_agrees("sin", &twice(&rotary.sin), &ops["rope_interleaved.sin_theta10000"]);
    // (b, l, h, d) <-> (b, h, l, d)
    let q = ops["rope.q"].transpose(1, 2).unwrap().contiguous().unwrap();
    let turned = rotary.apply(&q).unwrap().transpose(1, 2).unwrap();
    assert_agrees("out", &turned, &ops["rope_interleaved.out_theta10000"]);
}

#[test]
fn attention_by_blocks_of_queries_is_the_same_attention() {
    let values = |seed: usize, l: usize| {
        let value = |i: usize| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0;
        Tensor::from_vec((0..2 * 3 * l * 16).map(value).collect::<Vec<_>>(), (2, 3, l, 16), &Device::Cpu).unwrap()
    };
    let (q, k, v) = (values(1, 37), values(2, 29), values(3, 29));
    let whole = attention(&q, &k, &v, 0.25).unwrap();
    let bytes_per_query = 2 * 3 * 29 * 4;
    // One query at a time, 5 (and 2 left over), 36 (and 1), all, more than there are.
    for score_bytes in [0, 5 * bytes_per_query, 36 * bytes_per_query, 37 * bytes_per_query, usize::MAX] {
        let blocks = attention_within(&q, &k, &v, 0.25, score_bytes).unwrap();
        let error = relative_error(&blocks, &whole);
        assert!(error <= 1e-6, "{score_bytes} bytes of scores: {error:.1e}");
    }
}
