//! What must hold for every run of every sampler: no NaN, honest counting, no trace of an interruption. The samplers,
//! schedules and parameters come from the catalogue, so a new entry is covered by itself.

mod branches;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::{About, Choice, Kind, Plan, Samplers, Schedules};
use flowline_sampler::facts::LastStep;
use flowline_sampler::fields::Mixture;
use flowline_sampler::guidance::Cfg;
use flowline_sampler::path::Path;
use flowline_sampler::{
    Env, Error, Keyed, Latent, Meter, Noise, NoiseKey, Report, Result, Schedule, State, Trajectory, Velocity, integrate,
};

/// An entry with its defaults, and with every parameter at each end of its range and at every word.
fn choices(about: &About) -> Vec<Choice> {
    let plain = Choice::new(about.name);
    let varied = about.parameters.iter().flat_map(|parameter| {
        let values = match parameter.kind {
            Kind::Number { min, max, .. } => vec![min.to_string(), max.to_string()],
            Kind::Word { options, .. } => options.iter().map(|word| (*word).to_owned()).collect(),
        };
        values.into_iter().map(|value| Choice::new(about.name).with(parameter.key, value))
    });
    [plain.clone()].into_iter().chain(varied).collect()
}

fn samplers() -> (Samplers<Vec<f64>>, Vec<Choice>) {
    let samplers = Samplers::builtin();
    let around =
        ["heun+corrector:k=2", "ab2+corrector:k=3,kind=ula", "dpmpp2m-sde+corrector", "ddim+corrector+corrector"];
    let around = around.into_iter().map(|choice| choice.parse().unwrap());
    let choices = samplers.iter().flat_map(choices).chain(around).collect();
    (samplers, choices)
}

/// A field with a memory, as guidance with momentum has: its bits depend on every evaluation before.
struct Remembering {
    field: Mixture,
    before: Option<Vec<f64>>,
}

impl Velocity<Vec<f64>> for Remembering {
    fn velocity(&mut self, x: &Vec<f64>, sigma: f64, meter: &mut Meter<'_>) -> Result<Vec<f64>> {
        let v = self.field.velocity(x, sigma, meter)?;
        meter.tick()?;
        let mixed = match &self.before {
            Some(before) => Vec::lincomb(&[(0.9, &v), (0.1, before)])?,
            None => v.clone(),
        };
        self.before = Some(v);
        Ok(mixed)
    }

    fn save(&self) -> State<Vec<f64>> {
        State { latents: self.before.iter().cloned().collect(), ..State::default() }
    }

    fn restore(&mut self, mut state: State<Vec<f64>>) -> Result<()> {
        self.before = state.latents.pop();
        state.expect_empty("a field that remembers one velocity")
    }
}

/// Noise whose `fail_at`-th call fails.
struct Failing {
    calls: usize,
    fail_at: usize,
}

impl Noise<Vec<f64>> for Failing {
    fn normal(&mut self, like: &Vec<f64>, key: NoiseKey) -> Result<Vec<f64>> {
        self.calls += 1;
        match self.calls - 1 == self.fail_at {
            true => Err(Error::Velocity("out of memory".into())),
            false => Keyed { seed: 5 }.normal(like, key),
        }
    }
}

const STEPS: usize = 6;

fn schedule() -> Schedule {
    Schedule::uniform(STEPS).unwrap().shifted(2.0).unwrap()
}

struct Problem {
    field: Mixture,
    start: Vec<f64>,
}

impl Problem {
    /// The bench computes exact end points, which takes a while and is done once.
    fn new() -> Self {
        static BENCH: LazyLock<Bench> = LazyLock::new(|| Bench::smooth().unwrap());
        Self { field: BENCH.field().clone(), start: BENCH.start()[..6].to_vec() }
    }

    fn remembering(&self) -> Remembering {
        Remembering { field: self.field.clone(), before: None }
    }
}

/// All a run shows: where it ends, what was seen on the way, what it cost.
#[derive(Debug, PartialEq)]
struct Seen {
    x: Vec<u64>,
    denoised: Vec<Vec<u64>>,
    errors: Vec<Option<Vec<u64>>>,
    evaluations: u64,
}

fn bits(x: &[f64]) -> Vec<u64> {
    x.iter().map(|value| value.to_bits()).collect()
}

impl Seen {
    fn new(trajectory: &Trajectory<Vec<f64>>, reports: &[Report<Vec<f64>>]) -> Self {
        let denoised = reports.iter().map(|report| bits(&report.denoised)).collect();
        let errors = reports.iter().map(|report| report.local_error.as_deref().map(bits)).collect();
        Self { x: bits(trajectory.x()), denoised, errors, evaluations: trajectory.evaluations() }
    }
}

/// A whole run in one environment; also how often it asked whether to go on, and how often it drew noise.
fn whole(problem: &Problem, samplers: &Samplers<Vec<f64>>, choice: &Choice) -> (Seen, usize, usize) {
    let asked = Cell::new(0);
    let mut on = || {
        asked.set(asked.get() + 1);
        ControlFlow::Continue(())
    };
    let (mut field, mut noise) = (problem.remembering(), Failing { calls: 0, fail_at: usize::MAX });
    let sampler = samplers.build(choice).unwrap();
    let mut trajectory = Trajectory::start(&*sampler, schedule(), problem.start.clone()).unwrap();
    let mut env = Env::new(&mut field, &mut noise, &mut on);
    let mut reports = Vec::new();
    while let Some(report) = trajectory.step(&mut env).unwrap() {
        reports.push(report);
    }
    (Seen::new(&trajectory, &reports), asked.get(), noise.calls)
}

#[test]
fn every_sampler_is_finite_on_every_schedule_from_sigma_one_to_zero() {
    let problem = Problem::new();
    let (samplers, sampler_choices) = samplers();
    let catalogue = Schedules::builtin();
    let mut schedules = Vec::new();
    for choice in catalogue.iter().flat_map(choices) {
        for steps in [1, 2, 3, 4, 8, 50] {
            let schedule = catalogue.build(&choice, Plan { steps, image_tokens: 4096 }).unwrap();
            assert_eq!((schedule.sigmas()[0], schedule.sigmas()[steps]), (1.0, 0.0));
            schedules.push((choice.to_string(), schedule));
        }
    }
    let mut runs = 0;
    for choice in &sampler_choices {
        let sampler = samplers.build(choice).unwrap();
        for (written, schedule) in &schedules {
            let (mut field, mut noise, mut on) =
                (problem.field.clone(), Keyed { seed: 1 }, || ControlFlow::Continue(()));
            let mut env = Env::new(&mut field, &mut noise, &mut on);
            let mut last = Vec::new();
            let x = integrate(&*sampler, schedule.clone(), problem.start.clone(), &mut env, |report| {
                assert!(report.denoised.iter().all(|value| value.is_finite()), "{choice} on {written}");
                last.clone_from(&report.denoised);
            });
            let (x, steps) = (x.unwrap(), schedule.steps());
            assert!(x.iter().all(|value| value.abs() < 1e3), "{choice} on {written}, {steps} steps: {x:?}");
            assert_eq!(x.len(), last.len());
            runs += 1;
        }
    }
    println!("{runs} runs");
}

#[test]
fn the_last_step_to_zero_goes_to_the_denoised_prediction() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    for choice in &choices {
        match samplers.facts(choice).unwrap().last {
            LastStep::Denoised => {}
            LastStep::Own => continue,
        }
        let (seen, ..) = whole(&problem, &samplers, choice);
        let (x, denoised) = (&seen.x, seen.denoised.last().unwrap());
        let close = x.iter().zip(denoised).all(|(x, d)| (f64::from_bits(*x) - f64::from_bits(*d)).abs() < 1e-14);
        assert!(close, "{choice}");
    }
}

#[test]
fn schedules_may_begin_below_one_and_end_above_zero() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    let schedule = Schedule::new(vec![0.6, 0.45, 0.2, 0.05]).unwrap();
    for choice in &choices {
        let (mut field, mut noise, mut on) = (problem.field.clone(), Keyed { seed: 1 }, || ControlFlow::Continue(()));
        let mut env = Env::new(&mut field, &mut noise, &mut on);
        let sampler = samplers.build(choice).unwrap();
        let x = integrate(&*sampler, schedule.clone(), problem.start.clone(), &mut env, |_| ()).unwrap();
        assert!(x.iter().all(|value| value.is_finite()), "{choice}");
    }
}

/// Model evaluations for `steps` steps to sigma 0; the README and the help state the same.
fn tabled(name: &str, steps: u64) -> Option<u64> {
    Some(match name {
        "euler" | "ab2" | "langevin" | "ddim" => steps,
        "heun" => 2 * steps - 1,
        _ => return None,
    })
}

#[test]
fn evaluations_are_counted_as_tabled_and_guidance_doubles_them_unless_its_scale_is_one() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    for choice in &choices {
        let sampler = samplers.build(choice).unwrap();
        for steps in [1, 2, 28] {
            let cost = |field: &mut dyn Velocity<Vec<f64>>| {
                let (mut noise, mut on) = (Keyed { seed: 1 }, || ControlFlow::Continue(()));
                let mut env = Env::new(field, &mut noise, &mut on);
                let schedule = Schedule::uniform(steps).unwrap();
                let mut reported = 0;
                integrate(&*sampler, schedule, problem.start.clone(), &mut env, |report| reported = report.evaluations)
                    .unwrap();
                assert_eq!(reported, env.evaluations());
                reported
            };
            let guided = |scale| Cfg { positive: problem.field.clone(), negative: problem.field.clone(), scale };
            let expected = samplers.facts(choice).unwrap().evaluations.total(steps);
            if choice.and.is_empty() {
                assert_eq!(tabled(&choice.name, steps as u64).unwrap_or(expected), expected);
            }
            if samplers.facts(choice).unwrap().evaluations.most.is_some() {
                let least = 3 * steps as u64;
                assert!((least..=expected).contains(&cost(&mut problem.field.clone())), "{choice}");
                assert!((2 * least..=2 * expected).contains(&cost(&mut guided(4.5))), "{choice} with guidance");
                continue;
            }
            assert_eq!(cost(&mut problem.field.clone()), expected, "{choice}");
            assert_eq!(cost(&mut guided(4.5)), 2 * expected, "{choice} with guidance");
            assert_eq!(cost(&mut guided(1.0)), expected, "{choice} with guidance 1");
        }
    }
}

#[test]
fn no_noise_is_drawn_where_nothing_would_be_replaced() {
    let problem = Problem::new();
    let samplers = Samplers::builtin();
    for (choice, draws) in
        [("euler", 0), ("langevin:scale=0", 0), ("langevin:scale=0,decay=2", 0), ("langevin", STEPS - 1)]
    {
        let (_, _, drawn) = whole(&problem, &samplers, &choice.parse().unwrap());
        assert_eq!(drawn, draws, "{choice}");
    }
}

#[test]
fn a_cancel_at_any_moment_leaves_no_trace() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    for choice in &choices {
        let (expected, asked, _) = whole(&problem, &samplers, choice);
        for cancel_at in 0..asked {
            let sampler = samplers.build(choice).unwrap();
            let (mut field, mut noise) = (problem.remembering(), Keyed { seed: 5 });
            let mut trajectory = Trajectory::start(&*sampler, schedule(), problem.start.clone()).unwrap();
            let (mut reports, mut asked, mut cancelled) = (Vec::new(), 0, 0);
            let mut ask = || {
                asked += 1;
                if asked - 1 == cancel_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let mut env = Env::new(&mut field, &mut noise, &mut ask);
            loop {
                match trajectory.step(&mut env) {
                    Ok(Some(report)) => reports.push(report),
                    Ok(None) => break,
                    Err(Error::Cancelled) => cancelled += 1,
                    Err(error) => panic!("{choice}: {error}"),
                }
            }
            assert_eq!(cancelled, 1, "{choice}");
            assert_eq!(Seen::new(&trajectory, &reports), expected, "{choice} cancelled at question {cancel_at}");
        }
    }
}

#[test]
fn a_failure_of_the_noise_leaves_no_trace() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    let mut failures = 0;
    for choice in &choices {
        let (expected, _, draws) = whole(&problem, &samplers, choice);
        for fail_at in 0..draws {
            let sampler = samplers.build(choice).unwrap();
            let (mut field, mut noise) = (problem.remembering(), Failing { calls: 0, fail_at });
            let mut on = || ControlFlow::Continue(());
            let mut env = Env::new(&mut field, &mut noise, &mut on);
            let mut trajectory = Trajectory::start(&*sampler, schedule(), problem.start.clone()).unwrap();
            let mut reports = Vec::new();
            loop {
                match trajectory.step(&mut env) {
                    Ok(Some(report)) => reports.push(report),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(error.to_string(), "out of memory");
                        failures += 1;
                    }
                }
            }
            assert_eq!(Seen::new(&trajectory, &reports), expected, "{choice}, draw {fail_at} failed");
        }
    }
    assert!(failures > 0);
}

/// Everything is dropped after `k` steps but the saved value: sampler, field, noise and environment are made anew.
#[test]
fn a_saved_run_goes_on_elsewhere_with_the_same_bits() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    for choice in &choices {
        let (expected, ..) = whole(&problem, &samplers, choice);
        for k in 0..=STEPS {
            let mut reports = Vec::new();
            let saved = {
                let (mut field, mut noise, mut on) =
                    (problem.remembering(), Keyed { seed: 5 }, || ControlFlow::Continue(()));
                let sampler = samplers.build(choice).unwrap();
                let mut trajectory = Trajectory::start(&*sampler, schedule(), problem.start.clone()).unwrap();
                for _ in 0..k {
                    let mut env = Env::new(&mut field, &mut noise, &mut on);
                    reports.extend(trajectory.step(&mut env).unwrap());
                }
                trajectory.save(&field)
            };
            assert_eq!(saved.taken, k);
            let (mut field, mut noise, mut on) =
                (problem.remembering(), Keyed { seed: 5 }, || ControlFlow::Continue(()));
            let sampler = Samplers::builtin().build(choice).unwrap();
            let mut trajectory = Trajectory::restore(&*sampler, schedule(), saved.clone(), &mut field).unwrap();
            assert_eq!(trajectory.save(&field), saved, "{choice} saved again");
            let mut env = Env::new(&mut field, &mut noise, &mut on);
            while let Some(report) = trajectory.step(&mut env).unwrap() {
                reports.push(report);
            }
            assert_eq!(Seen::new(&trajectory, &reports), expected, "{choice} saved after {k} steps");
        }
    }
}

#[test]
fn a_saved_state_is_refused_by_another_schedule_sampler_or_field() {
    let problem = Problem::new();
    let samplers = Samplers::builtin();
    let build = |name: &str| samplers.build(&Choice::new(name)).unwrap();
    let save = |name: &str, steps: usize| {
        let (mut field, mut noise, mut on) = (problem.field.clone(), Keyed { seed: 5 }, || ControlFlow::Continue(()));
        let mut trajectory = Trajectory::start(&*build(name), schedule(), problem.start.clone()).unwrap();
        for _ in 0..steps {
            trajectory.step(&mut Env::new(&mut field, &mut noise, &mut on)).unwrap();
        }
        trajectory.save(&field)
    };
    let refusal = |name: &str, schedule: Schedule, saved, field: &mut dyn Velocity<Vec<f64>>| match Trajectory::restore(
        &*build(name),
        schedule,
        saved,
        field,
    ) {
        Err(error @ Error::State(_)) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{name} took what is not its own"),
    };
    let fits = "the saved state does not fit: ";
    let mut field = problem.field.clone();
    let shorter = Schedule::uniform(2).unwrap();
    assert_eq!(refusal("euler", shorter, save("euler", 4), &mut field), format!("{fits}4 steps were taken of 2"));
    let other = refusal("euler", Schedule::uniform(STEPS).unwrap(), save("euler", 3), &mut field);
    assert!(other.starts_with(&format!("{fits}after 3 steps it is at sigma 0.66")), "{other}");
    assert!(other.ends_with(", the schedule at 0.5"), "{other}");
    assert_eq!(refusal("euler", schedule(), save("ab2", 3), &mut field), format!("{fits}this sampler keeps no state"));
    let mut guided = Cfg { positive: problem.field.clone(), negative: problem.field.clone(), scale: 2.0 };
    let message = refusal("euler", schedule(), save("euler", 3), &mut guided);
    assert_eq!(message, format!("{fits}guidance keeps the states of its two fields"));
    let mut wrong = save("ab2", 3);
    wrong.stepper.numbers.push(0.5);
    assert_eq!(refusal("ab2", schedule(), wrong, &mut field), format!("{fits}ab2 keeps one sigma and one velocity"));
    // A history that is missing is noticed at the first step.
    let mut trajectory = Trajectory::restore(&*build("ab2"), schedule(), save("euler", 3), &mut field).unwrap();
    let (mut noise, mut on) = (Keyed { seed: 5 }, || ControlFlow::Continue(()));
    let error = trajectory.step(&mut Env::new(&mut field, &mut noise, &mut on)).unwrap_err();
    assert_eq!(error.to_string(), format!("{fits}step 3 of ab2 has no step before it"));
}

#[test]
fn guidance_hands_both_memories_back() {
    let problem = Problem::new();
    let guided = || Cfg { positive: problem.remembering(), negative: problem.remembering(), scale: 3.0 };
    let mut meter_on = || ControlFlow::Continue(());
    let mut meter = Meter::new(&mut meter_on);
    let mut first = guided();
    first.velocity(&problem.start, 0.9, &mut meter).unwrap();
    let mut second = guided();
    second.restore(first.save()).unwrap();
    let a = first.velocity(&problem.start, 0.5, &mut meter).unwrap();
    assert_eq!(a, second.velocity(&problem.start, 0.5, &mut meter).unwrap());
    assert_ne!(a, guided().velocity(&problem.start, 0.5, &mut meter).unwrap());
}

#[test]
fn the_same_configuration_serves_two_runs_at_once() {
    let problem = Problem::new();
    let (samplers, choices) = samplers();
    for choice in &choices {
        let (expected, ..) = whole(&problem, &samplers, choice);
        let sampler = samplers.build(choice).unwrap();
        let start = || Trajectory::start(&*sampler, schedule(), problem.start.clone()).unwrap();
        let mut runs = [(start(), problem.remembering()), (start(), problem.remembering())];
        for _ in 0..STEPS {
            for (trajectory, field) in &mut runs {
                let (mut noise, mut on) = (Keyed { seed: 5 }, || ControlFlow::Continue(()));
                trajectory.step(&mut Env::new(field, &mut noise, &mut on)).unwrap();
            }
        }
        for (trajectory, _) in &runs {
            assert_eq!(bits(trajectory.x()), expected.x, "{choice}");
        }
    }
}
