//! `flowline playground`: particles in the plane, and what the pictures are made of.

mod binary;

use std::fs::{self, File};
use std::io::BufReader;
use std::ops::ControlFlow;

use binary::{Sandbox, pixels, spread};
use flowline::Registry;
use flowline::playground::field::{FIELDS, Field};
use flowline::playground::{Carried, Setup, animation, crossing};
use flowline_sampler::Schedule;
use flowline_sampler::catalog::Choice;

fn carried(field: &str, sampler: &str, steps: usize, particles: usize) -> Carried {
    let field = Field::named(field).unwrap();
    let sampler = Registry::builtin().proof_samplers().build(&sampler.parse::<Choice>().unwrap()).unwrap();
    let schedule = Schedule::uniform(steps).unwrap();
    let setup = Setup { field: &field, sampler: &*sampler, schedule, particles, seed: 5 };
    Carried::new(&setup, &mut || ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_field_is_found_by_its_name_or_the_nearest_is_named() {
    assert_eq!(Field::named(" Moons ").unwrap().name, "moons");
    let refused = Field::named("rings").unwrap_err();
    assert_eq!(refused.what, "there is no field named 'rings'");
    assert_eq!(refused.hint, "did you mean 'ring'? there are moons, grid, points, ring, spiral");
}

#[test]
fn particles_end_where_the_data_are() {
    let carried = carried("points", "heun", 60, 40);
    let points: Vec<_> = (0..5).map(|index| Field::named("points").unwrap().point(index, [0.0; 2])).collect();
    let mut visited = [0; 5];
    for path in &carried.paths {
        let [x, y] = *path.last().unwrap();
        let near = points.iter().position(|[a, b]| (a - x).hypot(b - y) < 0.1);
        visited[near.unwrap_or_else(|| panic!("{x} {y} is nowhere"))] += 1;
    }
    assert!(visited.iter().all(|count| *count > 0), "{visited:?}");
    assert_eq!(carried.evaluations, 40 * (2 * 59 + 1));
}

#[test]
fn lines_of_rectified_pairs_hardly_cross_while_independent_ones_do_and_the_flow_bends() {
    for Field { name, .. } in &FIELDS {
        let carried = carried(name, "heun", 40, 300);
        let [independent, rectified] = [carried.independent(), carried.rectified()].map(|lines| crossing(&lines));
        assert!(independent > 0.2 && rectified < independent / 4.0, "{name}: {independent} {rectified}");
        let straightness = carried.straightness();
        assert!((0.4..0.9).contains(&straightness), "{name}: {straightness}");
    }
}

#[test]
fn crossing_is_none_for_parallel_lines_and_whole_for_lines_that_meet_at_random() {
    let places = |index: usize| [(index % 20) as f64, (index / 20) as f64];
    let parallel: Vec<_> = (0..400).map(|index| [places(index), places(index).map(|x| x + 3.0)]).collect();
    assert_eq!(crossing(&parallel), 0.0);
    // Neighbours that move apart in opposite directions: their place says nothing.
    let opposite = |index: usize| {
        [places(index), places(index).map(|x| if index.is_multiple_of(2) { x + 1e-3 } else { x - 1e-3 })]
    };
    let opposite: Vec<_> = (0..400).map(opposite).collect();
    assert!(crossing(&opposite) > 0.9, "{}", crossing(&opposite));
}

#[test]
fn a_particle_does_not_depend_on_how_many_others_there_are() {
    let (few, many) = (carried("moons", "langevin:scale=1", 6, 3), carried("moons", "langevin:scale=1", 6, 9));
    assert_eq!(few.paths[..], many.paths[..3]);
    assert_eq!(few.data[..], many.data[..3]);
    assert_ne!(few.paths[0], few.paths[1]);
}

#[test]
fn every_sampler_carries_particles_through_every_field() {
    let registry = Registry::builtin();
    for about in registry.proof_samplers().iter() {
        for Field { name, .. } in &FIELDS {
            assert_eq!(carried(name, about.name, 3, 2).paths.len(), 2, "{} {name}", about.name);
        }
    }
}

const SMALL: [&str; 6] = ["--size", "64", "--particles", "12", "--steps", "4"];

#[test]
fn the_same_seed_gives_the_same_animation_and_it_moves() {
    let sandbox = Sandbox::new();
    let play = |output: &str, more: &[&str]| {
        let words = ["playground", "-o", output].iter().chain(&SMALL).chain(more).copied().collect::<Vec<_>>();
        let ran = sandbox.run(words);
        assert_eq!(ran.ok(), format!("{output}\n"));
        (fs::read(sandbox.path().join(output)).unwrap(), ran.stderr)
    };
    let (first, said) = play("out/a.png", &[]);
    assert_eq!(play("out/b.png", &[]).0, first);
    assert_ne!(play("out/c.png", &["--seed", "4"]).0, first);
    assert!(said.contains("evaluations: 48 (4 a particle)\n") && said.contains("crossing of the pairs' lines: 0."));
    let file = BufReader::new(File::open(sandbox.path().join("out/a.png")).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let control = *reader.info().animation_control().expect("an animation");
    assert_eq!((control.num_frames as usize, control.num_plays), (animation::moments().len(), 0));
    let mut frames = Vec::new();
    for _ in 0..control.num_frames {
        let mut frame = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut frame).unwrap();
        frames.push(frame);
    }
    assert_ne!(frames.first(), frames.last());
}

#[test]
fn frames_are_numbered_pictures_in_a_new_folder() {
    let sandbox = Sandbox::new();
    let words = ["playground", "--frames", "out/frames", "--coupling", "rectified"];
    assert_eq!(sandbox.run(words.iter().chain(&SMALL)).ok(), "out/frames\n");
    let frames = binary::files(&sandbox.path().join("out/frames"));
    assert_eq!(frames.len(), animation::moments().len());
    assert!(frames[0].ends_with("frame-0001.png"));
    let (first, last) = (pixels(&frames[0]), pixels(&frames[frames.len() - 1]));
    assert!(spread(&first) > 5.0 && spread(&last) > 5.0 && first != last);
    let again = sandbox.run(words.iter().chain(&SMALL));
    assert_eq!(again.code, Some(1));
    assert_eq!(again.line("error: "), Some("the folder out/frames is not empty"));
}

#[test]
fn a_still_is_one_picture_with_a_panel_for_each_coupling() {
    let sandbox = Sandbox::new();
    let width = |output: &str, coupling: &str, sampler: &str| {
        let words = ["playground", "-o", output, "--still", "--coupling", coupling, "--sampler", sampler];
        sandbox.run(words.iter().chain(&SMALL)).ok();
        let file = BufReader::new(File::open(sandbox.path().join(output)).unwrap());
        assert!(png::Decoder::new(file).read_info().unwrap().info().animation_control().is_none());
        let image = pixels(&sandbox.path().join(output));
        assert!(spread(&image) > 5.0);
        image.width()
    };
    let (both, one) = (width("out/a.png", "both", "ab2"), width("out/b.png", "independent", "ddim:path=vp"));
    assert!(both > one + 60, "{both} {one}");
}
