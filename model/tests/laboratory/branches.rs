//! Going on from the middle of a run: the same run to the bit, or another.

use flowline_model::{Branch, Draft, Kept, Latents, Request, Rng};
use flowline_sampler::catalog::{Choice, Samplers};

use super::{bits, draft, keep, make, postcard, refused, resolve};

/// Every sampler of the catalogue, and some with corrections around them. The adaptive one is content with little, for it
/// alone would take as long as all others.
fn samplers() -> Vec<Choice> {
    let all = Samplers::<Latents>::builtin();
    let modest = |choice: Choice| match choice.name.as_str() {
        "adaptive" => choice.with("tolerance", 0.1),
        _ => choice,
    };
    let decorated = ["heun+corrector:k=2", "dpmpp2m+corrector:kind=ou", "langevin+corrector"];
    let plain = all.iter().map(|about| modest(Choice::new(about.name)));
    plain.chain(decorated.iter().map(|written| written.parse().unwrap())).collect()
}

#[test]
fn every_sampler_goes_on_from_a_file_with_the_bits_of_the_uninterrupted_run_also_with_momentum_in_the_guidance() {
    const STEPS: usize = 4;
    let mut pipeline = postcard();
    for sampler in samplers() {
        let rule = Some("apg:scale=3,momentum=-0.5".parse().unwrap());
        let asked = Draft { sampler: Some(sampler.clone()), rule, ..draft(STEPS) };
        let whole = keep(&mut pipeline, &asked);
        assert_eq!(whole.kept().taken(), STEPS, "{sampler}");
        let file = whole.kept().to_bytes().unwrap();
        for at in [1, 2, STEPS - 1] {
            let kept = Kept::from_bytes(&file).unwrap();
            let request = resolve(&pipeline, &kept.draft());
            pipeline.hold_at(kept, at).unwrap();
            let rest = keep(&mut pipeline, &Draft { stop_after: None, ..request.to_draft() });
            assert_eq!(rest.steps.len(), STEPS - at, "{sampler} from @{at}: only the rest is walked");
            assert!(rest.bits() == whole.bits(), "{sampler} from @{at}: other latents");
            assert_eq!(rest.picture().image, whole.picture().image, "{sampler} from @{at}");
            assert_eq!(rest.picture().request, whole.picture().request, "{sampler} from @{at}");
            assert_eq!(rest.picture().evaluations, whole.picture().evaluations, "{sampler} from @{at}");
            for (step, before) in rest.steps.iter().zip(&whole.steps[at..]) {
                assert_eq!(step.metrics, before.metrics, "{sampler} from @{at}");
                assert_eq!((step.taken, step.evaluations), (before.taken, before.evaluations), "{sampler} from @{at}");
            }
            assert_eq!(rest.kept().to_bytes().unwrap(), file, "{sampler} from @{at}: another file");
        }
    }
}

#[test]
fn a_run_that_was_cut_short_goes_on_where_its_file_ends_and_only_as_far_as_it_is_asked() {
    let mut pipeline = postcard();
    let asked = Draft { sampler: Some(Choice::new("ab2")), ..draft(4) };
    let whole = keep(&mut pipeline, &asked);
    let begun = keep(&mut pipeline, &Draft { stop_after: Some(2), ..asked.clone() });
    assert_eq!((begun.kept().taken(), begun.kept().request.stop_after), (2, None));
    pipeline.hold(begun.kept().clone()).unwrap();
    let request = resolve(&pipeline, &asked);
    let rest = make(&mut pipeline, &request);
    assert_eq!((rest.steps.len(), rest.bits()), (2, whole.bits()));
    // Asked for less than the file has, nothing is walked and the prediction is the one that was seen.
    let stopped = make(&mut pipeline, &Request { stop_after: Some(1), ..request.clone() });
    assert!(stopped.steps.is_empty());
    assert_eq!(stopped.bits(), make(&mut postcard(), &Request { stop_after: Some(1), ..request }).bits());
    // Another run is not gone on with.
    let other = resolve(&pipeline, &Draft { seeds: vec![8], ..asked });
    assert_eq!(make(&mut pipeline, &other).steps.len(), 4);
}

#[test]
fn the_run_so_far_is_told_after_every_step() {
    let mut pipeline = postcard();
    let whole = keep(&mut pipeline, &draft(3));
    for (taken, step) in (1..).zip(&whole.steps) {
        let kept = step.kept.as_ref().unwrap();
        assert_eq!(kept.taken(), taken);
        assert_eq!(kept.to_bytes().unwrap(), {
            let mut cut = whole.kept().clone();
            cut.steps.truncate(taken);
            cut.to_bytes().unwrap()
        });
    }
    // Nobody pays for what nobody asked for.
    let request = resolve(&pipeline, &draft(3));
    let quiet = make(&mut pipeline, &request);
    assert!(quiet.picture().kept.is_none() && quiet.steps.iter().all(|step| step.kept.is_none()));
    assert_eq!(quiet.bits(), whole.bits());
}

/// A change at a branch, and what it is called.
type Change = (&'static str, Box<dyn Fn(Draft) -> Draft>);

/// What may change at a branch.
fn changes() -> Vec<Change> {
    let sampler =
        |written: &'static str| move |draft: Draft| Draft { sampler: Some(written.parse().unwrap()), ..draft };
    vec![
        ("nothing", Box::new(|draft| draft)),
        ("a multistep sampler", Box::new(sampler("unipc"))),
        ("a stochastic sampler", Box::new(sampler("langevin"))),
        ("two draws a step", Box::new(move |draft| Draft { rng: Some(Rng::TorchCpu), ..sampler("seeds2")(draft) })),
        ("a path of noise", Box::new(move |draft| Draft { rng: Some(Rng::Brownian), ..sampler("ddpm")(draft) })),
        (
            "a schedule",
            Box::new(|draft| {
                let schedule = Some("sd3:shift=2".parse().unwrap());
                Draft { schedule, steps: Some(9), sigmas: None, ..draft }
            }),
        ),
        ("more steps", Box::new(|draft| Draft { steps: Some(11), sigmas: None, ..draft })),
        (
            "sigmas",
            Box::new(|draft| Draft { sigmas: Some(vec![1.0, 0.45, 0.1, 0.0]), steps: None, schedule: None, ..draft }),
        ),
        ("a prompt", Box::new(|draft| Draft { prompt: "a blue windmill at night".into(), ..draft })),
        ("guidance", Box::new(|draft| Draft { cfg: Some(4.0), rule: Some("cfg-zero-star".parse().unwrap()), ..draft })),
        ("seeds", Box::new(move |draft| Draft { seeds: vec![1, 2], ..sampler("ancestral")(draft) })),
    ]
}

#[test]
fn a_branch_with_anything_changed_has_a_record_that_makes_it_again_without_the_file() {
    let mut pipeline = postcard();
    let parent = keep(&mut pipeline, &Draft { sampler: Some(Choice::new("ab2")), ..draft(5) });
    let kept = Kept::from_bytes(&parent.kept().to_bytes().unwrap()).unwrap();
    let mut alone = postcard();
    let mut seen = vec![parent.bits()];
    for (what, change) in changes() {
        let request = resolve(&pipeline, &change(kept.branch_draft(3).unwrap()));
        assert_eq!(request.sigmas[0], parent.kept().request.sigmas[3], "{what}");
        assert_eq!((request.steps_before(), request.schedule.name.as_str()), (3, Request::EXPLICIT), "{what}");
        pipeline.hold(kept.clone()).unwrap();
        let branched = make(&mut pipeline, &request);
        assert_eq!(branched.warnings, ["size-untrained"], "{what}");
        assert_eq!(branched.steps.len(), request.steps * request.seeds.len(), "{what}");
        for picture in &branched.pictures {
            let json = serde_json::to_string(&picture.request).unwrap();
            let record: Request = serde_json::from_str(&json).unwrap();
            assert_eq!(resolve(&alone, &record.to_draft()), picture.request, "{what}");
            let again = make(&mut alone, &record);
            assert_eq!(again.warnings, ["size-untrained", "branch-walked"], "{what}");
            assert!(again.bits() == bits(picture), "{what}: the record makes other latents");
            assert_eq!((&again.picture().image, again.picture().evaluations), (&picture.image, picture.evaluations));
            assert!(!seen.contains(&bits(picture)), "{what}: nothing changed");
            seen.push(bits(picture));
        }
    }
}

#[test]
fn a_branch_of_a_branch_is_walked_from_the_beginning_or_from_whichever_run_is_held() {
    let mut pipeline = postcard();
    let first = keep(&mut pipeline, &draft(4));
    let mut second = first.kept().branch_draft(1).unwrap();
    second.sampler = Some(Choice::new("langevin"));
    pipeline.hold(first.kept().clone()).unwrap();
    let second = keep(&mut pipeline, &second);
    let mut third = second.kept().branch_draft(2).unwrap();
    third.sampler = Some(Choice::new("ddpm"));
    let request = resolve(&pipeline, &third);
    assert_eq!((request.steps, request.steps_before()), (1, 3));
    let from_noise = make(&mut postcard(), &request);
    let by_first = make(&mut pipeline, &request);
    pipeline.hold(second.kept().clone()).unwrap();
    let by_second = make(&mut pipeline, &request);
    assert_eq!((by_first.bits(), by_second.bits()), (from_noise.bits(), from_noise.bits()));
    assert_eq!(by_second.warnings, ["size-untrained"]);
    // A file of a branch goes on by itself, and does not need the run that it left.
    let file = second.kept().to_bytes().unwrap();
    let mut alone = postcard();
    alone.hold_at(Kept::from_bytes(&file).unwrap(), 1).unwrap();
    let rest = make(&mut alone, &second.kept().request);
    assert_eq!((rest.steps.len(), rest.bits(), rest.warnings), (2, second.bits(), vec!["size-untrained"]));
}

#[test]
fn branches_that_make_no_sense_are_refused() {
    let mut pipeline = postcard();
    let parent = keep(&mut pipeline, &draft(3));
    let kept = parent.kept();
    let base = kept.branch_draft(2).unwrap();
    let at = |at| Draft { branch: Some(Box::new(Branch { parent: kept.request.clone(), at })), ..base.clone() };
    assert_eq!(refused(&pipeline, &at(3)), "the run has 3 steps, nothing goes on after step 3");
    assert_eq!(
        refused(&pipeline, &at(usize::MAX)),
        format!("the run has 3 steps, nothing goes on after step {}", usize::MAX)
    );
    assert_eq!(kept.branch_draft(4).unwrap_err().to_string(), "the trajectory holds 3 steps, there is no @4");
    assert_eq!(
        refused(&pipeline, &Draft { width: Some(96), ..base.clone() }),
        "a branch of 96 x 64 cannot leave a run of 64 x 64"
    );
    let two = Branch { parent: Request { seeds: vec![1, 2], ..kept.request.clone() }, at: 1 };
    let two = Draft { branch: Some(Box::new(two)), ..base.clone() };
    assert_eq!(refused(&pipeline, &two), "the run to branch from has 2 seeds");
    for sigmas in [vec![1.0, f64::NAN, 0.0], vec![0.0, 1.0], vec![]] {
        refused(&pipeline, &Draft { sigmas: Some(sigmas), steps: None, ..base.clone() });
    }
    // A record that was changed by hand.
    let request = resolve(&pipeline, &base);
    let moved = Request { sigmas: vec![0.9, 0.0], ..request.clone() };
    assert!(moved.check(pipeline.spec()).unwrap_err().to_string().starts_with("the branch begins at sigma 0.9"));
    let mut deep = request;
    for _ in 0..16 {
        deep = Request { branch: Some(Box::new(Branch { parent: deep.clone(), at: 0 })), ..deep };
    }
    assert_eq!(refused(&pipeline, &deep.to_draft()), "17 branches hang on one another, 16 may");
    assert!(deep.check(pipeline.spec()).unwrap_err().to_string().starts_with("17 branches"));
}
