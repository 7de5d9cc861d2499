//! Listings that lie. Everything in them is data, and none of it may lead anywhere.

use serde_json::{Value, json};

use super::fake::{Answer, COMMIT, File};
use super::{Bench, WEIGHTS, assert_refused, noise};

const HINT: &str = "check HF_ENDPOINT, or try again later";

/// What comes of a tree that lists this in the place of the weights.
fn refused(node: Value, error: &str) {
    let bench = Bench::new();
    bench.hub.say("tree", json!([node]));
    let error = format!("the listing of the repository makes no sense: {error}");
    assert_refused(&bench.pull(), 1, &error, HINT);
    assert!(!bench.repository().exists(), "nothing is written");
}

#[test]
fn names_that_lead_out_of_the_folder_are_refused() {
    let listed = File::large(WEIGHTS, noise(10)).listed();
    for name in [
        "../flow.safetensors",
        "a/../../flow.safetensors",
        "/etc/flow.safetensors",
        "a//flow.safetensors",
        "./flow.safetensors",
        "a\\..\\flow.safetensors",
        "C:flow.safetensors",
        "flow\0.safetensors",
        "flow\u{1b}[31m.safetensors",
        "a/.. /flow.safetensors",
        "",
    ] {
        let mut node = listed.clone();
        node["path"] = name.into();
        refused(node, &format!("it names a file {name:?}, which leads somewhere else").replace('\0', "\\0"));
    }
    let mut long = listed.clone();
    long["path"] = "x".repeat(300).into();
    refused(long, &format!("it names a file \"{}\", which leads somewhere else", "x".repeat(300)));
}

#[test]
fn hashes_that_are_none_are_refused() {
    for hash in ["", "../../../../x", "abc", "ABCDEF0123456789ABCDEF0123456789ABCDEF01"] {
        let mut large = File::large(WEIGHTS, noise(10)).listed();
        large["lfs"]["oid"] = hash.into();
        refused(large, &format!("the hash of '{WEIGHTS}' is none"));
        let mut small = File::small(WEIGHTS, noise(10)).listed();
        small["oid"] = hash.into();
        refused(small, &format!("the hash of '{WEIGHTS}' is none"));
    }
}

#[test]
fn a_commit_that_is_none_and_names_given_twice_are_refused() {
    let bench = Bench::new();
    bench.hub.say("info", json!({ "sha": "../../x" }));
    assert_refused(&bench.pull(), 1, "the listing of the repository makes no sense: its commit is none", HINT);

    let bench = Bench::new();
    let listed = File::large(WEIGHTS, noise(10)).listed();
    bench.hub.say("tree", json!([listed, listed]));
    let error = format!("the listing of the repository makes no sense: it names '{WEIGHTS}' twice");
    assert_refused(&bench.pull(), 1, &error, HINT);
}

#[test]
fn answers_that_are_no_listing_are_refused() {
    for (place, body) in [("info", "<html></html>"), ("tree", "{}"), ("tree", "[{\"path\":1}]"), ("info", "")] {
        let bench = Bench::new();
        bench.hub.answer(place, [Answer::Status(200, Vec::new(), body.to_owned())]);
        let ran = bench.pull();
        let error = ran.line("error: ").expect("an error");
        assert!(ran.code == Some(1) && error.starts_with("the listing of the repository makes no sense: "), "{error}");
    }
}

#[test]
fn a_size_that_is_a_lie_fills_no_disk() {
    let bench = Bench::new();
    let mut listed = File::large(WEIGHTS, noise(10)).listed();
    listed["lfs"]["size"] = json!(1_u64 << 60);
    bench.hub.say("tree", json!([listed]));
    let ran = bench.pull();
    let error = ran.line("error: ").expect("an error");
    assert!(error.starts_with("1152921504.6 GB are to come, and ") && error.ends_with(" free"), "{error}");
    assert_eq!(ran.line("hint: "), Some("make room, or name a folder on another disk with HF_HUB_CACHE"));
    assert!(bench.hub.asked_for(WEIGHTS).is_empty(), "refused before the first byte");
}

#[test]
fn a_listing_of_several_pages_is_read_to_its_end_and_only_at_the_hub() {
    let bench = Bench::with(vec![File::large(WEIGHTS, noise(10))]);
    let page = |link: String, files: Value| Answer::Status(200, vec![("Link", link)], files.to_string());
    let more = format!("<{}/api/models/lab/flow/tree/{COMMIT}?cursor=x>; rel=\"next\"", bench.hub.url);
    let readme = File::small("README.md", "x").listed();
    let weights = File::large(WEIGHTS, noise(10)).listed();
    let elsewhere = "<http://evil.example/api/x>; rel=\"next\"".to_owned();
    bench.hub.answer("tree", [page(more, json!([readme])), page(elsewhere, json!([weights]))]);
    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(10));
    assert_eq!(bench.hub.asked().iter().filter(|asked| asked.path.contains("/tree/")).count(), 2);
}

#[test]
fn links_of_a_listing_that_never_end_end() {
    let bench = Bench::new();
    let link = format!("<{}/api/models/lab/flow/tree/{COMMIT}?cursor=x>; rel=\"next\"", bench.hub.url);
    let nothing = Answer::Status(200, vec![("Link", link)], "[]".to_owned());
    bench.hub.answer("tree", [nothing]);
    let ran = bench.pull();
    assert_eq!(ran.line("error: "), Some("lab/flow holds no weights"));
}
