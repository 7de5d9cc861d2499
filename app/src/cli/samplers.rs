//! `flowline samplers`: the catalogue of samplers and schedules.

use std::fmt::Write as _;

use flowline_sampler::catalog::{About, Choice, Kind, Parameter};
use flowline_sampler::facts::{Facts, Group};
use serde::Serialize;

use super::output;
use crate::{Registry, Result};

#[derive(Serialize)]
struct Listing<'a> {
    samplers: Vec<Listed<'a>>,
    schedules: Vec<Listed<'a>>,
}

/// A sampler or schedule in the JSON listing.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    aliases: &'a [&'a str],
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
        let About { name, aliases, meaning, formula, citation, parameters, .. } = about;
        let parameters = parameters.iter().map(ListedParameter::from).collect();
        Self { name, aliases, meaning, formula, citation, parameters, facts: None }
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

/// Lists samplers and schedules.
///
/// # Errors
/// Those of stdout.
pub fn list(registry: &Registry, json: bool) -> Result<()> {
    let (samplers, schedules) = (registry.samplers(), registry.schedules());
    let described: Vec<(&About, Facts)> = samplers
        .iter()
        .map(|about| Ok((about, samplers.build(&Choice::new(about.name))?.facts())))
        .collect::<Result<_>>()?;
    if json {
        let samplers = described
            .iter()
            .map(|(about, facts)| Listed { facts: Some((*facts).into()), ..Listed::from(*about) })
            .collect();
        return output::pretty(&Listing { samplers, schedules: schedules.iter().map(Listed::from).collect() });
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
    let _ = writeln!(text, "\nschedules: --schedule NAME[:KEY=VALUE,..]");
    schedules.iter().for_each(|about| describe(&mut text, about));
    output::data(text.as_bytes())
}

fn describe(text: &mut String, about: &About) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "\n  {}  {}", about.name, about.meaning);
    if !about.aliases.is_empty() {
        let _ = writeln!(text, "      also     {}", about.aliases.join(", "));
    }
    let _ = writeln!(text, "      formula  {}", about.formula);
    let _ = writeln!(text, "      source   {}", about.citation);
    for parameter in about.parameters {
        let _ = writeln!(text, "      {parameter}\n          {}", parameter.meaning);
    }
}
