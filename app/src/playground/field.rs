//! The named data of the playground: mixtures of Gaussians in the plane, whose flow is known in closed form.

use std::f64::consts::PI;

use flowline_sampler::fields::{Component, Mixture};

use super::Place;
use crate::{Failure, Result};

/// Data with a name.
#[derive(Clone, Debug)]
pub struct Field {
    /// How it is asked for.
    pub name: &'static str,
    /// One line.
    pub meaning: &'static str,
    means: fn() -> Vec<Place>,
    std: f64,
}

/// All of them, the default first.
pub const FIELDS: [Field; 5] = [
    Field { name: "moons", meaning: "two crescents that reach into each other", means: moons, std: 0.09 },
    Field { name: "grid", meaning: "nine clouds in three rows", means: grid, std: 0.14 },
    Field { name: "points", meaning: "five points, nearly without extent", means: points, std: 0.015 },
    Field { name: "ring", meaning: "eight clouds on a circle", means: ring, std: 0.13 },
    Field { name: "spiral", meaning: "one arm that winds outwards", means: spiral, std: 0.07 },
];

/// Clouds along a curve.
const ALONG: usize = 24;

/// Values from 0 to 1, both ends included.
fn along(count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |i| i as f64 / (count - 1) as f64)
}

fn around(angle: f64, radius: f64) -> Place {
    [radius * angle.cos(), radius * angle.sin()]
}

fn moons() -> Vec<Place> {
    let upper = along(ALONG).map(|t| around(PI * t, 1.3)).map(|[x, y]| [x - 0.65, y - 0.35]);
    let lower = along(ALONG).map(|t| around(PI * t, 1.3)).map(|[x, y]| [x + 0.65, 0.35 - y]);
    upper.chain(lower).collect()
}

fn grid() -> Vec<Place> {
    let rows = [-1.4, 0.0, 1.4];
    rows.into_iter().flat_map(|y| rows.into_iter().map(move |x| [x, y])).collect()
}

fn points() -> Vec<Place> {
    (0..5).map(|i| around(PI / 2.0 + f64::from(i) * 2.0 * PI / 5.0, 1.6)).collect()
}

fn ring() -> Vec<Place> {
    (0..8).map(|i| around(f64::from(i) * PI / 4.0, 1.8)).collect()
}

fn spiral() -> Vec<Place> {
    along(2 * ALONG).map(|t| around(0.6 + 3.6 * PI * t.sqrt(), 0.25 + 1.75 * t.sqrt())).collect()
}

impl Field {
    /// The field called `name`.
    ///
    /// # Errors
    /// There is none; the nearest is named.
    pub fn named(name: &str) -> Result<Self> {
        let wanted = name.trim().to_lowercase();
        if let Some(field) = FIELDS.into_iter().find(|field| field.name == wanted) {
            return Ok(field);
        }
        let all: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
        let nearest = all.iter().map(|name| (strsim::damerau_levenshtein(&wanted, name), name)).min();
        let hint = match nearest.filter(|(distance, _)| *distance <= 2) {
            Some((_, nearest)) => format!("did you mean '{nearest}'? there are {}", all.join(", ")),
            None => format!("there are {}", all.join(", ")),
        };
        Err(Failure::usage(format!("there is no field named '{name}'"), hint))
    }

    /// How the data draws particles towards itself.
    ///
    /// # Errors
    /// None in practice; the signature is that of the parts.
    pub fn velocity(&self) -> Result<Mixture> {
        let component = |mean: Place| Component { weight: 1.0, mean: mean.to_vec(), std: self.std };
        Ok(Mixture::new((self.means)().into_iter().map(component).collect())?)
    }

    /// A data point made of two standard normal numbers. The `index`th point lies in a cloud that depends on the index
    /// only, and all clouds are visited equally often (multiples of the golden ratio).
    pub fn point(&self, index: usize, normal: Place) -> Place {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let means = (self.means)();
        let cloud = ((index as f64 * GOLDEN).fract() * means.len() as f64) as usize;
        let mean = means.get(cloud).copied().unwrap_or_default();
        [0, 1].map(|axis| mean[axis] + self.std * normal[axis])
    }
}
