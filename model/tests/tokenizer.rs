//! Prompts to ids: as transformers does it, and harmless whatever is typed.

mod parity;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::DType;
use flowline_model::Error;
use flowline_model::text::{Encoded, Frame, Tokenizer};
use flowline_model::weights::ModelFiles;
use parity::{fixture, tensors};
use serde_json::Value;

fn open(path: &str, frame: &Frame) -> Tokenizer {
    Tokenizer::open(&fixture(path), frame).unwrap()
}

fn t5() -> Tokenizer {
    open("common/tokenizer_t5/tokenizer.json", &Frame::t5(24))
}

fn clip_l() -> Tokenizer {
    open("common/tokenizer_clip_l/tokenizer.json", &Frame::clip_l())
}

fn clip_g() -> Tokenizer {
    open("common/tokenizer_clip_g/tokenizer.json", &Frame::clip_g())
}

fn postcard() -> Tokenizer {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard");
    Tokenizer::open(&assets.join("tokenizer/tokenizer.json"), &Frame::t5(24)).unwrap()
}

/// All of them, with their start and end ids and number of ids.
fn all() -> [(Tokenizer, Option<u32>, u32, usize); 4] {
    [(t5(), None, 1, 24), (clip_l(), Some(632), 633, 77), (clip_g(), Some(632), 633, 77), (postcard(), None, 1, 24)]
}

/// The ids followed by `pad` up to `length`.
fn padded(ids: &[u32], pad: u32, length: usize) -> Vec<u32> {
    let mut ids = ids.to_vec();
    ids.resize(length, pad);
    ids
}

/// Where the prompt ends in `ids`: asserts that start and end token stand in their places and nowhere else.
#[track_caller]
fn assert_framed(encoded: &Encoded, start: Option<u32>, end: u32, length: usize, prompt: &str) {
    let shown: String = prompt.chars().take(40).collect();
    let ids = &encoded.ids;
    assert_eq!(ids.len(), length, "{shown:?}");
    let last = encoded.tokens.min(length) - 1;
    assert_eq!(ids[last], end, "the end token follows the prompt {shown:?}");
    let first = usize::from(start.is_some());
    assert_eq!(ids.first().filter(|_| first == 1).copied(), start, "{shown:?}");
    assert!(ids[first..last].iter().all(|id| *id != end && Some(*id) != start), "no early end in {shown:?}: {ids:?}");
    assert_eq!(encoded.cut.is_some(), encoded.tokens > length, "{shown:?}: {} tokens", encoded.tokens);
}

#[test]
fn prompts_get_the_ids_of_the_flux_and_sd3_pipelines() {
    let pipeline = tensors("pipelines/flux_dev.safetensors");
    let want =
        |name: &str| pipeline[name].to_dtype(DType::U32).unwrap().flatten_all().unwrap().to_vec1::<u32>().unwrap();
    let prompt = "a lovely cat holding a sign";
    let clip = clip_l().encode(prompt).unwrap();
    assert_eq!(clip.ids, want("clip_ids"));
    assert_eq!((clip.tokens, clip.cut), (9, None));
    let t5 = t5().encode(prompt).unwrap();
    assert_eq!(t5.ids, want("t5_ids"));
    assert_eq!((t5.tokens, t5.cut), (12, None));
    // `clip_g_ids` of the SD3 pipeline.
    let clip_g = clip_g().encode(prompt).unwrap();
    assert_eq!(clip_g.ids, padded(&[632, 320, 625, 519, 612, 320, 82, 618, 633], 0, 77));
}

#[test]
fn prompts_get_the_ids_the_embedded_model_was_trained_with() {
    let tokenizer = postcard();
    let want = padded(&[58, 172, 229, 93, 64, 137, 69, 148, 1], 0, 24);
    assert_eq!(tokenizer.encode("a red lighthouse by the sea at sunset").unwrap().ids, want);
    assert_eq!(tokenizer.encode("A Red LIGHTHOUSE  by the sea at sunset ").unwrap().ids, want);
    let empty = tokenizer.encode("").unwrap();
    assert_eq!(empty, Encoded { ids: padded(&[1], 0, 24), tokens: 1, cut: None });
    assert_eq!(tokenizer.encode(" \t\n").unwrap(), empty);
}

#[test]
fn a_long_prompt_is_cut_before_the_end_token_and_the_rest_is_reported_as_typed() {
    // Twenty-three words of one token each fit beside the end token.
    let tokenizer = postcard();
    let fits = vec!["sea"; 23].join(" ");
    let encoded = tokenizer.encode(&fits).unwrap();
    assert_eq!((encoded.tokens, encoded.cut.as_deref()), (24, None));
    assert_eq!(encoded.ids.last(), Some(&1));

    let long = format!("{fits}  The RED-Tent,\u{a0}Ｗｉｄｅ at “noon” ");
    let encoded = tokenizer.encode(&long).unwrap();
    assert_eq!(encoded.ids, tokenizer.encode(&fits).unwrap().ids);
    assert_eq!(encoded.cut.as_deref(), Some("The RED-Tent,\u{a0}Ｗｉｄｅ at “noon”"));
    assert!(encoded.tokens > 24);

    let clip = clip_l();
    let encoded = clip.encode(&format!("{}A lovely   CAT", "a ".repeat(75))).unwrap();
    assert_eq!((encoded.tokens, encoded.cut.as_deref()), (80, Some("A lovely   CAT")));
    assert_eq!((encoded.ids[0], encoded.ids[75], encoded.ids[76]), (632, 320, 633));
    // A character of several tokens that is cut in two belongs to the part that did not fit.
    let encoded = clip.encode(&format!("{} 🚀 moon", "a ".repeat(73))).unwrap();
    assert_eq!(encoded.cut.as_deref(), Some("🚀 moon"));
}

#[test]
fn special_tokens_typed_into_a_prompt_do_not_end_it() {
    let plain = "a cat on the moon";
    for (tokenizer, start, end, length) in all() {
        // The full-width one becomes "</s>" only after normalisation.
        let specials = ["</s>", "＜／ｓ＞", "<|endoftext|>", "<|ENDOFTEXT|>", "<|startoftext|>", "<pad>", "<unk>"];
        for special in specials {
            for prompt in [
                special.to_owned(),
                special.repeat(100),
                format!("{special} {plain}"),
                format!("a cat {special} on the moon"),
                format!("a cat on{special}the moon{special}"),
            ] {
                assert_framed(&tokenizer.encode(&prompt).unwrap(), start, end, length, &prompt);
            }
        }
    }
    let same = |tokenizer: Tokenizer, special: &str| {
        let typed = tokenizer.encode(&format!("a cat {special} on the moon")).unwrap();
        assert_eq!(typed.ids, tokenizer.encode("a cat  on the moon").unwrap().ids, "{special}");
        assert_eq!(tokenizer.encode(&special.repeat(5)).unwrap(), tokenizer.encode("").unwrap(), "{special}");
    };
    same(clip_l(), "<|endoftext|>");
    same(clip_l(), "<|startoftext|>");
    same(clip_g(), "<|endoftext|>");
    same(postcard(), "</s>");
    // The exclamation mark pads CLIP-G, yet in a prompt it is itself.
    assert_eq!(clip_g().encode("a !").unwrap().tokens, 4);
}

/// Prompts that have broken a tokenizer somewhere.
const STRANGE: [&str; 12] = [
    "\u{1}\u{7}\u{8}\u{1b}[31m\u{7f}",
    "\u{feff}\u{200b}\u{200d}\u{202e}\u{fffd}\u{10ffff}\u{e000}",
    "emoji 🚀🐱‍👤🏳️‍🌈 test",
    "一只可爱的猫，拿着牌子",
    "قلعة على البحر ﷺ",
    "e\u{301}\u{301}\u{301}\u{301} Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘",
    "ǅ İ ß ﬁ ½ ㎏ Σς",
    "' '' 's 'S i'll we've it's",
    "\\ \" % {} {{}} $HOME `id` ; <script> </ s> < /s>",
    "!!!!!!!!!!!!!!!!!!!!!!!!!!!!",
    "\r\n\t\u{b}\u{c}\u{85}\u{2028}\u{3000}",
    "a\0b",
];

#[test]
fn no_text_is_too_strange() {
    for (tokenizer, start, end, length) in all() {
        for prompt in STRANGE {
            // As it is, and with every character where the cut could fall.
            for words in 0..length {
                let prompt = format!("{}{prompt}", "a ".repeat(words));
                let encoded = tokenizer.encode(&prompt).unwrap();
                let cut_is_typed = encoded.cut.as_deref().is_none_or(|cut| prompt.trim_end().ends_with(cut));
                assert!(cut_is_typed, "{prompt:?} has not {:?}", encoded.cut);
                assert_eq!(encoded.ids.len(), length);
                assert_eq!(encoded.ids[encoded.tokens.min(length) - 1], end);
                assert_eq!(start.is_some(), encoded.ids[0] == 632);
            }
            tokenizer.unknown_words(&BTreeSet::new(), prompt).unwrap();
        }
    }
}

#[test]
fn a_hundred_thousand_characters_are_no_trouble() {
    let n = 100_000;
    for (tokenizer, start, end, length) in all() {
        for text in ["a", "a ", "lighthouse ", "🚀", "猫", "</s>", "<|endoftext|> a", "' ", "- ", "\u{301}", "ﷺ"] {
            let prompt: String = text.chars().cycle().take(n).collect();
            let began = std::time::Instant::now();
            let encoded = tokenizer.encode(&prompt).unwrap();
            println!("{text:?}: {} tokens in {:?}", encoded.tokens, began.elapsed());
            assert_eq!(encoded.ids.len(), length);
            assert_eq!(encoded.ids[encoded.tokens.min(length) - 1], end);
            assert_eq!(start.is_some(), encoded.ids[0] == 632);
        }
        tokenizer.encode(&" ".repeat(n)).unwrap();
        tokenizer.unknown_words(&BTreeSet::new(), &"Étoile-de mer ".repeat(n / 14)).unwrap();
    }
}

#[test]
fn words_outside_the_list_are_named_once_in_order() {
    let known: BTreeSet<String> = ["a", "red", "tent", "by", "the", "sea"].map(String::from).into();
    let unknown = |prompt: &str| postcard().unknown_words(&known, prompt).unwrap();
    assert!(unknown("A Red-TENT, by the sea!").is_empty());
    assert_eq!(unknown("a Unicorn by the café: unicorn's UNICORN, 42 tents"), ["unicorn", "café", "s", "42", "tents"]);
    // Decomposed and full-width letters are what they look like; other scripts are words too.
    assert_eq!(unknown("ｒｅｄ cafe\u{301} café 猫 —"), ["café", "猫"]);
    assert!(unknown("").is_empty());
}

#[test]
fn a_broken_tokenizer_file_is_an_error_that_names_it() {
    let json = fs::read_to_string(fixture("common/tokenizer_t5/tokenizer.json")).unwrap();
    let read = |json: &str| Tokenizer::from_bytes("tokenizer_2/tokenizer.json", json.as_bytes(), &Frame::t5(24));
    assert!(read(&json).is_ok());
    for broken in ["", "{}", "null", "{\"model\": 3}", "\u{0}", &json[..json.len() / 2]] {
        let error = read(broken).err().unwrap();
        assert!(matches!(error, Error::Tokenizer { .. }), "{error}");
        assert!(error.to_string().starts_with("tokenizer_2/tokenizer.json: "), "{error}");
    }
    // A CLIP frame on a T5 vocabulary.
    let error = Tokenizer::from_bytes("t.json", json.as_bytes(), &Frame::clip_l()).err().unwrap();
    assert_eq!(error.to_string(), "t.json: has no token '<|startoftext|>'");
    assert!(matches!(Tokenizer::open(&fixture("nothing.json"), &Frame::t5(24)), Err(Error::Io { .. })));
    let no_room = Tokenizer::from_bytes("t.json", json.as_bytes(), &Frame::t5(1));
    assert!(matches!(no_room, Err(Error::Invalid { .. })));
}

#[test]
fn a_length_stored_in_the_file_does_not_matter() {
    let json = fs::read_to_string(fixture("common/tokenizer_t5/tokenizer.json")).unwrap();
    let mut value: Value = serde_json::from_str(&json).unwrap();
    value["truncation"] = serde_json::json!({
        "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0
    });
    value["padding"] = serde_json::json!({
        "strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": null,
        "pad_id": 2, "pad_type_id": 0, "pad_token": "<unk>"
    });
    let stored = Tokenizer::from_bytes("t.json", value.to_string().as_bytes(), &Frame::t5(24)).unwrap();
    for prompt in ["a lovely cat holding a sign", "cat"] {
        assert_eq!(stored.encode(prompt).unwrap(), t5().encode(prompt).unwrap());
    }
}

#[test]
fn clip_reads_the_two_files_of_the_older_form_just_as_well() {
    for (name, frame) in [("clip_l", Frame::clip_l()), ("clip_g", Frame::clip_g())] {
        let folder = fixture(&format!("common/tokenizer_{name}"));
        let vocab = fs::read(folder.join("vocab.json")).unwrap();
        let merges = fs::read_to_string(folder.join("merges.txt")).unwrap();
        let from_two = Tokenizer::from_clip_vocabulary("tokenizer", &vocab, &merges, &frame).unwrap();
        let from_one = Tokenizer::open(&folder.join("tokenizer.json"), &frame).unwrap();
        let plain = ["a lovely cat holding a sign", "The quick BROWN fox, jumps!!", "", "it's 0123456789 a !"];
        for prompt in plain.into_iter().chain(STRANGE) {
            assert_eq!(from_two.encode(prompt).unwrap(), from_one.encode(prompt).unwrap(), "{name} {prompt:?}");
        }

        let broken = |vocab: &[u8], merges: &str| Tokenizer::from_clip_vocabulary("tokenizer", vocab, merges, &frame);
        for result in [broken(b"[]", &merges), broken(b"{}", &merges), broken(&vocab, "ab"), broken(&vocab, "zz qq")] {
            let error = result.err().unwrap();
            assert!(matches!(error, Error::Tokenizer { .. }), "{error}");
        }
    }
}

/// The ids of a prompt, without padding.
fn unpadded(encoded: &Encoded) -> Vec<u32> {
    encoded.ids.iter().copied().take(encoded.tokens.min(encoded.ids.len())).collect()
}

#[test]
fn a_sentencepiece_model_gives_the_ids_of_sentencepiece() {
    let files = ModelFiles::Folder(fixture("spiece"));
    let tokenizer = Tokenizer::of_folder(&files, "", &Frame::t5(64)).unwrap();
    let goldens: Value = serde_json::from_slice(&fs::read(fixture("spiece/tokens.json")).unwrap()).unwrap();
    let cases = goldens["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        let prompt = case["prompt"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
        assert_eq!(unpadded(&tokenizer.encode(prompt).unwrap()), ids, "{prompt:?}");
    }
    for special in ["</s>", "<pad>", "<unk>"] {
        let typed = tokenizer.encode(&format!("a {special} cat")).unwrap();
        assert_framed(&typed, None, 1, 64, special);
    }
    // Half a model is no model, and no shorter one is a trap.
    let bytes = fs::read(fixture("spiece/spiece.model")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = ModelFiles::Folder(folder.path().to_owned());
    for length in 0..bytes.len() {
        fs::write(folder.path().join("spiece.model"), &bytes[..length]).unwrap();
        match Tokenizer::of_folder(&files, "", &Frame::t5(64)) {
            Ok(tokenizer) => drop(tokenizer.encode("a lovely ｃａｔ").unwrap()),
            Err(error) => assert!(matches!(error, Error::Tokenizer { .. }), "{length}: {error}"),
        }
    }
}

/// Folders that may hold the published vocabularies: of the Hugging Face cache, and of ComfyUI's program.
fn real_vocabularies(repositories: &[(&str, &str)], comfyui: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let hub = set("HF_HUB_CACHE").or_else(|| Some(set("HF_HOME")?.join("hub")));
    let hub = hub.or_else(|| Some(set("HOME")?.join(".cache/huggingface/hub")));
    let mut folders: Vec<PathBuf> = set("COMFYUI_PATH").map(|root| root.join(comfyui)).into_iter().collect();
    for (repository, inside) in repositories {
        let snapshots = hub.as_ref().map(|hub| hub.join(format!("models--{repository}/snapshots")));
        let entries = snapshots.and_then(|snapshots| fs::read_dir(snapshots).ok()).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path().join(inside)));
    }
    folders.into_iter().find(|folder| folder.join("tokenizer.json").is_file() || folder.join("vocab.json").is_file())
}

#[test]
fn prompts_get_the_published_ids_where_the_published_vocabularies_are() {
    let goldens: Value = serde_json::from_slice(&fs::read(fixture("tokens_real_vocab.json")).unwrap()).unwrap();
    let flux = ["black-forest-labs--FLUX.1-schnell", "black-forest-labs--FLUX.1-dev"];
    let clip = [("openai--clip-vit-large-patch14", ""), (flux[0], "tokenizer"), (flux[1], "tokenizer")];
    let t5 = [("google--t5-v1_1-xxl", ""), (flux[0], "tokenizer_2"), (flux[1], "tokenizer_2")];
    let clip = real_vocabularies(&clip, "comfy/sd1_tokenizer");
    let t5 = real_vocabularies(&t5, "comfy/text_encoders/t5_tokenizer");
    for (name, folder, frame) in [("clip", clip, Frame::clip_l()), ("t5", t5, Frame::t5(512))] {
        let Some(folder) = folder else {
            println!("the published vocabulary of {name} is not on this machine: nothing to compare with");
            continue;
        };
        let tokenizer = Tokenizer::of_folder(&ModelFiles::Folder(folder.clone()), "", &frame).unwrap();
        assert_published(name, &tokenizer, &goldens);
        if folder.join("spiece.model").is_file() {
            let alone = tempfile::tempdir().unwrap();
            fs::copy(folder.join("spiece.model"), alone.path().join("spiece.model")).unwrap();
            let files = ModelFiles::Folder(alone.path().to_owned());
            assert_published(name, &Tokenizer::of_folder(&files, "", &frame).unwrap(), &goldens);
        }
    }
}

/// Compares the ids of all prompts with those of the reference under `name`.
fn assert_published(name: &str, tokenizer: &Tokenizer, goldens: &Value) {
    let (mut same, mut special) = (0, 0);
    for case in goldens["cases"].as_array().unwrap() {
        let prompt = case["prompt"].as_str().unwrap();
        let ids: Vec<u32> = serde_json::from_value(case[name].clone()).unwrap();
        // The reference lets typed end tokens through; ours keep a prompt from ending early.
        if prompt.contains("</s>") || (name == "clip" && prompt.contains("<|")) {
            special += 1;
            continue;
        }
        let encoded = tokenizer.encode(prompt).unwrap();
        let got: Vec<u32> = encoded.ids.iter().copied().take(ids.len()).collect();
        assert_eq!(got, ids, "{name} {prompt:?}");
        same += 1;
    }
    println!("{name}: {same} prompts have the published ids, {special} with special tokens are ours");
    assert!(same >= 11, "{same}");
}

#[test]
fn a_table_of_characters_that_is_longer_than_its_file_is_refused_before_anybody_makes_room_for_it() {
    let json = |table: &str| {
        let normalizer = serde_json::json!({ "type": "Sequence", "normalizers": [
            { "type": "Precompiled", "precompiled_charsmap": table },
        ] });
        serde_json::json!({ "version": "1.0", "normalizer": normalizer, "model": { "type": "Unigram", "vocab": [] } })
    };
    // 0x04000400 bytes, 8 bytes; no table at all.
    for table in ["AAQABAAAAAA=", "AAQA", "%%%%%%%%"] {
        let refused = Tokenizer::from_bytes("tokenizer.json", json(table).to_string().as_bytes(), &Frame::t5(24));
        let Err(Error::Tokenizer { what, .. }) = refused else { panic!("{table} is taken") };
        assert!(what.contains("cut off"), "{what}");
    }
}
