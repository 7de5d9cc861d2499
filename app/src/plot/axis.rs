//! Axes: which numbers lie where, which of them are marked, and how they are written.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, KeyPointWeight, Ranged};

/// One direction of a plot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// How numbers are spread.
    pub scale: Scale,
    /// The number at the left or at the bottom.
    pub first: f64,
    /// The number at the right or at the top; it may be smaller.
    pub last: f64,
}

/// How numbers are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps look equal.
    Linear,
    /// Equal factors look equal; all numbers are positive.
    Log,
}

/// The multiples of a power of ten that get a number where there are few powers.
const FEW: [f64; 3] = [1.0, 2.0, 5.0];

impl Axis {
    /// A linear axis.
    pub fn linear(first: f64, last: f64) -> Self {
        Self { scale: Scale::Linear, first, last }
    }

    /// A logarithmic axis over `values`, all positive, with some room at both ends and at least a factor of 4 long.
    pub fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let [low, high] = ends(values).unwrap_or([1.0, 1.0]);
        let grow = (4.0 / (high / low)).max(1.0).sqrt().max((high / low).powf(0.04)).max(1.1);
        Self { scale: Scale::Log, first: low / grow, last: high * grow }
    }

    /// A linear axis from 0, or from below the least of `values`, to above the largest.
    pub fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        let [low, high] = ends(values).unwrap_or([0.0, 1.0]);
        let (low, high) = (low.min(0.0), high.max(0.0));
        let high = if high > low { high + 0.08 * (high - low) } else { low + 1.0 };
        Self::linear(low, high)
    }

    /// A linear axis from a little below the least of `values` to a little above `last`.
    pub fn up_to(last: f64, values: impl IntoIterator<Item = f64>) -> Self {
        let low = ends(values).map_or(last, |[low, _]| low.min(last));
        let room = (0.15 * (last - low)).max(0.01 * last.abs()).max(1e-3);
        Self::linear(low - room, last + 0.4 * room)
    }

    fn sorted(&self) -> [f64; 2] {
        [self.first.min(self.last), self.first.max(self.last)]
    }

    /// Whether `value` lies on the axis.
    pub fn holds(&self, value: f64) -> bool {
        let [low, high] = self.sorted();
        (low..=high).contains(&value)
    }

    /// The numbers that are written, at most about `most` of them.
    pub fn numbers(&self, most: usize) -> Vec<f64> {
        match self.scale {
            Scale::Linear => self.multiples(nice((self.last - self.first).abs() / most.max(1) as f64)),
            Scale::Log => {
                let powers = self.on_decades(&[1.0]);
                match powers.len() {
                    0..3 => self.on_decades(&FEW),
                    n => {
                        // Every second power, every third, .. where there are too many.
                        let every = n.div_ceil(most.max(1)) as i64;
                        let kept = |power: &f64| (power.log10().round() as i64).rem_euclid(every) == 0;
                        powers.into_iter().filter(kept).collect()
                    }
                }
            }
        }
    }

    /// A number of this axis as people write it: a power of ten where there are many of them.
    pub fn written(&self, value: f64) -> String {
        let [low, high] = self.sorted();
        match self.scale {
            Scale::Log if high / low >= 1e3 && !(1e-2..1e5).contains(&low) => power(value),
            Scale::Log | Scale::Linear => plain(value),
        }
    }

    /// The numbers that get a fine line.
    fn fine(&self, most: usize) -> Vec<f64> {
        match self.scale {
            Scale::Linear => self.numbers(most),
            Scale::Log => self.on_decades(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]),
        }
    }

    fn multiples(&self, step: f64) -> Vec<f64> {
        let [low, high] = self.sorted();
        // A hair of room for rounding.
        let hair = 1e-9 * (high - low);
        let (first, last) = (((low - hair) / step).ceil() as i64, ((high + hair) / step).floor() as i64);
        (first..=last).map(|i| i as f64 * step).collect()
    }

    fn on_decades(&self, factors: &[f64]) -> Vec<f64> {
        let [low, high] = self.sorted().map(|end| end.log10().floor() as i32);
        let all = (low..=high).flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
        all.filter(|value| self.holds(*value)).collect()
    }
}

/// The least and the largest.
fn ends(values: impl IntoIterator<Item = f64>) -> Option<[f64; 2]> {
    let mut values = values.into_iter();
    let first = values.next()?;
    Some(values.fold([first; 2], |[low, high], value| [low.min(value), high.max(value)]))
}

/// The least of 1, 2, 5 times a power of ten that is not below `step`.
fn nice(step: f64) -> f64 {
    let power = 10f64.powi(step.log10().floor() as i32);
    FEW.into_iter().map(|factor| factor * power).find(|nice| *nice >= step * 0.999).unwrap_or(10.0 * power)
}

/// `0.25`, `1000`, and a power of ten for what would be long.
fn plain(value: f64) -> String {
    match value == 0.0 || (1e-2..1e5).contains(&value.abs()) {
        true => format!("{}", (value * 1e6).round() / 1e6),
        false => power(value),
    }
}

/// `10⁻³`, `2·10⁻⁵`, and 1 itself.
fn power(value: f64) -> String {
    let exponent = value.abs().log10().floor();
    let factor = (value / 10f64.powf(exponent) * 100.0).round() / 100.0;
    let (factor, exponent) = if factor.abs() >= 10.0 { (factor / 10.0, exponent + 1.0) } else { (factor, exponent) };
    let raised: String = format!("{exponent}").chars().map(superscript).collect();
    match factor {
        1.0 if exponent == 0.0 => "1".into(),
        1.0 => format!("10{raised}"),
        factor => format!("{factor}·10{raised}"),
    }
}

fn superscript(c: char) -> char {
    match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '0' | '4'..='9' => char::from_u32(u32::from('⁰') + u32::from(c) - u32::from('0')).unwrap_or(c),
        other => other,
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (begin, end): (i32, i32)) -> i32 {
        let share = match self.scale {
            Scale::Linear => (value - self.first) / (self.last - self.first),
            Scale::Log => (value / self.first).ln() / (self.last / self.first).ln(),
        };
        begin + (share.clamp(0.0, 1.0) * f64::from(end - begin)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        match hint.weight() {
            KeyPointWeight::Bold => self.numbers(hint.bold_points()),
            KeyPointWeight::Any => self.fine(hint.bold_points()),
        }
    }

    fn range(&self) -> Range<f64> {
        self.first..self.last
    }
}
