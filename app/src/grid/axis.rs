//! `--axis OPTION=VALUES`: an option of `generate` and the values it takes.

use std::ffi::OsStr;

use serde::{Deserialize, Serialize};

use crate::args::{self, Seeds};
use crate::{Failure, Result};

/// An option of `generate` and its values, in the order they are tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// The option's long name, without dashes.
    pub name: String,
    /// One value a word, as `generate` reads it; a seed that nobody chose is `random`.
    pub values: Vec<String>,
}

/// Options that say where pictures go and how it is told, not what they show.
pub(super) const BESIDES: [&str; 12] = [
    "prompts",
    "output",
    "force",
    "no-metadata",
    "preview-path",
    "trace",
    "keep-trajectory",
    "threads",
    "progress",
    "json",
    "dry-run",
    "verbose",
];
/// Options that say how the models are opened, to the same bits; every cell has them.
const AROUND: [&str; 2] = ["memory", "offline"];
/// Options whose values may hold commas of their own in any place: texts, files and lists.
const WHOLE: [&str; 14] = [
    "prompt",
    "negative-prompt",
    "prompt-file",
    "from",
    "branch",
    "init-image",
    "transformer",
    "vae",
    "clip-l",
    "clip-g",
    "t5",
    "sigmas",
    "lora",
    "tilt",
];
/// The seed that nobody chose.
pub(super) const RANDOM: &str = "random";

impl Axis {
    /// The axes among the words after `--axis`, each once, in the order in which they are first named.
    ///
    /// # Errors
    /// A usage error: no such option, one that says nothing about the picture, no values, a value twice.
    pub fn read_all(written: &[String]) -> Result<Vec<Self>> {
        let mut axes: Vec<Self> = Vec::new();
        for written in written {
            let Self { name, values } = Self::read(written)?;
            match axes.iter_mut().find(|axis| axis.name == name) {
                Some(axis) => axis.values.extend(values),
                None => axes.push(Self { name, values }),
            }
        }
        for Self { name, values } in &axes {
            let twice = values.iter().enumerate().find(|(i, value)| *value != RANDOM && values[..*i].contains(value));
            if let Some((_, value)) = twice {
                let hint = "name every value once";
                return Err(Failure::usage(format!("the axis {name} has the value '{value}' twice"), hint));
            }
        }
        Ok(axes)
    }

    fn read(written: &str) -> Result<Self> {
        let hint = "write it as --axis steps=4,8,16";
        let Some((name, values)) = written.split_once('=') else {
            return Err(Failure::usage(format!("the axis '{written}' has no values"), hint));
        };
        let name = option(name)?;
        if values.trim().is_empty() && !WHOLE.contains(&name.as_str()) {
            return Err(Failure::usage(format!("the axis {name} has no values"), hint));
        }
        let values = match name.as_str() {
            "seed" => seeds(values)?,
            _ if WHOLE.contains(&name.as_str()) => vec![values.to_owned()],
            _ => pieces(values),
        };
        if values.iter().any(|value| value.is_empty()) && !WHOLE.contains(&name.as_str()) {
            return Err(Failure::usage(format!("the axis {name} has an empty value"), hint));
        }
        Ok(Self { name, values })
    }

    /// The word of `generate` that gives this axis its value.
    pub(super) fn word(&self, value: &str) -> std::ffi::OsString {
        args::grid::word(&self.name, Some(OsStr::new(value)))
    }
}

/// Whether the option says what a picture shows.
fn says_something(long: &str) -> bool {
    !BESIDES.contains(&long) && !AROUND.contains(&long)
}

/// The long name of the option that is called `name`, by its name, an alias or one letter.
fn option(name: &str) -> Result<String> {
    let name = name.trim().trim_start_matches('-').replace('_', "-");
    let command = args::grid::options();
    let known = command.get_arguments().find(|argument| {
        let long = argument.get_long() == Some(&name);
        let alias =
            argument.get_all_aliases().is_some_and(|all| all.iter().any(|alias| alias.replace('_', "-") == name));
        let letter = argument.get_short().is_some_and(|letter| name == letter.to_string());
        long || alias || letter
    });
    let long = known.and_then(clap::Arg::get_long);
    match long {
        Some("batch") => Err(Failure::usage("--batch is no axis", "write the seeds: --axis seed=1..4")),
        Some(long) if !says_something(long) => {
            let what = format!("--{long} is no axis: it does not say what the picture shows");
            let hint = match args::grid::NOT_HERE.contains(&long) {
                true => "it is for `flowline generate`",
                false => "give it once for the whole grid",
            };
            Err(Failure::usage(what, hint))
        }
        Some(long) => Ok(long.to_owned()),
        None => {
            let names = command.get_arguments().filter_map(clap::Arg::get_long).filter(|long| says_something(long));
            let nearest = names.map(|long| (strsim::damerau_levenshtein(&name, long), long)).min();
            let hint = match nearest {
                Some((distance, long)) if distance <= near(&name) => {
                    format!("did you mean '{long}'?")
                }
                _ => "an axis is an option of `flowline generate`, without its dashes".into(),
            };
            Err(Failure::usage(format!("there is no option '{name}' to make an axis of"), hint))
        }
    }
}

/// Cuts at commas. What reads `key=value` without a name belongs to the name before it.
fn pieces(values: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for piece in values.split(',') {
        let parameter = piece.split_once('=').is_some_and(|(key, _)| !key.contains(':'));
        match pieces.last_mut() {
            Some(last) if parameter => {
                last.push(',');
                last.push_str(piece.trim());
            }
            _ => pieces.push(piece.trim().to_owned()),
        }
    }
    pieces
}

/// Every seed of `1,2,8..12`, one a word.
fn seeds(values: &str) -> Result<Vec<String>> {
    let mut seeds = Vec::new();
    for part in values.split(',') {
        let word = args::grid::word("seed", Some(OsStr::new(part)));
        match args::grid::generate_from([word])?.seed {
            Some(Seeds::Listed(listed)) => seeds.extend(listed.iter().map(u64::to_string)),
            Some(Seeds::Random) | None => seeds.push(RANDOM.to_owned()),
        }
    }
    Ok(seeds)
}

/// In how many characters a name may differ from the one that was meant.
fn near(name: &str) -> usize {
    let length = name.chars().count();
    2.max(length / 3).min(length.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(axes: &[&str]) -> Vec<Vec<String>> {
        let axes: Vec<String> = axes.iter().map(|axis| (*axis).to_owned()).collect();
        Axis::read_all(&axes).unwrap().into_iter().map(|axis| axis.values).collect()
    }

    #[test]
    fn values_are_cut_at_commas_and_parameters_stay_with_their_name() {
        assert_eq!(values(&["steps=4, 8,16"]), [["4", "8", "16"]]);
        assert_eq!(
            values(&["sampler=euler,langevin:scale=1,decay=0,ab2"]),
            [["euler", "langevin:scale=1,decay=0", "ab2"]]
        );
        assert_eq!(
            values(&["sampler=heun+corrector:k=2,snr=0.1,churn:churn=10"]),
            [["heun+corrector:k=2,snr=0.1", "churn:churn=10"]]
        );
    }

    #[test]
    fn an_axis_that_is_repeated_adds_values() {
        let repeated = ["sampler=langevin:scale=1,decay=0", "steps=4", "sampler=euler"];
        assert_eq!(values(&repeated), [vec!["langevin:scale=1,decay=0", "euler"], vec!["4"]]);
    }

    #[test]
    fn texts_files_and_lists_are_never_cut() {
        for name in WHOLE {
            assert_eq!(values(&[&format!("{name}=1,0.5,0")]), [["1,0.5,0"]], "{name}");
        }
        assert_eq!(values(&["prompt=a barn, at dusk = night", "prompt="]), [["a barn, at dusk = night", ""]]);
    }

    #[test]
    fn seeds_are_listed_one_by_one() {
        assert_eq!(values(&["seed=1..3,9"]), [["1", "2", "3", "9"]]);
        assert_eq!(values(&["seed=random,-1"]), [[RANDOM, RANDOM]]);
    }

    #[test]
    fn an_option_is_found_under_every_name_that_generate_knows() {
        for (written, name) in
            [("--cfg-scale", "cfg"), ("negative_prompt", "negative-prompt"), ("W", "width"), ("seeds", "seed")]
        {
            assert_eq!(option(written).unwrap(), name, "{written}");
        }
    }

    /// An option that comes new to `generate` is an axis; whoever adds it decides here whether that makes sense.
    #[test]
    fn every_option_that_says_what_the_picture_shows_is_an_axis() {
        let command = args::grid::options();
        let longs = command.get_arguments().filter_map(clap::Arg::get_long);
        let axes: Vec<&str> = longs.filter(|long| option(long).is_ok()).collect();
        assert_eq!(
            axes,
            [
                "prompt",
                "prompt-file",
                "negative-prompt",
                "from",
                "branch",
                "init-image",
                "strength",
                "model",
                "lora",
                "weights",
                "activations",
                "kind",
                "transformer",
                "vae",
                "clip-l",
                "clip-g",
                "t5",
                "width",
                "height",
                "seed",
                "preset",
                "steps",
                "cfg",
                "guidance",
                "sampler",
                "schedule",
                "shift",
                "sigmas",
                "rule",
                "rng",
                "tilt"
            ]
        );
    }
}
