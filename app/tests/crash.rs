//! What is written down when a thread panics: once for the whole process, so it has a program of its own.

use std::fs;
use std::thread;

use flowline::crash;
use flowline_model::text::{Frame, Tokenizer};

#[test]
fn a_panic_is_written_down_without_what_the_user_wrote_and_an_expected_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let reports = folder.path().join("reports");
    crash::watch(Some(reports.clone()));

    // A file on which the library for tokenizers panics: an error like others.
    let map = "AAAAAA==";
    let json = format!(
        r#"{{"normalizer": {{"type": "Precompiled", "precompiled_charsmap": "{map}"}}, "model": {{"type": "Unigram", "unk_id": 0, "vocab": [["a", 0.0]]}}}}"#
    );
    assert!(Tokenizer::from_bytes("tokenizer.json", json.as_bytes(), &Frame::t5(24)).is_err());
    assert!(!reports.exists(), "nobody hears of it");

    crash::note("step");
    let stumbled = thread::Builder::new().name("engine".into()).spawn(|| {
        let prompt = String::from("a secret café");
        prompt[..prompt.len() - 1].len()
    });
    assert!(stumbled.expect("a thread").join().is_err());
    let file = crash::last_report().expect("a report");
    assert_eq!(file.parent(), Some(reports.as_path()));
    let text = fs::read_to_string(&file).expect("its text");
    assert!(!text.contains("secret"), "{text}");
    for told in ["program     flowline ", "thread      engine", "last event  step", "place       app/tests/crash.rs:"] {
        assert!(text.contains(told), "{told} in {text}");
    }
}
