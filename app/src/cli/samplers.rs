//! `flowline samplers`: the catalogue of samplers and schedules.

use std::fmt::Write as _;

use flowline_model::Latents;
use flowline_sampler::catalog::{About, Kind, Parameter, Samplers, Schedules};
use serde::Serialize;

use super::output;
use crate::Result;

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
        let About { name, aliases, meaning, formula, citation, parameters } = about;
        let parameters = parameters.iter().map(ListedParameter::from).collect();
        Self { name, aliases, meaning, formula, citation, parameters }
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
pub fn list(json: bool) -> Result<()> {
    let (samplers, schedules) = (Samplers::<Latents>::builtin(), Schedules::builtin());
    if json {
        let samplers = samplers.iter().map(Listed::from).collect();
        return output::pretty(&Listing { samplers, schedules: schedules.iter().map(Listed::from).collect() });
    }
    let mut text = String::new();
    describe(&mut text, "samplers: --sampler NAME[:KEY=VALUE,..]", samplers.iter());
    text.push('\n');
    describe(&mut text, "schedules: --schedule NAME[:KEY=VALUE,..]", schedules.iter());
    output::data(text.as_bytes())
}

fn describe<'a>(text: &mut String, title: &str, abouts: impl Iterator<Item = &'a About>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{title}");
    for about in abouts {
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
}
