//! From the options of `generate`, and a picture to start from, to a draft.

use std::io::{IsTerminal, Read};
use std::path::Path;

use flowline_model::weights::hub::HubModel;
use flowline_model::{Draft, ModelRecord, Opening, Request, Warning, catalog};

use super::branch::From;
use crate::args::{BranchPoint, Generate, PICTURES_AT_ONCE, Seeds, Sigmas};
use crate::laboratory::schedules::read_sigmas;
use crate::library::cache_folder;
use crate::record::{self, Record};
use crate::{Failure, Result};

/// What was asked, before a model is opened.
#[derive(Debug)]
pub struct Asked {
    /// The model, and how it is opened.
    pub opening: Opening,
    /// What was chosen; no seed means a random one.
    pub draft: Draft,
    /// The prompts, of which the draft has the first.
    pub prompts: Vec<String>,
    /// How many pictures to count on from the first seed.
    pub batch: usize,
    /// The record to compare with, where one of our own is replayed unchanged.
    pub replayed: Option<Request>,
    /// The run to go on with.
    pub branch: Option<From>,
    /// What the user should know already.
    pub warnings: Vec<Warning>,
}

/// The longest prompt that is read from a file or a pipe, bytes.
const LONGEST_TEXT: u64 = 1 << 20;

/// Where a prompt comes from.
enum Source<'a> {
    Words(&'a str),
    File(&'a Path),
    Stdin,
    /// A file, or standard input, with a prompt on every line.
    Lines(&'a Path),
    /// Nowhere in particular: whatever is piped in.
    Piped,
}

impl Asked {
    /// Reads what `args` points to: the prompt, and the picture to start from.
    ///
    /// # Errors
    /// No prompt at all, a prompt that is no text, a picture without a record, seeds that run over.
    pub fn read(args: &Generate) -> Result<Self> {
        let mut asked = match (&args.from, &args.branch) {
            (None, None) => Self {
                opening: args.model.opening(args.model.named().unwrap_or_else(default_model)),
                draft: Draft::default(),
                prompts: read_prompts(source(args))?,
                batch: 1,
                replayed: None,
                branch: None,
                warnings: Vec::new(),
            },
            (Some(picture), _) => Self::of_picture(args, picture)?,
            (None, Some(point)) => Self::of_trajectory(args, point)?,
        };
        if let Some(first) = asked.prompts.first() {
            asked.draft.prompt.clone_from(first);
        }
        asked.warnings.extend(choose(&mut asked.draft, args)?);
        asked.warnings.extend(adapters_in_text(asked.prompts.iter().chain(&asked.draft.negative_prompt)));
        if let Some(batch) = args.batch {
            asked.batch = batch;
            if asked.draft.seeds.len() > 1 {
                let hint = "give one seed with --batch, or the list alone";
                return Err(Failure::usage("--batch counts on from one seed, and --seed names several", hint));
            }
        }
        Ok(asked)
    }

    fn of_picture(args: &Generate, picture: &Path) -> Result<Self> {
        let record = record::read(picture)?;
        record.replayable(&picture.display().to_string())?;
        let Record { source: program, request, draft, unused, .. } = record;
        let opening = match &request {
            Some(request) => recorded_opening(args, picture, request)?,
            None => args.model.opening(args.model.named().unwrap_or_else(default_model)),
        };
        let prompts = prompts_over(&draft, args)?;
        let unused = unused.iter().map(|(name, value)| {
            Warning::new("record-unused", format!("the {program} record's {name} is not used: {value}"))
        });
        Ok(Self { opening, draft, prompts, batch: 1, replayed: request, branch: None, warnings: unused.collect() })
    }

    fn of_trajectory(args: &Generate, point: &BranchPoint) -> Result<Self> {
        let from = From::read(point)?;
        let opening = recorded_opening(args, &point.file, from.request())?;
        let draft = from.kept.draft();
        let prompts = prompts_over(&draft, args)?;
        let replayed = Some(from.request().clone());
        Ok(Self { opening, draft, prompts, batch: 1, replayed, branch: Some(from), warnings: Vec::new() })
    }
}

/// The model that `file` was made with, unless the options name one.
fn recorded_opening(args: &Generate, file: &Path, request: &Request) -> Result<Opening> {
    let opening = match args.model.named() {
        Some(model) => Opening { model, ..Opening::recorded(&request.model, None) },
        None => seen_model(&request.model, &file.display().to_string())?,
    };
    Ok(args.model.over(opening))
}

/// The model that `file` was made with: in the catalogue, or where its files were last seen.
///
/// # Errors
/// If it is not there any longer.
pub fn seen_model(model: &ModelRecord, file: &str) -> Result<Opening> {
    let known = catalog::find(&model.name).ok();
    if known.is_some_and(|entry| matches!(entry.source, catalog::Source::Embedded(_))) {
        return Ok(Opening::recorded(model, None));
    }
    let seen = cache_folder().ok().and_then(|cache| Opening::seen(model, &cache));
    match seen {
        Some(seen) => Ok(seen),
        None if known.is_some() || HubModel::named(&model.name).is_some() => Ok(Opening::recorded(model, None)),
        None => {
            let what = format!("{file} was made with the model '{}', which is not where it was", model.name);
            Err(Failure::new(what, "say where it is: -m path/to/folder, or the path of its file"))
        }
    }
}

/// Prompts that are given take the place of a record's; a pipe that happens to be there does not.
fn prompts_over(draft: &Draft, args: &Generate) -> Result<Vec<String>> {
    match source(args) {
        Source::Piped => Ok(vec![draft.prompt.clone()]),
        source => read_prompts(source),
    }
}

fn default_model() -> String {
    catalog::MODELS.first().map_or_else(String::new, |entry| entry.name.to_owned())
}

/// Puts the options over the draft, and says which parts of a record they replace.
fn choose(draft: &mut Draft, args: &Generate) -> Result<Option<Warning>> {
    fn set<T: Clone>(chosen: &mut Option<T>, given: &Option<T>) {
        if given.is_some() {
            chosen.clone_from(given);
        }
    }
    let mut warning = None;
    let timing = args.steps.is_some() || args.schedule.is_some() || args.shift.is_some();
    // A named schedule may depend on the size.
    let resized = (args.width.is_some() || args.height.is_some()) && draft.schedule.is_some();
    if (timing || resized) && draft.sigmas.take().is_some() {
        if draft.schedule.is_none() {
            let message = "the record's own list of sigmas is replaced by a schedule";
            warning = Some(Warning::new("sigmas-replaced", message));
        }
        draft.stop_after = draft.stop_after.filter(|_| !timing);
    }
    if let Some(sigmas) = &args.sigmas {
        (draft.steps, draft.schedule, draft.stop_after) = (None, None, None);
        draft.sigmas = Some(match sigmas {
            Sigmas::Listed(sigmas) => sigmas.clone(),
            Sigmas::File(file) => read_sigmas(file)?,
        });
    }
    set(&mut draft.negative_prompt, &args.negative_prompt);
    set(&mut draft.width, &args.width);
    set(&mut draft.height, &args.height);
    set(&mut draft.steps, &args.steps);
    set(&mut draft.sampler, &args.sampler);
    set(&mut draft.schedule, &args.schedule);
    set(&mut draft.shift, &args.shift);
    set(&mut draft.guidance, &args.guidance);
    choose_guidance(draft, args);
    set(&mut draft.rng, &args.rng);
    draft.preset = args.preset.unwrap_or_default();
    match &args.seed {
        Some(Seeds::Random) => draft.seeds.clear(),
        Some(Seeds::Listed(seeds)) => draft.seeds.clone_from(seeds),
        None => {}
    }
    Ok(warning)
}

/// That a prompt names adapters as sd-cli and the web UIs read it (`<lora:cats:0.8>`): it is text to every model here.
fn adapters_in_text<'a>(mut texts: impl Iterator<Item = &'a String>) -> Option<Warning> {
    let named = texts.find_map(|text| {
        let (_, from) = text.split_once("<lora:")?;
        let (named, _) = from.split_once('>')?;
        Some(named.to_owned())
    })?;
    let (name, scale) = named.split_once(':').unwrap_or((&named, "1"));
    let message = format!(
        "'<lora:{named}>' in the prompt is only text here; to apply an adapter, give its file: \
         --lora path/to/{name}.safetensors={scale}"
    );
    Some(Warning::new("lora-in-prompt", message))
}

/// Guidance over a record's: its rule keeps all but the scale that is given, and its scale serves another rule.
fn choose_guidance(draft: &mut Draft, args: &Generate) {
    let is_scale = |(key, _): &(String, String)| key.eq_ignore_ascii_case("scale");
    if let Some(rule) = &args.rule {
        draft.cfg = draft.cfg.filter(|cfg| *cfg != 1.0 && !rule.given.iter().any(is_scale));
        draft.rule = Some(rule.clone());
    }
    if let Some(cfg) = args.cfg {
        draft.cfg = Some(cfg);
        if let (Some(recorded), None) = (&mut draft.rule, &args.rule) {
            recorded.given.retain(|given| !is_scale(given));
        }
    }
}

/// The seeds of `count` pictures from `first` on.
///
/// # Errors
/// If there are not so many.
pub fn counted_on(first: u64, count: usize) -> Result<Vec<u64>> {
    let last = u64::try_from(count.clamp(1, PICTURES_AT_ONCE) - 1).ok().and_then(|more| first.checked_add(more));
    match last {
        Some(last) => Ok((first..=last).collect()),
        None => {
            let what = format!("there are no {count} seeds from {first} on");
            Err(Failure::usage(what, "begin with a smaller seed; the last one is 18446744073709551615"))
        }
    }
}

/// The prompt that `args` names, in words or by its place; `None` if there is none.
///
/// # Errors
/// A place that cannot be read, a prompt that is no text.
pub fn named_prompt(args: &Generate) -> Result<Option<String>> {
    match source(args) {
        Source::Piped => Ok(None),
        source => read_prompt(source).map(Some),
    }
}

/// The prompt that is piped in.
///
/// # Errors
/// As [`named_prompt`]; also if nothing is piped in.
pub fn piped_prompt() -> Result<String> {
    read_prompt(Source::Piped)
}

fn source(args: &Generate) -> Source<'_> {
    match (args.prompt.as_deref(), &args.prompt_option, &args.prompt_file) {
        (Some("-"), ..) => Source::Stdin,
        (Some(words), ..) => Source::Words(words),
        // A prompt that is a dash can be given here.
        (_, Some(words), _) => Source::Words(words),
        (.., Some(file)) if file.as_os_str() == "-" => Source::Stdin,
        (.., Some(file)) => Source::File(file),
        (None, None, None) => args.prompts.as_deref().map_or(Source::Piped, Source::Lines),
    }
}

/// The prompts of a source: one, or those of its lines. Lines without a word are none.
fn read_prompts(source: Source<'_>) -> Result<Vec<String>> {
    let Source::Lines(file) = source else { return Ok(vec![read_prompt(source)?]) };
    let all = read_prompt(if file.as_os_str() == "-" { Source::Stdin } else { Source::File(file) })?;
    let prompts: Vec<_> = all.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    match prompts.len() {
        0 => {
            let what = format!("there is no prompt in {}", file.display());
            Err(Failure::new(what, "write a prompt on every line"))
        }
        1..=PICTURES_AT_ONCE => Ok(prompts),
        count => {
            let what = format!("{count} prompts in {} are more than {PICTURES_AT_ONCE}", file.display());
            Err(Failure::new(what, "make them in several runs"))
        }
    }
}

fn read_prompt(source: Source<'_>) -> Result<String> {
    match source {
        Source::Words(words) => Ok(words.to_owned()),
        Source::Lines(file) => read_prompt(Source::File(file)),
        Source::File(path) => {
            let file = std::fs::File::open(path).map_err(|e| Failure::io(path, e))?;
            let (name, io) = (path.display().to_string(), |e| Failure::io(path, e));
            text(&name, read_limited(file).map_err(io)?)
        }
        Source::Stdin | Source::Piped => {
            let stdin = std::io::stdin();
            let none = || {
                let hint = "say what to draw: flowline generate \"a red lighthouse by the sea\"";
                Failure::usage("there is no prompt", hint)
            };
            // Nobody is asked: a person at the keyboard is told how to give one.
            if stdin.is_terminal() && matches!(source, Source::Piped) {
                return Err(none());
            }
            let io = |e| Failure::new(format!("standard input: {e}"), "give the prompt as an argument");
            let bytes = read_limited(stdin.lock()).map_err(io)?;
            if bytes.is_empty() {
                return Err(none());
            }
            text("standard input", bytes)
        }
    }
}

fn read_limited(input: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(LONGEST_TEXT + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The prompt in `bytes`: all of it, without the line break that editors put at the end.
fn text(name: &str, bytes: Vec<u8>) -> Result<String> {
    const HINT: &str = "a prompt is plain text in UTF-8";
    if bytes.len() as u64 > LONGEST_TEXT {
        let what = format!("{name} is longer than {} KiB", LONGEST_TEXT >> 10);
        return Err(Failure::new(what, "no model reads so much; a few sentences are plenty"));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Failure::new(format!("{name} is not UTF-8 (byte {at})"), HINT)
    })?;
    if text.contains('\0') {
        return Err(Failure::new(format!("{name} contains a NUL character"), HINT));
    }
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    // A byte order mark is not part of a text.
    Ok(line.strip_prefix('\u{feff}').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_file_is_one_prompt_without_its_last_line_break() {
        assert_eq!(text("file", b"two\nlines\n".to_vec()).unwrap(), "two\nlines");
        assert_eq!(text("file", b"windows\r\n".to_vec()).unwrap(), "windows");
        assert_eq!(text("file", b"\xef\xbb\xbfmarked\n\n".to_vec()).unwrap(), "marked\n");
    }

    #[test]
    fn seeds_count_on_to_the_last_one_and_no_further() {
        assert_eq!(counted_on(7, 3).unwrap(), [7, 8, 9]);
        assert_eq!(counted_on(u64::MAX - 1, 2).unwrap(), [u64::MAX - 1, u64::MAX]);
        assert!(counted_on(u64::MAX, 2).is_err());
    }
}
