//! Several programs, and no network.

use std::io::{BufRead, BufReader, Read};

use super::fake::Answer::{Good, Hold};
use super::{Bench, Ran, WEIGHTS, assert_refused, noise};

#[test]
fn of_two_processes_that_want_the_same_file_one_fetches_it() {
    let bench = Bench::new();
    bench.hub.answer(WEIGHTS, [Hold(600_000), Good]);
    let first = bench.command(&["models", "pull", "lab/flow"]).spawn().unwrap();
    bench.hub.wait_for_hold();
    let mut second = bench.command(&["models", "pull", "lab/flow"]).spawn().unwrap();
    let mut said = BufReader::new(second.stderr.take().unwrap());
    let waiting = format!("another program is fetching {WEIGHTS}; waiting for it\n");
    let mut line = String::new();
    while line != waiting {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "it ended without waiting");
    }
    bench.hub.release();
    let (first, second) = (Ran::from(first.wait_with_output().unwrap()), second.wait_with_output().unwrap());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!((first.ok(), second.status.code()), (std::str::from_utf8(&second.stdout).unwrap(), Some(0)), "{rest}");
    assert_eq!(bench.hub.asked_for(WEIGHTS).len(), 1, "fetched once");
    assert_eq!(bench.fetched(), noise(1_000_000));
}

/// Whatever the program opens, it would have to open it here: the Hub and every proxy are the same listener.
fn offline(bench: &Bench, args: &[&str], offline: &[(&str, &str)]) -> Ran {
    let mut command = bench.command(args);
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env(proxy, &bench.hub.url);
    }
    Ran::from(command.envs(offline.iter().copied()).output().unwrap())
}

#[test]
fn offline_nothing_connects_whatever_is_asked_for() {
    let bench = Bench::new();
    let variable = [("HF_HUB_OFFLINE", "1")];
    let missing = |name: &str| format!("{name} is not on this machine");
    let hint = |name: &str, size: &str| {
        format!("`flowline models pull {name}` fetches it{size}; a folder or file of yours is named by its path")
    };
    for (args, variables) in [
        (vec!["models", "pull", "lab/flow"], &variable[..]),
        (vec!["models", "pull", "lab/flow", "--offline"], &[]),
        (vec!["generate", "x", "-m", "lab/flow"], &variable[..]),
        (vec!["generate", "x", "-m", "lab/flow", "--offline"], &[]),
        (vec!["generate", "x", "-m", "lab/flow", "--dry-run"], &[]),
    ] {
        assert_refused(&offline(&bench, &args, variables), 1, &missing("lab/flow"), &hint("lab/flow", ""));
    }
    let ran = offline(&bench, &["generate", "x", "-m", "schnell", "--offline"], &[]);
    assert_refused(&ran, 1, &missing("flux-schnell"), &hint("flux-schnell", " (33.7 GB)"));
    for args in [&["models"][..], &["models", "show", "flux-dev"], &["models", "list", "--json"], &["models", "check"]]
    {
        offline(&bench, args, &[]).ok();
    }
    assert_eq!(bench.hub.connections(), 0);

    // What is here needs no network.
    let path = bench.pull().ok().to_owned();
    let connections = bench.hub.connections();
    assert_eq!(offline(&bench, &["models", "pull", "lab/flow", "--offline"], &[]).ok(), path);
    assert_eq!(offline(&bench, &["models", "pull", "lab/flow"], &variable).ok(), path);
    offline(&bench, &["models", "check", "lab/flow"], &[]).ok();
    offline(&bench, &["models", "remove", "lab/flow"], &[]).ok();
    assert_eq!(bench.hub.connections(), connections);
}
