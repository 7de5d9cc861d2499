//! What other programs write into their pictures is understood as far as it means something here.

mod sample;

use flowline::error::Exit;
use flowline::record::Source;
use flowline_model::Draft;
use flowline_sampler::catalog::Choice;
use sample::file::{field, foreign, packed, png, read};

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
        "a cat\nSteps: 2.5, Sampler: DPM fast, Schedule type: Karras, Seed: -1, Size: big, CFG scale: inf",
    );
    assert_eq!(record.draft, Draft { prompt: "a cat".into(), ..Draft::default() });
    assert_eq!(field(&record.unused, "Sampler"), Some("DPM fast (no sampler here means the same)"));
    assert_eq!(field(&record.unused, "Steps"), Some("2.5 (it is no whole number that fits)"));
    assert_eq!(field(&record.unused, "Seed"), Some("-1 (it is no whole number that fits)"));
    assert_eq!(field(&record.unused, "CFG scale"), Some("inf (it is no finite number)"));
    assert_eq!(record.unused.len(), 6);
}

#[test]
fn the_samplers_of_other_programs_are_understood() {
    for (theirs, ours) in [("Euler a", "ancestral"), ("DPM++ 2M", "dpmpp2m"), ("DPM++ 2M SDE", "DPM++ 2M SDE")] {
        let record = foreign("parameters", &format!("a cat\nSteps: 2, Sampler: {theirs}, Seed: 1, Size: 8x8"));
        assert_eq!(record.draft.sampler, Some(Choice::new(ours)), "{theirs}");
    }
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
    assert_eq!((fooocus.draft.seeds, fooocus.draft.sampler), (vec![3], Some(Choice::new("dpmpp_2m_sde_gpu"))));
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
