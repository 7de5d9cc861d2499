//! A picture says how it was made, and nothing that it says can do harm.

mod sample;

use std::io::{Cursor, Write};

use flowline::error::Exit;
use flowline::record::{self, Chunk, Record, Source};
use flowline_model::{Draft, Pipeline, Request};
use flowline_sampler::catalog::Choice;
use sample::{picture, prompts, request};

type Chunks = Vec<([u8; 4], Vec<u8>)>;

/// A PNG of these chunks, with right checksums.
fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = [0, 0, 0, 48, 0, 0, 0, 32, 8, 2, 0, 0, 0];
    let all = [(b"IHDR", &size[..])].into_iter().chain(chunks.iter().copied()).chain([(b"IEND", &[][..])]);
    for (kind, data) in all {
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(kind);
        file.extend(data);
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(data);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}

/// A PNG with one plain text chunk.
fn png_with_text(keyword: &str, text: &str) -> Vec<u8> {
    png(&[(b"tEXt", format!("{keyword}\0{text}").as_bytes()), (b"IDAT", b"not even pixels")])
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The chunks of a PNG, in order.
fn chunks_of(file: &[u8]) -> Chunks {
    let (mut chunks, mut at) = (Vec::new(), 8);
    while at < file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        chunks.push((file[at + 4..at + 8].try_into().unwrap(), file[at + 8..at + 8 + length].to_vec()));
        at += 12 + length;
    }
    chunks
}

fn written(request: &Request) -> Vec<u8> {
    let mut file = Vec::new();
    record::write_png(&mut file, &picture(request.clone()).image, &record::chunks(request)).unwrap();
    file
}

fn read(file: &[u8]) -> flowline::error::Result<Record> {
    record::read_from("picture.png", Cursor::new(file))
}

/// Reads a text under a keyword as another program's record.
fn foreign(keyword: &str, text: &str) -> Record {
    read(&png_with_text(keyword, text)).unwrap()
}

fn field<'r>(fields: &'r [(String, String)], name: &str) -> Option<&'r str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

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
    // xorshift64; serde_json without `float_roundtrip` misses the last bit of about one in ten such numbers.
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

#[test]
fn the_web_uis_record_is_understood() {
    let record = foreign(
        "parameters",
        "a cat, seed: 3\nsecond line\nNegative prompt: dogs,\nmany dogs\nSteps: 20, Sampler: Euler, Schedule type: Simple, \
         CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 42, Size: 1024x768, Model hash: 0123456789, Model: \"flux: dev, \
         fp8\", Denoising strength: 0.7, Version: f2.0.1, Module 1: ae",
    );
    let expected = Draft {
        prompt: "a cat, seed: 3\nsecond line".into(),
        negative_prompt: Some("dogs,\nmany dogs".into()),
        width: Some(1024),
        height: Some(768),
        seeds: vec![42],
        steps: Some(20),
        sampler: Some(Choice::new("euler")),
        guidance: Some(3.5),
        cfg: Some(1.0),
        ..Draft::default()
    };
    assert_eq!((record.source, record.request, record.draft), (Source::A1111, None, expected));
    assert_eq!(field(&record.understood, "size"), Some("1024 x 768"));
    assert_eq!(field(&record.unused, "Model"), Some("flux: dev, fp8"));
    assert_eq!(field(&record.unused, "Denoising strength"), Some("0.7"));
}

#[test]
fn what_means_nothing_here_is_reported_and_not_guessed() {
    let record = foreign(
        "parameters",
        "a cat\nSteps: 2.5, Sampler: DPM++ 2M, Schedule type: Karras, Seed: -1, Size: big, CFG scale: inf",
    );
    assert_eq!(record.draft, Draft { prompt: "a cat".into(), ..Draft::default() });
    assert_eq!(field(&record.unused, "Sampler"), Some("DPM++ 2M (no sampler here means the same)"));
    assert_eq!(field(&record.unused, "Steps"), Some("2.5 (it is no whole number that fits)"));
    assert_eq!(field(&record.unused, "Seed"), Some("-1 (it is no whole number that fits)"));
    assert_eq!(field(&record.unused, "CFG scale"), Some("inf (it is no finite number)"));
    assert_eq!(record.unused.len(), 6);
    let ancestral = foreign("parameters", "a cat\nSteps: 2, Sampler: Euler a, Seed: 1, Size: 8x8");
    assert_eq!(ancestral.draft.sampler, None);
}

#[test]
fn stable_diffusion_cpps_unquoted_record_changes_no_setting() {
    let record = foreign(
        "parameters",
        "a cat\nSteps: 4, CFG scale: 1.000000, Guidance: 3.500000, Eta: 0.000000, Seed: 42, Size: 512x256, Model: \
         flux.gguf, RNG: cuda, Sampler: euler simple, Version: stable-diffusion.cpp, SDCPP: \
         {\"prompt\":{\"positive\":\"a cat, Seed: 7, Size: 1x1, Steps: 9\"},\"seed\":7}",
    );
    assert_eq!(record.source, Source::StableDiffusionCpp);
    assert_eq!(record.draft.seeds, [42]);
    assert_eq!((record.draft.width, record.draft.height, record.draft.steps), (Some(512), Some(256), Some(4)));
    assert_eq!(record.draft.sampler, Some(Choice::new("euler")));
    assert_eq!(record.draft.guidance, Some(3.5));
}

#[test]
fn a_comfyui_graph_is_followed_from_its_sampler() {
    let plain = r#"{
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "flux.safetensors"}},
        "9": {"class_type": "CLIPTextEncode", "inputs": {"text": "unconnected", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "dogs", "clip": ["4", 1]}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["12", 0], "clip": ["4", 1]}},
        "12": {"class_type": "PrimitiveString", "inputs": {"value": "a cat"}},
        "5": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 768, "height": 512, "batch_size": 1}},
        "3": {"class_type": "KSampler", "inputs": {"seed": 18446744073709551615, "steps": 20, "cfg": 2.5,
              "sampler_name": "heun", "scheduler": "simple", "denoise": 1.0, "model": ["4", 0], "positive": ["6", 0],
              "negative": ["7", 0], "latent_image": ["5", 0]}}}"#;
    let record = foreign("prompt", plain);
    let expected = Draft {
        prompt: "a cat".into(),
        negative_prompt: Some("dogs".into()),
        width: Some(768),
        height: Some(512),
        seeds: vec![u64::MAX],
        steps: Some(20),
        sampler: Some(Choice::new("heun")),
        cfg: Some(2.5),
        ..Draft::default()
    };
    assert_eq!((record.source, record.draft), (Source::ComfyUi, expected));
    assert_eq!(field(&record.unused, "ckpt_name"), Some("flux.safetensors"));

    let advanced = r#"{
        "13": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["25", 0], "guider": ["22", 0],
               "sampler": ["16", 0], "sigmas": ["17", 0], "latent_image": ["27", 0]}},
        "16": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "17": {"class_type": "BasicScheduler", "inputs": {"scheduler": "beta", "steps": 12, "denoise": 1.0}},
        "22": {"class_type": "BasicGuider", "inputs": {"conditioning": ["26", 0]}},
        "25": {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}},
        "26": {"class_type": "FluxGuidance", "inputs": {"guidance": 4, "conditioning": ["6", 0]}},
        "6": {"class_type": "CLIPTextEncodeFlux", "inputs": {"clip_l": "cat", "t5xxl": "a fine cat"}},
        "27": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 64, "height": 32}}}"#;
    let draft = foreign("prompt", advanced).draft;
    assert_eq!((draft.prompt.as_str(), draft.negative_prompt, draft.steps), ("a fine cat", None, Some(12)));
    assert_eq!((draft.seeds, draft.guidance, draft.width), (vec![5], Some(4.0), Some(64)));

    let zeroed = plain.replace(r#""negative": ["7", 0]"#, r#""negative": ["8", 0]"#).replace(
        r#""4": {"#,
        r#""8": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["6", 0]}}, "4": {"#,
    );
    assert_eq!(foreign("prompt", &zeroed).draft.negative_prompt, None);
    let circle = r#"{"1": {"class_type": "KSampler", "inputs": {"positive": ["2", 0], "seed": 1}},
                     "2": {"class_type": "X", "inputs": {"a": ["1", 0], "b": ["2", 0]}}}"#;
    assert_eq!(foreign("prompt", circle).draft.seeds, [1]);
}

#[test]
fn flat_json_records_are_understood() {
    let swarm = foreign(
        "parameters",
        r#"{"sui_image_params": {"prompt": "a cat", "negativeprompt": "", "model": "flux", "seed": 3, "steps": 4,
            "cfgscale": 1.0, "fluxguidancescale": 3.5, "sampler": "euler", "scheduler": "simple", "width": 512,
            "height": 256}, "sui_extra_data": {"date": "x"}}"#,
    );
    assert_eq!(swarm.source, Source::SwarmUi);
    assert_eq!((swarm.draft.prompt.as_str(), swarm.draft.seeds.as_slice()), ("a cat", &[3][..]));
    assert_eq!((swarm.draft.cfg, swarm.draft.guidance, swarm.draft.steps), (Some(1.0), Some(3.5), Some(4)));
    assert_eq!(field(&swarm.unused, "model"), Some("flux"));

    let invoke = foreign(
        "invokeai_metadata",
        r#"{"generation_mode": "flux_txt2img", "positive_prompt": "a cat", "negative_prompt": "dogs", "width": 512,
            "height": 256, "seed": 3, "rand_device": "cpu", "cfg_scale": 1, "steps": 4, "scheduler": "euler",
            "model": {"name": "flux"}, "strength": null}"#,
    );
    assert_eq!((invoke.source, invoke.draft.negative_prompt.as_deref()), (Source::InvokeAi, Some("dogs")));
    assert_eq!(invoke.draft.sampler, Some(Choice::new("euler")));
    assert_eq!(field(&invoke.unused, "model"), Some(r#"{"name":"flux"}"#));

    let fooocus = foreign(
        "parameters",
        r#"{"prompt": "a cat", "negative_prompt": "", "resolution": "(896, 1152)", "seed": "3", "steps": 30,
            "guidance_scale": 4.0, "sampler": "dpmpp_2m_sde_gpu", "scheduler": "karras", "version": "Fooocus v2.5.5"}"#,
    );
    assert_eq!((fooocus.source, fooocus.draft.width), (Source::Fooocus, Some(896)));
    assert_eq!((fooocus.draft.seeds, fooocus.draft.sampler), (vec![3], None));
}

#[test]
fn text_in_any_kind_of_chunk_is_read() {
    let line = "caf\u{e9}\nSteps: 4, Seed: 9, Size: 8x8";
    let latin1: Vec<u8> = line.chars().map(|c| c as u8).collect();
    let with = |head: &[u8], text: &[u8]| [head, text].concat();
    let files: [(&[u8; 4], Vec<u8>); 5] = [
        (b"tEXt", with(b"parameters\0", &latin1)),
        (b"tEXt", with(b"parameters\0", line.as_bytes())),
        (b"zTXt", with(b"parameters\0\0", &packed(&latin1))),
        (b"iTXt", with(b"parameters\0\0\0en\0Parameter\0", line.as_bytes())),
        (b"iTXt", with(b"parameters\0\x01\0\0\0", &packed(line.as_bytes()))),
    ];
    for (kind, data) in files {
        // Behind the pixels too, and beside chunks that make no sense.
        let file = png(&[(b"IDAT", &[0; 100]), (b"iTXt", b"x\0\x07"), (b"zTXt", b""), (kind, &data)]);
        let draft = read(&file).unwrap().draft;
        assert_eq!((draft.prompt.as_str(), draft.seeds), ("caf\u{e9}", vec![9]), "{}", kind.escape_ascii());
    }
}

#[test]
fn a_picture_without_a_record_says_so() {
    let bare = read(&png(&[(b"IDAT", b"")])).unwrap();
    assert_eq!((bare.source, bare.text.len()), (Source::Unknown, 0));
    let refusal = bare.replayable("x.png").unwrap_err();
    assert_eq!(refusal.what, "x.png has no record of how it was made");
    assert_eq!(refusal.exit, Exit::Failed);
    let other = foreign("Comment", "made with love");
    assert_eq!(other.source, Source::Unknown);
    assert_eq!(other.text, [("Comment".to_owned(), "made with love".to_owned())]);
    assert!(other.replayable("x.png").unwrap_err().what.contains("only other text"));
    let json = r#"{"title": "a cat\nSteps: 3, Sampler: Euler, Seed: 1, Size: 8x8"}"#;
    for noise in [json, "just a sentence", "Steps: 1, Seed: 2", "{}", "[1]", ""] {
        assert_eq!(foreign("parameters", noise).source, Source::Unknown, "{noise}");
    }
    for noise in ["a plain prompt", "{}", r#"{"1": {"class_type": "KSampler"}, "2": 3}"#] {
        foreign("prompt", noise);
    }
}

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
    let deeper = format!("{{\"schema\":1,\"prompt\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
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
        ("\"schema\":1", "\"schema\":2", "form 2"),
        ("\"schema\":1", "\"schema\":-1", "invalid value"),
        ("\"schema\":1", "\"schema\":1,\"shell\":\"rm -rf\"", "unknown field"),
        ("\"schema\":1,", "", "missing field"),
        ("\"width\":256", "\"width\":-256", "invalid value"),
        ("\"width\":256", "\"width\":4294967296", "invalid value"),
        ("\"width\":256", "\"width\":1e9", "invalid type"),
        ("\"cfg\":2.5", "\"cfg\":NaN", "expected value"),
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
    ];
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
    let broken = record::chunks(&request("a boat"))[0].text.replace("\\\"schema\\\":1", "\\\"schema\\\":9");
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
