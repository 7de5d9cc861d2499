//! No sampler without noise is much worse than Euler where models are used: on their own schedules, at few steps. Those
//! that extrapolate are held back for that, and without it they are far off.

use flowline_sampler::bench::Bench;
use flowline_sampler::catalog::{About, Choice, Kind, Plan, Samplers, Schedules};
use flowline_sampler::proof::walk;
use flowline_sampler::{Sampler, Schedule};

/// The schedules models come with, each with sizes of pictures in tokens.
const SCHEDULES: [(&str, &[usize]); 9] = [
    ("uniform", &[0]),
    ("shift", &[0]),
    ("sd3", &[0]),
    ("flux", &[256, 1024, 4096, 16384]),
    ("linear-shift", &[4096]),
    ("flux2", &[1024, 4096, 8100]),
    ("qwen-image", &[1024, 4096]),
    ("ltx", &[1024, 4096]),
    ("sgm-uniform", &[0]),
];

/// What is compared, with 4 to 16 steps each, and how far Euler lands from the truth.
fn ways(bench: &Bench) -> Vec<(String, Schedule, f64)> {
    let schedules = Schedules::builtin();
    let mut ways = Vec::new();
    for (name, sizes) in SCHEDULES {
        for image_tokens in sizes.iter().copied() {
            for steps in 4..=16 {
                let schedule = schedules.build(&Choice::new(name), Plan { steps, image_tokens }).unwrap();
                let euler = bench.error(&*build("euler"), schedule.clone()).unwrap();
                ways.push((format!("{name} for {image_tokens} tokens in {steps} steps"), schedule, euler));
            }
        }
    }
    ways
}

fn build(choice: &str) -> Box<dyn Sampler<Vec<f64>>> {
    Samplers::builtin().build(&choice.parse::<Choice>().unwrap()).unwrap()
}

/// The worst ratio to Euler's error, and where.
fn worst(choice: &str, bench: &Bench, ways: &[(String, Schedule, f64)]) -> (f64, String) {
    let sampler = build(choice);
    let ratios = ways.iter().map(|(way, schedule, euler)| {
        (bench.error(&*sampler, schedule.clone()).unwrap() / euler, format!("{choice} on {way}"))
    });
    let worst = ratios.max_by(|(a, _), (b, _)| a.total_cmp(b)).unwrap();
    println!("{:.2} x euler: {}", worst.0, worst.1);
    worst
}

/// Steppers that remember: everything that extrapolates.
const EXTRAPOLATING: [&str; 9] =
    ["ab2", "ab3", "ab4", "dpmpp2m", "dpmpp3m", "res", "unipc", "unipc:order=3", "sa:tau=0"];

#[test]
fn on_a_smooth_mixture_none_is_worse_than_one_and_a_half_times_euler() {
    let bench = Bench::smooth().unwrap();
    let ways = ways(&bench);
    let samplers = Samplers::<Vec<f64>>::builtin();
    let mut compared = 0;
    for choice in samplers.iter().flat_map(worded) {
        let sampler = samplers.build(&choice).unwrap();
        if walk(&*sampler, 4).unwrap().noisy {
            continue;
        }
        let (ratio, way) = worst(&choice.to_string(), &bench, &ways);
        assert!(ratio < 1.5, "{way}: {ratio:.2} x euler");
        compared += 1;
    }
    assert!(compared >= 20, "{compared}");
}

/// A sampler as it comes, and with every other word it can be given but the one that lifts its cap.
fn worded(about: &About) -> Vec<Choice> {
    let words = about.parameters.iter().flat_map(|parameter| match parameter.kind {
        Kind::Word { default, options } if parameter.key != "reference" => {
            options.iter().filter(|word| **word != default).map(|word| (parameter.key, *word)).collect()
        }
        _ => Vec::new(),
    });
    let name = about.name;
    [Choice::new(name)].into_iter().chain(words.map(|(key, word)| Choice::new(name).with(key, word))).collect()
}

/// Where a point ends in another mode than it should, it is far off; so this counts above all how often.
#[test]
fn on_a_sharp_mixture_none_that_extrapolates_is_worse_than_one_and_a_half_times_euler() {
    let bench = Bench::sharp().unwrap();
    let ways = ways(&bench);
    for choice in EXTRAPOLATING {
        let (ratio, way) = worst(choice, &bench, &ways);
        assert!(ratio < 1.5, "{way}: {ratio:.2} x euler");
    }
}

#[test]
fn without_the_cap_there_is_much_to_cure() {
    let sd3 = Schedule::sd3(8, 3.0).unwrap();
    for (bench, least) in [(Bench::smooth().unwrap(), [5.0, 20.0, 8.0, 3.0]), (Bench::sharp().unwrap(), [2.0; 4])] {
        let euler = bench.error(&*build("euler"), sd3.clone()).unwrap();
        let way = [("sd3 in 8 steps".to_owned(), sd3.clone(), euler)];
        for (name, least) in ["dpmpp2m", "dpmpp3m", "res", "unipc"].into_iter().zip(least) {
            let (ratio, way) = worst(&format!("{name}:reference=true"), &bench, &way);
            assert!(ratio > least, "{way}: {ratio:.2} x euler");
        }
    }
}
