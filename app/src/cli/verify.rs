//! `flowline verify`: are the samplers right, and is a picture what its record says?
//!
//! Without a picture, every sampler of the catalogue (or those named) is judged against closed forms, by the same proof
//! that the tests run. With one, the picture is made again from its record and compared pixel by pixel.

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;

use flowline_model::{Event, Opening, Request};
use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::Choice;
use flowline_sampler::proof::STEPS;
use image::RgbImage;
use serde::Serialize;

use super::asked::seen_model;
use super::{brought, output};
use crate::args::{Beginning, Verify};
use crate::laboratory::proof::{Judged, USUAL_STEPS, judge};
use crate::library::cache_folder;
use crate::shelf::Shelf;
use crate::{Exit, Failure, Registry, Result, record};

/// How a picture compares with what its record makes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Its file.
    pub picture: String,
    /// Whether every pixel is the same.
    pub identical: bool,
    /// The largest difference of a level.
    pub largest_difference: u8,
    /// The mean of all.
    pub mean_difference: f64,
    /// Which inputs differ from those the record names.
    pub differences: Vec<String>,
}

/// Judges samplers, or a picture.
///
/// # Errors
/// A picture that cannot be read or made again, an unknown sampler, a stdout that takes nothing.
pub fn run(args: &Verify, registry: &Registry) -> Result<Exit> {
    match &args.picture {
        Some(path) => {
            let compared = picture(path, args.init_image.as_deref(), registry)?;
            match args.json {
                true => output::pretty(&compared)?,
                false => output::data(sentence(&compared).as_bytes())?,
            }
            Ok(if compared.identical { Exit::Done } else { Exit::Failed })
        }
        None => verify_samplers(&args.sampler, registry, args.json),
    }
}

fn verify_samplers(named: &[Choice], registry: &Registry, json: bool) -> Result<Exit> {
    let samplers = registry.proof_samplers();
    let all: Vec<Choice> = samplers.iter().map(|about| Choice::new(about.name)).collect();
    let bench = Bench::smooth()?;
    let named = if named.is_empty() { &all } else { named };
    let judged = named.iter().map(|choice| judge(choice, registry, &bench)).collect::<Result<Vec<_>>>()?;
    let holds = judged.iter().all(|judged| judged.holds);
    match json {
        true => output::pretty(&judged)?,
        false => output::data(table(&judged).as_bytes())?,
    }
    Ok(if holds { Exit::Done } else { Exit::Failed })
}

fn table(judged: &[Judged]) -> String {
    let width = judged.iter().map(|judged| judged.sampler.chars().count()).max().unwrap_or(0).max("sampler".len());
    let [few, many] = STEPS.map(|steps| format!("spread@{steps}"));
    let evaluations = format!("runs@{USUAL_STEPS}");
    let mut text = format!("{:width$}  order  {few:>10}  {many:>10}  {evaluations:>7}  verdict\n", "sampler");
    for Judged { sampler, order, spread: [few, many], evaluations, verdict, .. } in judged {
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "{sampler:width$}  {order:5.2}  {few:+10.1e}  {many:+10.1e}  {evaluations:7}  {verdict}");
    }
    text
}

/// Makes the picture at `path` again from its record, beginning at `init_image` if it began at one, and compares.
///
/// # Errors
/// A picture that cannot be read or made again.
pub fn picture(path: &Path, init_image: Option<&Path>, registry: &Registry) -> Result<Compared> {
    let name = path.display().to_string();
    let read = record::read(path)?;
    read.replayable(&name)?;
    let Some(recorded) = read.request else {
        let what = format!("{name} was made by {}, whose records say too little to make it again exactly", read.source);
        return Err(Failure::new(what, "`flowline generate --from` makes one like it"));
    };
    let cache = cache_folder().ok();
    let opening = seen_model(&recorded.model, &name)?;
    let mut pipeline = registry.open(&Opening { cache, ..Shelf::usual(true).over(opening) })?;
    let mut draft = recorded.to_draft();
    let beginning = Beginning { picture: init_image.map(Path::to_owned), strength: None };
    let differs = brought::choose(&beginning, None, &mut draft, &mut pipeline)?;
    let request = Request { seeds: recorded.seeds.clone(), ..draft.resolve(pipeline.spec())?.request };
    let mut again = None;
    pipeline.generate(&request, |event| {
        if let Event::Picture(picture) = event {
            again = Some(picture.image);
        }
        ControlFlow::Continue(())
    })?;
    let unreadable = |e| Failure::new(format!("{name}: {e}"), "the file may be damaged; its record can still be read");
    let pixels = image::open(path).map_err(unreadable)?.to_rgb8();
    let differs = differs.into_iter().map(|warning| warning.message);
    let differences = differs.chain(request.differences(&recorded)).collect();
    compare(name, &pixels, again.as_ref(), differences)
}

fn compare(picture: String, pixels: &RgbImage, again: Option<&RgbImage>, differences: Vec<String>) -> Result<Compared> {
    let Some(again) = again.filter(|again| again.dimensions() == pixels.dimensions()) else {
        let what = format!("{picture} has other dimensions than its record makes");
        return Err(Failure::new(what, "it was cropped or scaled after it was made"));
    };
    let apart = pixels.as_raw().iter().zip(again.as_raw()).map(|(a, b)| a.abs_diff(*b));
    let largest_difference = apart.clone().max().unwrap_or(0);
    let mean_difference = apart.map(f64::from).sum::<f64>() / pixels.as_raw().len().max(1) as f64;
    let identical = largest_difference == 0;
    Ok(Compared { picture, identical, largest_difference, mean_difference, differences })
}

/// What was found, in words.
pub fn sentence(compared: &Compared) -> String {
    let Compared { picture, identical, largest_difference, mean_difference, differences } = compared;
    let mut text = match identical {
        true => format!("{picture}: identical to what its record makes\n"),
        false => format!(
            "{picture}: differs from what its record makes, by {largest_difference} of 255 at most and \
             {mean_difference:.3} on average\n"
        ),
    };
    for difference in differences {
        let _ = writeln!(text, "  {difference}");
    }
    text
}
