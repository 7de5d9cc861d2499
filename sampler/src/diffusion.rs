//! How much fresh noise there is along the way.

/// The noise clock `G` of the kappa step: how much of the predicted noise is replaced between two sigmas. See
/// [`crate::exponential`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Diffusion {
    /// None: `g = 0`, `kappa = 1`, the flow itself.
    Ode,
    /// `g^2 = 2 scale sigma^(1 + decay)`: `kappa = (s'/s)^scale` for `decay = 0`, else
    /// `exp(-scale (s^decay - s'^decay) / decay)`. The noise fades towards the data as `decay` grows.
    Power {
        /// Strength, at least 0; 0 is [`Diffusion::Ode`].
        scale: f64,
        /// Exponent, at least 0.
        decay: f64,
    },
    /// `g^2 = 2 eta sigma / (1 - sigma)`: `kappa = e^(-eta h)` with `h` the step in `lambda = ln((1 - s)/s)`. `eta = 1`
    /// is DDPM, the time reversal of the noising process. Nothing is kept of the noise at `sigma = 1`.
    LogSnr {
        /// Strength, at least 0.
        eta: f64,
    },
    /// Down to `s_d = s' (1 + (s'/s - 1) eta)` by the flow, then up again: `kappa = s_d (1 - s') / ((1 - s_d) s')`.
    Ancestral {
        /// From 0 (the flow) to 1.
        eta: f64,
    },
    /// Down to `s_d = max(s' - c (s - s') s', 0)` by the flow, then up again, as [`Diffusion::Ancestral`].
    Overshoot {
        /// Strength, at least 0.
        c: f64,
    },
    /// `kappa^2 = 1 - eta^2 (1 - (l'/l)^2)` with `l = s/(1 - s)`: the ancestral step of the variance-exploding
    /// process, seen from the flow. `eta = 1` is DDPM.
    AncestralRatio {
        /// From 0 (the flow) to 1.
        eta: f64,
    },
    /// `kappa = psi(l') / psi(l)` with `l = s/(1 - s)` and `psi(l) = e^(l^0.3) + 10`.
    ExtendedReverse,
    /// `kappa = sqrt(1 - rho^2)` on every step, however long: not a diffusion, more steps are more noise.
    Refresh {
        /// The part of the noise that is fresh after each step, from 0 to 1.
        rho: f64,
    },
    /// `kappa = 0`: all noise is fresh on every step.
    Renew,
}

impl Diffusion {
    /// `G = int_{next}^{sigma} g^2 / (2 q^2) dq`, at least 0 and infinite where nothing is kept, for
    /// `sigma > next > 0`. For those that are not diffusions, `-ln kappa` of the one step.
    pub fn clock(self, sigma: f64, next: f64) -> f64 {
        match self {
            Self::Ode => 0.0,
            Self::Power { scale, decay } => {
                let span = libm::log(sigma / next);
                // (s^p - s'^p) / p = s'^p (e^(p ln(s/s')) - 1) / p, which tends to ln(s/s') without cancelling.
                let fade = if decay == 0.0 { span } else { libm::pow(next, decay) * libm::expm1(decay * span) / decay };
                scale * fade
            }
            Self::LogSnr { eta: 0.0 } | Self::Ancestral { eta: 0.0 } | Self::AncestralRatio { eta: 0.0 } => 0.0,
            Self::LogSnr { eta } => eta * libm::log(ratio(sigma) / ratio(next)),
            Self::Ancestral { eta } => down_and_up(next * (1.0 + (next / sigma - 1.0) * eta), next),
            Self::Overshoot { c: 0.0 } => 0.0,
            Self::Overshoot { c } => down_and_up((next - c * (sigma - next) * next).max(0.0), next),
            Self::AncestralRatio { eta } => {
                let shrink = ratio(next) / ratio(sigma);
                -0.5 * libm::log1p(-eta * eta * (1.0 - shrink * shrink))
            }
            Self::ExtendedReverse if sigma == 1.0 => f64::INFINITY,
            Self::ExtendedReverse => log_psi(ratio(sigma)) - log_psi(ratio(next)),
            Self::Refresh { rho } => -0.5 * libm::log1p(-rho * rho),
            Self::Renew => f64::INFINITY,
        }
    }

    /// `exp(-G)`: the part of the predicted noise that is kept.
    pub fn kappa(self, sigma: f64, next: f64) -> f64 {
        libm::exp(-self.clock(sigma, next))
    }

    /// Whether no noise is ever drawn.
    pub fn is_ode(self) -> bool {
        match self {
            Self::Ode => true,
            Self::Power { scale: strength, .. }
            | Self::LogSnr { eta: strength }
            | Self::Ancestral { eta: strength }
            | Self::Overshoot { c: strength }
            | Self::AncestralRatio { eta: strength }
            | Self::Refresh { rho: strength } => strength == 0.0,
            Self::ExtendedReverse | Self::Renew => false,
        }
    }

    /// The weight of `E[data | x]` in a first-order step, `(1 - s') - (1 - s)(s'/s) kappa`, written with `1 - kappa`
    /// and without cancelling: `(s - s')/s + (1 - s)(s'/s)(1 - kappa)`.
    pub(crate) fn data_weight(self, sigma: f64, next: f64) -> f64 {
        let replaced = -libm::expm1(-self.clock(sigma, next));
        (sigma - next) / sigma + (1.0 - sigma) * (next / sigma) * replaced
    }
}

/// `l = sigma / (1 - sigma)`, infinite at 1.
pub(crate) fn ratio(sigma: f64) -> f64 {
    sigma / (1.0 - sigma)
}

/// The clock of going down to `down` and up again to `next`.
fn down_and_up(down: f64, next: f64) -> f64 {
    -libm::log(down * (1.0 - next) / ((1.0 - down) * next))
}

/// `ln(e^(l^0.3) + 10)`, without overflow.
fn log_psi(l: f64) -> f64 {
    let a = libm::pow(l, 0.3);
    a + libm::log1p(10.0 * libm::exp(-a))
}
