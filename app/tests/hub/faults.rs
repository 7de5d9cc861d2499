//! What a network and a Hub do to a file on its way.

use std::fs;

use super::fake::Answer::{self, Content, Drop, Good, Hold, Status, Whole};
use super::fake::{COMMIT, FakeHub, File};
use super::{Bench, WEIGHTS, assert_refused, host, link, noise};

fn status(code: u16) -> Answer {
    Status(code, Vec::new(), String::new())
}

#[test]
fn a_model_comes_whole_and_lies_where_the_other_programs_look() {
    let bench = Bench::new();
    let ran = bench.pull();
    let snapshot = bench.repository().join("snapshots").join(COMMIT);
    assert_eq!(ran.ok(), format!("{}\n", snapshot.display()));
    assert!(ran.stderr.contains("fetching lab/flow: 1 MB in 1 file\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("licence: mit ({}/lab/flow)", bench.hub.url)), "{}", ran.stderr);
    assert_eq!(bench.fetched(), noise(1_000_000));
    let blob = File::large(WEIGHTS, noise(1_000_000)).hash();
    if cfg!(unix) {
        assert_eq!(link(&snapshot.join(WEIGHTS)), Some(format!("../../blobs/{blob}").into()));
    }
    assert_eq!(fs::read_to_string(bench.repository().join("refs/main")).unwrap(), COMMIT);
    let cache = hf_hub::Cache::new(bench.repository().parent().unwrap().to_owned());
    assert_eq!(cache.model("lab/flow".into()).get(WEIGHTS), Some(snapshot.join(WEIGHTS)));
    assert!(!snapshot.join("README.md").exists(), "what a model does not need is not fetched");

    // Nothing comes twice, and of the licence is spoken once.
    let again = bench.pull();
    assert_eq!((again.ok(), again.stderr.as_str()), (ran.ok(), ""));
    assert_eq!(bench.hub.asked_for(WEIGHTS).len(), 1);
}

#[test]
fn a_connection_that_drops_half_way_goes_on_where_it_ended() {
    let bench = Bench::new();
    bench.hub.answer(WEIGHTS, [Drop(400_000), Drop(300_000), Good]);
    let ran = bench.pull();
    ran.ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    let ranges: Vec<_> = bench.hub.asked_for(WEIGHTS).into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some("bytes=400000-".into()), Some("bytes=700000-".into())]);
    assert!(ran.stderr.contains("; trying again in 0.2 s\n"), "{}", ran.stderr);
}

#[test]
fn a_server_that_knows_no_ranges_is_asked_for_the_whole_file_again() {
    let bench = Bench::new();
    bench.hub.answer(WEIGHTS, [Drop(400_000), Whole]);
    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    assert_eq!(bench.hub.asked_for(WEIGHTS).len(), 2);
}

#[test]
fn a_connection_that_never_gets_further_is_given_up() {
    let bench = Bench::new();
    // Every time the same half, from the start: no range is ever granted.
    let half = Content(noise(1_000_000));
    bench.hub.answer(WEIGHTS, [Drop(10), status(500), status(502), status(503), status(504), status(500), half]);
    let error = format!("{} answers with an error (500)", host(&bench.hub.url));
    let hint = "check the network; what has come is kept, and the same command goes on from there";
    assert_refused(&bench.pull(), 1, &error, hint);
    assert_eq!(bench.hub.asked_for(WEIGHTS).len(), 7 - 1, "one try and five more");
    assert_eq!(bench.unfinished(), Some(10));
}

#[test]
fn wrong_content_is_thrown_away_and_said() {
    let bench = Bench::new();
    let mut wrong = noise(1_000_000);
    wrong[500_000] ^= 1;
    bench.hub.answer(WEIGHTS, [Content(wrong)]);
    let error = format!("'{WEIGHTS}' came with other content than lab/flow promises");
    let hint = "what came was thrown away; try again later, or from another network";
    assert_refused(&bench.pull(), 1, &error, hint);
    assert_eq!(bench.blobs(), Vec::<std::path::PathBuf>::new());
    assert!(!bench.repository().join("snapshots").exists(), "nothing has a name");
    assert!(!bench.repository().join("refs").exists());
}

#[test]
fn a_page_in_the_place_of_a_file_is_told_by_its_size() {
    let bench = Bench::new();
    bench.hub.answer(WEIGHTS, [Content(b"<html>log in to this network</html>".to_vec())]);
    let error = format!("{} offers 35 bytes of '{WEIGHTS}' instead of 1000000", host(&bench.hub.url));
    let hint = "something between may answer in the Hub's place, such as a network's login page; try again later";
    assert_refused(&bench.pull(), 1, &error, hint);
}

#[test]
fn a_half_that_was_left_with_wrong_bytes_is_not_trusted() {
    let bench = Bench::new();
    let blobs = bench.repository().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let hash = File::large(WEIGHTS, noise(1_000_000)).hash();
    fs::write(blobs.join(format!("{hash}.flowline-part")), vec![0; 400_000]).unwrap();
    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    let ranges: Vec<_> = bench.hub.asked_for(WEIGHTS).into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [Some("bytes=400000-".into()), None], "gone on with, found wrong, fetched anew");
}

#[test]
fn a_whole_that_was_never_named_is_verified_and_not_fetched_again() {
    let bench = Bench::new();
    let blobs = bench.repository().join("blobs");
    fs::create_dir_all(&blobs).unwrap();
    let hash = File::large(WEIGHTS, noise(1_000_000)).hash();
    fs::write(blobs.join(format!("{hash}.flowline-part")), noise(1_000_000)).unwrap();
    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    assert!(bench.hub.asked_for(WEIGHTS).is_empty());
}

#[test]
fn a_range_that_cannot_be_granted_begins_anew() {
    let bench = Bench::new();
    bench.hub.answer(WEIGHTS, [Drop(400_000), status(416), Good]);
    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    let ranges: Vec<_> = bench.hub.asked_for(WEIGHTS).into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some("bytes=400000-".into()), None]);
}

#[test]
fn a_server_that_fails_twice_is_asked_a_third_time() {
    let bench = Bench::new();
    bench.hub.answer("info", [status(503), Good]);
    bench.hub.answer("tree", [status(500), Good]);
    bench.hub.answer(WEIGHTS, [status(500), status(500), Good]);
    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    assert_eq!(bench.hub.asked_for(WEIGHTS).len(), 3);
}

#[test]
fn a_server_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let bench = Bench::new();
    let busy = |seconds: &str| Status(429, vec![("Retry-After", seconds.to_owned())], String::new());
    bench.hub.answer(WEIGHTS, [busy("1"), Good]);
    let ran = bench.pull();
    ran.ok();
    let said = format!("{} asks for fewer requests (429); trying again in 1.0 s\n", host(&bench.hub.url));
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);

    let bench = Bench::new();
    bench.hub.answer("info", [busy("7200")]);
    let error = format!("{} asks for fewer requests (429)", host(&bench.hub.url));
    assert_refused(&bench.pull(), 1, &error, "it asks to be left alone for 7200 s; run the same command again then");
    assert_eq!(bench.hub.connections(), 1);
}

#[test]
fn a_silent_connection_is_given_up_and_gone_on_with() {
    let bench = Bench::new();
    bench.hub.answer(WEIGHTS, [Hold(400_000), Good]);
    let ran = super::Ran::from(
        bench.command(&["models", "pull", "lab/flow"]).env("HF_HUB_DOWNLOAD_TIMEOUT", "1").output().unwrap(),
    );
    ran.ok();
    assert!(ran.stderr.contains("the connection was silent for 1 s"), "{}", ran.stderr);
    assert_eq!(bench.fetched(), noise(1_000_000));
    let asked = bench.hub.asked_for(WEIGHTS);
    let [first, later @ ..] = &asked[..] else { panic!("nothing was asked for") };
    assert_eq!(first.range, None);
    assert!(
        !later.is_empty() && later.iter().all(|asked| asked.range.as_deref() == Some("bytes=400000-")),
        "{later:?}"
    );
}

#[test]
fn the_token_goes_to_the_hub_and_not_to_whom_it_sends_us_to() {
    let bench = Bench::new();
    let elsewhere = FakeHub::new(vec![File::large(WEIGHTS, noise(1_000_000))]);
    let there = format!("{}/{WEIGHTS}?signature=x", elsewhere.url);
    bench.hub.answer(WEIGHTS, [Status(302, vec![("Location", there)], String::new())]);
    let pull = ["models", "pull", "lab/flow", "--progress", "json"];
    let ran = super::Ran::from(bench.command(&pull).env("HF_TOKEN", "hf_secret").output().unwrap());
    ran.ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    assert!(bench.hub.asked().iter().all(|asked| asked.authorization.as_deref() == Some("Bearer hf_secret")));
    let [asked] = &elsewhere.asked()[..] else { panic!("{:?}", elsewhere.asked()) };
    assert_eq!(asked.authorization, None);
    assert!(!ran.stderr.contains("hf_secret"), "{}", ran.stderr);
}

#[test]
fn a_file_server_that_refuses_after_a_good_start_is_asked_for_a_new_address() {
    // The Hub answers well; the address it gives has expired when it is used.
    let bench = Bench::new();
    let elsewhere = FakeHub::new(vec![File::large(WEIGHTS, noise(1_000_000))]);
    let send = |to: &FakeHub| Status(302, vec![("Location", format!("{}/{WEIGHTS}", to.url))], String::new());
    bench.hub.answer(WEIGHTS, [send(&elsewhere)]);
    let denied = || Status(403, Vec::new(), "<Error><Code>AccessDenied</Code></Error>".to_owned());
    elsewhere.answer(WEIGHTS, [denied(), Good]);
    bench.pull().ok();
    assert_eq!(bench.fetched(), noise(1_000_000));
    assert_eq!(bench.hub.asked_for(WEIGHTS).len(), 2, "the address was asked for again");

    let bench = Bench::new();
    bench.hub.answer(WEIGHTS, [send(&elsewhere)]);
    elsewhere.answer(WEIGHTS, [denied()]);
    let error = format!("{} refuses the file (403)", host(&elsewhere.url));
    let hint = "check the network; what has come is kept, and the same command goes on from there";
    assert_refused(&bench.pull(), 1, &error, hint);
    assert_eq!(bench.blobs().len(), 1, "the page is not taken for the file");
    assert_eq!(bench.unfinished(), Some(0));
}

#[test]
fn the_hub_cannot_send_us_round_in_circles_or_to_other_schemes() {
    for (location, error) in [
        ("/lab/flow/resolve/x/flow.safetensors", "the Hub sends us round in circles"),
        ("file:///etc/passwd", "127.0.0.1 sends us to a place that is not safe"),
    ] {
        let bench = Bench::new();
        bench.hub.answer(WEIGHTS, [Status(302, vec![("Location", location.to_owned())], String::new())]);
        assert_refused(&bench.pull(), 1, error, "check HF_ENDPOINT");
    }
}

/// `404` and its relatives: what is said, and that nobody is asked twice.
#[test]
fn what_is_gated_refused_or_missing_is_said_with_what_to_do() {
    let code = |code: &str| vec![("X-Error-Code", code.to_owned())];
    let token = "https://huggingface.co/settings/tokens";
    let cases = [
        (401, code("GatedRepo"), false, "lab/flow is gated: whoever wants it must accept its licence"),
        (401, Vec::new(), true, "127.0.0.1 does not accept the token for lab/flow"),
        (403, code("GatedRepo"), true, "127.0.0.1 does not give lab/flow to this user"),
        (401, code("RepoNotFound"), false, "there is no 'lab/flow' on 127.0.0.1, or it is private"),
        (404, code("RepoNotFound"), false, "there is no 'lab/flow' on 127.0.0.1, or it is private"),
    ];
    for (status, headers, with_token, error) in cases {
        for place in ["info", WEIGHTS] {
            let bench = Bench::new();
            bench.hub.answer(place, [Status(status, headers.clone(), "{}".to_owned())]);
            let mut command = bench.command(&["models", "pull", "lab/flow"]);
            if with_token {
                command.env("HF_TOKEN", "hf_secret");
            }
            let hint = match error.contains("private") {
                true => "check its name; for a private one set HF_TOKEN".to_owned(),
                false => {
                    let page = format!("{}/lab/flow", bench.hub.url);
                    format!("accept the licence at {page}, make a token at {token}, and set HF_TOKEN to it")
                }
            };
            assert_refused(&super::Ran::from(command.output().unwrap()), 1, error, &hint);
            let times = if place == "info" { bench.hub.asked().len() } else { bench.hub.asked_for(place).len() };
            assert_eq!(times, 1, "{status}: asking again would not help");
        }
    }
}

#[test]
fn of_a_gated_model_of_the_catalogue_an_open_one_is_named() {
    let bench = Bench::new();
    bench.hub.answer("info", [Status(401, vec![("X-Error-Code", "GatedRepo".into())], String::new())]);
    let ran = bench.run(&["models", "pull", "flux-schnell"]);
    let hint = ran.line("hint: ").expect("a hint");
    assert!(
        hint.contains(&format!("accept the licence at {}/black-forest-labs/FLUX.1-schnell,", bench.hub.url)),
        "{hint}"
    );
    assert!(hint.ends_with("without an account: -m Comfy-Org/flux1-schnell:flux1-schnell-fp8.safetensors (everything in one file, 8 bits)"), "{hint}");
}

#[test]
fn nobody_there_is_said() {
    let bench = Bench::new();
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let pull = ["models", "pull", "lab/flow"];
    let ran = super::Ran::from(bench.command(&pull).env("HF_ENDPOINT", format!("http://{nowhere}")).output().unwrap());
    let error = ran.line("error: ").expect("an error");
    assert!(ran.code == Some(1) && error.starts_with("127.0.0.1 cannot be reached ("), "{error}");
    for odd in ["nonsense", "ftp://127.0.0.1", "http://"] {
        let ran = super::Ran::from(bench.command(&pull).env("HF_ENDPOINT", odd).output().unwrap());
        assert_eq!(ran.code, Some(1), "{odd}");
        assert!(
            ran.line("hint: ").is_some_and(|hint| hint.starts_with("set HF_ENDPOINT to an address")),
            "{odd}: {}",
            ran.stderr
        );
    }
}
