//! Where the noise of a picture comes from.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;
use flowline_sampler::noise::torch::TorchCpu;
use flowline_sampler::noise::{brownian, fill_normal};
use flowline_sampler::{Env, Latent, Meter, Noise, NoiseKey, Sampler, Schedule, Span, Stream, Velocity, integrate};
use serde::{Deserialize, Serialize};

use crate::latents::foreign;
use crate::{Error, Latents, Result};

/// A source of noise: what a seed means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rng {
    /// Noise under a key: the same whatever was drawn before, see [`flowline_sampler::noise`].
    #[default]
    Flowline,
    /// The same beginning, and on the way the increments of a path that stays when the number of steps changes, see
    /// [`flowline_sampler::noise::brownian`].
    Brownian,
    /// The numbers of PyTorch's generator on the CPU, see [`flowline_sampler::noise::torch`].
    TorchCpu,
}

impl Rng {
    /// All sources, in display order.
    pub const ALL: [Self; 3] = [Self::Flowline, Self::Brownian, Self::TorchCpu];

    /// As it is written on the command line and in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flowline => "flowline",
            Self::Brownian => "brownian",
            Self::TorchCpu => "torch-cpu",
        }
    }

    /// One line for somebody who has never heard of it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Flowline => "every number depends on the seed and its place alone, the same everywhere",
            Self::Brownian => "noise on the way stays the same path when the number of steps changes",
            Self::TorchCpu => "the numbers of PyTorch on the CPU: seeds mean what they mean in ComfyUI and diffusers",
        }
    }
}

impl fmt::Display for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rng {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wanted = text.trim().to_lowercase();
        Self::ALL.into_iter().find(|rng| rng.name() == wanted).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Error::invalid(format!("there is no source of noise named '{text}'"), format!("there are {names}"))
        })
    }
}

/// The noise of one picture.
#[derive(Debug)]
pub(crate) struct PictureNoise {
    rng: Rng,
    seed: u64,
    torch: TorchCpu,
}

impl PictureNoise {
    /// The noise of `seed`, for samplers that draw at most `draws` times a step.
    pub(crate) fn new(rng: Rng, seed: u64, draws: u32) -> Self {
        Self { rng, seed, torch: TorchCpu::new(seed).with_draws(draws) }
    }

    /// The state at sigma 1, `(1, c, h, w)`.
    pub(crate) fn initial(&mut self, (c, h, w): (usize, usize, usize), device: &Device) -> Result<Latents> {
        let mut values = vec![0.0; c * h * w];
        self.fill(NoiseKey::first(Stream::INITIAL), &mut values)?;
        Latents::from_values(values, (1, c, h, w), device)
    }

    fn fill(&mut self, key: NoiseKey, out: &mut [f32]) -> Result<()> {
        match self.rng {
            Rng::Flowline | Rng::Brownian => fill_normal(self.seed, key, out),
            Rng::TorchCpu => self.torch.fill_normal(key, out)?,
        }
        Ok(())
    }
}

impl Noise<Latents> for PictureNoise {
    fn normal(&mut self, like: &Latents, key: NoiseKey) -> flowline_sampler::Result<Latents> {
        like.filled_like(|out| self.fill(key, out)).map_err(foreign)
    }

    fn increment(&mut self, like: &Latents, key: NoiseKey, span: Span) -> flowline_sampler::Result<Latents> {
        match self.rng {
            Rng::Brownian => {
                like.filled_like(|out| Ok(brownian::fill_increment(self.seed, span, out)?)).map_err(foreign)
            }
            Rng::Flowline | Rng::TorchCpu => self.normal(like, key),
        }
    }
}

/// How many times a step of `sampler` along `schedule` draws noise at most: noise that comes in a sequence must know, so
/// that every step finds its place. Found by carrying a single number along in a field that stands still.
pub(crate) fn draws(sampler: &dyn Sampler<Latents>, schedule: Schedule) -> Result<u32> {
    let mut counted = Counted(1);
    let mut go_on = || std::ops::ControlFlow::Continue(());
    let one = Latents::from_values(vec![1.0], (1, 1, 1, 1), &Device::Cpu)?;
    integrate(sampler, schedule, one, &mut Env::new(&mut Still, &mut counted, &mut go_on), |_| {})?;
    Ok(counted.0)
}

/// The largest number of draws of a step so far.
struct Counted(u32);

impl Noise<Latents> for Counted {
    fn normal(&mut self, like: &Latents, key: NoiseKey) -> flowline_sampler::Result<Latents> {
        self.0 = self.0.max(key.draw.saturating_add(1));
        Ok(like.clone())
    }
}

/// The field in which nothing moves.
struct Still;

impl Velocity<Latents> for Still {
    fn velocity(&mut self, x: &Latents, _: f64, _: &mut Meter<'_>) -> flowline_sampler::Result<Latents> {
        Latents::lincomb(&[(0.0, x)])
    }
}
