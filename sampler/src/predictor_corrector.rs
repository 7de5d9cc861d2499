//! Multistep methods that take each step twice at no further cost: UniPC and SA-Solver.

use crate::Latent;
use crate::catalog::{About, BuildSampler, Entry, Kind, Parameter};
use crate::diffusion::Diffusion;
use crate::dpm_solver::{REFERENCE, capped};
use crate::exponential_multistep::{Ending, ExponentialMultistep, TwoValues, Variable};
use crate::facts::Bias;

/// UniPC with its second `B(h)`.
pub fn unipc<T: Latent>() -> Entry<BuildSampler<T>> {
    let about = About {
        name: "unipc",
        aliases: &["uni-pc-bh2", "unipc-multistep"],
        ve_names: &[],
        meaning: "extrapolate as dpmpp2m, then mend the step with what was found at its end, for free",
        formula: "predict with p values of D, evaluate, take the step again with p + 1; polynomials in lambda = ln((1 \
                  - sigma)/sigma); x' = D at sigma' = 0",
        citation: "Zhao et al. 2023, arXiv 2302.04867; diffusers scheduling_unipc_multistep.py:833-1097",
        parameters: &[
            Parameter {
                key: "order",
                meaning: "how many values the prediction uses",
                kind: Kind::Word { default: "2", options: &["2", "3"] },
            },
            REFERENCE,
        ],
    };
    Entry::sampler(about, |values| {
        let order = if values.word("order") == "3" { 3 } else { 2 };
        let method = ExponentialMultistep::new("unipc", Variable::LogSnr, order);
        let (two, ending) = (TwoValues::Middle, Ending::Lowered);
        let capped = capped(values);
        let bias = if order == 2 && !capped { Bias::Widens } else { Bias::Shrinks };
        Ok(ExponentialMultistep { two, ending, corrector: true, capped, bias, ..method })
    })
}

/// SA-Solver: predictor of order 3, corrector of order 4, with noise inside an interval of sigmas.
pub fn sa<T: Latent>() -> Entry<BuildSampler<T>> {
    const PARAMETERS: &[Parameter] = &[
        Parameter {
            key: "tau",
            meaning: "how much noise is replaced; 1 is the time reversal of the noising, 0 the flow",
            kind: Kind::Number { default: 1.0, min: 0.0, max: 2.0 },
        },
        Parameter {
            key: "from",
            meaning: "the largest sigma that is reached with fresh noise",
            kind: Kind::Number { default: 0.8, min: 0.0, max: 1.0 },
        },
        Parameter {
            key: "to",
            meaning: "the smallest sigma that is reached with fresh noise",
            kind: Kind::Number { default: 0.2, min: 0.0, max: 1.0 },
        },
    ];
    let about = About {
        name: "sa",
        aliases: &["sa-solver"],
        ve_names: &[],
        meaning: "fresh noise in the middle of the way, with a correction that keeps the picture sharp",
        formula: "predict with 3 values of D, evaluate, take the step again with 4 and the same noise; kappa = \
                  e^(-tau^2 h), polynomials in lambda = ln((1 - sigma)/sigma); x' = D at sigma' = 0",
        citation: "Xue et al. 2023, arXiv 2309.05019; ComfyUI sample_sa_solver",
        parameters: PARAMETERS,
    };
    Entry::sampler(about, |values| {
        let (tau, noisy) = (values.number("tau"), [values.number("to"), values.number("from")]);
        let method = ExponentialMultistep::new("sa", Variable::LogSnr, 3);
        let (diffusion, ending) = (Diffusion::LogSnr { eta: tau * tau }, Ending::LoweredEarly);
        Ok(ExponentialMultistep { diffusion, noisy, ending, corrector: true, ..method })
    })
}
