//! The normal values of PyTorch's generator on the CPU, so that a seed makes the picture it makes in programs that
//! draw their noise with `torch.randn(.., generator=torch.Generator("cpu").manual_seed(seed))`.
//!
//! # Definition
//! The generator is MT19937 (Matsumoto, Nishimura 1998, doi 10.1145/272991.272995), seeded with the low 32 bits of the
//! seed. A call for `n` values in f32 (pytorch `aten/src/ATen/native/cpu/DistributionTemplates.h`, `normal_fill`)
//!
//! * of 16 or more first draws `u_i = (word mod 2^24) / 2^24` for all of them, then turns each block of 16 into
//!   normals by Box and Muller, element `j` with element `j + 8`:
//!   `r = sqrt(-2 ln(1 - u_j))`, `z_j = r cos(2 pi u_{j+8})`, `z_{j+8} = r sin(2 pi u_{j+8})`.
//!   If `n` is no multiple of 16, the last 16 elements, those of a full block among them, are drawn and turned again;
//! * of fewer than 16 draws them one by one in f64, `u = (two words mod 2^53) / 2^53` twice, cosine first; the sine is
//!   kept for the next such value, across calls.
//!
//! So the first values of a long call are not those of a short one, and noise depends on what was drawn before.
//! Torch computes the logarithms and sines of long calls in f32 by approximations that depend on the processor; these
//! are those of processors with AVX2, on which they agree to the last bit. On others, torch's own values differ from
//! them by a unit or two in the last place.
//!
//! # Keys
//! Sequential noise has no keys, so a key is given a place in the sequence, the place of the programs it is for:
//! [`Stream::INITIAL`] is the first call, and draw `d` of step `i` of [`Stream::SAMPLER`] is call `1 + i draws + d`,
//! where all calls have the same length. Other streams have the [keyed noise](super). A key is therefore still
//! answered the same whatever was asked before.

use std::f64::consts::TAU;

use super::{NoiseKey, Stream, cephes};
use crate::{Error, Noise, Result};

/// The words of MT19937's state.
const WORDS: usize = 624;

/// How far apart the words are that the recurrence combines.
const DISTANCE: usize = 397;

/// The length from which a call is turned in blocks, and the length of a block.
const BLOCK: usize = 16;

/// PyTorch's CPU generator.
#[derive(Clone, Debug, PartialEq)]
pub struct Generator {
    state: [u32; WORDS],
    next: usize,
    /// The sine that a short call left over.
    kept: Option<f64>,
}

impl Generator {
    /// As after `manual_seed(seed)`; only the low 32 bits count.
    pub fn new(seed: u64) -> Self {
        let mut state = [0; WORDS];
        let mut word = seed as u32;
        for (i, slot) in (0_u32..).zip(&mut state) {
            if i > 0 {
                word = 1_812_433_253_u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(i);
            }
            *slot = word;
        }
        Self { state, next: WORDS, kept: None }
    }

    /// The next word of MT19937.
    pub fn word(&mut self) -> u32 {
        if self.next >= WORDS {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C_5680;
        y ^= (y << 15) & 0xEFC6_0000;
        y ^ (y >> 18)
    }

    /// The next [`WORDS`] words of state.
    fn twist(&mut self) {
        for i in 0..WORDS {
            let mixed = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % WORDS] & 0x7FFF_FFFF);
            let odd = if mixed & 1 == 1 { 0x9908_B0DF } else { 0 };
            self.state[i] = self.state[(i + DISTANCE) % WORDS] ^ (mixed >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// Fills `out` as one call of `torch.randn` in f32.
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        if out.len() < BLOCK {
            out.iter_mut().for_each(|value| *value = self.short_normal() as f32);
            return;
        }
        out.iter_mut().for_each(|value| *value = self.uniform());
        out.chunks_exact_mut(BLOCK).for_each(box_muller);
        if !out.len().is_multiple_of(BLOCK) {
            let tail = out.len() - BLOCK;
            if let Some(tail) = out.get_mut(tail..) {
                tail.iter_mut().for_each(|value| *value = self.uniform());
                box_muller(tail);
            }
        }
    }

    /// Goes on as if a call for `count` values had been made.
    pub fn skip_normal(&mut self, count: usize) {
        if count < BLOCK {
            for _ in 0..count {
                self.short_normal();
            }
            return;
        }
        let redrawn = if count.is_multiple_of(BLOCK) { 0 } else { BLOCK };
        for _ in 0..count + redrawn {
            self.word();
        }
    }

    fn uniform(&mut self) -> f32 {
        (self.word() & 0x00FF_FFFF) as f32 / 16_777_216.0
    }

    fn short_normal(&mut self) -> f64 {
        if let Some(kept) = self.kept.take() {
            return kept;
        }
        let mut uniform = || {
            let words = (u64::from(self.word()) << 32) | u64::from(self.word());
            (words & ((1 << 53) - 1)) as f64 / 9_007_199_254_740_992.0
        };
        let (angle, log) = (TAU * uniform(), libm::log1p(-uniform()));
        let radius = libm::sqrt(-2.0 * log);
        self.kept = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }
}

/// 16 uniform values to 16 normal ones.
fn box_muller(block: &mut [f32]) {
    let (first, second) = block.split_at_mut(block.len() / 2);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * cephes::ln(1.0 - *a)).sqrt();
        let [sin, cos] = cephes::sin_cos(std::f32::consts::TAU * *b);
        (*a, *b) = (radius * cos, radius * sin);
    }
}

/// Torch's noise under a key, see the [module's definition](self).
#[derive(Clone, Debug, PartialEq)]
pub struct TorchCpu {
    seed: u64,
    draws: u32,
    /// A generator that stands before a call of the sequence, so that going forward does not start over.
    stands: Option<(u64, usize, Generator)>,
}

impl TorchCpu {
    /// The noise of `seed` for a sampler with one draw a step, as Euler ancestral has.
    pub fn new(seed: u64) -> Self {
        Self { seed, draws: 1, stands: None }
    }

    /// The same for a sampler with `draws` draws a step.
    #[must_use]
    pub fn with_draws(self, draws: u32) -> Self {
        Self { draws, ..self }
    }

    /// Fills `out` with the noise under `key`.
    ///
    /// # Errors
    /// [`Error::Velocity`] if the key is of a draw that this sampler was not said to make.
    pub fn fill_normal(&mut self, key: NoiseKey, out: &mut [f32]) -> Result<()> {
        let call = match key.stream {
            Stream::INITIAL if (key.step, key.draw) == (0, 0) => 0,
            Stream::SAMPLER if key.draw < self.draws => {
                1 + u64::from(key.step) * u64::from(self.draws) + u64::from(key.draw)
            }
            Stream::INITIAL | Stream::SAMPLER => {
                let what = format!("torch's noise has no place for draw {} of step {}", key.draw, key.step);
                return Err(Error::Velocity(what.into()));
            }
            _ => {
                super::fill_normal(self.seed, key, out);
                return Ok(());
            }
        };
        let ahead = self.stands.take().filter(|(stands, length, _)| *stands <= call && *length == out.len());
        let (stands, length, mut generator) = ahead.unwrap_or((0, out.len(), Generator::new(self.seed)));
        (stands..call).for_each(|_| generator.skip_normal(length));
        generator.fill_normal(out);
        self.stands = Some((call + 1, length, generator));
        Ok(())
    }
}

impl Noise<Vec<f64>> for TorchCpu {
    fn normal(&mut self, like: &Vec<f64>, key: NoiseKey) -> Result<Vec<f64>> {
        let mut values = vec![0.0; like.len()];
        self.fill_normal(key, &mut values)?;
        Ok(values.into_iter().map(f64::from).collect())
    }
}
