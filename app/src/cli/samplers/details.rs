//! `flowline samplers NAME`: all that is known about one sampler, schedule or guidance rule.

use std::fmt::Write as _;

use flowline_model::Latents;
use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::{About, Choice, Plan};
use flowline_sampler::facts::{Bias, Evaluations, Facts, LastStep};
use flowline_sampler::guidance::Rules;
use flowline_sampler::proof::{Proof, STEPS, Verdict, prove};
use serde::Serialize;

use super::bars::{bars, top};
use super::{Listed, ListedFacts};
use crate::cli::output;
use crate::{Failure, Registry, Result};

/// The steps that costs, noise levels and sigmas are told for, a usual number.
const USUAL_STEPS: usize = 28;

/// The picture that schedules are told for: 1024 x 1024 pixels of a large model.
const TOKENS: usize = 4096;

/// What a name stands for.
enum Found {
    Sampler(About),
    /// Put around a sampler.
    Decorator(About),
    Schedule(About),
    Rule(About),
    /// Put around a guidance rule.
    RuleDecorator(About),
}

/// What was measured.
#[derive(Serialize)]
struct Measured {
    /// What was judged.
    sampler: String,
    order: f64,
    declared_order: f64,
    bias: &'static str,
    /// Relative error of the spread at the two numbers of steps.
    spread: [f64; 2],
    mean: f64,
    verdict: String,
    holds: bool,
    /// The share of the state's noise that is fresh after each of 28 uniform steps.
    fresh_noise: Vec<f64>,
}

/// Everything as JSON.
#[derive(Serialize)]
struct Told<'a> {
    kind: &'static str,
    #[serde(flatten)]
    listed: Listed<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
    /// Of a schedule with 28 steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    sigmas: Option<Vec<f64>>,
}

/// Tells about the entry called `choice`, with the parameters that are given.
///
/// # Errors
/// A name that nothing has, parameters it does not take, a stdout that takes nothing.
pub fn show(choice: &Choice, registry: &Registry, json: bool) -> Result<()> {
    let found = find(choice, registry)?;
    let about = found.about();
    // A parameter that is out of range is refused, whatever it belongs to.
    about.values(choice)?;
    let judged = match &found {
        Found::Sampler(_) => Some(choice.clone()),
        Found::Decorator(_) => Some(Choice { and: vec![choice.clone()], ..Choice::new(first(registry)) }),
        Found::Schedule(_) | Found::Rule(_) | Found::RuleDecorator(_) => None,
    };
    let sampler = judged.map(|judged| measure(&judged, registry)).transpose()?;
    let sigmas = match &found {
        Found::Schedule(_) => {
            let plan = Plan { steps: USUAL_STEPS, image_tokens: TOKENS };
            Some(registry.schedules().build(choice, plan)?.sigmas().to_vec())
        }
        _ => None,
    };
    if json {
        let facts = sampler.as_ref().map(|(_, facts)| ListedFacts::from(*facts));
        let listed = Listed { facts, ..Listed::from(about) };
        let told = Told { kind: found.kind(), listed, measured: sampler.map(|(measured, _)| measured), sigmas };
        return output::pretty(&told);
    }
    let mut text = String::new();
    describe(&mut text, &found);
    if let Some((measured, facts)) = &sampler {
        if let Found::Sampler(_) = found {
            line(&mut text, "group", facts.group.sentence());
        }
        tell_measured(&mut text, measured, *facts);
    }
    if let Some(sigmas) = &sigmas {
        line(&mut text, "sigmas", &format!("over {USUAL_STEPS} steps"));
        text.push('\n');
        text.push_str(&bars(sigmas, 1.0, ["first", "last"]));
    }
    output::data(text.as_bytes())
}

/// The sampler that a decorator is shown around.
fn first(registry: &Registry) -> &'static str {
    registry.samplers().iter().next().map_or("", |about| about.name)
}

fn find(choice: &Choice, registry: &Registry) -> Result<Found> {
    let rules = Rules::<Latents>::builtin();
    let name = choice.name.as_str();
    if let Ok(about) = registry.samplers().about(name) {
        return Ok(Found::Sampler(about.clone()));
    }
    if let Ok(about) = registry.schedules().about(name) {
        return Ok(Found::Schedule(about.clone()));
    }
    if let Ok(about) = rules.about(name) {
        return Ok(Found::Rule(about.clone()));
    }
    let called = |about: &&About| [about.name].iter().chain(about.aliases).any(|known| plain(known) == plain(name));
    if let Some(about) = registry.samplers().decorators().find(called) {
        return Ok(Found::Decorator(about.clone()));
    }
    if let Some(about) = rules.decorators().find(called) {
        return Ok(Found::RuleDecorator(about.clone()));
    }
    let samplers = registry.samplers().iter().chain(registry.samplers().decorators());
    let all = samplers.chain(registry.schedules().iter()).chain(rules.iter()).chain(rules.decorators());
    let names = all.flat_map(|about| {
        let names = [about.name].into_iter().chain(about.aliases.iter().copied());
        names.map(move |known| (strsim::damerau_levenshtein(&plain(known), &plain(name)), about.name))
    });
    let near = names.min().filter(|(distance, _)| *distance <= 2.max(name.chars().count() / 2));
    let hint = match near {
        Some((_, nearest)) => format!("did you mean '{nearest}'? `flowline samplers` lists them all"),
        None => "`flowline samplers` lists them all".to_owned(),
    };
    Err(Failure::new(format!("there is no sampler, schedule or guidance rule named '{name}'"), hint))
}

/// A name without what does not matter in it.
fn plain(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect()
}

impl Found {
    fn about(&self) -> &About {
        match self {
            Self::Sampler(about)
            | Self::Decorator(about)
            | Self::Schedule(about)
            | Self::Rule(about)
            | Self::RuleDecorator(about) => about,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Sampler(_) => "sampler",
            Self::Decorator(_) => "decorator",
            Self::Schedule(_) => "schedule",
            Self::Rule(_) => "guidance rule",
            Self::RuleDecorator(_) => "guidance decorator",
        }
    }

    /// How it is asked for.
    fn usage(&self) -> String {
        let name = self.about().name;
        let values = if self.about().parameters.is_empty() { "" } else { "[:KEY=VALUE,..]" };
        match self {
            Self::Sampler(_) => format!("--sampler {name}{values}"),
            Self::Decorator(_) => format!("--sampler NAME+{name}{values}"),
            Self::Schedule(_) => format!("--schedule {name}{values}"),
            Self::Rule(_) => format!("--rule {name}{values}"),
            Self::RuleDecorator(_) => format!("--rule NAME+{name}{values}"),
        }
    }
}

fn line(text: &mut String, title: &str, what: &str) {
    // Writing to a string cannot fail; so below.
    let _ = writeln!(text, "  {title:<11} {what}");
}

fn describe(text: &mut String, found: &Found) {
    let about = found.about();
    let _ = writeln!(text, "{}: {}\n", about.name, about.meaning);
    line(text, "usage", &found.usage());
    if !about.aliases.is_empty() {
        line(text, "also", &about.aliases.join(", "));
    }
    if !about.ve_names.is_empty() {
        let names = about.ve_names.join(", ");
        line(text, "instead of", &format!("{names}, whose form elsewhere is not right for flow models"));
    }
    line(text, "formula", about.formula);
    line(text, "source", about.citation);
    for (index, parameter) in about.parameters.iter().enumerate() {
        line(text, if index == 0 { "parameters" } else { "" }, &parameter.to_string());
        line(text, "", &format!("  {}", parameter.meaning));
    }
}

fn measure(choice: &Choice, registry: &Registry) -> Result<(Measured, Facts)> {
    let sampler = registry.proof_samplers().build(choice)?;
    let Proof { facts, walks, order, verdict, .. } = prove(&*sampler, &Bench::smooth()?)?;
    let measured = Measured {
        sampler: choice.to_string(),
        order,
        declared_order: facts.order,
        bias: match facts.bias {
            Bias::Shrinks => "shrinks",
            Bias::Widens => "widens",
        },
        spread: walks.map(|walk| walk.spread),
        mean: walks.iter().map(|walk| walk.mean).fold(0.0, f64::max),
        holds: !matches!(verdict, Verdict::Fails(_)),
        verdict: verdict.to_string(),
        fresh_noise: registry.proof_samplers().fresh_noise(choice, USUAL_STEPS)?,
    };
    Ok((measured, facts))
}

fn tell_measured(text: &mut String, measured: &Measured, facts: Facts) {
    let Measured { sampler, order, declared_order, spread: [few, _], verdict, fresh_noise, .. } = measured;
    line(text, "cost", &cost(facts.evaluations));
    line(
        text,
        "last step",
        match facts.last {
            LastStep::Denoised => "goes to the denoised prediction",
            LastStep::Own => "is one of its own, without a look at sigma 0",
        },
    );
    line(text, "judged", &format!("{sampler}, by `flowline verify --sampler {sampler}`"));
    // A sampler with a label declares none.
    let declared = if *declared_order > 0.0 { declared_order.to_string() } else { "none".into() };
    line(text, "order", &format!("{order:.2} measured, {declared} declared"));
    let [steps, _] = STEPS;
    line(text, "bias", &format!("{} the spread: {:+.2} % at {steps} steps", measured.bias, 100.0 * few));
    line(text, "verdict", verdict);
    if fresh_noise.iter().all(|share| *share == 0.0) {
        line(text, "noise", "none on the way: the same seed leads to the same picture");
        return;
    }
    line(text, "noise", &format!("the fresh share of it after each of {USUAL_STEPS} uniform steps"));
    text.push('\n');
    text.push_str(&bars(fresh_noise, top(fresh_noise), ["noise", "picture"]));
}

/// Runs of the model in words.
fn cost(evaluations: Evaluations) -> String {
    let Evaluations { starting, start, step, last, most } = evaluations;
    let mut parts = vec![format!("{step} {} of the model a step", if step == 1 { "run" } else { "runs" })];
    if starting > 0 && start != step {
        parts.push(format!("{start} in each of the first {starting}"));
    }
    if last != step {
        parts.push(format!("{last} in the last"));
    }
    if let Some(most) = most {
        parts.push(format!("at most {most} more where it must"));
    }
    let bound = if most.is_some() { "at most " } else { "" };
    format!(
        "{}; {bound}{} for {USUAL_STEPS} steps, guidance not counted",
        parts.join(", "),
        evaluations.total(USUAL_STEPS)
    )
}
