//! Parts of a model that take turns where memory is short: slower, the same bits, and never more than planned.

mod parity;

use std::ops::ControlFlow;
use std::path::Path;

use flowline_model::weights::Holding;
use flowline_model::{Draft, Event, Opening, Picture, Pipeline, Request, Residency};
use parity::folders::{flux_folder, sd3_folder};

fn open(folder: &Path, memory: Option<u64>) -> Pipeline {
    let opening = Opening::named(folder.to_str().unwrap(), None);
    Pipeline::open_as(&Opening { memory, holding: Holding::DENSE, ..opening }).unwrap()
}

fn draft(prompt: &str) -> Draft {
    Draft {
        prompt: prompt.into(),
        width: Some(48),
        height: Some(64),
        seeds: vec![7, 8],
        steps: Some(2),
        ..Draft::default()
    }
}

/// What a folder needs if its parts stay, and if they take turns.
fn needs(folder: &Path) -> (u64, u64) {
    let peak = |memory| {
        let pipeline = open(folder, memory);
        let request = draft("a boat").resolve(pipeline.spec()).unwrap().request;
        request.memory_plan(pipeline.spec()).peak.heap
    };
    let whole = peak(None);
    (whole, peak(Some(whole - 1)))
}

/// The pictures of a prompt, and what was told on the way, each kind once in a row.
fn make(pipeline: &mut Pipeline, request: &Request) -> (Vec<Picture>, Vec<String>) {
    let (mut pictures, mut told): (Vec<Picture>, Vec<String>) = Default::default();
    let (mut read, mut total) = (0, 0);
    pipeline
        .generate(request, |event| {
            let kind = match event {
                Event::Loading { part, bytes, total: all } => {
                    assert!(bytes >= read && bytes <= all, "{bytes} of {all} after {read}");
                    (read, total) = (bytes, all);
                    part.to_owned()
                }
                Event::Encoding => "encoding".into(),
                Event::Step(_) => "steps".into(),
                Event::Picture(picture) => {
                    pictures.push(*picture);
                    "picture".into()
                }
                _ => return ControlFlow::Continue(()),
            };
            if told.last() != Some(&kind) {
                told.push(kind);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    // Headers of the files are not read as weights.
    assert!(read <= total && 10 * read >= 6 * total, "{read} of {total}");
    (pictures, told)
}

fn same(a: &[Picture], b: &[Picture]) -> bool {
    let bits = |pictures: &[Picture]| -> Vec<_> {
        pictures.iter().map(|picture| (picture.latents.values().unwrap(), picture.image.clone())).collect()
    };
    bits(a) == bits(b)
}

#[test]
fn parts_that_take_turns_make_the_same_bits() {
    for folder in [flux_folder("flux_dev"), sd3_folder("sd35_medium")] {
        let (whole, in_turn) = needs(folder.path());
        assert!(in_turn < whole, "{in_turn} of {whole}");
        let (mut roomy, mut tight) = (open(folder.path(), Some(whole)), open(folder.path(), Some(in_turn)));
        for (round, prompt) in ["a boat", "a lovely cat"].into_iter().enumerate() {
            let request = draft(prompt).resolve(roomy.spec()).unwrap().request;
            assert_eq!(request.memory_plan(roomy.spec()).residency, Residency::Whole);
            assert_eq!(request.memory_plan(tight.spec()).residency, Residency::InTurn);
            let (want, told) = make(&mut roomy, &request);
            let everything = ["text encoder", "transformer", "autoencoder", "encoding"];
            let read = if round == 0 { &everything[..] } else { &everything[3..] };
            assert_eq!(told[..read.len()], *read, "{prompt}");
            let (got, told) = make(&mut tight, &request);
            assert_eq!(told[..4], ["text encoder", "encoding", "transformer", "autoencoder"], "{prompt}");
            assert!(same(&got, &want), "{prompt}");
        }
        // A prompt whose features are kept brings nothing back.
        let again = draft("a boat").resolve(tight.spec()).unwrap().request;
        let (_, told) = make(&mut tight, &again);
        assert_eq!(told[..2], ["encoding", "steps"]);
    }
}

#[test]
fn a_model_that_fits_in_no_way_is_refused_before_anything_is_read() {
    let folder = flux_folder("flux_dev");
    let (_, in_turn) = needs(folder.path());
    let pipeline = open(folder.path(), Some(in_turn - 1));
    let refused = draft("a boat").resolve(pipeline.spec()).unwrap_err();
    assert!(matches!(refused, flowline_model::Error::Memory { needed, available }
        if needed == in_turn && available == in_turn - 1));
}
