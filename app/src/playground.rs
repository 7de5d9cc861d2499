//! The playground: particles in the plane, carried from noise to data in closed form, without a model.
//!
//! What it shows is the heart of rectified flow (Liu, Gong, Liu 2022, arXiv 2209.03003). Straight lines between noise and
//! data that were paired by chance cross each other. A flow cannot cross itself: its velocity is the mean of all lines
//! through a place, so its paths bend where lines cross. Where a path ends it makes a new pair with the noise it began
//! at, and the lines of these pairs hardly cross any more: a flow fitted to them is nearly straight.

pub mod animation;
pub mod field;
pub mod scene;

use std::ops::ControlFlow;

use flowline_sampler::catalog::{Choice, Plan};
use flowline_sampler::noise::normal_at;
use flowline_sampler::{Env, Noise, NoiseKey, Sampler, Schedule, Stream, Trajectory};

use crate::{Failure, Registry, Result};
use field::Field;

/// The draws that data points are made of; no sampler uses this stream.
const DATA: Stream = Stream(16);

/// The picture's tokens that schedules are made for: 1024 x 1024 pixels of a large model.
pub const TOKENS: usize = 4096;

/// A place in the plane.
pub type Place = [f64; 2];

/// What somebody chose to be carried.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The name of a field.
    pub field: String,
    /// What carries; `None` is the first that is listed.
    pub sampler: Option<Choice>,
    /// The schedule; `None` is what the sampler is meant for, else the uniform one.
    pub schedule: Option<Choice>,
    /// Number of steps.
    pub steps: usize,
    /// How many particles.
    pub particles: usize,
    /// Decides the noise and the data points.
    pub seed: u64,
}

impl Asked {
    /// Carries the particles, with the name of what carries them. `ask` is asked at every evaluation whether to go on.
    ///
    /// # Errors
    /// Unknown names, and those of [`Carried::new`].
    pub fn carry(&self, registry: &Registry, ask: &mut dyn FnMut() -> ControlFlow<()>) -> Result<(Choice, Carried)> {
        let field = Field::named(&self.field)?;
        let samplers = registry.proof_samplers();
        let first = || Choice::new(samplers.iter().map(|about| about.name).next().unwrap_or_default());
        let chosen = self.sampler.clone().unwrap_or_else(first);
        let sampler = samplers.build(&chosen)?;
        let preferred = sampler.preferred_schedule().unwrap_or_else(|| Choice::new("uniform"));
        let schedule = self.schedule.clone().unwrap_or(preferred);
        let schedule = registry.schedules().build(&schedule, Plan { steps: self.steps, image_tokens: TOKENS })?;
        let (particles, seed) = (self.particles, self.seed);
        let carried = Carried::new(&Setup { field: &field, sampler: &*sampler, schedule, particles, seed }, ask)?;
        Ok((chosen, carried))
    }
}

/// What is carried, and how.
pub struct Setup<'a> {
    /// The data.
    pub field: &'a Field,
    /// What carries.
    pub sampler: &'a dyn Sampler<Vec<f64>>,
    /// From noise to data.
    pub schedule: Schedule,
    /// How many.
    pub particles: usize,
    /// Decides the noise and the data points.
    pub seed: u64,
}

/// Particles on their way from noise to data.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// The sigmas of the places along every path.
    pub sigmas: Vec<f64>,
    /// Every particle's path, a place for each sigma.
    pub paths: Vec<Vec<Place>>,
    /// A data point for every particle, chosen without looking at its noise.
    pub data: Vec<Place>,
    /// Evaluations of the field, of all particles together.
    pub evaluations: u64,
}

/// What was measured of particles that were carried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// How straight the paths are; see [`Carried::straightness`].
    pub straightness: f64,
    /// How much the lines of pairs by chance cross; see [`crossing`].
    pub independent: f64,
    /// How much those of noise and where its path ends do.
    pub rectified: f64,
}

/// One particle's share of noise that is drawn for all of them, so that a particle does not depend on how many there are.
struct OfParticle {
    seed: u64,
    particle: usize,
}

impl OfParticle {
    fn place(&self, key: NoiseKey) -> Place {
        [0, 1].map(|axis| normal_at(self.seed, key, (2 * self.particle + axis) as u64))
    }
}

impl Noise<Vec<f64>> for OfParticle {
    fn normal(&mut self, _: &Vec<f64>, key: NoiseKey) -> flowline_sampler::Result<Vec<f64>> {
        Ok(self.place(key).to_vec())
    }
}

impl Carried {
    /// Carries the particles, each on a trajectory of its own. `ask` is asked at every evaluation whether to go on.
    ///
    /// # Errors
    /// Those of the sampler, being cancelled among them, and a particle that leaves the numbers.
    pub fn new(setup: &Setup<'_>, ask: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Self> {
        let mut field = setup.field.velocity()?;
        let mut carried =
            Self { sigmas: setup.schedule.sigmas().to_vec(), paths: Vec::new(), data: Vec::new(), evaluations: 0 };
        for particle in 0..setup.particles {
            let mut noise = OfParticle { seed: setup.seed, particle };
            let start = noise.place(NoiseKey::first(Stream::INITIAL));
            carried.data.push(setup.field.point(particle, noise.place(NoiseKey::first(DATA))));
            let mut env = Env::new(&mut field, &mut noise, ask);
            let mut trajectory = Trajectory::start(setup.sampler, setup.schedule.clone(), start.to_vec())?;
            let mut path = vec![start];
            while trajectory.step(&mut env)?.is_some() {
                match trajectory.x()[..] {
                    [x, y] if x.is_finite() && y.is_finite() => path.push([x, y]),
                    _ => {
                        let hint = "take more steps, or other parameters of the sampler";
                        return Err(Failure::new("a particle left the plane", hint));
                    }
                }
            }
            carried.evaluations += trajectory.evaluations();
            carried.paths.push(path);
        }
        Ok(carried)
    }

    /// The lines between noise and data that were paired by chance.
    pub fn independent(&self) -> Vec<[Place; 2]> {
        self.paths.iter().zip(&self.data).filter_map(|(path, data)| Some([*path.first()?, *data])).collect()
    }

    /// The lines between noise and where its path ends.
    pub fn rectified(&self) -> Vec<[Place; 2]> {
        self.paths.iter().filter_map(|path| Some([*path.first()?, *path.last()?])).collect()
    }

    /// What can be said of all of them.
    pub fn measured(&self) -> Measured {
        let [independent, rectified] = [self.independent(), self.rectified()].map(|lines| crossing(&lines));
        Measured { straightness: self.straightness(), independent, rectified }
    }

    /// How straight the paths are on average: the distance between their ends over their length. 1 is straight.
    pub fn straightness(&self) -> f64 {
        let straight = |path: &Vec<Place>| {
            let length: f64 = path.iter().zip(path.iter().skip(1)).map(|(a, b)| distance(*a, *b)).sum();
            match (path.first(), path.last()) {
                (Some(first), Some(last)) if length > 0.0 => distance(*first, *last) / length,
                _ => 1.0,
            }
        };
        self.paths.iter().map(straight).sum::<f64>() / self.paths.len().max(1) as f64
    }
}

/// When lines are compared, as sigmas.
const MOMENTS: [f64; 9] = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];

/// How much lines cross: the share of their velocities' variance that their place and time leave open, which is 0 where
/// no two lines meet (Liu, Gong, Liu 2022, section 2.2: a coupling is straight if that variance is 0). What is open is
/// half the squared difference to the nearest neighbour's velocity, averaged (Devroye, Schaefer, Gyorfi, Walk 2003).
pub fn crossing(lines: &[[Place; 2]]) -> f64 {
    let velocity = |[noise, data]: &[Place; 2]| [noise[0] - data[0], noise[1] - data[1]];
    let count = lines.len().max(1) as f64;
    let mean = [0, 1].map(|axis| lines.iter().map(|line| velocity(line)[axis]).sum::<f64>() / count);
    let variance = lines.iter().map(|line| distance(velocity(line), mean).powi(2)).sum::<f64>() / count;
    let mut open = 0.0;
    for sigma in MOMENTS {
        let places: Vec<Place> = lines.iter().map(|line| on_line(line, sigma)).collect();
        for (index, (line, place)) in lines.iter().zip(&places).enumerate() {
            let others = lines.iter().zip(&places).enumerate().filter(|(other, _)| *other != index);
            let nearest =
                others.min_by(|(_, (_, a)), (_, (_, b))| distance(*place, **a).total_cmp(&distance(*place, **b)));
            if let Some((_, (neighbour, _))) = nearest {
                open += distance(velocity(line), velocity(neighbour)).powi(2) / 2.0;
            }
        }
    }
    match variance > 0.0 {
        true => (open / (count * MOMENTS.len() as f64) / variance).min(1.0),
        false => 0.0,
    }
}

fn distance(a: Place, b: Place) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// Where a line is at `sigma`: at its noise at 1, at its data at 0.
fn on_line([noise, data]: &[Place; 2], sigma: f64) -> Place {
    [0, 1].map(|axis| sigma * noise[axis] + (1.0 - sigma) * data[axis])
}
