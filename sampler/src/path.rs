//! Other paths between noise and data.
//!
//! An affine path is `y = alpha data + beta noise` with `(alpha, beta)` from `(0, 1)` at its noisy end, `t = 1`, to
//! `(1, 0)` at `t = 0`. Every one of them is the straight path in other coordinates: with
//!
//! ```text
//! sigma = beta / (alpha + beta),      y = (alpha + beta) x
//! ```
//!
//! the posterior means `D = E[data | y]` and `N = E[noise | y]` are the same as at `(x, sigma)`, so a model trained on
//! the straight path serves them all (lqiang67/rectified-flow `interpolation_convertor.py:46-96`).

use std::f64::consts::FRAC_PI_2;
use std::str::FromStr;

use crate::{Error, Result};

/// Song et al. 2020 (arXiv 2011.13456, appendix C): `beta_min = 0.1`, `beta_max = 20`.
const VP_BETA: [f64; 2] = [0.1, 20.0];

/// An affine path from noise to data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// The straight path of rectified flow: `alpha = 1 - t`, `beta = t`.
    Linear,
    /// The quarter circle: `alpha = cos(pi t / 2)`, `beta = sin(pi t / 2)`.
    Spherical,
    /// The variance-preserving diffusion, on which DDIM was defined:
    /// `alpha = exp(-(20 - 0.1) t^2 / 4 - 0.1 t / 2)`, `beta = sqrt(1 - alpha^2)`. It keeps a trace of the data at
    /// `t = 1` (`alpha = 0.0066`).
    Vp,
}

/// A point of a path, `alpha` and `beta`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// The weight of the data, `alpha`.
    pub data: f64,
    /// The weight of the noise, `beta`.
    pub noise: f64,
}

impl Coefficients {
    /// The sigma of the straight path with the same ratio of data to noise.
    pub fn sigma(self) -> f64 {
        self.noise / self.scale()
    }

    /// `alpha + beta`: how much longer this path's state is than the straight path's.
    pub fn scale(self) -> f64 {
        self.data + self.noise
    }
}

impl Path {
    /// All paths.
    pub const ALL: [Self; 3] = [Self::Linear, Self::Spherical, Self::Vp];

    /// As written in `path=...`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Spherical => "spherical",
            Self::Vp => "vp",
        }
    }

    /// `alpha` and `beta` at time `t` in `[0, 1]`.
    pub fn coefficients(self, t: f64) -> Coefficients {
        match self {
            Self::Linear => Coefficients { data: 1.0 - t, noise: t },
            Self::Spherical => Coefficients { data: libm::cos(FRAC_PI_2 * t), noise: libm::sin(FRAC_PI_2 * t) },
            Self::Vp => {
                let [low, high] = VP_BETA;
                let log_alpha = -(high - low) * t * t / 4.0 - low * t / 2.0;
                // sqrt(1 - alpha^2) without cancelling where alpha is nearly 1.
                Coefficients { data: libm::exp(log_alpha), noise: libm::sqrt(-libm::expm1(2.0 * log_alpha)) }
            }
        }
    }

    /// `d alpha / dt` and `d beta / dt` at time `t`. The second is infinite for [`Path::Vp`] at `t = 0`.
    pub fn rates(self, t: f64) -> Coefficients {
        let Coefficients { data: alpha, noise: beta } = self.coefficients(t);
        match self {
            Self::Linear => Coefficients { data: -1.0, noise: 1.0 },
            Self::Spherical => Coefficients { data: -FRAC_PI_2 * beta, noise: FRAC_PI_2 * alpha },
            Self::Vp => {
                let [low, high] = VP_BETA;
                let alpha_rate = -alpha * ((high - low) * t / 2.0 + low / 2.0);
                Coefficients { data: alpha_rate, noise: -alpha * alpha_rate / beta }
            }
        }
    }

    /// The point of the path that matches `sigma` of the straight one. Spherical and variance-preserving paths are the
    /// same quarter circle `alpha^2 + beta^2 = 1` at different speeds, so no time is needed, and `sigma = 1` is the
    /// circle's end `(0, 1)` even though [`Path::Vp`] stops a little before it.
    pub fn matching(self, sigma: f64) -> Coefficients {
        let radius = match self {
            Self::Linear => 1.0,
            Self::Spherical | Self::Vp => libm::hypot(1.0 - sigma, sigma),
        };
        Coefficients { data: (1.0 - sigma) / radius, noise: sigma / radius }
    }
}

impl FromStr for Path {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|path| path.name().eq_ignore_ascii_case(name.trim())).ok_or_else(|| {
            Error::Parameter {
                owner: "path".into(),
                what: format!("there is no path named '{name}'"),
                hint: format!("path is one of {}", Self::ALL.map(Self::name).join(", ")),
            }
        })
    }
}
