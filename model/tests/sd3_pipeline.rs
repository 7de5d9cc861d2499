//! SD3 and SD3.5 from prompt to pixels: against diffusers, step by step, and what their folders may hold and lack.

mod parity;

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;

use candle_core::{Device, Tensor};
use flowline_model::sd3::{Sd3Config, Sd3Transformer};
use flowline_model::text::{Frame, Tokenizer};
use flowline_model::weights::Weights;
use flowline_model::{Conditioning, Draft, Event, Latents, Pipeline, Request};
use flowline_sampler::catalog::Choice;
use parity::folders::{T5, index, sd3_folder, set};
use parity::{assert_agrees, assert_pixels, copy_parts, fixture, quiet, relative_error, tensors};
use serde_json::json;
use tempfile::TempDir;

const PROMPT: &str = "a lovely cat holding a sign";
const NEGATIVE: &str = "the lazy dog";
/// Tokens of text that CLIP reads; T5's stand behind them.
const CLIP: usize = 77;

fn open(folder: &TempDir) -> Pipeline {
    Pipeline::open(folder.path().to_str().unwrap(), None).unwrap()
}

/// What opening the folder, or reading its text encoders, says is wrong.
fn refused(folder: &TempDir) -> String {
    let opened = Pipeline::open(folder.path().to_str().unwrap(), None);
    opened.and_then(|mut pipeline| pipeline.encode(PROMPT)).unwrap_err().to_string()
}

fn without_t5(model: &str) -> TempDir {
    let folder = sd3_folder(model);
    fs::remove_dir_all(folder.path().join("text_encoder_3")).unwrap();
    fs::remove_dir_all(folder.path().join("tokenizer_3")).unwrap();
    folder
}

fn sigmas(reference: &HashMap<String, Tensor>) -> Vec<f64> {
    reference["sigmas"].to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// The fixtures' request; their schedulers have no defaults of a released model, so the sigmas are given one by one.
fn draft(reference: &HashMap<String, Tensor>) -> Draft {
    Draft {
        prompt: PROMPT.into(),
        negative_prompt: Some(NEGATIVE.into()),
        width: Some(48),
        height: Some(64),
        seeds: vec![0],
        sigmas: Some(sigmas(reference)),
        cfg: Some(4.5),
        ..Draft::default()
    }
}

/// The reference's velocities at a call, of the prompt and of the negative prompt: it evaluates the negative one first.
fn sides(reference: &HashMap<String, Tensor>, call: usize) -> (Tensor, Tensor) {
    let v = &reference[&format!("model_out_{call}")];
    (v.narrow(0, 1, 1).unwrap(), v.narrow(0, 0, 1).unwrap())
}

/// a + s (b - c)
fn away(a: &Tensor, s: f64, b: &Tensor, c: &Tensor) -> Tensor {
    (a + (b - c).unwrap().affine(s, 0.0).unwrap()).unwrap()
}

fn assert_sd3_pipeline(model: &str) {
    let folder = sd3_folder(model);
    let reference = tensors(&format!("pipelines/{model}.safetensors"));
    let mut pipeline = open(&folder);
    for (prompt, context, pooled) in
        [(PROMPT, "prompt_embeds", "pooled"), (NEGATIVE, "negative_prompt_embeds", "negative_pooled")]
    {
        let encoding = pipeline.encode(prompt).unwrap();
        assert_agrees(&format!("{model} {context}"), &encoding.context, &reference[context]);
        assert_agrees(&format!("{model} {pooled}"), &encoding.pooled, &reference[pooled]);
        assert_eq!(encoding.cut, None);
    }

    let draft = draft(&reference);
    let request = draft.resolve(pipeline.spec()).unwrap().request;
    for step in 0..3 {
        // Each step from where the reference stands: stopped after it, the pipeline returns its denoised prediction,
        // x - sigma v.
        let x = if step == 0 { &reference["noise"] } else { &reference[&format!("latents_{}", step - 1)] };
        let (positive, negative) = sides(&reference, step);
        let v = away(&negative, request.cfg, &positive, &negative);
        let want = (x - v.affine(request.sigmas[step], 0.0).unwrap()).unwrap();
        let sigmas = request.sigmas[step..].to_vec();
        let step_alone = Request { steps: sigmas.len() - 1, sigmas, stop_after: Some(1), ..request.clone() };
        let got = pipeline.denoise(&step_alone, Latents::new(x.clone()).unwrap(), quiet).unwrap();
        assert_agrees(&format!("{model} denoised in step {}", step + 1), got.tensor(), &want);
    }
    let noise = Latents::new(reference["noise"].clone()).unwrap();
    let latents = pipeline.denoise(&request, noise, quiet).unwrap();
    assert_agrees(&format!("{model} latents at the end"), latents.tensor(), &reference["latents_2"]);
    assert_pixels(model, &pipeline.decode(&latents).unwrap(), &reference["image"]);

    // The schedule by name gives the fixture's sigmas, within what f32 can tell.
    let named = Draft { sigmas: None, steps: Some(3), ..draft }.resolve(pipeline.spec()).unwrap().request;
    assert_eq!(named.schedule.to_string(), "sd3:shift=3");
    for (ours, theirs) in named.sigmas.iter().zip(sigmas(&reference)) {
        assert!((ours - theirs).abs() < 2e-7, "{model}: {:?} is not {theirs}", named.sigmas);
    }
}

#[test]
fn sd3_goes_from_prompt_to_pixels_like_diffusers() {
    assert_sd3_pipeline("sd3");
}

#[test]
fn sd35_medium_goes_from_prompt_to_pixels_like_diffusers() {
    assert_sd3_pipeline("sd35_medium");
}

#[test]
fn the_three_tokenizers_give_the_ids_of_the_reference() {
    let reference = tensors("pipelines/sd3.safetensors");
    for (folder, frame, ids) in [
        ("tokenizer_clip_l", Frame::clip_l(), "clip_l_ids"),
        ("tokenizer_clip_g", Frame::clip_g(), "clip_g_ids"),
        ("tokenizer_t5", Frame::t5(T5), "t5_ids"),
    ] {
        let tokenizer = Tokenizer::open(&fixture(&format!("common/{folder}/tokenizer.json")), &frame).unwrap();
        let ours: Vec<i64> = tokenizer.encode(PROMPT).unwrap().ids.into_iter().map(i64::from).collect();
        assert_eq!(ours, reference[ids].flatten_all().unwrap().to_vec1::<i64>().unwrap(), "{folder}");
    }
}

#[test]
fn without_t5_its_features_are_zeros_and_the_user_is_told() {
    let folder = without_t5("sd35_medium");
    let reference = tensors("pipelines/sd35_medium.safetensors");
    let mut pipeline = open(&folder);
    let encoding = pipeline.encode(PROMPT).unwrap();
    let part = |x: &Tensor| x.narrow(1, 0, CLIP).unwrap();
    assert_agrees("CLIP's part", &part(&encoding.context), &part(&reference["prompt_embeds"]));
    let rest = encoding.context.narrow(1, CLIP, T5).unwrap();
    assert!(rest.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|value| *value == 0.0));
    assert_agrees("pooled", &encoding.pooled, &reference["pooled"]);

    let files: Vec<_> = pipeline.spec().record().weights.into_iter().map(|weights| weights.file).collect();
    assert!(!files.iter().any(|file| file.contains("text_encoder_3")), "{files:?}");
    let resolved = draft(&reference).resolve(pipeline.spec()).unwrap();
    let told = |pipeline: &mut Pipeline, request: &Request| {
        let mut codes = Vec::new();
        let mut hear = |event| {
            if let Event::Warning(warning) = event {
                codes.push(warning.code);
            }
            ControlFlow::Continue(())
        };
        pipeline.generate(request, &mut hear).unwrap();
        codes
    };
    assert_eq!(resolved.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["t5-missing"]);
    assert_eq!(told(&mut pipeline, &resolved.request), ["t5-missing"]);

    let folder = sd3_folder("sd35_medium");
    let mut whole = open(&folder);
    let request = draft(&reference).resolve(whole.spec()).unwrap().request;
    assert!(told(&mut whole, &request).is_empty());
}

#[test]
fn half_a_t5_is_a_damaged_folder_and_not_one_without_t5() {
    for (file, whole) in [("model.safetensors", "weights"), ("config.json", "configuration")] {
        let folder = sd3_folder("sd3");
        fs::remove_file(folder.path().join("text_encoder_3").join(file)).unwrap();
        let missing = format!("text_encoder_3/{file}: the file is missing from the model folder");
        assert_eq!(refused(&folder), missing, "{whole}");
    }
}

#[test]
fn a_long_prompt_is_read_by_t5_after_clip_has_stopped_and_cut_where_nobody_reads_on() {
    let words = |count: usize| vec!["cat"; count].join(" ");
    let cut = |folder: &TempDir, prompt: &str| open(folder).prompt_warnings(prompt).unwrap().pop().map(|w| w.message);
    let whole = sd3_folder("sd3");
    index(&whole, json!({ "text_length": 400 }));
    assert_eq!(cut(&whole, &words(90)), None);
    let message = cut(&without_t5("sd3"), &words(90)).unwrap();
    assert!(message.contains("77 tokens of text"), "{message}");
    let message = cut(&sd3_folder("sd3"), &words(90)).unwrap();
    assert!(message.contains("24 tokens of text"), "{message}");
}

#[test]
fn a_folder_says_by_its_sizes_which_model_it_is_and_by_its_index_what_they_cannot_tell() {
    let (medium, medium35, large) = (sd3_folder("sd3"), sd3_folder("sd35_medium"), sd3_folder("sd35_medium"));
    set(&large, "transformer/config.json", "dual_attention_layers", json!([]));
    let turbo = sd3_folder("sd35_medium");
    set(&turbo, "transformer/config.json", "dual_attention_layers", json!([]));
    index(&turbo, json!({ "kind": "sd3.5-large-turbo" }));
    for (folder, name, steps, cfg, warnings) in [
        (medium, "sd3-medium", 28, 5.0, &[][..]),
        (medium35, "sd3.5-medium", 28, 4.5, &[]),
        (large, "sd3.5-large", 28, 4.5, &["kind-guessed"]),
        (turbo, "sd3.5-large-turbo", 4, 1.0, &[]),
    ] {
        let pipeline = open(&folder);
        let spec = pipeline.spec();
        let draft = Draft { prompt: PROMPT.into(), width: Some(64), height: Some(64), ..Draft::default() };
        let resolved = draft.resolve(spec).unwrap();
        let request = resolved.request;
        assert_eq!(spec.entry.name, name);
        assert_eq!(resolved.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), warnings, "{name}");
        assert_eq!((request.steps, request.cfg, request.guidance), (steps, cfg, None), "{name}");
        assert_eq!(request.rule.to_string(), format!("cfg:scale={cfg}"), "{name}");
        let (sampler, schedule) = (request.sampler.to_string(), request.schedule.to_string());
        assert_eq!((sampler.as_str(), schedule.as_str()), ("euler", "sd3:shift=3"), "{name}");
        assert_eq!((spec.entry.text_length, spec.entry.defaults.size), (256, (1024, 1024)), "{name}");
    }
}

#[test]
fn text_encoders_of_another_model_are_refused_by_what_does_not_fit() {
    let narrow = sd3_folder("sd3");
    set(&narrow, "transformer/config.json", "joint_attention_dim", json!(39));
    let what = "features are 24 wide, those of CLIP-L 16, but the transformer reads 39";
    assert_eq!(refused(&narrow), format!("text_encoder_2/config.json: {what}"));

    let wide = sd3_folder("sd3");
    set(&wide, "transformer/config.json", "joint_attention_dim", json!(64));
    let what = "features are 48 wide, but the transformer reads 64";
    assert_eq!(refused(&wide), format!("text_encoder_3/config.json: {what}"));

    let pooled = sd3_folder("sd3");
    set(&pooled, "transformer/config.json", "pooled_projection_dim", json!(41));
    let what = "pooled features are 24 wide, those of CLIP-L 16, but the transformer reads 41";
    assert_eq!(refused(&pooled), format!("text_encoder_2/config.json: {what}"));
}

#[test]
fn clip_g_needs_its_projection_and_clip_l_may_leave_it_out() {
    let dropped = |place: &str| {
        let folder = sd3_folder("sd3");
        let path = folder.path().join(place).join("model.safetensors");
        let mut weights = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
        weights.remove("text_projection.weight").unwrap();
        candle_core::safetensors::save(&weights, &path).unwrap();
        folder
    };
    let error = refused(&dropped("text_encoder_2"));
    assert_eq!(
        error,
        "text_encoder_2/model.safetensors: tensor 'text_projection.weight' is missing (expected shape [24, 24])"
    );
    let (reference, encoding) =
        (tensors("pipelines/sd3.safetensors"), open(&dropped("text_encoder")).encode(PROMPT).unwrap());
    let part = |x: &Tensor, from: usize, width: usize| x.narrow(1, from, width).unwrap();
    assert_agrees("CLIP-G's part", &part(&encoding.pooled, 16, 24), &part(&reference["pooled"], 16, 24));
    assert!(relative_error(&part(&encoding.pooled, 0, 16), &part(&reference["pooled"], 0, 16)) > 0.01);
}

#[test]
fn a_picture_beyond_the_learned_positions_is_refused_before_a_weight_is_read() {
    let folder = sd3_folder("sd3");
    let pipeline = open(&folder);
    let sized = |width, height| {
        let draft = Draft { width: Some(width), height: Some(height), steps: Some(1), ..Draft::default() };
        draft.resolve(pipeline.spec()).map(|resolved| resolved.request)
    };
    // 12 x 12 places of 16 x 16 pixels.
    assert!(sized(192, 192).is_ok());
    for (width, height) in [(208, 192), (192, 208)] {
        let error = sized(width, height).unwrap_err();
        assert_eq!(error.to_string(), format!("{width} x {height} is too large"));
        assert_eq!(error.hint(), "no side may be longer than 192");
    }
}

#[test]
fn the_memory_plan_counts_the_text_of_all_three_encoders() {
    let folder = sd3_folder("sd3");
    let pipeline = open(&folder);
    let request = draft(&tensors("pipelines/sd3.safetensors")).resolve(pipeline.spec()).unwrap().request;
    let tokens = (4 * 3 + CLIP + T5) as u64;
    // Fourteen maps of all tokens, 32 wide, and the scores of 2 heads twice.
    let want = 4 * (14 * tokens * 32 + 2 * 2 * tokens * tokens);
    assert_eq!(request.memory_plan(pipeline.spec()).denoising, want);
}

/// SD3.5 medium with a layer that can be skipped: the fixture has fewer than the catalogue names.
fn skipping_folder() -> TempDir {
    let folder = sd3_folder("sd35_medium");
    index(&folder, json!({ "skip_layers": [0] }));
    folder
}

fn skip_layer(reference: &HashMap<String, Tensor>) -> Draft {
    let rule: Choice = "cfg:scale=4.5+skip-layer:scale=2.5,low=0.8,high=1".parse().unwrap();
    Draft { rule: Some(rule), cfg: None, ..draft(reference) }
}

#[test]
fn skip_layer_guidance_turns_away_from_the_transformer_without_the_layer() {
    let folder = skipping_folder();
    let reference = tensors("pipelines/sd35_medium.safetensors");
    let mut pipeline = open(&folder);
    let request = skip_layer(&reference).resolve(pipeline.spec()).unwrap().request;
    assert_eq!((request.cfg, &request.skip_layers[..]), (4.5, &[0][..]));

    let weights = Weights::open(&fixture("sd35_medium/transformer/diffusion_pytorch_model.safetensors")).unwrap();
    let config = fs::read(fixture("sd35_medium/transformer/config.json")).unwrap();
    let config = Sd3Config::parse("config.json", &config).unwrap();
    let reader = weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(()));
    let transformer = Sd3Transformer::load(&config, &reader).unwrap();
    let (context, pooled) = (reference["prompt_embeds"].clone(), reference["pooled"].clone());
    let conditioning = Conditioning { context, pooled, guidance: None };
    let skipping = transformer.skipping(&[0]).unwrap();
    let weakened = skipping.forward_probed(&reference["noise"], &conditioning, 1.0, &mut ()).unwrap();

    // The first step lies at sigma 1, inside the rule's interval; the others do not.
    let (positive, negative) = sides(&reference, 0);
    let v = away(&away(&negative, 4.5, &positive, &negative), 2.5, &positive, &weakened);
    let noise = || Latents::new(reference["noise"].clone()).unwrap();
    let want = (&reference["noise"] - v).unwrap();
    let stopped = Request { stop_after: Some(1), ..request.clone() };
    let got = pipeline.denoise(&stopped, noise(), quiet).unwrap();
    assert_agrees("denoised with a layer skipped", got.tensor(), &want);
    let mut evaluations = Vec::new();
    let mut count = |event| {
        if let Event::Step(step) = event {
            evaluations.push(step.evaluations);
        }
        ControlFlow::Continue(())
    };
    pipeline.denoise(&request, noise(), &mut count).unwrap();
    assert_eq!(evaluations, [3, 5, 7], "three in the first step, two in each of the others");
}

#[test]
fn the_layers_to_skip_stand_in_the_record_and_may_be_chosen() {
    let (folder, reference) = (skipping_folder(), tensors("pipelines/sd35_medium.safetensors"));
    let pipeline = open(&folder);
    let spec = pipeline.spec();
    let request = skip_layer(&reference).resolve(spec).unwrap().request;
    let json = serde_json::to_value(&request).unwrap();
    assert_eq!(json["skip_layers"], json!([0]));
    let read: Request = serde_json::from_value(json).unwrap();
    assert_eq!(read, request);
    assert_eq!(read.to_draft().resolve(spec).unwrap().request, request);
    let other = Draft { skip_layers: Some(vec![1]), ..skip_layer(&reference) }.resolve(spec).unwrap().request;
    assert_eq!(other.skip_layers, [1]);
    assert!(!other.same_run(&request));

    // A rule that skips none has none in its record, and says so to whom asked for some.
    let plain = Draft { skip_layers: Some(vec![0]), ..draft(&reference) }.resolve(spec).unwrap();
    assert_eq!(plain.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["skip-layers-unused"]);
    assert!(plain.request.skip_layers.is_empty());
    assert!(serde_json::to_value(&plain.request).unwrap().get("skip_layers").is_none());
}

#[test]
fn layers_that_cannot_be_skipped_are_refused_with_a_hint() {
    let reference = tensors("pipelines/sd35_medium.safetensors");
    let folder = skipping_folder();
    let pipeline = open(&folder);
    let name = pipeline.spec().name.clone();
    let asked = skip_layer(&reference).resolve(pipeline.spec()).unwrap().request;
    let check = |layers: &[usize], rule: &str| {
        let request = Request { skip_layers: layers.to_vec(), rule: rule.parse().unwrap(), ..asked.clone() };
        let error = request.check(pipeline.spec()).unwrap_err();
        (error.to_string(), error.hint())
    };
    let rule = asked.rule.to_string();
    let (error, hint) = check(&[0, 2], &rule);
    assert_eq!(error, format!("{name} cannot skip layer 2, it has 2 layers"));
    assert_eq!(hint, "choose among 0 to 1");
    assert_eq!(check(&[], &rule).0, format!("{name} cannot skip layers, and the guidance {rule} needs that"));
    let (error, hint) = check(&[0], "cfg:scale=4.5");
    assert_eq!(error, "the layers [0] should be skipped, and the guidance cfg:scale=4.5 skips none");
    assert_eq!(hint, "leave the layers out, or add +skip-layer to the guidance");

    // Nobody knows the layers of a shorter SD3.5 medium, and its folder cannot name some that are not there.
    let short = sd3_folder("sd35_medium");
    assert!(open(&short).spec().skip_layers.is_empty());
    index(&short, json!({ "skip_layers": [7, 8, 9] }));
    let what = "skip_layers is [7, 8, 9]; the transformer has 2 layers that could be skipped";
    assert_eq!(refused(&short), format!("model_index.json: {what}"));
    let deep = sd3_folder("sd35_medium");
    set(&deep, "transformer/config.json", "num_layers", json!(24));
    assert_eq!(open(&deep).spec().skip_layers, [7, 8, 9]);
    let flux = sd3_folder("sd3");
    copy_parts(flux.path(), &[("transformer", "flux_dev/transformer")]);
    index(&flux, json!({ "skip_layers": [0] }));
    assert!(refused(&flux).ends_with("the transformer has 0 layers that could be skipped"));
}

#[test]
fn what_every_encoder_will_read_of_a_prompt_is_known_without_weights() {
    let folder = sd3_folder("sd3");
    for weights in ["transformer/diffusion_pytorch_model.safetensors", "text_encoder_3/model.safetensors"] {
        assert!(folder.path().join(weights).exists());
    }
    let mut pipeline = Pipeline::open(folder.path().to_str().unwrap(), None).unwrap();
    let reader = pipeline.prompt_reader().unwrap();
    assert!(reader.words().is_none() && !reader.can_surprise() && reader.surprise(7).is_none());
    let read = |prompt: &str| reader.read(prompt).unwrap();
    let told = |prompt: &str| read(prompt).tokens.iter().map(|t| (t.encoder, t.room)).collect::<Vec<_>>();
    let t5_room = read("").tokens.last().unwrap().room;
    assert_eq!(told("a cat"), [("CLIP-L", 77), ("CLIP-G", 77), ("T5", t5_room)]);
    assert_eq!(read("").tokens.iter().map(|t| t.count).collect::<Vec<_>>(), [2, 2, 1], "start and end tokens");
    // What it says is cut is what is cut when the picture is made.
    for prompt in ["a lovely cat", &"a lovely cat holding a sign ".repeat(200)] {
        assert_eq!(read(prompt).cut, pipeline.encode(prompt).unwrap().cut);
    }
    assert!(read(&"a lovely cat holding a sign ".repeat(200)).cut.is_some());
}
