//! `flowline samplers`: the catalogues of samplers, schedules and guidance rules, and all that is known about one entry.

mod bars;
mod details;

use std::fmt::Write as _;

use flowline_model::Latents;
use flowline_sampler::catalog::{About, Choice, Kind, Parameter};
use flowline_sampler::facts::{Facts, Group};
use flowline_sampler::guidance::Rules;
use serde::Serialize;

use super::output;
use crate::args::Samplers;
use crate::{Registry, Result};

#[derive(Serialize)]
struct Listing<'a> {
    samplers: Vec<Listed<'a>>,
    /// What can be put around a sampler.
    decorators: Vec<Listed<'a>>,
    schedules: Vec<Listed<'a>>,
    guidance_rules: Vec<Listed<'a>>,
    /// What can be put around a guidance rule.
    guidance_decorators: Vec<Listed<'a>>,
}

/// A sampler or schedule in the JSON listing.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    aliases: &'a [&'a str],
    /// Names under which other programs run a form that is wrong for flow models.
    ve_names: &'a [&'a str],
    meaning: &'a str,
    formula: &'a str,
    citation: &'a str,
    parameters: Vec<ListedParameter<'a>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    facts: Option<ListedFacts>,
}

/// What a sampler declares about itself with its usual parameters.
#[derive(Serialize)]
struct ListedFacts {
    group: &'static str,
    order: f64,
    /// Model evaluations for 28 steps, guidance not counted.
    evaluations_for_28_steps: u64,
    label: Option<&'static str>,
}

#[derive(Serialize)]
struct ListedParameter<'a> {
    key: &'a str,
    meaning: &'a str,
    #[serde(flatten)]
    kind: ListedKind<'a>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum ListedKind<'a> {
    Number { default: f64, min: f64, max: f64 },
    Word { default: &'a str, options: &'a [&'a str] },
}

impl<'a> From<&'a About> for Listed<'a> {
    fn from(about: &'a About) -> Self {
        let About { name, aliases, ve_names, meaning, formula, citation, parameters } = about;
        let parameters = parameters.iter().map(ListedParameter::from).collect();
        Self { name, aliases, ve_names, meaning, formula, citation, parameters, facts: None }
    }
}

impl From<Facts> for ListedFacts {
    fn from(facts: Facts) -> Self {
        let evaluations_for_28_steps = facts.evaluations.total(28);
        Self { group: facts.group.sentence(), order: facts.order, evaluations_for_28_steps, label: facts.label }
    }
}

impl<'a> From<&'a Parameter> for ListedParameter<'a> {
    fn from(parameter: &'a Parameter) -> Self {
        let kind = match parameter.kind {
            Kind::Number { default, min, max } => ListedKind::Number { default, min, max },
            Kind::Word { default, options } => ListedKind::Word { default, options },
        };
        Self { key: parameter.key, meaning: parameter.meaning, kind }
    }
}

/// Lists everything, or tells about one entry.
///
/// # Errors
/// A name that nothing has, parameters it does not take, a stdout that takes nothing.
pub fn run(args: &Samplers, registry: &Registry) -> Result<()> {
    match &args.name {
        Some(choice) => details::show(choice, registry, args.json),
        None => list(registry, args.json),
    }
}

fn list(registry: &Registry, json: bool) -> Result<()> {
    let (samplers, schedules, rules) = (registry.samplers(), registry.schedules(), Rules::<Latents>::builtin());
    let described: Vec<(&About, Facts)> = samplers
        .iter()
        .map(|about| Ok((about, samplers.build(&Choice::new(about.name))?.facts())))
        .collect::<Result<_>>()?;
    if json {
        let samplers = described
            .iter()
            .map(|(about, facts)| Listed { facts: Some((*facts).into()), ..Listed::from(*about) })
            .collect();
        return output::pretty(&Listing {
            samplers,
            decorators: registry.samplers().decorators().map(Listed::from).collect(),
            schedules: schedules.iter().map(Listed::from).collect(),
            guidance_rules: rules.iter().map(Listed::from).collect(),
            guidance_decorators: rules.decorators().map(Listed::from).collect(),
        });
    }
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "samplers: --sampler NAME[:KEY=VALUE,..]");
    for group in Group::ALL {
        let _ = writeln!(text, "\n{}", group.sentence());
        for (about, facts) in described.iter().filter(|(_, facts)| facts.group == group) {
            describe(&mut text, about);
            let _ = writeln!(text, "      runs     {} of the model for 28 steps", facts.evaluations.total(28));
            if let Some(label) = facts.label {
                let _ = writeln!(text, "      beware   {label}");
            }
        }
    }
    let _ = writeln!(text, "\nput around a sampler with +");
    samplers.decorators().for_each(|about| describe(&mut text, about));
    let _ = writeln!(text, "\nschedules: --schedule NAME[:KEY=VALUE,..]");
    schedules.iter().for_each(|about| describe(&mut text, about));
    let _ = writeln!(text, "\nguidance rules: --rule NAME[:KEY=VALUE,..]");
    rules.iter().for_each(|about| describe(&mut text, about));
    let _ = writeln!(text, "\nput around a guidance rule with +");
    rules.decorators().for_each(|about| describe(&mut text, about));
    let _ = writeln!(text, "\n`flowline samplers NAME` tells what is known about one");
    output::data(text.as_bytes())
}

fn describe(text: &mut String, about: &About) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n  {}  {}", about.name, about.meaning);
    if !about.aliases.is_empty() {
        let _ = writeln!(text, "      also     {}", about.aliases.join(", "));
    }
    if !about.ve_names.is_empty() {
        let _ = writeln!(text, "      instead  of {}, which are not right for flow models", about.ve_names.join(", "));
    }
    let _ = writeln!(text, "      formula  {}", about.formula);
    let _ = writeln!(text, "      source   {}", about.citation);
    for parameter in about.parameters {
        let _ = writeln!(text, "      {parameter}\n          {}", parameter.meaning);
    }
}
