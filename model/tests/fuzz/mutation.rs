//! Damaged inputs without end, made of good ones: on stable, with nothing but a seed to repeat them.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Once;
use std::time::{Duration, Instant};

use flowline_model::text::refuses_by_panic;

/// Seconds each target is run for where `FLOWLINE_FUZZ_SECONDS` does not say: enough to see that it runs. CI says more.
const SECONDS: f64 = 2.0;

/// Numbers at which readers stumble.
const EDGES: [u64; 14] = [
    0,
    1,
    2,
    7,
    8,
    31,
    255,
    65_535,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_fff8,
    u64::MAX,
];

/// Damages inputs. The same state makes the same damage.
pub struct Mutation {
    state: u64,
}

impl Mutation {
    /// A number below `bound`, which is above 0 (splitmix64, Steele, Lea & Flood 2014).
    pub fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }

    /// One of `good` with some damage; once in a while with none, which must then be read.
    pub fn of(&mut self, good: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = good[self.below(good.len())].clone();
        for _ in 0..self.below(6) {
            self.damage(&mut bytes, good);
        }
        bytes
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, good: &[Vec<u8>]) {
        if bytes.is_empty() {
            bytes.push(self.below(256) as u8);
            return;
        }
        // Headers are at the front: half of the damage is done there.
        let reach = if self.below(2) == 0 { bytes.len().min(256) } else { bytes.len() };
        let at = self.below(reach);
        let end = (at + 1 + self.below(16)).min(bytes.len());
        match self.below(10) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.below(256) as u8,
            2 | 3 => {
                let edge = EDGES[self.below(EDGES.len())].to_le_bytes();
                let width = [1, 2, 4, 8][self.below(4)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&edge[..width]);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            7 => {
                let other = &good[self.below(good.len())];
                let from = self.below(other.len().max(1)).min(other.len());
                let to = (from + self.below(64)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            // A number written in digits becomes another one.
            8 => {
                let digits = bytes[at..].iter().position(u8::is_ascii_digit).map(|found| at + found);
                if let Some(from) = digits {
                    let length = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                    let edge = EDGES[self.below(EDGES.len())].to_string();
                    bytes.splice(from..from + length, edge.into_bytes());
                }
            }
            _ => {
                let sign = b"{}[]\",:.\\-/\0"[self.below(12)];
                bytes[at] = sign;
            }
        }
    }
}

static QUIET: Once = Once::new();

/// Hands damaged inputs to `read` until the time is over. What it panics on is kept in a file.
pub fn fuzz(target: &str, good: &[Vec<u8>], mut read: impl FnMut(&[u8])) {
    QUIET.call_once(|| {
        let told = panic::take_hook();
        // The reader of tokenizers catches this library's panics; telling each takes longer than the reading.
        panic::set_hook(Box::new(move |info| {
            if !refuses_by_panic() {
                told(info)
            }
        }));
    });
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
    let time = Duration::from_secs_f64(number("FLOWLINE_FUZZ_SECONDS").unwrap_or(SECONDS));
    // Another seed every time, unless one is to be repeated.
    let fresh = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.subsec_nanos());
    let seed = number("FLOWLINE_FUZZ_SEED").map_or(u64::from(fresh), |seed| seed as u64);
    let (mut mutation, clock, mut inputs) = (Mutation { state: seed }, Instant::now(), 0u64);
    // At least some, however slow the machine is.
    while inputs < 50 || clock.elapsed() < time {
        let input = mutation.of(good);
        inputs += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| read(&input))) {
            let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{target}-{seed}-{inputs}"));
            std::fs::write(&kept, &input).unwrap();
            panic!("{target}: {} on input {inputs} of seed {seed}, kept in {}", said(&*panic), kept.display());
        }
    }
    println!("{target}: {inputs} inputs in {:.0} s, seed {seed}", clock.elapsed().as_secs_f64());
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
