//! `samplers`, `models`, `inspect` and `completions`, with the real binary.

mod binary;

use binary::Sandbox;
use flowline_model::{Latents, catalog};
use flowline_sampler::catalog::{About, Samplers, Schedules};
use serde_json::Value;

#[test]
fn the_samplers_listing_has_the_whole_catalogue_in_text_and_json() {
    let sandbox = Sandbox::new();
    let (samplers, schedules) = (Samplers::<Latents>::builtin(), Schedules::builtin());
    let json = sandbox.run(["samplers", "--json"]).json();
    let text = sandbox.run(["samplers"]);
    let check = |listed: &Value, abouts: Vec<&About>| {
        let listed = listed.as_array().expect("a list");
        assert_eq!(listed.len(), abouts.len());
        for (listed, about) in listed.iter().zip(abouts) {
            assert_eq!(listed["name"], about.name);
            assert_eq!(listed["citation"], about.citation);
            assert_eq!(listed["parameters"].as_array().unwrap().len(), about.parameters.len());
            for (listed, parameter) in listed["parameters"].as_array().unwrap().iter().zip(about.parameters) {
                assert_eq!(listed["key"], parameter.key);
                assert!(!listed["default"].is_null());
            }
            for part in [about.name, about.meaning, about.formula, about.citation] {
                assert!(text.ok().contains(part), "{part}");
            }
        }
    };
    check(&json["samplers"], samplers.iter().collect());
    check(&json["schedules"], schedules.iter().collect());
    assert_eq!(sandbox.run(["schedules"]).ok(), text.ok(), "the name that error messages give");
}

#[test]
fn the_help_of_generate_has_every_sampler_and_schedule() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(["generate", "--help"]);
    let (samplers, schedules) = (Samplers::<Latents>::builtin(), Schedules::builtin());
    for about in samplers.iter().chain(schedules.iter()) {
        assert!(help.ok().contains(&format!("\n  {}", about.name)), "{}", about.name);
    }
    assert!(sandbox.run(["generate", "-h"]).ok().len() < help.ok().len());
}

#[test]
fn the_models_listing_has_the_whole_catalogue_in_text_and_json() {
    let sandbox = Sandbox::new();
    let json = sandbox.run(["models", "--json"]).json();
    let text = sandbox.run(["models"]);
    assert_eq!(json.as_array().unwrap().len(), catalog::MODELS.len());
    for (listed, entry) in json.as_array().unwrap().iter().zip(catalog::MODELS) {
        assert_eq!(listed["name"], entry.name);
        assert_eq!(listed["defaults"]["steps"], entry.defaults.steps);
        assert!(text.ok().contains(entry.name) && text.ok().contains(entry.licence));
    }
    assert_eq!(json[0]["built_in"], true);
    assert!(json[0]["bytes"].as_u64().unwrap() > 1_000_000);
}

#[test]
fn inspecting_a_picture_shows_what_it_was_made_from() {
    let sandbox = Sandbox::new();
    let prompt = "a red lighthouse,\nby the sea \u{1b}[31m";
    sandbox.run(["generate", prompt, "-s", "7", "--steps", "1", "-o", "out/a.png"]).ok();
    let text = sandbox.run(["inspect", "out/a.png"]);
    assert!(text.ok().contains("a red lighthouse") && text.ok().contains("by the sea"));
    assert!(text.ok().contains("flowline generate"), "the command that makes it again");
    assert!(!text.ok().contains('\u{1b}'), "nothing in a picture can command the terminal");
    let json = sandbox.run(["inspect", "out/a.png", "--json"]).json();
    assert_eq!(json["request"]["prompt"], prompt);
    assert_eq!(json["source"], "Flowline");
    assert!(json["text"]["parameters"].as_str().unwrap().starts_with("a red lighthouse"));
}

#[test]
fn every_shell_has_its_completions_and_they_know_the_samplers() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = sandbox.run(["completions", shell]);
        assert!(
            ran.ok().contains("generate")
                && ran.ok().contains("langevin") == (shell != "elvish" && shell != "powershell"),
            "{shell}"
        );
    }
}

#[test]
fn the_version_is_the_packages() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(["--version"]).ok(), format!("flowline {}\n", env!("CARGO_PKG_VERSION")));
}
