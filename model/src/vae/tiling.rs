//! In how many pieces an autoencoder works, and what that takes.

use std::fmt;

use serde::Serialize;

use super::VaeConfig;
use super::strips::PIXELS;
use crate::ops::attention::SCORE_BYTES;
use crate::ops::bands::Size;

/// In what pieces a picture is decoded or encoded. The bits are the same: every norm has the statistics of the whole
/// picture, every convolution sees its neighbours, and the middle block, which attends, is never cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tiling {
    /// Whole maps, one operation after the other: the fastest.
    #[default]
    None,
    /// Strips of rows, through all operations between two norms. Of the maps between them at most so many bytes are held;
    /// the others are made again every time a norm looks at them.
    Strips {
        /// Bytes of maps to hold, at least those of [`Tiling::fitting_decode`] for no memory at all.
        held: u64,
    },
}

impl fmt::Display for Tiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("whole"),
            Self::Strips { held } => write!(f, "in strips, holding {} MiB of maps", held >> 20),
        }
    }
}

impl Tiling {
    /// The fastest way to decode a picture of `width` x `height` pixels that needs at most `available` bytes, or, if there
    /// is none, the one that needs least.
    pub fn fitting_decode(config: &VaeConfig, width: u32, height: u32, available: u64) -> Self {
        fitting(&decoder(config, width, height), available)
    }

    /// The same for encoding.
    pub fn fitting_encode(config: &VaeConfig, width: u32, height: u32, available: u64) -> Self {
        fitting(&encoder(config, width, height), available)
    }

    /// The most memory that decoding a picture of `width` x `height` pixels allocates at one time, beside the weights,
    /// bytes.
    pub fn decode_bytes(self, config: &VaeConfig, width: u32, height: u32) -> u64 {
        bytes(&decoder(config, width, height), self)
    }

    /// The same for encoding.
    pub fn encode_bytes(self, config: &VaeConfig, width: u32, height: u32) -> u64 {
        bytes(&encoder(config, width, height), self)
    }
}

/// Keeps account of the maps that are held, and decides which are.
#[derive(Debug)]
pub(super) struct Ledger {
    limit: u64,
    /// Bytes of the map that is held.
    held: u64,
    /// Bytes of strips on the way from it to the rows that are asked for.
    strips: u64,
    peak: u64,
}

/// What a strip of a map of this size takes.
fn strip(size: Size) -> u64 {
    Size { height: PIXELS.div_ceil(size.width.max(1)), ..size }.bytes()
}

impl Ledger {
    /// The account of a map that is there.
    pub(super) fn new(limit: u64, size: Size) -> Self {
        Self { limit, held: size.bytes(), strips: 0, peak: size.bytes() }
    }

    fn step(&mut self, more: u64, output: Size) -> bool {
        self.strips = self.strips.saturating_add(more);
        let fits = output.bytes() <= self.limit;
        let held = if fits { self.held.max(output.bytes()) } else { self.held };
        self.peak = self.peak.max(held.saturating_add(self.strips));
        if fits {
            (self.held, self.strips) = (output.bytes(), 0);
        }
        fits
    }

    /// Whether what a convolution makes is held.
    pub(super) fn map(&mut self, input: Size, output: Size) -> bool {
        self.step(2 * strip(input) + strip(output), output)
    }

    /// Whether what a residual block makes is held.
    pub(super) fn resnet(&mut self, input: Size, output: Size) -> bool {
        self.step(5 * strip(input) + 5 * strip(output), output)
    }

    /// Whether what stands between the two convolutions of a residual block is held beside its input; then the block's
    /// output is held in place of both.
    pub(super) fn middle(&mut self, input: Size, output: Size) -> bool {
        let both = self.held.saturating_add(output.bytes());
        let fits = both <= self.limit;
        if fits {
            let strips = self.strips.saturating_add(4 * strip(input) + 4 * strip(output));
            self.peak = self.peak.max(both.saturating_add(strips));
        }
        fits
    }

    /// That the output of a residual block took the place of its input and its middle.
    pub(super) fn held_middle(&mut self, output: Size) {
        (self.held, self.strips) = (output.bytes(), 0);
    }
}

/// One half of an autoencoder by the sizes of its maps.
struct Half {
    /// The input of the middle block.
    middle: Size,
    /// What comes in, in strips.
    first: Size,
    stages: Vec<Stage>,
    /// What comes out.
    last: Size,
}

/// One operation.
#[derive(Clone, Copy)]
struct Stage {
    resnet: bool,
    input: Size,
    output: Size,
}

fn at(channels: usize, (height, width): (usize, usize)) -> Size {
    Size { channels, height, width }
}

fn sides(width: u32, height: u32, level: usize) -> (usize, usize) {
    (height as usize >> level, width as usize >> level)
}

fn decoder(config: &VaeConfig, width: u32, height: u32) -> Half {
    let channels = &config.block_out_channels;
    let deepest = channels.len().saturating_sub(1);
    let side = |level| sides(width, height, level);
    let (first, mut inputs) = (channels.first().copied().unwrap_or(0), channels.last().copied().unwrap_or(0));
    let middle = at(inputs, side(deepest));
    let mut stages = Vec::new();
    for (level, outputs) in channels.iter().copied().enumerate().rev() {
        for _ in 0..=config.layers_per_block {
            stages.push(Stage { resnet: true, input: at(inputs, side(level)), output: at(outputs, side(level)) });
            inputs = outputs;
        }
        if level > 0 {
            let (input, output) = (at(outputs, side(level)), at(outputs, side(level - 1)));
            stages.push(Stage { resnet: false, input, output });
        }
    }
    let last = at(first.max(3), side(0));
    Half { middle, first: middle, stages, last: Size { channels: 3, ..last } }
}

fn encoder(config: &VaeConfig, width: u32, height: u32) -> Half {
    let channels = &config.block_out_channels;
    let side = |level| sides(width, height, level);
    let mut inputs = channels.first().copied().unwrap_or(0);
    let picture = at(3, side(0));
    let mut stages = vec![Stage { resnet: false, input: picture, output: at(inputs, side(0)) }];
    for (level, outputs) in channels.iter().copied().enumerate() {
        for _ in 0..config.layers_per_block {
            stages.push(Stage { resnet: true, input: at(inputs, side(level)), output: at(outputs, side(level)) });
            inputs = outputs;
        }
        if level + 1 < channels.len() {
            let (input, output) = (at(outputs, side(level)), at(outputs, side(level + 1)));
            stages.push(Stage { resnet: false, input, output });
        }
    }
    let middle = at(inputs, side(channels.len().saturating_sub(1)));
    Half { middle, first: picture, stages, last: middle }
}

/// The middle block: norm, transposed norm, queries, keys, values, attended, output, beside the input, and the scores
/// before and after softmax.
fn middle_bytes(size: Size) -> u64 {
    let pixels = (size.height * size.width) as u64;
    let scores = pixels.saturating_mul(pixels).saturating_mul(4).min(super::SCORES.min(SCORE_BYTES) as u64);
    size.bytes().saturating_mul(8).saturating_add(2 * scores)
}

/// Matrices of the bands that all cores work on. A core that waits for the others inside a product takes on another band
/// meanwhile, so it holds several.
fn bands_bytes() -> u64 {
    const BAND: u64 = 64 << 20;
    BAND * rayon::current_num_threads() as u64
}

fn bytes(half: &Half, tiling: Tiling) -> u64 {
    let maps = match tiling {
        // Input, normed input and output of the first convolution; input, output, normed output and output of the second.
        Tiling::None => half.stages.iter().map(|Stage { resnet, input, output }| match resnet {
            true => {
                let (input, output) = (input.bytes(), output.bytes());
                input.saturating_add(output).saturating_add(input.max(output.saturating_mul(2)))
            }
            false => input.bytes().saturating_add(output.bytes()),
        }),
        Tiling::Strips { held } => return strips_bytes(half, held),
    };
    maps.max()
        .unwrap_or(0)
        .max(middle_bytes(half.middle))
        .saturating_add(half.last.bytes())
        .saturating_add(bands_bytes())
}

fn strips_bytes(half: &Half, limit: u64) -> u64 {
    let mut ledger = Ledger::new(limit, half.first);
    for Stage { resnet, input, output } in half.stages.iter().copied() {
        match resnet {
            true if ledger.middle(input, output) => ledger.held_middle(output),
            true => drop(ledger.resnet(input, output)),
            false => drop(ledger.map(input, output)),
        }
    }
    let end = half.stages.last().map_or(0, |stage| 4 * strip(stage.output));
    let peak = ledger.peak.max(ledger.held.saturating_add(ledger.strips).saturating_add(end));
    peak.max(middle_bytes(half.middle)).saturating_add(half.last.bytes()).saturating_add(bands_bytes())
}

/// The least that must be held for the work not to grow out of hand: what every level but the finest hands on.
fn least(half: &Half) -> u64 {
    let finest = half.stages.iter().map(|stage| stage.input.width.max(stage.output.width)).max().unwrap_or(0);
    let handed_on = half.stages.iter().filter(|stage| stage.output.width < finest);
    handed_on
        .filter(|stage| stage.resnet || stage.output.width < stage.input.width)
        .map(|stage| stage.output.bytes())
        .max()
        .unwrap_or(0)
}

fn fitting(half: &Half, available: u64) -> Tiling {
    let least = least(half);
    // Every sum that decides whether a map is held.
    let sums = half.stages.iter().flat_map(|Stage { input, output, .. }| {
        let (input, output) = (input.bytes(), output.bytes());
        [output, input.saturating_add(output)]
    });
    let mut limits: Vec<u64> = sums.filter(|limit| *limit > least).collect();
    limits.push(least);
    limits.sort_unstable_by(|a, b| b.cmp(a));
    // The fastest first.
    let mut best = (Tiling::None, bytes(half, Tiling::None));
    for tiling in limits.into_iter().map(|held| Tiling::Strips { held }) {
        if best.1 <= available {
            break;
        }
        let needed = bytes(half, tiling);
        if needed < best.1 {
            best = (tiling, needed);
        }
    }
    best.0
}
