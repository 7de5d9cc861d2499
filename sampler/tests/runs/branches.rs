//! Runs that go on from another's state.

use std::cell::RefCell;
use std::collections::BTreeSet;

use flowline_sampler::{Noise, Stream};

use super::*;

/// Keyed noise that writes down what was asked for.
#[derive(Default)]
struct Noted(RefCell<Vec<NoiseKey>>);

impl Noise<Vec<f64>> for &Noted {
    fn normal(&mut self, like: &Vec<f64>, key: NoiseKey) -> Result<Vec<f64>> {
        self.0.borrow_mut().push(key);
        Keyed { seed: 5 }.normal(like, key)
    }
}

/// The rest of the schedule from its `k`-th sigma.
fn tail(k: usize) -> Schedule {
    Schedule::new(schedule().sigmas()[k..].to_vec()).unwrap()
}

fn take(
    trajectory: &mut Trajectory<Vec<f64>>,
    steps: usize,
    field: &mut dyn Velocity<Vec<f64>>,
    noise: &mut dyn Noise<Vec<f64>>,
) -> Vec<Report<Vec<f64>>> {
    let mut on = || ControlFlow::Continue(());
    let mut env = Env::new(field, noise, &mut on);
    (0..steps).map_while(|_| trajectory.step(&mut env).unwrap()).collect()
}

/// A sampler that remembers nothing and goes by nothing but the sigmas of its step does not see that it was changed for
/// its like; the others do.
#[test]
fn a_branch_with_nothing_changed_is_the_uninterrupted_run_for_samplers_without_a_memory() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    let (mut same, mut other) = (BTreeSet::new(), BTreeSet::new());
    for choice in &choices {
        let (expected, ..) = whole(&problem, &samplers, choice);
        let sampler = samplers.build(choice).unwrap();
        for k in 0..STEPS {
            let (mut field, mut noise) = (problem.remembering(), Keyed { seed: 5 });
            let mut first = Trajectory::start(&*sampler, schedule(), problem.start.clone()).unwrap();
            let mut reports = take(&mut first, k, &mut field, &mut noise);
            let remembers = !first.save(&problem.field).stepper.is_empty();
            let mut branch = Trajectory::branch(&*sampler, tail(k), first.x().clone(), k).unwrap();
            reports.extend(take(&mut branch, STEPS, &mut field, &mut noise));
            let seen = Seen { evaluations: first.evaluations() + branch.evaluations(), ..Seen::new(&branch, &reports) };
            // Churn spreads its noise over all steps of its schedule.
            let counts = choice.name == "churn";
            if !(remembers || counts && k > 0) {
                assert_eq!(seen, expected, "{choice} branched after {k} steps");
                same.insert(choice.name.clone());
            } else if seen != expected {
                other.insert(choice.name.clone());
            }
        }
    }
    let one_step = ["euler", "heun", "ddim", "rk4", "langevin", "ddpm", "seeds2", "dpmpp-sde", "euler-maruyama"];
    let multistep = ["ab2", "ab4", "dpmpp2m", "unipc", "sa", "er-sde", "langevin2"];
    assert!(one_step.iter().all(|name| same.contains(*name) && !other.contains(*name)), "{same:?} {other:?}");
    assert!(multistep.iter().all(|name| other.contains(*name)), "{other:?}");
}

#[test]
fn a_branch_draws_the_noise_of_the_steps_that_follow() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    for choice in &choices {
        let sampler = samplers.build(choice).unwrap();
        for k in [1, 4] {
            let (first_part, second_part) = (Noted::default(), Noted::default());
            let mut field = problem.field.clone();
            let mut first = Trajectory::start(&*sampler, schedule(), problem.start.clone()).unwrap();
            take(&mut first, k, &mut field, &mut &first_part);
            let mut branch = Trajectory::branch(&*sampler, tail(k), first.x().clone(), k).unwrap();
            take(&mut branch, STEPS, &mut field, &mut &second_part);
            let steps = |part: &Noted| part.0.borrow().iter().map(|key| key.step).collect::<BTreeSet<_>>();
            assert!(steps(&first_part).iter().all(|step| (0..k as u32).contains(step)), "{choice}");
            assert!(steps(&second_part).iter().all(|step| (k as u32..STEPS as u32).contains(step)), "{choice}");
            let keys: Vec<_> = [first_part, second_part].into_iter().flat_map(|part| part.0.into_inner()).collect();
            assert!(keys.iter().all(|key| key.stream == Stream::SAMPLER));
            assert_eq!(keys.iter().collect::<std::collections::HashSet<_>>().len(), keys.len(), "{choice}");
        }
    }
}

#[test]
fn every_sampler_begins_anywhere_and_ends_in_the_picture() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    let schedules = [Schedule::sd3(8, 3.0), Schedule::uniform(3), Schedule::path(5, Path::Spherical)];
    for choice in &choices {
        let sampler = samplers.build(choice).unwrap();
        for schedule in schedules.iter().map(|schedule| schedule.as_ref().unwrap()) {
            for k in 1..schedule.steps() {
                let tail = Schedule::new(schedule.sigmas()[k..].to_vec()).unwrap();
                let mut branch = Trajectory::branch(&*sampler, tail, problem.start.clone(), 100 + k).unwrap();
                let reports = take(&mut branch, 100, &mut problem.field.clone(), &mut Keyed { seed: 5 });
                assert_eq!(reports.len(), schedule.steps() - k);
                let finite = |x: &[f64]| x.iter().all(|value| value.abs() < 1e3);
                assert!(finite(branch.x()) && reports.iter().all(|report| finite(&report.denoised)), "{choice}");
            }
        }
    }
}

#[test]
fn a_saved_branch_goes_on_elsewhere_with_the_same_bits() {
    const AT: usize = 2;
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    for choice in &choices {
        let sampler = samplers.build(choice).unwrap();
        let start = || Trajectory::branch(&*sampler, tail(AT), problem.start.clone(), AT).unwrap();
        let mut whole = start();
        let expected = take(&mut whole, STEPS, &mut problem.remembering(), &mut Keyed { seed: 5 });
        let expected = Seen::new(&whole, &expected);
        for k in 0..=STEPS - AT {
            let mut field = problem.remembering();
            let mut branch = start();
            let mut reports = take(&mut branch, k, &mut field, &mut Keyed { seed: 5 });
            let saved = branch.save(&field);
            assert_eq!((saved.taken, saved.offset), (k, AT));
            let mut field = problem.remembering();
            let mut restored = Trajectory::restore(&*sampler, tail(AT), saved.clone(), &mut field).unwrap();
            assert_eq!(restored.save(&field), saved, "{choice} saved again");
            reports.extend(take(&mut restored, STEPS, &mut field, &mut Keyed { seed: 5 }));
            assert_eq!(Seen::new(&restored, &reports), expected, "{choice} saved after {k} steps");
        }
    }
}

#[test]
fn a_branch_beyond_what_noise_keys_count_is_refused() {
    let problem = Problem::new();
    let sampler = Samplers::builtin().build(&Choice::new("langevin")).unwrap();
    for taken in [u32::MAX as usize + 1, usize::MAX] {
        let mut branch = Trajectory::branch(&*sampler, tail(2), problem.start.clone(), taken).unwrap();
        let (mut field, mut noise, mut on) = (problem.field.clone(), Keyed { seed: 5 }, || ControlFlow::Continue(()));
        let error = branch.step(&mut Env::new(&mut field, &mut noise, &mut on)).unwrap_err();
        assert_eq!(error.to_string(), format!("step {taken} is beyond 2^32"));
    }
}
