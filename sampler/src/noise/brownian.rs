//! A Brownian path in sigma that is the same however many steps are taken along it.
//!
//! # Definition
//! `W` is standard Brownian motion on `[0, 1]`, `W(0) = 0`, made by Levy's construction: its value at 1 and the
//! displacements of the midpoints of all dyadic intervals are independent normals,
//!
//! ```text
//! W(1)                    = n_0
//! W((l + r)/2)            = (W(l) + W(r))/2 + sqrt(r - l)/2 n_{2^d + k},      l = k/2^d,  r = (k + 1)/2^d
//! ```
//!
//! where element `e` of `n_i` is element `e` of the [keyed noise](super) under the seed, [`Stream::BROWNIAN`], `step = i
//! div 2^32` and `draw = i mod 2^32`. Nothing is stored: a value at `sigma` is found by walking down the tree (Li,
//! Wong, Chen, Duvenaud 2020, *Scalable Gradients for Stochastic Differential Equations*, arXiv 2001.01328, section 4;
//! the sampler of crowsonkb/k-diffusion `sampling.py:65-114` is built on one). It depends on seed, element and sigma
//! only. At depth [`DEPTH`] the path is continued as a straight line, so an increment's variance is `|a - b|` within
//! `2^-40`, and increments add up: `B(a, b) + B(b, c) = B(a, c)`.

use super::{Keyed, NoiseKey, Stream, normals};
use crate::{Error, Noise, Result};

/// How often the unit interval is halved.
pub const DEPTH: u32 = 40;

/// A part of the way of a run: sigma falls from `from` to `to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Where it begins, at most 1.
    pub from: f64,
    /// Where it ends, below `from`, at least 0.
    pub to: f64,
}

impl Span {
    /// Its length, if it is one.
    fn length(self) -> Result<f64> {
        let Self { from, to } = self;
        match 0.0 <= to && to < from && from <= 1.0 {
            true => Ok(from - to),
            false => Err(Error::Velocity(format!("sigma does not fall from {from} to {to} inside [0, 1]").into())),
        }
    }
}

/// `W(sigma)` of one element, for `sigma` in `[0, 1]`; outside it is `W(0)` or `W(1)`.
pub fn path_at(seed: u64, sigma: f64, element: u64) -> f64 {
    Descent::to(sigma).values(seed, (element / 4) as u32)[(element % 4) as usize]
}

/// Fills `out` with the elements 0, 1, .. of `(W(from) - W(to)) / sqrt(from - to)`, standard normal values.
///
/// # Errors
/// [`Error::Velocity`] unless `1 >= from > to >= 0`.
pub fn fill_increment(seed: u64, span: Span, out: &mut [f32]) -> Result<()> {
    let scale = 1.0 / libm::sqrt(span.length()?);
    let [from, to] = [span.from, span.to].map(Descent::to);
    for (block, values) in out.chunks_mut(4).enumerate() {
        // The block index wraps after 2^34 elements, as that of all noise.
        let ends = from.values(seed, block as u32).into_iter().zip(to.values(seed, block as u32));
        for (value, (from, to)) in values.iter_mut().zip(ends) {
            *value = (scale * (from - to)) as f32;
        }
    }
    Ok(())
}

/// The way down the tree to one sigma.
struct Descent {
    /// A halving each: its node, the standard deviation of its displacement, and whether the way goes right.
    halvings: Vec<(u64, f64, bool)>,
    /// Where in the last interval sigma lies, 0 at its left end.
    fraction: f64,
}

impl Descent {
    fn to(sigma: f64) -> Self {
        let mut fraction = sigma.clamp(0.0, 1.0);
        let (mut halvings, mut node, mut std) = (Vec::new(), 1_u64, 0.5);
        // An end of the interval is known already.
        while halvings.len() < DEPTH as usize && fraction > 0.0 && fraction < 1.0 {
            let right = fraction >= 0.5;
            halvings.push((node, std, right));
            // Doubling and subtracting 1 are exact.
            fraction = 2.0 * fraction - f64::from(u8::from(right));
            node = 2 * node + u64::from(right);
            std *= std::f64::consts::FRAC_1_SQRT_2;
        }
        Self { halvings, fraction }
    }

    /// `W` there, for the four elements of a block.
    fn values(&self, seed: u64, block: u32) -> [f64; 4] {
        let (mut left, mut right) = ([0.0; 4], normals(seed, node_key(0), block));
        for (node, std, goes_right) in &self.halvings {
            let displacement = normals(seed, node_key(*node), block);
            let middle: [f64; 4] = std::array::from_fn(|i| 0.5 * (left[i] + right[i]) + std * displacement[i]);
            match goes_right {
                true => left = middle,
                false => right = middle,
            }
        }
        std::array::from_fn(|i| left[i] + self.fraction * (right[i] - left[i]))
    }
}

fn node_key(node: u64) -> NoiseKey {
    NoiseKey { stream: Stream::BROWNIAN, step: (node >> 32) as u32, draw: node as u32 }
}

/// The noise of one seed with a Brownian path, for states in f64: [`Noise::normal`] is that of [`Keyed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brownian {
    /// The seed.
    pub seed: u64,
}

impl Noise<Vec<f64>> for Brownian {
    fn normal(&mut self, like: &Vec<f64>, key: NoiseKey) -> Result<Vec<f64>> {
        Keyed { seed: self.seed }.normal(like, key)
    }

    fn increment(&mut self, like: &Vec<f64>, _: NoiseKey, span: Span) -> Result<Vec<f64>> {
        let mut values = vec![0.0; like.len()];
        fill_increment(self.seed, span, &mut values)?;
        Ok(values.into_iter().map(f64::from).collect())
    }
}
