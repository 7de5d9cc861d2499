//! The sinusoidal embedding of a time.

use candle_core::{Device, Tensor};

use crate::Result;

/// Longest period, in steps of the 0..1000 scale.
const MAX_PERIOD: f64 = 10_000.0;
/// Of how many frequencies which one is not the f32 nearest to its value, but the next above. The exact value lies 0.479
/// of a last place above the nearest, and torch's exponential misses by that little; at t = 1000 it turns the angle by
/// 3e-5, which was most of what whole pipelines differed by from the reference.
const NEXT_ABOVE: (usize, usize) = (128, 12);

/// \[cos(t f_i), sin(t f_i)\] with f_i = 10000^(-i / (d/2)), i = 0 .. d/2 (Ho et al. 2020,
/// <https://arxiv.org/abs/2006.11239>, after Vaswani et al. 2017; cosines first as black-forest-labs/flux
/// `layers.py:28-50`). `times` are on the 0..1000 scale; the result is (n, `width`), and `width` is even.
///
/// # Errors
/// [`crate::Error::Tensor`] if the device refuses.
pub fn timestep_embedding(times: &[f64], width: usize, device: &Device) -> Result<Tensor> {
    let half = width / 2;
    // Frequencies and angles are rounded to f32 as the references round them: with t = 1000 that moves an angle by up to
    // 6e-5, and the networks have seen no other angles.
    let exponent = |i: usize| -MAX_PERIOD.ln() as f32 * i as f32 / half as f32;
    let frequency = |i: usize| {
        let nearest = f64::from(exponent(i)).exp() as f32;
        if (half, i) == NEXT_ABOVE { nearest.next_up() } else { nearest }
    };
    let frequencies: Vec<f32> = (0..half).map(frequency).collect();
    let mut values = Vec::with_capacity(times.len() * 2 * half);
    for &t in times {
        let angles = || frequencies.iter().map(move |frequency| f64::from(t as f32 * frequency));
        values.extend(angles().map(|angle| angle.cos() as f32));
        values.extend(angles().map(|angle| angle.sin() as f32));
    }
    Ok(Tensor::from_vec(values, (times.len(), 2 * half), device)?)
}
