//! Multistep methods for the flow and for DDPM's noise: DPM-Solver++ 2M, 3M, 2M SDE, and RES.

use crate::Latent;
use crate::catalog::{About, BuildSampler, Entry, Kind, Parameter, Values};
use crate::diffusion::Diffusion;
use crate::exponential_multistep::{ExponentialMultistep, TwoValues, Variable};
use crate::facts::Bias;
use crate::newton::Quadratic;

/// The parameter that switches the cap of an extrapolating sampler off.
pub(crate) const REFERENCE: Parameter = Parameter {
    key: "reference",
    meaning: "extrapolate as the reference does; its error explodes where the steps grow, as on SD3's schedule",
    kind: Kind::Word { default: "false", options: &["false", "true"] },
};

/// Whether [`REFERENCE`] leaves the cap on.
pub(crate) fn capped(values: &Values) -> bool {
    values.word(REFERENCE.key) == "false"
}

/// DPM-Solver++ 2M.
pub fn dpmpp2m<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "dpmpp2m",
        aliases: &["dpm-solver-multistep", "dpm-solver-pp-2m"],
        ve_names: &[],
        meaning: "extrapolate what the picture will be, in log sigma; the usual choice for SD3.5",
        formula: "x' = (sigma'/sigma) x + (1 - sigma'/sigma) (D + w (D - D_before)), w = min(h/(2 h_before), 1/2), h \
                  = ln(sigma/sigma'); x' = D at sigma' = 0",
        citation: "Lu et al. 2022, arXiv 2211.01095; Stability-AI/sd3.5 sd3_impls.py:353-372 (without the minimum)",
        parameters: &[REFERENCE],
    };
    Entry::sampler(about, |values| {
        let method = ExponentialMultistep::new("dpmpp2m", Variable::LogSigma, 2);
        let (capped, two) = (capped(values), TwoValues::Middle);
        let bias = if capped { Bias::Shrinks } else { Bias::Widens };
        Ok(ExponentialMultistep { two, capped, declared: 1.8, bias, ..method })
    })
}

/// DPM-Solver++ 3M.
pub fn dpmpp3m<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "dpmpp3m",
        aliases: &[],
        ve_names: &[],
        meaning: "as dpmpp2m with two steps before; for 20 steps and more",
        formula: "x' = (sigma'/sigma) x + sigma' int p d(1/q), p the parabola in ln sigma through the last three D, \
                  curvature halved; x' = D at sigma' = 0",
        citation: "Lu et al. 2022, arXiv 2211.01095; crowsonkb/k-diffusion sampling.py:656-702",
        parameters: &[REFERENCE],
    };
    Entry::sampler(about, |values| {
        let method = ExponentialMultistep::new("dpmpp3m", Variable::LogSigma, 3);
        Ok(ExponentialMultistep { quadratic: Quadratic::HalfCurvature, capped: capped(values), ..method })
    })
}

/// RES, the exponential Adams-Bashforth method of two values.
pub fn res<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "res",
        aliases: &["res-multistep", "res-2m"],
        ve_names: &[],
        meaning: "as dpmpp2m with its line integrated exactly",
        formula: "x' = (sigma'/sigma) x + sigma' int p d(1/q), p the line in ln sigma through the last two D; x' = D \
                  at sigma' = 0",
        citation: "Zhang et al. 2023, arXiv 2308.02157; leejet/stable-diffusion.cpp denoiser.hpp:2230-2306",
        parameters: &[REFERENCE],
    };
    Entry::sampler(about, |values| {
        let method = ExponentialMultistep::new("res", Variable::LogSigma, 2);
        Ok(ExponentialMultistep { capped: capped(values), declared: 1.8, bias: Bias::Widens, ..method })
    })
}

/// DPM-Solver++ 2M SDE in the form that is right for flow models.
pub fn dpmpp2m_sde<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "dpmpp2m-sde",
        aliases: &["sde-dpmsolver-pp"],
        ve_names: &["DPM++ 2M SDE", "dpmpp_2m_sde_gpu", "dpm++2m_sde_bt"],
        meaning: "as dpmpp2m with fresh noise, in the form that is right for flow models",
        formula: "x' = (sigma'/sigma) kappa x + c (D + w (D - D_before)) + sigma' sqrt(1 - kappa^2) z, kappa = \
                  e^(-eta h), w = min(h/(2 h_before), 1/2), h the step in lambda = ln((1 - sigma)/sigma); x' = D at \
                  sigma' = 0",
        citation: "Lu et al. 2022, arXiv 2211.01095; diffusers sde-dpmsolver++; ComfyUI sample_dpmpp_2m_sde",
        parameters: &[
            Parameter {
                key: "eta",
                meaning: "how much noise is replaced; 1 is the time reversal of the noising, 0 the flow",
                kind: Kind::Number { default: 1.0, min: 0.0, max: 2.0 },
            },
            REFERENCE,
        ],
    };
    Entry::sampler(about, |values| {
        let method = ExponentialMultistep::new("dpmpp2m-sde", Variable::LogSnr, 2);
        Ok(ExponentialMultistep {
            diffusion: Diffusion::LogSnr { eta: values.number("eta") },
            two: TwoValues::Middle,
            capped: capped(values),
            declared: 1.5,
            bias: Bias::Widens,
            ..method
        })
    })
}
