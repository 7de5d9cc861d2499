//! The figures of a run against closed forms, and the errors that samplers tell of themselves.

use std::ops::ControlFlow;

use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::{Choice, Samplers};
use flowline_sampler::metrics::{Metrics, StepMetrics};
use flowline_sampler::{
    Env, Error, Keyed, Latent, Measure, Meter, Report, Result, Sampler, Schedule, State, Trajectory, Velocity,
};

const STEPS: usize = 8;

/// `v` depends on sigma only.
struct Along(fn(f64) -> [f64; 2]);

impl Velocity<Vec<f64>> for Along {
    fn velocity(&mut self, _: &Vec<f64>, sigma: f64, meter: &mut Meter<'_>) -> Result<Vec<f64>> {
        meter.evaluation()?;
        Ok((self.0)(sigma).to_vec())
    }
}

fn build(choice: &str) -> Box<dyn Sampler<Vec<f64>>> {
    Samplers::builtin().build(&choice.parse::<Choice>().unwrap()).unwrap()
}

/// Takes all steps of `trajectory`; after each, `seen` gets the state before, the report, and the state after.
fn walk(
    mut trajectory: Trajectory<Vec<f64>>,
    field: &mut dyn Velocity<Vec<f64>>,
    mut seen: impl FnMut(&Vec<f64>, &Report<Vec<f64>>, &Vec<f64>),
) {
    let (mut noise, mut on) = (Keyed { seed: 4 }, || ControlFlow::Continue(()));
    let mut env = Env::new(field, &mut noise, &mut on);
    loop {
        let before = trajectory.x().clone();
        let Some(report) = trajectory.step(&mut env).unwrap() else { return };
        seen(&before, &report, trajectory.x());
    }
}

fn measured(choice: &str, field: &mut dyn Velocity<Vec<f64>>, start: &[f64]) -> Vec<StepMetrics> {
    let schedule = Schedule::uniform(STEPS).unwrap();
    let trajectory = Trajectory::start(&*build(choice), schedule, start.to_vec()).unwrap();
    let (mut metrics, mut all) = (Metrics::new(&start.to_vec()), Vec::new());
    walk(trajectory, field, |before, report, after| all.push(metrics.step(before, report, after).unwrap()));
    assert_eq!(all.len(), STEPS);
    all
}

#[track_caller]
fn assert_close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-13 * b.abs().max(1.0), "{a} is not {b}");
}

#[test]
fn on_a_straight_way_nothing_turns_or_drifts() {
    for choice in ["euler", "heun", "ab2", "unipc", "rk4", "adaptive"] {
        let all = measured(choice, &mut Along(|_| [3.0, -4.0]), &[1.0, 2.0]);
        for (k, step) in all.into_iter().enumerate() {
            assert_close(step.v, 12.5_f64.sqrt());
            assert_close(step.straightness, 1.0);
            let gone = k as f64 / STEPS as f64;
            let [x, y] = [1.0 - 3.0 * gone, 2.0 + 4.0 * gone];
            assert_close(step.x, ((x * x + y * y) / 2.0).sqrt());
            assert_eq!((step.turning.is_none(), step.drift.is_none()), (k == 0, k == 0));
            assert_close(step.turning.unwrap_or_default(), 0.0);
            assert_close(step.drift.unwrap_or_default(), 0.0);
            assert_close(step.local_error.unwrap_or_default(), 0.0);
        }
    }
}

/// Euler's way round a polygon: `v = (cos w s, sin w s)`.
#[test]
fn a_velocity_that_turns_by_an_angle_has_the_figures_of_a_polygon() {
    const W: f64 = 4.0;
    let all = measured("euler", &mut Along(|sigma| [(W * sigma).cos(), (W * sigma).sin()]), &[0.0, 0.0]);
    let half = W / STEPS as f64 / 2.0;
    for (k, step) in all.into_iter().enumerate() {
        let count = (k + 1) as f64;
        assert_close(step.v, 0.5_f64.sqrt());
        assert_close(step.straightness, ((count * half).sin() / (count * half.sin())).abs());
        assert_eq!(step.local_error, None);
        let (Some(turning), Some(drift)) = (step.turning, step.drift) else {
            assert_eq!(k, 0);
            continue;
        };
        assert_close(turning, (2.0 * half).to_degrees());
        // D' - D = sigma (v - v'), with sigma where the step begins.
        let sigma = 1.0 - k as f64 / STEPS as f64;
        assert_close(drift, sigma * 2.0 * half.sin() * 0.5_f64.sqrt());
    }
}

#[test]
fn a_velocity_that_turns_back_turns_by_180_degrees_and_one_that_stops_by_no_angle() {
    let all = measured("euler", &mut Along(|sigma| [if sigma > 0.6 { 1.0 } else { -1.0 }, 0.0]), &[0.0, 0.0]);
    assert_eq!(all.iter().filter(|step| step.turning == Some(180.0)).count(), 1);
    assert_close(all.last().unwrap().straightness, 0.0);
    let all = measured("euler", &mut Along(|sigma| [if sigma > 0.6 { 1.0 } else { 0.0 }, 0.0]), &[0.0, 0.0]);
    let turned: Vec<_> = all.iter().map(|step| step.turning).collect();
    assert_eq!(turned, [None, Some(0.0), Some(0.0), Some(0.0), None, None, None, None]);
    let still = measured("euler", &mut Along(|_| [0.0, 0.0]), &[1.0, 1.0]);
    assert!(still.iter().all(|step| step.straightness == 1.0 && step.v == 0.0 && step.turning.is_none()));
}

#[test]
fn an_angle_is_exact_however_small() {
    let mut metrics = Metrics::new(&vec![1.0, 0.0]);
    let mut turning = None;
    for v in [[1.0, 0.0], [1.0, 1e-9]] {
        let x = vec![0.0, 0.0];
        let denoised = v.map(|v| -v).to_vec();
        let report = Report { taken: 1, steps: 2, sigma: 1.0, next: 0.5, evaluations: 1, denoised, local_error: None };
        turning = metrics.step(&x, &report, &x).unwrap().turning;
    }
    assert!((turning.unwrap() / 1e-9_f64.to_degrees() - 1.0).abs() < 1e-7, "{turning:?}");
}

/// Polynomials in sigma, for which all but one method of a pair are exact or off by a known amount.
#[test]
fn the_told_error_is_that_of_the_method_inside() {
    let h = 1.0 / STEPS as f64;
    let line: fn(f64) -> [f64; 2] = |sigma| [6.0 * sigma, 0.0];
    let parabola: fn(f64) -> [f64; 2] = |sigma| [6.0 * sigma * sigma, 0.0];
    for (choice, v, begins, told) in [
        // Euler's error on a line.
        ("heun", line, 0, 3.0 * h * h),
        ("midpoint", line, 0, 3.0 * h * h),
        ("ab2", line, 1, 3.0 * h * h),
        // The midpoint rule's on a parabola.
        ("rk4", parabola, 0, 0.5 * h * h * h),
        ("adaptive:tolerance=0.1,most=3", parabola, 0, 0.5 * h * h * h),
        // The two-step method's.
        ("ab3:start=rk4", parabola, 2, 5.0 * h * h * h),
    ] {
        let all = measured(choice, &mut Along(v), &[0.0, 0.0]);
        let (last, others) = all.split_last().unwrap();
        for step in &others[begins..] {
            assert_close(step.local_error.unwrap(), told * 0.5_f64.sqrt());
        }
        let ends_clean = build(choice).facts().last == flowline_sampler::facts::LastStep::Denoised;
        assert_eq!(last.local_error.is_none(), ends_clean, "{choice}");
    }
}

/// A step of one sampler, minus the step that a sampler of lower order takes from the same state with the same noise.
#[test]
fn the_told_error_is_the_difference_to_the_sampler_of_lower_order() {
    let bench = Bench::smooth().unwrap();
    let schedule = Schedule::uniform(12).unwrap().shifted(2.0).unwrap();
    let sigmas = schedule.sigmas();
    for (choice, lower, step) in [
        ("heun", "euler", 0),
        ("heun", "euler", 6),
        ("midpoint", "euler", 3),
        ("dpm2", "euler", 3),
        ("rk4", "midpoint", 3),
        ("res2s", "euler", 4),
        ("seeds2:eta=0", "euler", 4),
        ("ab2", "euler", 1),
        ("ab2", "euler", 6),
        ("ab3", "euler", 1),
        ("dpmpp2m", "euler", 5),
        ("dpmpp2m:reference=true", "euler", 5),
        ("res", "euler", 5),
        ("langevin2", "langevin", 4),
        ("langevin2:scale=0.3,decay=1", "langevin:scale=0.3,decay=1", 4),
        ("dpmpp2m-sde", "ddpm", 6),
        ("er-sde:order=2", "er-sde:order=1", 6),
    ] {
        let start = Trajectory::start(&*build(choice), schedule.clone(), bench.start().to_vec()).unwrap();
        let mut seen = None;
        walk(start, &mut bench.field().clone(), |before, report, after| {
            if report.taken == step + 1 {
                seen = Some((before.clone(), report.local_error.clone().unwrap(), after.clone()));
            }
        });
        let (before, told, after) = seen.unwrap();
        let tail = Schedule::new(sigmas[step..].to_vec()).unwrap();
        let mut reached = None;
        let branch = Trajectory::branch(&*build(lower), tail, before, step).unwrap();
        walk(branch, &mut bench.field().clone(), |_, report, x| {
            if report.taken == 1 {
                reached = Some(x.clone());
            }
        });
        let difference = Vec::lincomb(&[(1.0, &after), (-1.0, &reached.unwrap())]).unwrap();
        let size = difference.iter().map(|value| value.abs()).fold(0.0, f64::max);
        assert!(size > 1e-5, "{choice} and {lower} are one");
        for (told, difference) in told.iter().zip(difference) {
            assert!((told - difference).abs() < 1e-12, "{choice} minus {lower} in step {step}: {told}, {difference}");
        }
    }
}

/// The error of the step that begins at the middle, at 64 and at 128 steps.
#[test]
fn told_errors_fall_with_the_order_of_the_method_inside() {
    let bench = Bench::smooth().unwrap();
    for (choice, order) in [
        ("heun", 2.0),
        ("midpoint", 2.0),
        ("dpm2", 2.0),
        ("rk4", 3.0),
        ("ab2", 2.0),
        ("ab3", 3.0),
        ("ab4", 4.0),
        ("res2s", 2.0),
        ("dpmpp2m", 2.0),
        ("res", 2.0),
        ("dpmpp3m", 3.0),
        ("adaptive:most=3", 3.0),
        // These two mend a step of order 2 and of order 3.
        ("unipc", 3.0),
        ("sa:tau=0", 4.0),
    ] {
        let [coarse, fine] = [64, 128].map(|steps| {
            let schedule = Schedule::uniform(steps).unwrap();
            let start = Trajectory::start(&*build(choice), schedule, bench.start().to_vec()).unwrap();
            let mut at_middle = None;
            walk(start, &mut bench.field().clone(), |_, report, _| {
                if report.sigma == 0.5 {
                    let told = report.local_error.clone().unwrap();
                    at_middle = Some(told.iter().map(|value| value * value).sum::<f64>().sqrt());
                }
            });
            at_middle.unwrap()
        });
        let measured = (coarse / fine).log2();
        println!("{choice}: {coarse:.1e} {fine:.1e}, order {measured:.2}");
        assert!((measured - order).abs() < 0.1 * order, "{choice} has order {measured}");
    }
}

#[test]
fn who_has_no_method_inside_tells_no_error() {
    let bench = Bench::smooth().unwrap();
    let silent = Samplers::<Vec<f64>>::builtin()
        .iter()
        .map(|about| about.name)
        .filter(|name| {
            let schedule = Schedule::uniform(6).unwrap();
            let start = Trajectory::start(&*build(name), schedule, bench.start().to_vec()).unwrap();
            let mut told = 0;
            walk(start, &mut bench.field().clone(), |_, report, _| told += usize::from(report.local_error.is_some()));
            told == 0
        })
        .collect::<Vec<_>>();
    let first_order = ["euler", "ddim", "langevin", "ancestral", "overshoot", "ddpm"];
    let others = ["dpmpp-sde", "euler-maruyama", "euler-cfg-pp", "lcm", "noise-refresh"];
    assert_eq!(silent, first_order.into_iter().chain(others).collect::<Vec<_>>());
}

#[test]
fn saved_metrics_go_on_with_the_same_figures() {
    let bench = Bench::smooth().unwrap();
    let expected = measured("heun", &mut bench.field().clone(), bench.start());
    let schedule = Schedule::uniform(STEPS).unwrap();
    let start = bench.start().to_vec();
    let trajectory = Trajectory::start(&*build("heun"), schedule, start.clone()).unwrap();
    let (mut metrics, mut all) = (Metrics::new(&start), Vec::new());
    walk(trajectory, &mut bench.field().clone(), |before, report, after| {
        metrics = Metrics::restore(metrics.save()).unwrap();
        all.push(metrics.step(before, report, after).unwrap());
    });
    assert_eq!(all, expected);
    assert_eq!(Metrics::restore(metrics.save()).unwrap().save(), metrics.save());
}

#[test]
fn metrics_refuse_what_they_did_not_save() {
    let state = |numbers: &[f64], latents: usize| State {
        numbers: numbers.to_vec(),
        latents: vec![vec![1.0, 2.0]; latents],
        inner: Vec::new(),
    };
    assert!(Metrics::restore(state(&[0.0], 1)).is_ok() && Metrics::restore(state(&[2.0], 3)).is_ok());
    let nested = State { inner: vec![State::default()], ..state(&[0.0], 1) };
    let wrong = [(&[0.0][..], 0), (&[0.0], 2), (&[0.0], 4), (&[], 1), (&[0.0, 1.0], 1), (&[-1.0], 1), (&[f64::NAN], 1)];
    for state in wrong.map(|(numbers, latents)| state(numbers, latents)).into_iter().chain([nested]) {
        let error = Metrics::restore(state.clone()).err();
        assert!(matches!(error, Some(Error::State(_))), "{state:?}");
    }
}

/// A figure is that of the first item, and pictures of different sizes compare: more of the same changes nothing.
#[test]
fn figures_are_per_element() {
    let one = measured("heun", &mut Along(|sigma| [sigma, 1.0]), &[0.5, -1.0]);
    struct Twice;
    impl Velocity<Vec<f64>> for Twice {
        fn velocity(&mut self, _: &Vec<f64>, sigma: f64, meter: &mut Meter<'_>) -> Result<Vec<f64>> {
            meter.evaluation()?;
            Ok(vec![sigma, 1.0, sigma, 1.0])
        }
    }
    let two = measured("heun", &mut Twice, &[0.5, -1.0, 0.5, -1.0]);
    for (one, two) in one.into_iter().zip(two) {
        assert_close(one.v, two.v);
        assert_close(one.x, two.x);
        assert_close(one.straightness, two.straightness);
        assert_close(one.turning.unwrap_or_default(), two.turning.unwrap_or_default());
        assert_close(one.drift.unwrap_or_default(), two.drift.unwrap_or_default());
        assert_close(one.local_error.unwrap_or_default(), two.local_error.unwrap_or_default());
    }
}

/// Two items of one number each.
#[derive(Clone)]
struct Two([f64; 2]);

impl Latent for Two {
    fn lincomb(terms: &[(f64, &Self)]) -> Result<Self> {
        Ok(Self([0, 1].map(|i| terms.iter().map(|(c, x)| c * x.0[i]).sum())))
    }
}

impl Measure for Two {
    fn dot(&self, other: &Self) -> Result<Vec<f64>> {
        Ok(vec![self.0[0] * other.0[0], self.0[1] * other.0[1]])
    }

    fn mean(&self) -> Result<Vec<f64>> {
        Ok(self.0.to_vec())
    }

    fn elements(&self) -> usize {
        1
    }

    fn scaled(&self, factors: &[f64]) -> Result<Self> {
        Ok(Self([self.0[0] * factors[0], self.0[1] * factors[1]]))
    }
}

#[test]
fn figures_are_those_of_the_first_item() {
    let figures = |second: f64| {
        let two = |first: f64| Two([first, first * second]);
        let mut metrics = Metrics::new(&two(1.0));
        [(1.0, 1.0, 0.3, 0.4), (0.5, 0.4, -0.2, 0.7)].map(|(sigma, before, denoised, after)| {
            let (denoised, local_error) = (two(denoised), Some(two(0.01)));
            let report = Report { taken: 1, steps: 2, sigma, next: 0.0, evaluations: 1, denoised, local_error };
            metrics.step(&two(before), &report, &two(after)).unwrap()
        })
    };
    let all = figures(7.0);
    assert_eq!(all, figures(-1e6));
    assert_close(all[1].v, 1.2);
    assert_close(all[1].x, 0.4);
    assert_close(all[1].drift.unwrap(), 0.5);
    assert_close(all[1].straightness, 0.3 / 0.9);
    assert_close(all[1].local_error.unwrap(), 0.01);
}
