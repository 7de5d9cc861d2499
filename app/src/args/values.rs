//! Values of options: numbers, seeds, sigmas, and choices from the catalogues.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use flowline_model::catalog::Preset;
use flowline_model::weights::{Activations, ENCODINGS, Encoding, HeldAs};
use flowline_model::{Latents, Lora, LoraFile, Rng, catalog};
use flowline_sampler::catalog::{About, Choice};
use flowline_sampler::guidance::Rules;
use flowline_sampler::schedule::STEPS;

use crate::{Failure, Registry, Result};

/// How many pictures one command may ask for.
pub const PICTURES_AT_ONCE: usize = 10_000;

/// How many threads may be asked for.
const THREADS: RangeInclusive<usize> = 1..=1024;

/// Which seeds to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// One nobody chose.
    Random,
    /// These, in this order.
    Listed(Vec<u64>),
}

/// The sigmas that were named one by one.
#[derive(Clone, Debug, PartialEq)]
pub enum Sigmas {
    /// On the command line.
    Listed(Vec<f64>),
    /// In a file.
    File(PathBuf),
}

/// A picture to be pulled towards, and how strongly.
#[derive(Clone, Debug, PartialEq)]
pub struct TiltBy {
    /// The picture's file.
    pub picture: PathBuf,
    /// Below 0 pushes away.
    pub strength: f64,
}

/// A place in a kept trajectory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchPoint {
    /// The trajectory's file.
    pub file: PathBuf,
    /// After so many steps; `None` is the end.
    pub at: Option<usize>,
}

/// A finite number.
pub fn number(text: &str) -> Result<f64> {
    let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| Failure::usage(format!("'{text}' is not a number"), "give a finite number, such as 2.5"))
}

/// An amount of memory in bytes: a number, with a unit behind it or without.
pub fn memory(text: &str) -> Result<u64> {
    let refused = || Failure::usage(format!("'{text}' is no amount of memory"), "write it as 8GiB, 6.5G or 900M");
    let split = text.trim().find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.trim().len());
    let (number, unit) = text.trim().split_at(split);
    let unit: f64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return Err(refused()),
    };
    let number: f64 = number.trim().parse().map_err(|_| refused())?;
    let bytes = number * unit;
    // Beyond 2^60 nothing is meant.
    if (1.0..=1e18).contains(&bytes) { Ok(bytes as u64) } else { Err(refused()) }
}

/// A width or height; whether the model can make it is the model's to say.
pub fn pixels(text: &str) -> Result<u32> {
    whole(text, 1..=u32::MAX as usize).map(|pixels| pixels as u32)
}

/// A number of steps.
pub fn steps(text: &str) -> Result<usize> {
    whole(text, STEPS)
}

/// A number of pictures.
pub fn batch(text: &str) -> Result<usize> {
    whole(text, 1..=PICTURES_AT_ONCE)
}

/// A number of threads.
pub fn threads(text: &str) -> Result<usize> {
    whole(text, THREADS)
}

/// A whole number in a range, in digits.
pub fn whole(text: &str, range: RangeInclusive<usize>) -> Result<usize> {
    let number = text.trim().parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let what = format!("'{text}' is not a whole number from {} to {}", range.start(), range.end());
        Failure::usage(what, "write it in digits only, such as 8")
    })
}

/// `7`, `1,2,8..12` (both ends included), `random` or a negative number.
pub fn seeds(text: &str) -> Result<Seeds> {
    const HINT: &str = "write seeds from 0 to 18446744073709551615 as 7 or 1,2,8..12; -1 is a random one";
    let text = text.trim();
    let negative = text.strip_prefix('-').is_some_and(|digits| digits.parse::<u64>().is_ok());
    if negative || text.eq_ignore_ascii_case("random") {
        return Ok(Seeds::Random);
    }
    let seed = |written: &str| {
        written.trim().parse::<u64>().map_err(|_| Failure::usage(format!("'{}' is not a seed", written.trim()), HINT))
    };
    let mut seeds = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once("..") {
            Some((first, last)) => (seed(first)?, seed(last.trim_start_matches('='))?),
            None => (seed(part)?, seed(part)?),
        };
        if first > last {
            return Err(Failure::usage(
                format!("the range {part} runs backwards"),
                format!("write it as {last}..{first}"),
            ));
        }
        if last - first >= (PICTURES_AT_ONCE - seeds.len()) as u64 {
            let what = format!("more than {PICTURES_AT_ONCE} seeds");
            return Err(Failure::usage(what, "make them in several runs"));
        }
        seeds.extend(first..=last);
    }
    Ok(Seeds::Listed(seeds))
}

/// Numbers separated by commas, or the name of a file that is there.
pub fn sigmas(text: &str) -> Result<Sigmas> {
    match listed_sigmas(text) {
        Ok(sigmas) => Ok(Sigmas::Listed(sigmas)),
        Err(_) if Path::new(text).is_file() => Ok(Sigmas::File(text.into())),
        Err(failure) => Err(failure),
    }
}

/// Numbers separated by commas, spaces or line breaks; whether they make a schedule is the sampler crate's to say.
pub fn listed_sigmas(text: &str) -> Result<Vec<f64>> {
    let inside = text.trim().trim_start_matches('[').trim_end_matches(']').trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    let sigmas = inside.split(',').flat_map(|part| match part.trim() {
        "" => vec![""],
        part => part.split_whitespace().collect(),
    });
    let sigmas: Result<Vec<f64>> = sigmas.map(number).collect();
    sigmas.map_err(|failure| Failure::usage(failure.what, "write them as 1,0.8,0.5,0.2,0, or name a file of them"))
}

/// `IMAGE:STRENGTH`.
pub fn tilt(text: &str) -> Result<TiltBy> {
    const HINT: &str = "write it as picture.png:0.5; below 0 pushes away";
    let (picture, strength) =
        text.rsplit_once(':').ok_or_else(|| Failure::usage(format!("'{text}' does not say how strongly"), HINT))?;
    if picture.is_empty() {
        return Err(Failure::usage("there is no picture before the colon", HINT));
    }
    let strength = number(strength).map_err(|failure| Failure::usage(failure.what, HINT))?;
    Ok(TiltBy { picture: picture.into(), strength })
}

/// `PATH[=SCALE]`; what stands behind the last `=` is part of the path if such a file is there, or if it is no number and
/// what stands before it is no adapter's name.
pub fn lora(text: &str) -> Result<Lora> {
    const HINT: &str = "write it as --lora path/to/cats.safetensors=0.8";
    let of = |path: &str, scale| Ok(Lora { file: LoraFile::Path(path.into()), scale });
    match text.rsplit_once('=') {
        _ if text.is_empty() => Err(Failure::usage("the adapter's name is empty", HINT)),
        Some(("", _)) => Err(Failure::usage(format!("there is no adapter before the '=' of '{text}'"), HINT)),
        Some((path, scale)) if !Path::new(text).exists() => match number(scale) {
            Ok(scale) => of(path, scale),
            Err(failure) if path.ends_with(".safetensors") || Path::new(path).exists() => {
                Err(Failure::usage(failure.what, HINT))
            }
            Err(_) => of(text, 1.0),
        },
        _ => of(text, 1.0),
    }
}

impl FromStr for BranchPoint {
    type Err = Failure;

    /// `FILE@K` or `FILE`; what stands behind the last `@` is a step if it is a number and no such file is there.
    fn from_str(text: &str) -> Result<Self> {
        let whole = || Self { file: text.into(), at: None };
        if text.is_empty() {
            return Err(Failure::usage("the name is empty", "write it as run.safetensors@4"));
        }
        match text.rsplit_once('@') {
            Some((file, at)) if !file.is_empty() && !Path::new(text).exists() => match at.parse() {
                Ok(at) => Ok(Self { file: file.into(), at: Some(at) }),
                Err(_) => {
                    let what = format!("'{at}' is not a number of steps");
                    Err(Failure::usage(what, "write it as run.safetensors@4: after 4 steps"))
                }
            },
            _ => Ok(whole()),
        }
    }
}

/// Where noise comes from.
pub fn rng_parser() -> impl TypedValueParser<Value = Rng> {
    let names = Rng::ALL.iter().map(|rng| PossibleValue::new(rng.name()).help(rng.meaning())).collect();
    let parse = |text: &str| Rng::from_str(text).map_err(|error| Failure::usage(error.to_string(), error.hint()));
    Named { names, parse }
}

/// A set of a model's choices.
pub fn preset_parser() -> impl TypedValueParser<Value = Preset> {
    let names = Preset::ALL.iter().map(|preset| PossibleValue::new(preset.name()).help(preset.meaning())).collect();
    let parse = |text: &str| {
        let found = Preset::ALL.into_iter().find(|preset| preset.name() == text.trim());
        found.ok_or_else(|| Failure::usage(format!("there is no preset '{text}'"), "there are default and reference"))
    };
    Named { names, parse }
}

/// Parses with `parse`, and knows names to offer in help and completions.
#[derive(Clone)]
struct Named<T> {
    names: Vec<PossibleValue>,
    parse: fn(&str) -> Result<T>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Named<T> {
    type Value = T;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<T, clap::Error> {
        let parse = self.parse;
        StringValueParser::new().try_map(move |text: String| parse(&text)).parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.names.iter().cloned()))
    }
}

fn named<'a>(abouts: impl Iterator<Item = &'a About>) -> Named<Choice> {
    let names = abouts.map(|about| PossibleValue::new(about.name).help(about.meaning)).collect();
    Named { names, parse: choice }
}

/// `command` with the registry's names wherever a sampler or a schedule is chosen, and at the end of its long help.
pub fn with_names(command: clap::Command, registry: &Registry) -> clap::Command {
    let has = |command: &clap::Command, id: &str| command.get_arguments().any(|argument| argument.get_id() == id);
    let (sampler, schedule) = (has(&command, "sampler"), has(&command, "schedule"));
    let mut command = command;
    if sampler {
        command = command.mut_arg("sampler", |argument| argument.value_parser(named(registry.samplers().iter())));
    }
    if schedule {
        command = command.mut_arg("schedule", |argument| argument.value_parser(named(registry.schedules().iter())));
    }
    if sampler && schedule {
        command = command.after_long_help(catalogue_help(registry));
    }
    command
}

/// `name:key=value,..`; whether there is such a thing is the catalogue's to say.
pub fn choice(text: &str) -> Result<Choice> {
    if text.split(':').next().is_none_or(|name| name.trim().is_empty()) {
        return Err(Failure::usage("the name is empty", "write it as name:key=value,key=value"));
    }
    Choice::from_str(text).map_err(|error| Failure::usage(error.to_string(), error.hint()))
}

/// A model of the catalogue, or anything else that may be a folder.
pub fn model_parser() -> impl TypedValueParser<Value = String> {
    let names = catalog::MODELS.iter().map(|entry| PossibleValue::new(entry.name).help(entry.about)).collect();
    Named { names, parse: |text| Ok(text.to_owned()) }
}

/// A form in which weights are held.
pub fn weights_parser() -> impl TypedValueParser<Value = HeldAs> {
    let names = HeldAs::all().map(|held| PossibleValue::new(held.name())).collect();
    Named { names, parse: |text| text.parse().map_err(|what: String| Failure::usage(what, "write one of them")) }
}

/// An encoding of numbers in files.
pub fn encoding_parser() -> impl TypedValueParser<Value = Encoding> {
    let names = ENCODINGS.into_iter().map(|encoding| PossibleValue::new(encoding.name())).collect();
    Named {
        names,
        parse: |text| {
            let wanted = text.trim().to_lowercase();
            let known = || ENCODINGS.map(|encoding| encoding.name()).join(", ");
            let found = ENCODINGS.into_iter().find(|encoding| encoding.name() == wanted);
            found
                .ok_or_else(|| Failure::usage(format!("'{text}' is no encoding"), format!("write one of: {}", known())))
        },
    }
}

/// A form in which activations are multiplied.
pub fn activations_parser() -> impl TypedValueParser<Value = Activations> {
    let names = Activations::ALL.into_iter().map(|form| PossibleValue::new(form.name())).collect();
    Named {
        names,
        parse: |text| {
            let form = Activations::ALL.into_iter().find(|form| form.name() == text);
            let what = format!("'{text}' is no form of activations; there are f32 and q8");
            form.ok_or_else(|| Failure::usage(what, "write one of them"))
        },
    }
}

/// The catalogue, for the end of `generate --help`.
fn catalogue_help(registry: &Registry) -> String {
    let mut help = String::new();
    let mut list = |title: &str, about: &mut dyn Iterator<Item = &About>| {
        let _ = writeln!(help, "{title}:");
        for about in about {
            let _ = writeln!(help, "  {:<10} {}", about.name, about.meaning);
            for parameter in about.parameters {
                let _ = writeln!(help, "  {:<12} {parameter}; {}", "", parameter.meaning);
            }
        }
    };
    let rules = Rules::<Latents>::builtin();
    list("Samplers", &mut registry.samplers().iter());
    list("Put around a sampler with +", &mut registry.samplers().decorators());
    list("Schedules", &mut registry.schedules().iter());
    list("Guidance rules", &mut rules.iter());
    list("Put around a guidance rule with +", &mut rules.decorators());
    help.push_str(
        "`flowline samplers` has their formulas and sources, `flowline samplers NAME` what is known about one.",
    );
    help
}
