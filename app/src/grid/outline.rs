//! A command line of `grid` as it was read: axes, and what holds for all cells.

use std::ffi::{OsStr, OsString};

use flowline_sampler::catalog::Choice;

use super::{Axis, Reference, axis};
use crate::args::grid::{Align, NOT_HERE, word};
use crate::args::{self, Seeds};
use crate::cli::asked;
use crate::{Failure, Result};

/// What was asked, before a model is opened.
#[derive(Debug)]
pub struct Outline {
    /// What changes, the slowest first.
    pub(super) axes: Vec<Axis>,
    /// The words of `generate` for all cells, the prompt among them.
    pub(super) words: Vec<OsString>,
    /// What `--steps` counts.
    pub(super) align: Align,
    /// What cells are compared with.
    pub(super) reference: Option<Reference>,
}

/// Options that say the same thing: one of them may be given, in all cells or as an axis.
const ALTERNATIVES: [&[&str]; 5] = [
    &["prompt", "prompt-file"],
    &["from", "branch"],
    &["sigmas", "steps"],
    &["sigmas", "schedule"],
    &["sigmas", "shift"],
];

impl Outline {
    /// Reads what `args` says and points to.
    ///
    /// # Errors
    /// Axes that make no sense or contradict something, no prompt, an option that a grid has no use for.
    pub fn read(args: &args::Grid) -> Result<Self> {
        let args::Grid { axis, align, reference, all, .. } = args;
        let given = |name: &str| all.written.iter().any(|(written, _)| written == name);
        if let Some(useless) = NOT_HERE.iter().find(|name| given(name)) {
            let hint = match *useless {
                "batch" => "write the seeds: --axis seed=1..4",
                _ => "it is for `flowline generate`",
            };
            return Err(Failure::usage(format!("a grid has no --{useless}"), hint));
        }
        let mut axes = Axis::read_all(axis)?;
        let is_axis = |name: &str| axes.iter().any(|axis| axis.name == name);
        for Axis { name, .. } in &axes {
            if given(name) {
                let hint = "leave one of them out";
                let shown = if name == "prompt" { "the prompt".to_owned() } else { format!("--{name}") };
                return Err(Failure::usage(format!("{shown} is given, and an axis too"), hint));
            }
        }
        for alternatives in ALTERNATIVES {
            let told = |name: &&&str| is_axis(name) || given(name);
            let mut told = alternatives.iter().filter(told);
            if let (Some(one), Some(other), true) = (told.next(), told.next(), alternatives.iter().any(|n| is_axis(n)))
            {
                let what = format!("{one} and {other} contradict each other");
                return Err(Failure::usage(what, "leave one of them out; both say the same thing"));
            }
        }
        if *align == Align::Nfe && (is_axis("sigmas") || given("sigmas")) {
            let what = "sigmas say how many steps there are, and --align nfe asks how many fit";
            return Err(Failure::usage(what, "leave one of them out"));
        }
        if *align == Align::Nfe && !(is_axis("steps") || given("steps")) {
            let hint = "give evaluations as --axis steps=8,16,32 or --steps 16";
            return Err(Failure::usage("--align nfe needs to know how many evaluations there are to spend", hint));
        }
        let records = ["from", "branch"];
        let elsewhere = ["prompt", "prompt-file"].iter().chain(&records).any(|name| is_axis(name));
        let elsewhere = elsewhere || records.iter().any(|name| given(name));
        let prompt = match asked::named_prompt(&all.generate)? {
            None if !elsewhere => Some(asked::piped_prompt()?),
            named => named,
        };
        let mut words: Vec<OsString> =
            prompt.map(|prompt| word("prompt", Some(OsStr::new(&prompt)))).into_iter().collect();
        if let Some(Seeds::Listed(seeds)) = all.generate.seed.as_ref().filter(|_| given("seed"))
            && seeds.len() > 1
        {
            // Several seeds for all cells are an axis by another name.
            axes.push(Axis { name: "seed".into(), values: seeds.iter().map(u64::to_string).collect() });
        }
        let is_axis = |name: &str| axes.iter().any(|axis| axis.name == name);
        let about_the_picture =
            |name: &str| !axis::BESIDES.contains(&name) && !is_axis(name) && !["prompt", "prompt-file"].contains(&name);
        words.extend(all.written.iter().filter(|(name, _)| about_the_picture(name)).map(|(_, word)| word.clone()));
        if axes.is_empty() {
            let hint = "say what changes: --axis sampler=euler,ab2 --axis steps=4,8";
            return Err(Failure::usage("a grid without an axis is one picture", hint));
        }
        Ok(Self { axes, words, align: *align, reference: reference.clone() })
    }

    /// The reference as it is written.
    pub(super) fn reference(&self) -> Option<Choice> {
        self.reference.as_ref().map(Reference::written)
    }
}
