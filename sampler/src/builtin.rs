//! The built-in samplers and schedules, in display order: what [`crate::catalog`] lists.

use crate::catalog::{About, BuildSchedule, Entry, Kind, Parameter, Plan, Samplers, Schedules, Values};
use crate::natural_euler::PATH;
use crate::schedule::{curve, density, flux_mu, flux2_mu, mu_on_line, ramp};
use crate::{
    Measure, Result, Schedule, adaptive, churn, corrector, dpm_solver, euler_cfg, euler_maruyama, exponential,
    exponential_two_stage, linear_multistep, natural_euler, predictor_corrector, runge_kutta, stochastic_multistep,
};

impl<T: Measure> Samplers<T> {
    /// The samplers of this crate. One of them, `adaptive`, asks for norms; the others live on [`crate::Latent`].
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
        let mut samplers = Self::new("sampler", entries);
        samplers.decorate(corrector::corrector());
        samplers
    }
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
        ve_names: &[],
        meaning: "equal steps in sigma, what FLUX.1 schnell was distilled for",
        formula: "sigma_i = u_i = 1 - i/N",
        citation: "black-forest-labs/flux sampling.py:288-296",
        parameters: &[],
    };
    let shift = About {
        name: "shift",
        aliases: &["shifted"],
        ve_names: &[],
        meaning: "the uniform schedule moved towards noise, for larger pictures",
        formula: "sigma = s u/(1 + (s - 1) u)",
        citation: "Esser et al. 2024, arXiv 2403.03206, eq. 23",
        parameters: &[SHIFT],
    };
    const fn mu(key: &'static str, meaning: &'static str, default: f64) -> Parameter {
        Parameter { key, meaning, kind: Kind::Number { default, min: -5.0, max: 5.0 } }
    }
    const fn terminal(default: f64) -> Parameter {
        let kind = Kind::Number { default, min: 0.001, max: 0.99 };
        Parameter { key: "terminal", meaning: "the last sigma before 0", kind }
    }
    let flux = About {
        name: "flux",
        aliases: &["flux-dynamic"],
        ve_names: &[],
        meaning: "a shift that grows with the picture, what FLUX.1 dev was trained for",
        formula: "sigma = s u/(1 + (s - 1) u), s = e^mu, mu linear in the image tokens",
        citation: "black-forest-labs/flux sampling.py:277-305",
        parameters: const {
            &[mu("base_shift", "mu at 256 image tokens", 0.5), mu("max_shift", "mu at 4096 image tokens", 1.15)]
        },
    };
    let linear_shift = About {
        name: "linear-shift",
        aliases: &["flux-linear"],
        ve_names: &[],
        meaning: "a shift that grows in proportion to the picture, milder than flux",
        formula: "sigma = mu/(mu + 1/u - 1), mu linear in the image tokens",
        citation: "diffusers scheduling_flow_match_euler_discrete.py:649, time_shift_type linear",
        parameters: &[
            Parameter {
                key: "base_shift",
                meaning: "the shift at 256 image tokens",
                kind: Kind::Number { default: 0.5, min: 0.01, max: 100.0 },
            },
            Parameter {
                key: "max_shift",
                meaning: "the shift at 4096 image tokens",
                kind: Kind::Number { default: 1.15, min: 0.01, max: 100.0 },
            },
        ],
    };
    let flux2 = About {
        name: "flux2",
        aliases: &["flux2-dynamic"],
        ve_names: &[],
        meaning: "a shift fitted to picture size and number of steps, what FLUX.2 was trained for",
        formula: "sigma = s u/(1 + (s - 1) u), s = e^mu, mu between lines for 10 and 200 steps",
        citation: "black-forest-labs/flux2 sampling.py; diffusers pipeline_flux2.py:159-174",
        parameters: &[],
    };
    let qwen = About {
        name: "qwen-image",
        aliases: &["qwen"],
        ve_names: &[],
        meaning: "the flux shift, gentler and stretched to end close to the picture, for Qwen-Image",
        formula: "flux with mu over 256 to 8192 tokens, then 1 - (1 - sigma) (1 - terminal)/(1 - sigma_last)",
        citation: "Qwen/Qwen-Image scheduler_config.json; diffusers scheduling_flow_match_euler_discrete.py:262-281",
        parameters: const {
            &[
                mu("base_shift", "mu at 256 image tokens", 0.5),
                mu("max_shift", "mu at 8192 image tokens", 0.9),
                terminal(0.02),
            ]
        },
    };
    let ltx = About {
        name: "ltx",
        aliases: &["ltxv"],
        ve_names: &[],
        meaning: "a strong shift, stretched to a long last step, for LTX models",
        formula: "flux with mu over 1024 to 4096 tokens, then 1 - (1 - sigma) (1 - terminal)/(1 - sigma_last)",
        citation: "Lightricks/LTX-Video scheduler_config.json; diffusers scheduling_flow_match_euler_discrete.py:262-281",
        parameters: const {
            &[
                mu("base_shift", "mu at 1024 image tokens", 0.95),
                mu("max_shift", "mu at 4096 image tokens", 2.05),
                terminal(0.1),
            ]
        },
    };
    let sd3 = About {
        name: "sd3",
        aliases: &["double-shift"],
        ve_names: &[],
        meaning: "the shift applied twice as SD3's reference does, with a last step close to the picture",
        formula: "u from 1 to shift(1/1000) in N points, sigma = shift(u), then 0",
        citation: "Stability-AI/sd3.5 sd3_infer.py:295-303",
        parameters: &[SHIFT],
    };
    let path = About {
        name: "path",
        aliases: &["path-time"],
        ve_names: &[],
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
        Entry::schedule(linear_shift, |values, plan| {
            let ends = [values.number("base_shift"), values.number("max_shift")];
            Schedule::uniform(plan.steps)?.shifted(flux_mu(plan.image_tokens, ends[0], ends[1]))
        }),
        Entry::schedule(flux2, |_, plan| Schedule::flux(plan.steps, flux2_mu(plan.image_tokens, plan.steps))),
        Entry::schedule(sd3, |values, plan| Schedule::sd3(plan.steps, values.number("shift"))),
        curve::sgm_uniform(),
        Entry::schedule(qwen, |values, plan| terminated(values, plan, [256.0, 8192.0])),
        Entry::schedule(ltx, |values, plan| terminated(values, plan, [1024.0, 4096.0])),
        density::beta(),
        density::logit_normal(),
        ramp::karras(),
        ramp::exponential(),
        ramp::polyexponential(),
        ramp::kl_optimal(),
        curve::cosine(),
        curve::smoothstep(),
        curve::linear_quadratic(),
        curve::bong_tangent(),
        Entry::schedule(path, |values, plan| Schedule::path(plan.steps, values.word("path").parse()?)),
    ]
}

/// FLUX's schedule with `mu` on a line between two sizes, stretched to a terminal sigma.
fn terminated(values: &Values, plan: Plan, tokens: [f64; 2]) -> Result<Schedule> {
    let mu = mu_on_line(plan.image_tokens, tokens, [values.number("base_shift"), values.number("max_shift")]);
    Schedule::flux(plan.steps, mu)?.stretched(values.number("terminal"))
}
