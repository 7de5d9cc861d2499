//! Experiments from outside: runs that are kept, continued and branched, noise, guidance rules, tilting,
//! beginning at a picture.

mod branches;
mod files;
mod guidance;
mod noise;
mod starting;
mod tilting;

use std::ops::ControlFlow;

use flowline_model::{Draft, Event, Kept, Picture, Pipeline, Request, StepDone};

/// The built-in model.
fn postcard() -> Pipeline {
    Pipeline::open("postcard", None).unwrap()
}

/// A small picture of a lighthouse in `steps` steps.
fn draft(steps: usize) -> Draft {
    let prompt = "a red lighthouse by the sea at sunset".to_owned();
    let size = Some(64);
    Draft { prompt, seeds: vec![7], steps: Some(steps), width: size, height: size, ..Draft::default() }
}

fn resolve(pipeline: &Pipeline, draft: &Draft) -> Request {
    draft.resolve(pipeline.spec()).unwrap().request
}

/// The error of a draft that must be refused, as people read it.
fn refused(pipeline: &Pipeline, draft: &Draft) -> String {
    let error = draft.resolve(pipeline.spec()).map(|resolved| resolved.request).unwrap_err();
    assert!(!error.hint().is_empty(), "{error}");
    error.to_string()
}

/// What a request gave.
struct Made {
    pictures: Vec<Picture>,
    steps: Vec<StepDone>,
    /// The codes of its warnings.
    warnings: Vec<&'static str>,
}

impl Made {
    fn picture(&self) -> &Picture {
        &self.pictures[0]
    }

    fn kept(&self) -> &Kept {
        self.picture().kept.as_ref().unwrap()
    }

    /// The first picture's latents, to the bit.
    fn bits(&self) -> Vec<u32> {
        bits(self.picture())
    }
}

fn bits(picture: &Picture) -> Vec<u32> {
    picture.latents.values().unwrap().into_iter().map(f32::to_bits).collect()
}

fn make(pipeline: &mut Pipeline, request: &Request) -> Made {
    let mut made = Made { pictures: Vec::new(), steps: Vec::new(), warnings: Vec::new() };
    let outcome = pipeline.generate(request, |event| {
        match event {
            Event::Picture(picture) => made.pictures.push(*picture),
            Event::Step(step) => made.steps.push(step),
            Event::Warning(warning) => made.warnings.push(warning.code),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    outcome.unwrap();
    made
}

/// As [`make`], of a draft, with the run kept.
fn keep(pipeline: &mut Pipeline, draft: &Draft) -> Made {
    pipeline.keep(true);
    let request = resolve(pipeline, draft);
    let made = make(pipeline, &request);
    pipeline.keep(false);
    made
}
