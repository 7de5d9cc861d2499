//! `samplers`, `models`, `inspect` and `completions`, with the real binary.

mod binary;

use binary::Sandbox;
use flowline_model::{Latents, catalog};
use flowline_sampler::catalog::{About, Samplers, Schedules};
use flowline_sampler::guidance::Rules;
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
    let rules = Rules::<Latents>::builtin();
    check(&json["decorators"], samplers.decorators().collect());
    check(&json["guidance_rules"], rules.iter().collect());
    check(&json["guidance_decorators"], rules.decorators().collect());
    for alias in ["schedules", "guidances", "rules"] {
        assert_eq!(sandbox.run([alias]).ok(), text.ok(), "the name that error messages give");
    }
}

#[test]
fn everything_in_a_catalogue_can_be_told_about() {
    let sandbox = Sandbox::new();
    let (samplers, schedules, rules) =
        (Samplers::<Latents>::builtin(), Schedules::builtin(), Rules::<Latents>::builtin());
    let around = samplers.decorators().chain(rules.decorators());
    for about in samplers.iter().chain(schedules.iter()).chain(rules.iter()).chain(around) {
        let ran = sandbox.run(["samplers", about.name]);
        let told = ran.ok();
        assert!(told.starts_with(&format!("{}: {}\n", about.name, about.meaning)), "{told}");
        for part in [about.formula, about.citation] {
            assert!(told.contains(part), "{part}");
        }
        for parameter in about.parameters {
            assert!(told.contains(&parameter.to_string()) && told.contains(parameter.meaning), "{told}");
        }
        assert!(about.aliases.iter().chain(about.ve_names).all(|name| told.contains(name)), "{told}");
        assert_eq!(told.contains("\n  verdict "), told.contains("\n  cost "), "{told}");
    }
}

#[test]
fn what_is_told_about_a_sampler_is_what_the_proof_measures() {
    let sandbox = Sandbox::new();
    let heun = sandbox.run(["samplers", "Heun", "--json"]).json();
    assert_eq!((&heun["kind"], &heun["name"]), (&Value::from("sampler"), &Value::from("heun")));
    let proven = sandbox.run(["verify", "--sampler", "heun", "--json"]).json();
    for key in ["order", "declared_order", "spread", "verdict", "holds"] {
        assert_eq!(heun["measured"][key], proven[0][key], "{key}");
    }
    let shares =
        |json: &Value| -> Vec<f64> { serde_json::from_value(json["measured"]["fresh_noise"].clone()).unwrap() };
    assert_eq!(shares(&heun), [0.0; 28]);
    let text = sandbox.run(["samplers", "heun"]);
    assert!(text.ok().contains("  noise       none on the way"), "{}", text.ok());
    assert!(text.ok().contains("55 for 28 steps"), "{}", text.ok());

    // Fresh noise at every step but the last, in numbers and as a picture; a parameter changes it.
    let langevin = sandbox.run(["samplers", "langevin:scale=1", "--json"]).json();
    let fresh = shares(&langevin);
    assert!(fresh[..27].iter().all(|share| *share > 0.0 && *share < 1.0) && fresh[27] == 0.0, "{fresh:?}");
    let stronger = shares(&sandbox.run(["samplers", "langevin:scale=2", "--json"]).json());
    assert!(stronger[..27].iter().zip(&fresh).all(|(more, less)| more > less));
    let text = sandbox.run(["samplers", "langevin:scale=1"]);
    assert!(text.ok().contains(" # #") && text.ok().contains("noise") && text.ok().contains("picture"));

    let corrector = sandbox.run(["samplers", "corrector:k=2", "--json"]).json();
    assert_eq!(
        (&corrector["kind"], &corrector["measured"]["sampler"]),
        (&"decorator".into(), &"euler+corrector:k=2".into())
    );
    assert!(shares(&corrector).iter().any(|share| *share > 0.0));
    let whole = sandbox.run(["samplers", "heun+corrector:k=2", "--json"]).json();
    assert_eq!(whole["measured"]["sampler"], "heun+corrector:k=2");
}

#[test]
fn what_is_told_about_a_schedule_has_its_sigmas() {
    let sandbox = Sandbox::new();
    let shift = sandbox.run(["schedules", "shift:shift=3", "--json"]).json();
    let sigmas: Vec<f64> = serde_json::from_value(shift["sigmas"].clone()).unwrap();
    assert_eq!((sigmas.len(), sigmas[0], sigmas[28]), (29, 1.0, 0.0));
    assert!((sigmas[14] - 0.75).abs() < 1e-12, "3/2 / (1 + 2/2) at the middle: {}", sigmas[14]);
    let text = sandbox.run(["schedules", "shift:shift=3"]);
    let longest = text.ok().lines().find(|line| line.trim_start().starts_with("1 |")).expect("the highest line");
    assert_eq!(longest.matches('#').count(), sigmas.iter().filter(|sigma| **sigma >= 7.5 / 8.0).count());
    let rule = sandbox.run(["rules", "apg"]);
    assert!(rule.ok().contains("--rule apg[:KEY=VALUE,..]"), "{}", rule.ok());
}

#[test]
fn the_help_of_generate_has_every_sampler_and_schedule() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(["generate", "--help"]);
    let (samplers, schedules) = (Samplers::<Latents>::builtin(), Schedules::builtin());
    let rules = Rules::<Latents>::builtin();
    let around = samplers.decorators().chain(rules.decorators());
    for about in samplers.iter().chain(schedules.iter()).chain(rules.iter()).chain(around) {
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
