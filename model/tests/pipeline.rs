//! The one door, from outside: what it tells, how it stops, that nothing depends on what it should not depend on.

use std::cell::Cell;
use std::ops::ControlFlow;

use flowline_model::{Draft, Error, Event, Opening, Outcome, Picture, Pipeline, Request};
use flowline_sampler::catalog::{About, Choice, Entry};
use flowline_sampler::facts::{Bias, Evaluations, Facts, Group, LastStep};
use flowline_sampler::{Env, Latent, Result as SamplerResult, Sampler, Schedule, Step, Stepped, Stepper};

fn postcard() -> Pipeline {
    Pipeline::open("postcard", None).unwrap()
}

fn draft(seeds: &[u64], steps: usize) -> Draft {
    let prompt = "a red lighthouse by the sea at sunset".to_owned();
    Draft { prompt, seeds: seeds.to_vec(), steps: Some(steps), ..Draft::default() }
}

fn resolve(pipeline: &Pipeline, draft: &Draft) -> Request {
    draft.resolve(pipeline.spec()).unwrap().request
}

/// The pictures of a request, and how it ended; stopped at the `stop`-th event that `heard` counts.
fn run(pipeline: &mut Pipeline, request: &Request, mut stop: impl FnMut(&Event) -> bool) -> (Vec<Picture>, Outcome) {
    let mut pictures = Vec::new();
    let outcome = pipeline.generate(request, |event| {
        let stop = stop(&event);
        if let Event::Picture(picture) = event {
            pictures.push(*picture);
        }
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    (pictures, outcome.unwrap())
}

/// The pictures of a draft, undisturbed.
fn draw(pipeline: &mut Pipeline, draft: &Draft) -> Vec<Picture> {
    let request = resolve(pipeline, draft);
    run(pipeline, &request, |_| false).0
}

#[test]
fn a_batch_gives_every_seed_the_picture_it_has_alone() {
    let mut pipeline = postcard();
    let together = draw(&mut pipeline, &draft(&[7, 8, 9], 2));
    for (seed, picture) in [7, 8, 9].into_iter().zip(&together) {
        let pictures = draw(&mut postcard(), &draft(&[seed], 2));
        assert_eq!(picture.seed, seed);
        assert_eq!(picture.image, pictures[0].image, "seed {seed}");
    }
    assert_ne!(together[0].image, together[1].image);
}

#[test]
fn the_record_of_a_picture_makes_it_again_through_json_and_through_a_draft() {
    let mut pipeline = postcard();
    for sampler in ["euler", "heun", "ab2", "langevin:scale=0.5", "ddim:path=vp"] {
        let draft = Draft { sampler: Some(sampler.parse().unwrap()), ..draft(&[3, u64::MAX], 3) };
        let request = resolve(&pipeline, &draft);
        let (pictures, _) = run(&mut pipeline, &request, |_| false);
        for picture in &pictures {
            let json = serde_json::to_string(&picture.request).unwrap();
            let back: Request = serde_json::from_str(&json).unwrap();
            assert_eq!(back, picture.request);
            assert_eq!(resolve(&pipeline, &back.to_draft()), back, "{sampler}");
            let (again, _) = run(&mut pipeline, &back, |_| false);
            assert_eq!(again[0].image, picture.image, "{sampler}, seed {}", picture.seed);
        }
    }
}

#[test]
fn stopping_gives_the_best_picture_so_far_and_its_record_makes_it_again() {
    let mut pipeline = postcard();
    let request = resolve(&pipeline, &draft(&[1, 2], 4));
    let (pictures, outcome) = run(&mut pipeline, &request, |event| matches!(event, Event::Step(s) if s.taken == 2));
    assert!(outcome.stopped);
    assert_eq!(pictures.len(), 1, "the second picture is not begun");
    assert_eq!(pictures[0].stopped, Some((2, 4)));
    assert_eq!(pictures[0].request.stop_after, Some(2));
    let (again, outcome) = run(&mut pipeline, &pictures[0].request, |_| false);
    assert!(!outcome.stopped);
    assert_eq!((again[0].stopped, &again[0].image), (Some((2, 4)), &pictures[0].image));
}

#[test]
fn stopping_at_any_event_whatever_is_clean_and_the_pipeline_goes_on_afterwards() {
    let mut pipeline = postcard();
    let request = resolve(&pipeline, &draft(&[5], 2));
    // Weights are read once; the runs that are counted tell the same events.
    draw(&mut pipeline, &draft(&[5], 1));
    let all = Cell::new(0);
    let (whole, _) = run(&mut pipeline, &request, |_| {
        all.set(all.get() + 1);
        false
    });
    // The last event says that all is over; there is nothing left to stop.
    for stop_at in 0..all.get() - 1 {
        let heard = Cell::new(0);
        let (pictures, outcome) = run(&mut pipeline, &request, |_| {
            heard.set(heard.get() + 1);
            heard.get() == stop_at + 1
        });
        assert!(outcome.stopped, "event {stop_at}");
        for picture in pictures {
            let complete = picture.stopped.is_none();
            assert_eq!(complete, picture.image == whole[0].image, "event {stop_at}: {:?}", picture.stopped);
        }
    }
    assert_eq!(run(&mut pipeline, &request, |_| false).0[0].image, whole[0].image);
}

#[test]
fn events_come_in_order_and_steps_count_evaluations() {
    let mut pipeline = postcard();
    let request = resolve(&pipeline, &Draft { sampler: Some(Choice::new("heun")), ..draft(&[5], 3) });
    let mut names = Vec::new();
    let outcome = pipeline.generate(&request, |event| {
        names.push(match event {
            Event::Warning(_) => "warning".to_owned(),
            Event::Loading { bytes, total, .. } => {
                assert!(bytes <= total);
                "loading".to_owned()
            }
            Event::Encoding => "encoding".to_owned(),
            Event::Tick => "tick".to_owned(),
            Event::Step(step) => {
                assert_eq!(step.preview.unwrap().dimensions(), (16, 16));
                format!("step {} of {}: {} evaluations", step.taken, step.steps, step.evaluations)
            }
            Event::Decoding { index } => format!("decoding {index}"),
            Event::Picture(picture) => format!("picture {} after {}", picture.index, picture.evaluations),
            Event::Finished(_) => "finished".to_owned(),
        });
        ControlFlow::Continue(())
    });
    assert!(names.iter().any(|name| name == "tick"));
    names.retain(|name| name != "tick");
    names.dedup();
    // Heun evaluates twice a step and once in the last; guidance doubles that.
    let want = [
        "loading",
        "encoding",
        "step 1 of 3: 4 evaluations",
        "step 2 of 3: 8 evaluations",
        "step 3 of 3: 10 evaluations",
        "decoding 0",
        "picture 0 after 10",
        "finished",
    ];
    assert_eq!(names, want);
    assert_eq!(outcome.unwrap().pictures, 1);
}

#[test]
fn cfg_one_evaluates_once_a_step_and_ignores_the_negative_prompt_with_a_warning() {
    let mut pipeline = postcard();
    let plain = Draft { cfg: Some(1.0), ..draft(&[5], 2) };
    let negative = Draft { negative_prompt: Some("night".into()), ..plain.clone() };
    let resolved = negative.resolve(pipeline.spec()).unwrap();
    assert_eq!(resolved.warnings[0].code, "negative-unused");
    let a = draw(&mut pipeline, &plain);
    let (b, _) = run(&mut pipeline, &resolved.request, |_| false);
    assert_eq!((a[0].evaluations, &a[0].image), (2, &b[0].image));
    let guided = Draft { cfg: Some(2.5), ..negative };
    let c = draw(&mut pipeline, &guided);
    assert_eq!(c[0].evaluations, 4);
    assert_ne!(a[0].image, c[0].image);
}

#[test]
fn words_the_model_does_not_know_are_named_once_and_a_long_prompt_says_what_was_cut() {
    let mut pipeline = postcard();
    let known = pipeline.prompt_warnings("a red lighthouse by the sea at sunset").unwrap();
    assert_eq!(known, []);
    let unknown = pipeline.prompt_warnings("a Dragon by the sea, dragon fire").unwrap();
    assert_eq!(unknown[0].code, "unknown-words");
    assert!(unknown[0].message.starts_with("postcard does not know 'dragon', 'fire'; it draws a lighthouse"));
    let long = format!("{}windmill", "a red lighthouse by the sea ".repeat(10));
    let cut = pipeline.prompt_warnings(&long).unwrap();
    assert_eq!(cut[0].code, "prompt-cut");
    let empty = pipeline.prompt_warnings(" ").unwrap();
    assert_eq!(empty[0].code, "prompt-empty");
}

#[test]
fn what_cannot_be_used_is_reported_and_what_makes_no_sense_is_refused() {
    let pipeline = postcard();
    let spec = pipeline.spec();
    let unused = Draft { guidance: Some(3.0), ..draft(&[1], 2) }.resolve(spec).unwrap();
    assert_eq!(unused.warnings[0].code, "guidance-unused");
    let odd = Draft { width: Some(320), ..draft(&[1], 2) }.resolve(spec).unwrap();
    assert_eq!(odd.warnings[0].code, "size-untrained");

    let refused = |draft: Draft| match draft.resolve(spec) {
        Ok(resolved) => panic!("accepted: {:?}", resolved.request),
        Err(error) => {
            assert!(!error.hint().is_empty());
            error.to_string()
        }
    };
    let base = draft(&[1], 2);
    for cfg in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(refused(Draft { cfg: Some(cfg), ..base.clone() }), format!("cfg cannot be {cfg}"));
    }
    for (width, height) in [(0, 256), (250, 256), (256, 17), (1 << 20, 256)] {
        refused(Draft { width: Some(width), height: Some(height), ..base.clone() });
    }
    for steps in [0, 1_000_000_000] {
        refused(Draft { steps: Some(steps), ..base.clone() });
    }
    for sigmas in [vec![], vec![1.0], vec![1.0, 1.0, 0.0], vec![1.0, f64::NAN, 0.0], vec![1.0, 0.5], vec![2.0, 0.0]] {
        refused(Draft { sigmas: Some(sigmas), steps: None, ..base.clone() });
    }
    refused(Draft { prompt: "a\0b".into(), ..base.clone() });
    refused(Draft { sampler: Some(Choice::new("langevin").with("scale", "NaN")), ..base.clone() });
    refused(Draft { stop_after: Some(3), ..base.clone() });
    let huge = Draft { width: Some(16_384), height: Some(16_384), ..base };
    let small = Opening { memory: Some(1 << 30), ..Opening::named("postcard", None) };
    let small = Pipeline::open_as(&small).unwrap();
    assert!(matches!(huge.resolve(small.spec()), Err(Error::Memory { available, .. }) if available <= 1 << 30));
}

#[test]
fn sigmas_given_one_by_one_equal_the_schedule_they_come_from() {
    let mut pipeline = postcard();
    let named = resolve(&pipeline, &Draft { shift: Some(2.0), ..draft(&[4], 3) });
    assert_eq!(named.schedule.to_string(), "shift:shift=2");
    let listed = Draft { sigmas: Some(named.sigmas.clone()), steps: None, ..draft(&[4], 3) };
    let listed = resolve(&pipeline, &listed);
    assert_eq!(listed.schedule.to_string(), "explicit");
    let (a, _) = run(&mut pipeline, &named, |_| false);
    let (b, _) = run(&mut pipeline, &listed, |_| false);
    assert_eq!(a[0].image, b[0].image);
}

/// A stranger's sampler: Euler, written outside the crate.
struct Mine;

impl<T: Latent> Sampler<T> for Mine {
    fn start(&self, _: &Schedule) -> SamplerResult<Box<dyn Stepper<T>>> {
        Ok(Box::new(Mine))
    }

    fn facts(&self) -> Facts {
        Facts {
            group: Group::Special,
            order: 1.0,
            bias: Bias::Shrinks,
            evaluations: Evaluations::each(1),
            last: LastStep::Denoised,
            resolves: false,
            label: None,
        }
    }
}

impl<T: Latent> Stepper<T> for Mine {
    fn step(&mut self, step: &Step<'_>, x: &T, env: &mut Env<'_, T>) -> SamplerResult<Stepped<T>> {
        let v = env.velocity(x, step.sigma)?;
        let x_next = T::lincomb(&[(1.0, x), (step.next - step.sigma, &v)])?;
        Ok(Stepped { x: x_next, denoised: T::lincomb(&[(1.0, x), (-step.sigma, &v)])? })
    }
}

#[test]
fn a_strangers_sampler_enters_by_the_catalogue_and_makes_the_same_picture_as_its_twin() {
    const ABOUT: About = About {
        name: "mine",
        aliases: &[],
        ve_names: &[],
        meaning: "Euler again, from outside",
        formula: "x' = x + (s' - s) v",
        citation: "this test",
        parameters: &[],
    };
    let mut pipeline = postcard();
    pipeline.spec_mut().samplers.add(Entry::sampler(ABOUT, |_| Ok(Mine)));
    let mine = draw(&mut pipeline, &Draft { sampler: Some(Choice::new("mine")), ..draft(&[6], 3) });
    let euler = draw(&mut pipeline, &draft(&[6], 3));
    let differing = mine[0].image.as_raw().iter().zip(euler[0].image.as_raw()).filter(|(a, b)| a.abs_diff(**b) > 1);
    assert_eq!(differing.count(), 0);
}

#[test]
fn the_preview_shows_what_the_picture_will_show() {
    let mut pipeline = postcard();
    // None of these prompts was among those the preview was fitted to.
    let prompts = ["a blue windmill on a meadow at noon", "two red tents in the desert at sunset", "a castle at night"];
    let (mut preview_psnr, mut permuted_psnr) = (0.0, 0.0);
    for prompt in prompts {
        let request = resolve(&pipeline, &Draft { prompt: prompt.into(), ..draft(&[99], 8) });
        let (mut preview, mut picture) = (None, None);
        let outcome = pipeline.generate(&request, |event| {
            match event {
                Event::Step(step) => preview = step.preview,
                Event::Picture(done) => picture = Some(done.image),
                _ => {}
            }
            ControlFlow::Continue(())
        });
        assert_eq!(outcome.unwrap().pictures, 1);
        let (preview, picture) = (preview.unwrap(), picture.unwrap());
        let small = image::imageops::resize(&picture, 16, 16, image::imageops::FilterType::Triangle);
        let mut permuted = preview.clone();
        permuted.pixels_mut().for_each(|pixel| pixel.0.rotate_left(1));
        preview_psnr += psnr(&preview, &small) / prompts.len() as f64;
        permuted_psnr += psnr(&permuted, &small) / prompts.len() as f64;
    }
    println!("preview: {preview_psnr:.1} dB, with permuted channels {permuted_psnr:.1} dB");
    assert!(preview_psnr >= PREVIEW_PSNR, "{preview_psnr:.1} dB");
    assert!(permuted_psnr < PREVIEW_PSNR, "{permuted_psnr:.1} dB");
}

/// What the card of the default model states for its preview, in dB against the decoded picture shrunk to its size.
const PREVIEW_PSNR: f64 = 19.0;

/// Peak signal-to-noise ratio of two pictures of one size, dB.
fn psnr(shown: &image::RgbImage, truth: &image::RgbImage) -> f64 {
    let squares = shown.as_raw().iter().zip(truth.as_raw()).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    10.0 * (255f64.powi(2) * truth.as_raw().len() as f64 / squares.sum::<f64>()).log10()
}
