//! The built-in samplers and schedules, in display order: what [`crate::catalog`] lists.

use crate::catalog::{About, BuildSchedule, Decorator, Entry, Kind, Parameter, Samplers, Schedules};
use crate::natural_euler::PATH;
use crate::schedule::flux_mu;
use crate::{
    Latent, Measure, Schedule, adaptive, churn, corrector, dpm_solver, euler_cfg, euler_maruyama, exponential,
    exponential_two_stage, linear_multistep, natural_euler, predictor_corrector, runge_kutta, stochastic_multistep,
};

impl<T: Measure> Samplers<T> {
    /// The samplers of this crate. One of them, `adaptive`, asks for norms; the others live on [`Latent`].
    pub fn builtin() -> Self {
        let entries = vec![
            exponential::euler(),
            linear_multistep::ab2(),
            runge_kutta::heun(),
            natural_euler::ddim(),
            runge_kutta::midpoint(),
            runge_kutta::dpm2(),
            exponential_two_stage::res2s(),
            dpm_solver::dpmpp2m(),
            dpm_solver::dpmpp3m(),
            dpm_solver::res(),
            predictor_corrector::unipc(),
            linear_multistep::ab3(),
            linear_multistep::ab4(),
            exponential::langevin(),
            stochastic_multistep::langevin2(),
            exponential::ancestral(),
            exponential::overshoot(),
            exponential::ddpm(),
            dpm_solver::dpmpp2m_sde(),
            exponential_two_stage::dpmpp_sde(),
            exponential_two_stage::seeds2(),
            stochastic_multistep::er_sde(),
            predictor_corrector::sa(),
            churn::churn(),
            euler_maruyama::euler_maruyama(),
            runge_kutta::rk4(),
            adaptive::adaptive(),
            euler_cfg::euler_cfg(),
            exponential::lcm(),
            exponential::noise_refresh(),
        ];
        Self::new("sampler", entries).decorated()
    }
}

/// What can be put around a sampler.
pub(crate) fn decorators<T: Latent>() -> Vec<Decorator<T>> {
    vec![corrector::corrector()]
}

impl Schedules {
    /// The schedules of this crate.
    pub fn builtin() -> Self {
        Self::new("schedule", schedules())
    }
}

/// The schedules of this crate, in display order.
fn schedules() -> Vec<Entry<BuildSchedule>> {
    const SHIFT: Parameter = Parameter {
        key: "shift",
        meaning: "above 1 spends more steps near noise, below 1 near the picture",
        kind: Kind::Number { default: 3.0, min: 0.01, max: 100.0 },
    };
    let uniform = About {
        name: "uniform",
        aliases: &["simple", "normal"],
        meaning: "equal steps in sigma, what FLUX.1 schnell was distilled for",
        formula: "sigma_i = u_i = 1 - i/N",
        citation: "black-forest-labs/flux sampling.py:288-296",
        parameters: &[],
    };
    let shift = About {
        name: "shift",
        aliases: &["shifted"],
        meaning: "the uniform schedule moved towards noise, for larger pictures",
        formula: "sigma = s u/(1 + (s - 1) u)",
        citation: "Esser et al. 2024, arXiv 2403.03206, eq. 23",
        parameters: &[SHIFT],
    };
    let flux = About {
        name: "flux",
        aliases: &["flux-dynamic"],
        meaning: "a shift that grows with the picture, what FLUX.1 dev was trained for",
        formula: "sigma = s u/(1 + (s - 1) u), s = e^mu, mu linear in the image tokens",
        citation: "black-forest-labs/flux sampling.py:277-305",
        parameters: &[
            Parameter {
                key: "base_shift",
                meaning: "mu at 256 image tokens",
                kind: Kind::Number { default: 0.5, min: -5.0, max: 5.0 },
            },
            Parameter {
                key: "max_shift",
                meaning: "mu at 4096 image tokens",
                kind: Kind::Number { default: 1.15, min: -5.0, max: 5.0 },
            },
        ],
    };
    let sd3 = About {
        name: "sd3",
        aliases: &["double-shift"],
        meaning: "the shift applied twice as SD3's reference does, with a last step close to the picture",
        formula: "u from 1 to shift(1/1000) in N points, sigma = shift(u), then 0",
        citation: "Stability-AI/sd3.5 sd3_infer.py:295-303",
        parameters: &[SHIFT],
    };
    let path = About {
        name: "path",
        aliases: &["path-time"],
        meaning: "equal steps in the time of another diffusion's path",
        formula: "sigma = beta(u)/(alpha(u) + beta(u)), sigma_0 = 1",
        citation: "lqiang67/rectified-flow interpolation_convertor.py:46-96",
        parameters: &[PATH],
    };
    vec![
        Entry::schedule(uniform, |_, plan| Schedule::uniform(plan.steps)),
        Entry::schedule(shift, |values, plan| Schedule::uniform(plan.steps)?.shifted(values.number("shift"))),
        Entry::schedule(flux, |values, plan| {
            let mu = flux_mu(plan.image_tokens, values.number("base_shift"), values.number("max_shift"));
            Schedule::flux(plan.steps, mu)
        }),
        Entry::schedule(sd3, |values, plan| Schedule::sd3(plan.steps, values.number("shift"))),
        Entry::schedule(path, |values, plan| Schedule::path(plan.steps, values.word("path").parse()?)),
    ]
}
