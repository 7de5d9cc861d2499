//! The rule of guidance, and how far it goes: `cfg` and the rule's `scale` are one number.

use flowline_sampler::catalog::Choice;

use super::in_range;
use crate::catalog::Defaults;
use crate::spec::Spec;
use crate::{Error, Result};

/// What the number is called among a rule's parameters.
const SCALE: &str = "scale";

/// Plain classifier-free guidance.
pub(super) fn plain(cfg: f64) -> Choice {
    Choice::new("cfg").with(SCALE, cfg)
}

/// How far a complete rule goes; `None` for rules that have no such number.
pub(super) fn scale(rule: &Choice) -> Option<f64> {
    written_scale(rule).and_then(|written| written.trim().parse().ok())
}

fn written_scale(rule: &Choice) -> Option<&str> {
    rule.given.iter().find(|(key, _)| key.eq_ignore_ascii_case(SCALE)).map(|(_, written)| written.as_str())
}

/// The rule with all its parameters, and `cfg`. A rule that somebody asked for is meant to act: where neither says how
/// far, the model does, and where the model likes none, the rule itself.
pub(super) fn resolve(rule: Option<&Choice>, cfg: Option<f64>, likes: &Defaults, spec: &Spec) -> Result<(Choice, f64)> {
    let (default, liked) = (likes.cfg, likes.rule());
    let rule = rule.or(liked.as_ref());
    if let Some(cfg) = cfg {
        in_cfg_range(cfg)?;
    }
    let Some(rule) = rule else {
        let cfg = cfg.unwrap_or(default);
        return Ok((spec.rules.complete(&plain(cfg))?, cfg));
    };
    let has_scale = spec.rules.about(&rule.name)?.parameters.iter().any(|parameter| parameter.key == SCALE);
    if !has_scale {
        return match cfg.filter(|cfg| *cfg != 1.0) {
            None => Ok((spec.rules.complete(rule)?, 1.0)),
            Some(cfg) => {
                let what = format!("the guidance '{}' has no scale, so cfg cannot be {cfg}", rule.name);
                Err(Error::invalid(what, "leave --cfg out"))
            }
        };
    }
    let asked = match (written_scale(rule), cfg.or(Some(default).filter(|cfg| *cfg != 1.0))) {
        (None, Some(cfg)) => rule.clone().with(SCALE, cfg),
        _ => rule.clone(),
    };
    let rule = spec.rules.complete(&asked)?;
    let scale = scale(&rule).unwrap_or(1.0);
    match cfg {
        Some(cfg) if cfg != scale => {
            let what = format!("cfg is {cfg}, and the guidance {} has the scale {scale}", rule.name);
            Err(Error::invalid(what, "they are one number: give --cfg or the rule's scale"))
        }
        _ => Ok((rule, scale)),
    }
}

/// Refuses a rule of a request that may come from anywhere if it does not fit its `cfg`.
pub(super) fn check(rule: &Choice, cfg: f64, spec: &Spec) -> Result<()> {
    in_cfg_range(cfg)?;
    let complete = spec.rules.complete(rule)?;
    if scale(&complete).is_some_and(|scale| scale != cfg) {
        let what = format!("cfg is {cfg}, and the guidance is {complete}");
        return Err(Error::invalid(what, "they are one number: give --cfg or the rule's scale"));
    }
    Ok(())
}

/// Refuses layers to skip, of a request that may come from anywhere, if the rule skips none, and a rule that skips some
/// if there are none, or not those.
pub(super) fn check_skip_layers(rule: &Choice, layers: &[usize], spec: &Spec) -> Result<()> {
    let (name, there) = (&spec.name, spec.family.layers());
    if !spec.rules.build(rule)?.needs_weakened() {
        return match layers {
            [] => Ok(()),
            _ => {
                let what = format!("the layers {layers:?} should be skipped, and the guidance {rule} skips none");
                Err(Error::invalid(what, "leave the layers out, or add +skip-layer to the guidance"))
            }
        };
    }
    if there == 0 || layers.is_empty() {
        let what = format!("{name} cannot skip layers, and the guidance {rule} needs that");
        return Err(Error::invalid(what, "leave +skip-layer out, or set its scale to 0"));
    }
    if let Some(layer) = layers.iter().find(|layer| **layer >= there) {
        let what = format!("{name} cannot skip layer {layer}, it has {there} layers");
        return Err(Error::invalid(what, format!("choose among 0 to {}", there - 1)));
    }
    Ok(())
}

fn in_cfg_range(cfg: f64) -> Result<()> {
    in_range("cfg", cfg, 0.0, 100.0)
}
