//! Multistep methods for Langevin dynamics and for ER-SDE's noise.

use crate::Latent;
use crate::catalog::{About, BuildSampler, Entry, Kind, Parameter};
use crate::diffusion::Diffusion;
use crate::exponential::{DECAY, SCALE};
use crate::exponential_multistep::{ExponentialMultistep, Variable};
use crate::facts::Bias;
use crate::newton::Quadratic;

/// Langevin dynamics along the flow, of second order.
pub fn langevin2<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "langevin2",
        aliases: &["sde2"],
        ve_names: &[],
        meaning: "langevin with the picture extrapolated from the step before: less contrast is lost",
        formula: "x' = (sigma'/sigma) kappa x + int p dF + sigma' sqrt(1 - kappa^2) z, F(q) = sigma' kappa(q -> \
                  sigma') (1 - q)/q, p the line in sigma through the last two D; x' = D at sigma' = 0",
        citation: "Hochbruck, Ostermann 2010, Exponential integrators; the kappa of langevin",
        parameters: &[SCALE, DECAY],
    };
    Entry::sampler(about, |values| {
        let diffusion = Diffusion::Power { scale: values.number(SCALE.key), decay: values.number(DECAY.key) };
        let method = ExponentialMultistep::new("langevin2", Variable::Sigma, 2);
        Ok(ExponentialMultistep { diffusion, declared: 1.7, bias: Bias::Widens, ..method })
    })
}

/// Extended reverse-time SDE solvers of order 1, 2, 3.
pub fn er_sde<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "er-sde",
        aliases: &["er-sde-solver"],
        ve_names: &[],
        meaning: "fresh noise, strongest at first, with little loss of contrast",
        formula: "x' = (sigma'/sigma) kappa x + int p dF + sigma' sqrt(1 - kappa^2) z, kappa = psi(l')/psi(l), psi(l) \
                  = e^(l^0.3) + 10, p a polynomial in l = sigma/(1 - sigma); x' = D at sigma' = 0",
        citation: "Cui et al. 2023, arXiv 2309.06169; leejet/stable-diffusion.cpp denoiser.hpp:2380-2513",
        parameters: &[Parameter {
            key: "order",
            meaning: "how many values of D are used",
            kind: Kind::Word { default: "3", options: &["1", "2", "3"] },
        }],
    };
    Entry::sampler(about, |values| {
        let (order, declared) = match values.word("order") {
            "1" => (1, 1.0),
            "2" => (2, 1.5),
            _ => (3, 2.0),
        };
        let method = ExponentialMultistep::new("er-sde", Variable::Ratio, order);
        let (diffusion, quadratic) = (Diffusion::ExtendedReverse, Quadratic::LastSlope);
        Ok(ExponentialMultistep { diffusion, quadratic, declared, ..method })
    })
}
