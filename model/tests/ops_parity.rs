//! Single operations against torch, on values so small (1e-3) that a wrong epsilon shows.

mod parity;

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use flowline_model::ops::activation::{gelu_erf, gelu_tanh, quick_gelu, silu};
use flowline_model::ops::linear::Linear;
use flowline_model::ops::norm::{layer_norm, rms_norm};
use flowline_model::ops::weight::Weight;
use parity::{assert_agrees, relative_error, tensors};

fn ops() -> HashMap<String, Tensor> {
    tensors("ops.safetensors")
}

#[test]
fn activations_agree_with_torch() {
    let ops = ops();
    let x = &ops["act.x"];
    assert_agrees("silu", &silu(x).unwrap(), &ops["silu"]);
    assert_agrees("gelu_tanh", &gelu_tanh(x).unwrap(), &ops["gelu_tanh"]);
    assert_agrees("gelu_erf", &gelu_erf(x).unwrap(), &ops["gelu_erf"]);
    assert_agrees("quick_gelu", &quick_gelu(x).unwrap(), &ops["quick_gelu"]);
}

#[test]
fn the_three_gelus_differ_by_more_than_the_tolerance() {
    let ops = ops();
    let x = &ops["act.x"];
    assert!(relative_error(&gelu_tanh(x).unwrap(), &ops["gelu_erf"]) > parity::TOLERANCE);
    assert!(relative_error(&quick_gelu(x).unwrap(), &ops["gelu_erf"]) > parity::TOLERANCE);
}

#[test]
fn norms_agree_with_torch_on_small_activations() {
    let ops = ops();
    let (x, w, b) = (&ops["norm.x_small"], &ops["norm.w"], &ops["norm.b"]);
    assert_agrees("rms_norm eps 1e-6", &rms_norm(x, w, 1e-6).unwrap(), &ops["rms_norm_eps1e-6"]);
    assert_agrees("rms_norm eps 1e-5", &rms_norm(x, w, 1e-5).unwrap(), &ops["rms_norm_eps1e-5"]);
    assert_agrees("layer_norm", &layer_norm(x, None, 1e-6).unwrap(), &ops["layer_norm_noaffine_eps1e-6"]);
    assert_agrees("layer_norm affine", &layer_norm(x, Some((w, b)), 1e-5).unwrap(), &ops["layer_norm_affine_eps1e-5"]);
}

#[test]
fn layer_norm_survives_a_mean_a_thousand_times_the_spread() {
    let x: Vec<f32> = (0..64).map(|i| 4096.0 + (i % 4) as f32).collect();
    let x = Tensor::from_vec(x, (1, 64), &Device::Cpu).unwrap();
    // Mean 1.5 and variance 1.25 of 0, 1, 2, 3.
    let want: Vec<f64> = (0..64).map(|i| (f64::from(i % 4) - 1.5) / (1.25f64 + 1e-6).sqrt()).collect();
    let want = Tensor::from_vec(want, (1, 64), &Device::Cpu).unwrap();
    assert_agrees("layer_norm, large mean", &layer_norm(&x, None, 1e-6).unwrap(), &want);
}

#[test]
fn a_linear_map_works_on_any_number_of_leading_dimensions_and_on_views() {
    let device = Device::Cpu;
    let weight = Tensor::from_vec(vec![1f32, 2., 3., 4., 5., 6.], (2, 3), &device).unwrap();
    let bias = Tensor::from_vec(vec![10f32, 20.], 2, &device).unwrap();
    let linear = Linear::new(Weight::Dense(weight), Some(bias));
    let x = Tensor::from_vec(vec![1f32, 0., 0., 0., 1., 0.], (1, 2, 3), &device).unwrap();
    let want = Tensor::from_vec(vec![11f32, 24., 12., 25.], (1, 2, 2), &device).unwrap();
    assert_agrees("three dimensions", &linear.forward(&x).unwrap(), &want);
    assert_agrees("two", &linear.forward(&x.squeeze(0).unwrap()).unwrap(), &want.squeeze(0).unwrap());
    let view = x.transpose(1, 2).unwrap().contiguous().unwrap().transpose(1, 2).unwrap();
    assert_agrees("a transposed view", &linear.forward(&view).unwrap(), &want);
    assert!(linear.forward(&want).is_err(), "a wrong width is refused");
}
