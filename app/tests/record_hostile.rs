//! Nothing that stands in a file can do harm.

mod sample;

use flowline::error::Exit;
use flowline::record::{self, Source};
use sample::file::{foreign, packed, png, png_with_text, read, written};
use sample::request;

#[test]
fn a_damaged_file_is_refused_wherever_it_ends() {
    let whole = written(&request("truncated"));
    for end in 0..whole.len() {
        let refusal = read(&whole[..end]).unwrap_err();
        assert!(refusal.what.starts_with("picture.png") && !refusal.hint.is_empty(), "{end}: {refusal}");
    }
    read(&whole).unwrap();
}

#[test]
fn hostile_files_are_refused() {
    let lying = |length: u32| {
        let mut file = png(&[]);
        file.truncate(file.len() - 12);
        file.extend(length.to_be_bytes());
        file.extend(b"tEXtparameters\0x");
        file
    };
    let mut flipped = png_with_text("flowline", "{\"seeds\":[\"7\"]}");
    let seed = flipped.iter().rposition(|byte| *byte == b'7').unwrap();
    flipped[seed] = b'8';
    let bomb = packed(&vec![b'a'; 64 << 20]);
    let half: Vec<u8> = [b"parameters\0\0".as_slice(), &packed(&vec![b'a'; 5 << 20])].concat();
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "is empty"),
        ("text", b"hello".to_vec(), "is not a PNG"),
        ("JPEG", b"\xff\xd8\xff\xe0 and so on".to_vec(), "is not a PNG"),
        ("only a signature", b"\x89PNG\r\n\x1a\n".to_vec(), "ends before"),
        ("zeros", [b"\x89PNG\r\n\x1a\n".to_vec(), vec![0; 100]].concat(), "something else"),
        ("no header chunk", [&png(&[])[..8], &png_with_text("a", "b")[33..]].concat(), "does not begin"),
        ("length beyond the end", lying(1000), "ends before"),
        ("length of 4 GiB", lying(u32::MAX), "ends before"),
        ("text too long", png(&[(b"tEXt", &vec![b'a'; (8 << 20) + 1])]), "more than 8 MiB"),
        ("bomb in zTXt", png(&[(b"zTXt", &[b"parameters\0\0", &bomb[..]].concat())]), "more than 8 MiB"),
        ("bomb in iTXt", png(&[(b"iTXt", &[b"prompt\0\x01\0\0\0", &bomb[..]].concat())]), "more than 8 MiB"),
        ("two halves of a bomb", png(&[(b"zTXt", &half), (b"zTXt", &half)]), "more than 8 MiB"),
        ("a keyword as long as a bomb", png(&[(b"tEXt", &vec![0xe9; 5 << 20])]), "more than 8 MiB"),
        ("text that cannot be unpacked", png(&[(b"zTXt", b"parameters\0\0junk")]), "unpacked"),
        ("a bit flipped in the record", flipped, "checksum"),
    ];
    for (what, file, expected) in table {
        let refusal = read(&file).err().unwrap_or_else(|| panic!("{what} was read"));
        assert!(refusal.what.contains(expected), "{what}: {refusal}");
        assert_eq!(refusal.exit, Exit::Failed);
    }
}

#[test]
fn json_that_is_too_deep_or_broken_is_refused_in_every_format() {
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    let deeper = format!("{{\"schema\":2,\"prompt\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let objects = "{\"a\":".repeat(10_000);
    for keyword in ["parameters", "prompt", "invokeai_metadata", "flowline"] {
        for text in [&deep, &deeper, &objects, "{", "{\"a\": NaN}"] {
            let refusal = read(&png_with_text(keyword, text)).unwrap_err();
            assert!(!refusal.hint.is_empty(), "{keyword}");
        }
    }
}

#[test]
fn a_record_of_ours_with_impossible_values_is_refused() {
    let good = record::chunks(&request("a boat"))[1].text.clone();
    assert_eq!(foreign("flowline", &good).source, Source::Flowline);
    let changes = [
        ("\"schema\":2", "\"schema\":3", "form 3"),
        ("\"schema\":2", "\"schema\":-1", "invalid value"),
        ("\"schema\":2", "\"schema\":2,\"shell\":\"rm -rf\"", "unknown field"),
        ("\"schema\":2,", "", "missing field"),
        ("\"width\":256", "\"width\":-256", "invalid value"),
        ("\"width\":256", "\"width\":4294967296", "invalid value"),
        ("\"width\":256", "\"width\":1e9", "invalid type"),
        ("\"cfg\":2.5", "\"cfg\":NaN", "expected value"),
        ("\"schema\":2", "\"schema\":0", "form 0"),
        ("\"rule\":\"cfg:scale=2.5\"", "\"rule\":\"\"", "empty"),
        ("\"rng\":\"flowline\"", "\"rng\":\"flowline\",\"tilt\":{\"sha256\":\"\"}", "missing field"),
        ("\"rng\":\"flowline\"", "\"rng\":\"flowline\",\"branch\":{\"parent\":{},\"at\":1}", "missing field"),
        ("\"cfg\":2.5", "\"cfg\":1e999", "number out of range"),
        ("\"cfg\":2.5", "\"cfg\":null", "invalid type"),
        ("\"cfg\":2.5", "\"cfg\":\"2.5\"", "invalid type"),
        ("[\"18446744073709551615\"]", "[]", "0 seeds"),
        ("[\"18446744073709551615\"]", "[\"1\",\"2\"]", "2 seeds"),
        ("[\"18446744073709551615\"]", "[\"18446744073709551616\"]", "too large"),
        ("[\"18446744073709551615\"]", "[\"-1\"]", "invalid digit"),
        ("[\"18446744073709551615\"]", "[7]", "invalid type"),
        ("\"sampler\":\"euler\"", "\"sampler\":\"\"", "empty"),
        ("\"steps\":8", "\"steps\":8e0", "invalid type"),
        ("\"rule\":\"cfg:scale=2.5\",", "", "missing field"),
        ("\"rng\":\"flowline\"", "\"rng\":\"dice\"", "unknown variant"),
    ];
    // A branch of a branch of a branch, as far as JSON may be deep and further.
    let mut endless = good.clone();
    for depth in 1..100 {
        let branch = format!("\"rng\":\"flowline\",\"branch\":{{\"parent\":{endless},\"at\":1}}");
        endless = good.replace("\"rng\":\"flowline\"", &branch);
        assert_eq!(read(&png_with_text("flowline", &endless)).is_ok(), depth < 62, "{depth}");
    }
    for (from, to, expected) in changes {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        let refusal = read(&png_with_text("flowline", &changed)).err().unwrap_or_else(|| panic!("{to} was read"));
        assert!(
            refusal.what.contains("its record cannot be used") && refusal.what.contains(expected),
            "{to}: {refusal}"
        );
    }
    // The same inside the other chunk: it is not taken for the web UI's then.
    let broken = record::chunks(&request("a boat"))[0].text.replace("\\\"schema\\\":2", "\\\"schema\\\":9");
    assert!(read(&png_with_text("parameters", &broken)).unwrap_err().what.contains("form 9"));
}

#[test]
fn what_is_shown_to_people_cannot_drive_their_terminal() {
    let record =
        foreign("parameters", "a \u{1b}]0;owned\u{7}cat\nSteps: 4, Seed: 9, Size: 8x8, Model: \u{1b}[2Jx\u{202e}");
    for (name, value) in record.understood.iter().chain(&record.unused) {
        assert!(!name.contains('\u{1b}') && !value.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{name}: {value:?}");
    }
    assert!(record.draft.prompt.contains('\u{1b}'), "the prompt itself is what it was");
}

#[test]
fn what_is_no_picture_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &std::path::Path| record::read(path).unwrap_err().what;
    assert!(refused(folder.path()).contains("is a folder"));
    assert!(refused(&folder.path().join("missing.png")).contains("missing.png"));
    // Ten gigabytes of nothing take no time and no memory.
    let sparse = folder.path().join("sparse.png");
    let file = std::fs::File::create(&sparse).unwrap();
    file.set_len(10 << 30).unwrap();
    assert!(refused(&sparse).contains("is not a PNG"));
    std::fs::write(&sparse, &png(&[(b"IDAT", b"")])[..33]).unwrap();
    std::fs::OpenOptions::new().write(true).open(&sparse).unwrap().set_len(10 << 30).unwrap();
    assert!(refused(&sparse).contains("something else"));
    let mut head = png(&[(b"IDAT", b"")])[..33].to_vec();
    head.extend([0x7f, 0xff, 0xff, 0xff]);
    head.extend(b"iTXt");
    std::fs::write(&sparse, &head).unwrap();
    std::fs::OpenOptions::new().write(true).open(&sparse).unwrap().set_len(10 << 30).unwrap();
    assert!(refused(&sparse).contains("more than 8 MiB"));
    #[cfg(unix)]
    assert!(refused(std::path::Path::new("/dev/null")).contains("no regular file"));
}
