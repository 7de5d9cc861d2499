//! A picture says how it was made, exactly, to us and to other programs.

mod sample;

use flowline::record::{self, Chunk, Source};
use flowline_model::{Draft, Pipeline, Request};
use flowline_sampler::catalog::Choice;
use sample::file::{chunks_of, field, read, written};
use sample::{picture, prompts, request};

/// The web UI's `parse_generation_parameters`, from its published regular expression
/// `\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)`.
fn web_ui(text: &str) -> Vec<(String, String)> {
    let last: Vec<char> = text.trim().rsplit('\n').next().unwrap().chars().collect();
    let at = |i: usize| last.get(i).copied();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let space = |mut i: usize| {
        while at(i).is_some_and(char::is_whitespace) {
            i += 1;
        }
        i
    };
    let match_at = |begin: usize| -> Option<(String, String, usize)> {
        let key = space(begin);
        let mut i = key;
        while at(i).is_some_and(|c| word(c) || (i > key && matches!(c, ' ' | '-' | '/'))) {
            i += 1;
        }
        if i < key + 2 || at(i) != Some(':') {
            return None;
        }
        let name: String = last[key..i].iter().collect();
        let value = space(i + 1);
        if at(value) == Some('"') {
            let mut end = value + 1;
            while at(end).is_some_and(|c| c != '"') {
                end += if at(end) == Some('\\') { 2 } else { 1 };
            }
            if at(end) == Some('"') && end > value + 1 && at(end + 1).is_none_or(|c| c == ',') {
                return Some((name, last[value..=end].iter().collect(), end + 2));
            }
        }
        let end = (value..last.len()).find(|i| last[*i] == ',').unwrap_or(last.len());
        Some((name, last[value..end].iter().collect(), end + 1))
    };
    let (mut found, mut i) = (Vec::new(), 0);
    while i < last.len() {
        match match_at(i) {
            Some((name, value, next)) => {
                found.push((name, value));
                i = next;
            }
            None => i += 1,
        }
    }
    found
}

#[test]
fn a_picture_gives_its_request_again_whatever_the_prompt_holds() {
    for prompt in prompts() {
        let mut request = request(&prompt);
        request.negative_prompt = prompt.chars().rev().collect();
        let record = read(&written(&request)).unwrap();
        assert_eq!(record.source, Source::Flowline);
        assert_eq!(record.request.as_ref(), Some(&request), "{:.60}", prompt);
        assert_eq!(record.draft, request.to_draft());
        assert_eq!(record.size, (48, 32));
        record.replayable("picture.png").unwrap();
    }
}

#[test]
fn the_parameters_chunk_alone_gives_the_request_again() {
    for prompt in prompts() {
        let mut request = request(&prompt);
        request.negative_prompt = prompt.clone();
        let chunks = &record::chunks(&request)[..1];
        let mut file = Vec::new();
        record::write_png(&mut file, &picture(request.clone()).image, chunks).unwrap();
        assert_eq!(read(&file).unwrap().request.as_ref(), Some(&request), "{:.60}", prompt);
    }
}

#[test]
fn the_web_ui_reads_the_right_settings_whatever_the_prompt_holds() {
    for prompt in prompts() {
        let mut request = request(&prompt);
        request.negative_prompt = prompt.clone();
        request.model.name = "a: \"model\", Seed: 1\n\u{1f600}".into();
        request.sampler = Choice::new("langevin").with("scale", 0.5).with("decay", 1);
        let parameters = record::chunks(&request)[0].text.clone();
        let settings = web_ui(&parameters);
        let keys: Vec<_> = settings.iter().map(|(key, _)| key.as_str()).collect();
        let expected = "Steps|Sampler|Schedule type|CFG scale|Seed|Size|Model hash|Model|Version|Flowline";
        assert_eq!(keys.join("|"), expected, "{prompt:.60}");
        assert_eq!(field(&settings, "Seed"), Some("18446744073709551615"), "{prompt:.60}");
        assert_eq!(field(&settings, "Size"), Some("256x192"));
        assert_eq!(field(&settings, "Model hash"), Some("aaaaaaaaaa"));
        assert_eq!(field(&settings, "Sampler"), Some("\"langevin:scale=0.5,decay=1\""));
        let own: String = serde_json::from_str(field(&settings, "Flowline").unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&own).unwrap(), request);
    }
}

#[test]
fn the_parameters_chunk_reads_as_people_know_it() {
    let mut request = request("a red lighthouse\nby the sea");
    request.negative_prompt = "blue".into();
    request.guidance = Some(3.5);
    let text = &record::chunks(&request)[0].text;
    let (visible, _) = text.split_once(", Flowline: ").unwrap();
    assert_eq!(
        visible,
        "a red lighthouse\nby the sea\nNegative prompt: blue\nSteps: 8, Sampler: Euler, Schedule type: uniform, CFG scale: \
         2.5, Distilled CFG Scale: 3.5, Seed: 18446744073709551615, Size: 256x192, Model hash: aaaaaaaaaa, Model: \
         postcard, Version: flowline 0.1.0"
    );
}

#[test]
fn text_is_latin_1_where_that_is_unmistakable_and_utf_8_elsewhere() {
    for prompt in prompts() {
        let latin1: Option<Vec<u8>> = prompt.chars().map(|c| u8::try_from(c).ok()).collect();
        let plain = latin1.is_some_and(|bytes| prompt.is_ascii() || String::from_utf8(bytes).is_err());
        let kind = if plain { *b"tEXt" } else { *b"iTXt" };
        let chunks = chunks_of(&written(&request(&prompt)));
        let kinds: Vec<_> = chunks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds[..4], [*b"IHDR", *b"sRGB", kind, kind], "{prompt:.60}");
        assert_eq!(kinds[4..].iter().filter(|kind| **kind != *b"IDAT").count(), 1, "only IEND follows the pixels");
        assert!(chunks[2].1.starts_with(b"parameters\0") && chunks[3].1.starts_with(b"flowline\0"));
    }
    let kind = |text: &str| Chunk { keyword: "parameters", text: text.into() }.is_plain();
    assert!(kind("caf\u{e9}"));
    assert!(!kind("\u{c3}\u{a9}"), "readers would see \u{e9}");
    assert!(!kind("\u{20ac}"));
    assert!(!kind("a\0b"));
    let bytes = &chunks_of(&written(&request("caf\u{e9}")))[2].1;
    assert!(bytes.windows(5).any(|window| window == b"caf\xe9\n"), "Latin-1 has one byte for it");
}

#[test]
fn the_pixels_come_back_as_they_were() {
    let request = request("pixels");
    let made = picture(request.clone());
    let read = image::load_from_memory(&written(&request)).unwrap();
    assert_eq!(read.color(), image::ColorType::Rgb8);
    assert_eq!(read.to_rgb8(), made.image);
}

#[test]
fn every_number_comes_back_to_its_last_bit() {
    let mut request = request("numbers");
    // xorshift64; serde_json without `float_roundtrip` misses the last bit of one in ten such numbers.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        f64::from_bits((state >> 12) | 0x3ff0_0000_0000_0000) - 1.0
    };
    request.sigmas = (0..20_000).map(|_| random()).collect();
    request.sigmas.extend([f64::MIN_POSITIVE, 5e-324, 0.1 + 0.2, 1.0 - f64::EPSILON / 2.0, 0.0]);
    request.cfg = 0.1 + 0.2;
    let back = read(&written(&request)).unwrap().request.unwrap();
    let bits = |request: &Request| request.sigmas.iter().map(|sigma| sigma.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&back), bits(&request));
    assert_eq!(back.cfg.to_bits(), request.cfg.to_bits());
}

#[test]
fn a_record_resolves_to_the_request_it_was_made_from() {
    let pipeline = Pipeline::open("postcard", None).unwrap();
    for sampler in ["euler", "heun", "ddim", "langevin:scale=0.5"] {
        let asked = Draft {
            prompt: "a red lighthouse".into(),
            seeds: vec![7],
            sampler: Some(sampler.parse().unwrap()),
            ..Draft::default()
        };
        let request = asked.resolve(pipeline.spec()).unwrap().request;
        let record = read(&written(&request)).unwrap();
        assert_eq!(record.draft.resolve(pipeline.spec()).unwrap().request, request, "{sampler}");
    }
}

#[test]
fn no_path_of_this_computer_stands_in_a_record() {
    let home = tempfile::Builder::new().prefix("secret-home-").tempdir().unwrap();
    let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard");
    let folder = home.path().join("my-model");
    copy(&assets, &folder);
    let pipeline = Pipeline::open(folder.to_str().unwrap(), None).unwrap();
    let draft = Draft { prompt: "a boat".into(), seeds: vec![1], ..Draft::default() };
    let request = draft.resolve(pipeline.spec()).unwrap().request;
    assert_eq!(request.model.name, "my-model");
    let file = written(&request);
    let says = |needle: &[u8]| file.windows(needle.len()).any(|window| window == needle);
    assert!(says(b"my-model"));
    assert!(!says(b"secret-home-"));
    for home in [std::env::var("HOME").ok(), std::env::var("USER").ok()].into_iter().flatten().filter(|v| v.len() > 2) {
        assert!(!says(home.as_bytes()), "{home}");
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
