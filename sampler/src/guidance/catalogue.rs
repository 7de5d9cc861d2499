//! The list of rules by name, for command lines, records and windows.

use std::sync::Arc;

use super::{AdaptiveProjected, CfgZeroStar, ClassifierFree, Interval, Rescale, Rule, SkipLayer, Tangential};
use crate::catalog::{About, Catalog, Choice, Entry, Kind, Parameter, Values};
use crate::{Error, Measure, Result};

/// Builds a rule from its values.
pub type BuildRule<T> = dyn Fn(&Values) -> Result<Box<dyn Rule<T>>> + Send + Sync;

/// A list of rules for states of type `T`. What is put around a rule with `+` is one of [`Catalog::decorators`].
pub type Rules<T> = Catalog<BuildRule<T>>;

/// Puts a rule around another.
type Wrap<T> = fn(&Values, Box<dyn Rule<T>>) -> Result<Box<dyn Rule<T>>>;

impl<T: Measure> Rules<T> {
    /// The rules of this crate.
    pub fn builtin() -> Self {
        let mut rules = Self::new("guidance", vec![cfg(), cfg_zero_star(), apg(), tcfg()]);
        rules.decorators = wrappers::<T>().into_iter().map(|(about, _)| about).collect();
        rules
    }

    /// Builds the chosen rule, with its memory empty: one for each run.
    ///
    /// # Errors
    /// [`Error::Unknown`] or [`Error::Parameter`].
    pub fn build(&self, choice: &Choice) -> Result<Box<dyn Rule<T>>> {
        let entry = self.find(&choice.name)?;
        let mut rule = (entry.build)(&entry.about.values(choice)?)?;
        for outer in &choice.and {
            let about = self.decorator(outer)?;
            let Some((_, wrap)) = wrappers::<T>().into_iter().find(|(known, _)| known.name == about.name) else {
                return Err(Error::Unknown { kind: "guidance", name: outer.name.clone(), nearest: None });
            };
            rule = wrap(&about.values(outer)?, rule)?;
        }
        Ok(rule)
    }
}

impl<T: Measure> Entry<BuildRule<T>> {
    /// An entry that builds a rule.
    pub fn rule<R: Rule<T> + 'static>(
        about: About,
        build: impl Fn(&Values) -> Result<R> + Send + Sync + 'static,
    ) -> Self {
        let build = move |values: &Values| -> Result<Box<dyn Rule<T>>> { Ok(Box::new(build(values)?)) };
        Self { about, build: Arc::new(build) }
    }
}

/// How far to go from the negative towards the positive prediction.
const SCALE: Parameter = Parameter {
    key: "scale",
    meaning: "how closely to follow the prompt; 1 is no guidance and half the cost",
    kind: Kind::Number { default: 4.5, min: 0.0, max: 100.0 },
};

const fn sigma(key: &'static str, meaning: &'static str, default: f64) -> Parameter {
    Parameter { key, meaning, kind: Kind::Number { default, min: 0.0, max: 1.0 } }
}

fn cfg<T: Measure>() -> Entry<BuildRule<T>> {
    let about = About {
        name: "cfg",
        aliases: &["classifier-free"],
        ve_names: &[],
        meaning: "away from the negative prompt and towards the prompt, in a straight line",
        formula: "v = v_n + scale (v_p - v_n)",
        citation: "Ho and Salimans 2022, arXiv 2207.12598",
        parameters: &[SCALE],
    };
    Entry::rule(about, |values| Ok(ClassifierFree { scale: values.number("scale") }))
}

fn cfg_zero_star<T: Measure>() -> Entry<BuildRule<T>> {
    let about = About {
        name: "cfg-zero-star",
        aliases: &["cfg-zero"],
        ve_names: &[],
        meaning: "guidance that first brings both predictions as close as they get, and skips the first step",
        formula: "v = s v_n + scale (v_p - s v_n), s = <v_p, v_n>/(|v_n|^2 + 1e-8); 0 at sigma >= zero_from",
        citation: "Fan et al. 2025, arXiv 2503.18886",
        parameters: &[
            SCALE,
            Parameter {
                key: "zero_from",
                meaning: "no movement from this sigma up; 1 skips the first step only, 2 none",
                kind: Kind::Number { default: 1.0, min: 0.0, max: 2.0 },
            },
        ],
    };
    Entry::rule(about, |values| {
        Ok(CfgZeroStar { scale: values.number("scale"), zero_from: values.number("zero_from") })
    })
}

fn apg<T: Measure>() -> Entry<BuildRule<T>> {
    let about = About {
        name: "apg",
        aliases: &["adaptive-projected"],
        ve_names: &[],
        meaning: "strong guidance without burnt colours: the part that only saturates is taken out",
        formula: "M = D_p - D_n + momentum M_before, at most norm_threshold long; D = D_p + (scale - 1)(M_orthogonal + \
                  eta M_parallel)",
        citation: "Sadat, Hilliges, Weber 2024, arXiv 2410.02416",
        parameters: &[
            SCALE,
            Parameter {
                key: "eta",
                meaning: "how much of the saturating part is kept; 1 keeps all",
                kind: Kind::Number { default: 0.0, min: 0.0, max: 1.0 },
            },
            Parameter {
                key: "momentum",
                meaning: "how much of the last difference is added; below 0 pushes away from it",
                kind: Kind::Number { default: -0.5, min: -1.0, max: 1.0 },
            },
            Parameter {
                key: "norm_threshold",
                meaning: "the longest difference, in the latent's units; 1000000 is no limit",
                kind: Kind::Number { default: 15.0, min: 0.01, max: 1e6 },
            },
        ],
    };
    Entry::rule(about, |values| {
        let mut rule = AdaptiveProjected::new(values.number("scale"));
        rule.eta = values.number("eta");
        rule.momentum = values.number("momentum");
        rule.norm_threshold = values.number("norm_threshold");
        Ok(rule)
    })
}

fn tcfg<T: Measure>() -> Entry<BuildRule<T>> {
    let about = About {
        name: "tcfg",
        aliases: &["tangential"],
        ve_names: &[],
        meaning: "guidance without the part of the negative prediction that leads elsewhere",
        formula: "v_n' = v_n projected on the first right singular vector of [v_p; v_n], v = v_n' + scale (v_p - v_n')",
        citation: "Kwon et al. 2025, arXiv 2503.18137",
        parameters: &[SCALE],
    };
    Entry::rule(about, |values| Ok(Tangential { scale: values.number("scale") }))
}

/// What can be put around a rule, in display order.
fn wrappers<T: Measure>() -> Vec<(About, Wrap<T>)> {
    let interval = About {
        name: "interval",
        aliases: &["guidance-interval"],
        ve_names: &[],
        meaning: "guidance between two sigmas only, at half the cost outside",
        formula: "v if low <= sigma <= high, else v_p",
        citation: "Kynkaanniemi et al. 2024, arXiv 2404.07724",
        parameters: const {
            &[
                sigma("low", "the lowest sigma that is guided", 0.0),
                sigma("high", "the highest sigma that is guided", 1.0),
            ]
        },
    };
    let rescale = About {
        name: "rescale",
        aliases: &["cfg-rescale"],
        ve_names: &[],
        meaning: "takes back some of the contrast that guidance adds",
        formula: "v' = share std(v_p)/std(v) v + (1 - share) v",
        citation: "Lin et al. 2023, arXiv 2305.08891, section 3.4",
        parameters: &[Parameter {
            key: "share",
            meaning: "how much is taken back; 0 is none",
            kind: Kind::Number { default: 0.7, min: 0.0, max: 1.0 },
        }],
    };
    let skip_layer = About {
        name: "skip-layer",
        aliases: &["slg"],
        ve_names: &[],
        meaning: "away from what the model draws with some of its layers skipped, for models that offer it",
        formula: "v' = v + scale (v_p - v_weakened) if low <= sigma <= high, else v",
        citation: "Stability-AI/sd3.5 sd3_impls.py:219-268",
        parameters: const {
            &[
                Parameter {
                    key: "scale",
                    meaning: "how far away; 0 is off",
                    kind: Kind::Number { default: 2.5, min: 0.0, max: 20.0 },
                },
                sigma("low", "the lowest sigma where it acts", 0.923),
                sigma("high", "the highest sigma where it acts", 0.997),
            ]
        },
    };
    vec![
        (interval, |values, rule| {
            let [low, high] = ends("interval", values)?;
            Ok(Box::new(Interval { low, high, rule }))
        }),
        (rescale, |values, rule| Ok(Box::new(Rescale { share: values.number("share"), rule }))),
        (skip_layer, |values, rule| {
            let [low, high] = ends("skip-layer", values)?;
            Ok(Box::new(SkipLayer { scale: values.number("scale"), low, high, rule }))
        }),
    ]
}

/// `low` and `high`, if they are in this order.
fn ends(owner: &str, values: &Values) -> Result<[f64; 2]> {
    let [low, high] = ["low", "high"].map(|key| values.number(key));
    match low <= high {
        true => Ok([low, high]),
        false => Err(Error::Parameter {
            owner: owner.into(),
            what: format!("low={low} lies above high={high}"),
            hint: "both are sigmas between 0, the picture, and 1, noise; low is at most high".into(),
        }),
    }
}
