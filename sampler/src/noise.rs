//! Gaussian noise that is a function of its key, not of the calls before it.
//!
//! # Definition
//! Element `e` of the noise under `(seed, stream, step, draw)` is made of one block of Philox4x32-10 (Salmon, Moraes,
//! Dror, Shaw: *Parallel random numbers: as easy as 1, 2, 3*, SC'11, doi 10.1145/2063384.2063405):
//!
//! ```text
//! key          = [seed mod 2^32, seed div 2^32]
//! counter      = [b, draw, step, stream]          b = e div 4
//! n0 n1 n2 n3  = philox4x32_10(counter, key)
//! ```
//!
//! and of the transform of Box and Muller (1958), computed in f64 by the `libm` crate (a port of FreeBSD's msun, the
//! same bits on every platform), where `u(n) = (n + 1/2) / 2^32` lies strictly between 0 and 1:
//!
//! ```text
//! e mod 4 = 0:  sqrt(-2 ln u(n0)) cos(2 pi u(n1))      e mod 4 = 1:  sqrt(-2 ln u(n0)) sin(2 pi u(n1))
//! e mod 4 = 2:  sqrt(-2 ln u(n2)) cos(2 pi u(n3))      e mod 4 = 3:  sqrt(-2 ln u(n2)) sin(2 pi u(n3))
//! ```
//!
//! rounded to f32. So the first `n` elements do not depend on how many follow, every step and draw has noise of its
//! own, and a run that is interrupted, batched or moved to another device sees the same numbers. A key serves 2^34
//! elements (64 GiB of f32); beyond, they repeat. The largest magnitude is `sqrt(66 ln 2) = 6.76`.
//!
//! Two more kinds of noise are made for a purpose: [`torch`] has the numbers of another program, and [`brownian`] is a
//! path that is the same however many steps are taken along it.

pub mod brownian;
mod cephes;
pub mod torch;

use std::f64::consts::TAU;

use crate::{Noise, Result};

/// What the noise is for. Streams never share numbers, so a sampler's first draw is not the initial latent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stream(pub u32);

impl Stream {
    /// The initial latent of a picture.
    pub const INITIAL: Self = Self(0);
    /// What a stochastic sampler draws on its way.
    pub const SAMPLER: Self = Self(1);
    /// The posterior of an encoded picture.
    pub const VAE: Self = Self(2);
    /// The nodes of the Brownian path, see [`brownian`].
    pub const BROWNIAN: Self = Self(3);
}

/// Which noise: together with the seed it decides every number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    /// What for.
    pub stream: Stream,
    /// The step of the schedule, from 0.
    pub step: u32,
    /// The draw within the step, from 0.
    pub draw: u32,
}

impl NoiseKey {
    /// The first noise of a stream: all the initial latent needs.
    pub const fn first(stream: Stream) -> Self {
        Self { stream, step: 0, draw: 0 }
    }
}

/// Fills `out` with the elements 0, 1, .. under `(seed, key)`. See the [module's definition](self).
pub fn fill_normal(seed: u64, key: NoiseKey, out: &mut [f32]) {
    for (block, values) in out.chunks_mut(4).enumerate() {
        // The block index wraps after 2^34 elements, as documented.
        for (value, normal) in values.iter_mut().zip(normals(seed, key, block as u32)) {
            *value = normal as f32;
        }
    }
}

/// Element `element` under `(seed, key)` before it is rounded to f32.
pub fn normal_at(seed: u64, key: NoiseKey, element: u64) -> f64 {
    normals(seed, key, (element / 4) as u32)[(element % 4) as usize]
}

/// The keyed noise of one seed for states in f64: the tests and `verify` see the numbers production sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed {
    /// The seed.
    pub seed: u64,
}

impl Noise<Vec<f64>> for Keyed {
    fn normal(&mut self, like: &Vec<f64>, key: NoiseKey) -> Result<Vec<f64>> {
        let mut values = vec![0.0; like.len()];
        fill_normal(self.seed, key, &mut values);
        Ok(values.into_iter().map(f64::from).collect())
    }
}

/// The four normals of one block.
fn normals(seed: u64, key: NoiseKey, block: u32) -> [f64; 4] {
    let counter = [block, key.draw, key.step, key.stream.0];
    let [n0, n1, n2, n3] = philox4x32_10(counter, [seed as u32, (seed >> 32) as u32]);
    let [a, b] = box_muller(n0, n1);
    let [c, d] = box_muller(n2, n3);
    [a, b, c, d]
}

/// Two words to two independent standard normals.
fn box_muller(n0: u32, n1: u32) -> [f64; 2] {
    let uniform = |n: u32| (f64::from(n) + 0.5) / 4_294_967_296.0;
    let radius = libm::sqrt(-2.0 * libm::log(uniform(n0)));
    let angle = TAU * uniform(n1);
    [radius * libm::cos(angle), radius * libm::sin(angle)]
}

/// Philox4x32-10: ten rounds that turn a counter and a key into four random words (Salmon et al. 2011, section 4.3;
/// constants as in Random123 `philox.h`).
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    let high_low = |a: u32, b: u32| {
        let product = u64::from(a) * u64::from(b);
        ((product >> 32) as u32, product as u32)
    };
    let ([mut c0, mut c1, mut c2, mut c3], [mut k0, mut k1]) = (counter, key);
    for _ in 0..10 {
        let (high0, low0) = high_low(MULTIPLIERS[0], c0);
        let (high1, low1) = high_low(MULTIPLIERS[1], c2);
        [c0, c1, c2, c3] = [high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0];
        [k0, k1] = [k0.wrapping_add(WEYL[0]), k1.wrapping_add(WEYL[1])];
    }
    [c0, c1, c2, c3]
}
