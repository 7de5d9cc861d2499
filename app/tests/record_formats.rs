//! One picture of every program whose records are read: what is taken over, and what is listed as not. The samples are
//! written after the formats that those programs publish.

mod sample;

use flowline::record::Source;
use flowline_model::{Draft, Rng};
use flowline_sampler::catalog::Choice;
use sample::file::{png, read};

/// A sample: who wrote it, the file, what must be understood, and the names of what must be listed.
struct Row {
    source: Source,
    file: Vec<u8>,
    draft: Draft,
    unused: &'static [&'static str],
}

/// A picture with these text chunks.
fn texts(chunks: &[(&str, &str)]) -> Vec<u8> {
    let chunks: Vec<Vec<u8>> = chunks.iter().map(|(keyword, text)| format!("{keyword}\0{text}").into_bytes()).collect();
    png(&chunks.iter().map(|data| (b"tEXt", data.as_slice())).collect::<Vec<_>>())
}

/// EXIF data of one user comment, as a big-endian TIFF file: the first directory points to the second.
fn exif(comment: &[u8]) -> Vec<u8> {
    let mut data = b"MM\0*\0\0\0\x08".to_vec();
    data.extend([0, 1, 0x87, 0x69, 0, 4, 0, 0, 0, 1, 0, 0, 0, 26, 0, 0, 0, 0]);
    data.extend([0, 1, 0x92, 0x86, 0, 7]);
    data.extend((comment.len() as u32).to_be_bytes());
    data.extend([0, 0, 0, 44, 0, 0, 0, 0]);
    data.extend(comment);
    data
}

fn xmp(properties: &str) -> String {
    format!(
        "<?xpacket begin=\"\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF \
         xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\">{properties}\
         </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end=\"w\"?>"
    )
}

/// What most samples ask for.
fn asked() -> Draft {
    Draft {
        prompt: "a cat, \"sitting\"".into(),
        negative_prompt: Some("dogs".into()),
        width: Some(768),
        height: Some(512),
        seeds: vec![42],
        steps: Some(20),
        sampler: Some(Choice::new("euler")),
        cfg: Some(4.5),
        ..Draft::default()
    }
}

fn rows() -> Vec<Row> {
    vec![a1111(), forge(), comfyui(), comfyui_workflow(), invoke_ai(), swarm_ui(), fooocus(), fooocus_text()]
        .into_iter()
        .chain([sd_cpp(), sd_cpp_text(), mflux(), mflux_packet(), draw_things(), draw_things_exif()])
        .collect()
}

fn a1111() -> Row {
    let text = "a cat, \"sitting\"\nNegative prompt: dogs\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: \
                4.5, Seed: 42, Size: 768x512, Model hash: 6ce0161689, Model: v1-5-pruned, Denoising strength: 0.7, RNG: \
                CPU, Hires upscale: 2, Lora hashes: \"fine: 0123456789, more: abc\", Version: v1.10.1";
    let draft = Draft { sampler: Some(Choice::new("ancestral")), rng: Some(Rng::TorchCpu), ..asked() };
    let unused = &["Model hash", "Model", "Denoising strength", "Hires upscale", "Lora hashes", "Version"];
    Row { source: Source::A1111, file: texts(&[("parameters", text)]), draft, unused }
}

fn forge() -> Row {
    let text = "a cat, \"sitting\"\nNegative prompt: dogs\nSteps: 20, Sampler: Euler, Schedule type: Beta, CFG scale: 4.5, \
                Distilled CFG Scale: 3.5, Seed: 42, Size: 768x512, Model: flux1-dev, RNG: NV, Diffusion in Low Bits: \
                Automatic, Version: f2.0.1v1.10.1, Module 1: ae, Module 2: clip_l";
    let draft = Draft { guidance: Some(3.5), ..asked() };
    let unused = &["Schedule type", "Model", "RNG", "Diffusion in Low Bits", "Version", "Module 1", "Module 2"];
    Row { source: Source::A1111, file: texts(&[("parameters", text)]), draft, unused }
}

fn comfyui() -> Row {
    let text = r#"{
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"}},
        "2": {"class_type": "ModelSamplingFlux", "inputs": {"max_shift": 1.15, "model": ["1", 0]}},
        "3": {"class_type": "KSampler", "inputs": {"seed": 42, "steps": 20, "cfg": 4.5, "sampler_name": "euler",
              "scheduler": "simple", "denoise": 0.8, "model": ["2", 0], "positive": ["6", 0], "negative": ["7", 0],
              "latent_image": ["5", 0]}},
        "5": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 768, "height": 512, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat, \"sitting\"", "clip": ["8", 0]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "dogs", "clip": ["8", 0]}},
        "8": {"class_type": "DualCLIPLoader", "inputs": {"clip_name1": "t5xxl.safetensors", "type": "flux"}},
        "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "ComfyUI", "images": ["10", 0]}}}"#;
    let unused = &[
        "workflow",
        "KSampler.denoise",
        "ModelSamplingFlux.max_shift",
        "EmptySD3LatentImage.batch_size",
        "clip_name1",
        "DualCLIPLoader.type",
        "unet_name",
        "UNETLoader.weight_dtype",
    ];
    Row { source: Source::ComfyUi, file: texts(&[("prompt", text)]), draft: asked(), unused }
}

fn comfyui_workflow() -> Row {
    let text = r#"{"last_node_id": 9, "version": 0.4, "nodes": [
        {"id": 4, "type": "CheckpointLoaderSimple", "inputs": [], "widgets_values": ["sd3.safetensors"]},
        {"id": 3, "type": "KSampler", "inputs": [{"name": "model", "link": 1}, {"name": "positive", "link": 4},
            {"name": "negative", "link": 6}, {"name": "latent_image", "link": 2}, {"name": "steps", "link": 9,
            "widget": {"name": "steps"}}],
            "widgets_values": [42, "randomize", 7, 4.5, "euler", "normal", 1]},
        {"id": 2, "type": "PrimitiveNode", "inputs": [], "widgets_values": [20, "fixed"]},
        {"id": 5, "type": "EmptyLatentImage", "inputs": [], "widgets_values": [768, 512, 1]},
        {"id": 6, "type": "CLIPTextEncode", "inputs": [{"name": "clip", "link": 3}], "widgets_values": ["a cat, \"sitting\""]},
        {"id": 7, "type": "CLIPTextEncode", "inputs": [{"name": "clip", "link": 5}], "widgets_values": ["dogs"]},
        {"id": 8, "type": "KSampler", "mode": 4, "inputs": [], "widgets_values": [1, "fixed", 1, 1, "heun", "normal", 1]}],
        "links": [[1, 4, 0, 3, 0, "MODEL"], [2, 5, 0, 3, 3, "LATENT"], [3, 4, 1, 6, 0, "CLIP"], [4, 6, 0, 3, 1, "C"],
                  [5, 4, 1, 7, 0, "CLIP"], [6, 7, 0, 3, 2, "C"], [9, 2, 0, 3, 4, "INT"]]}"#;
    let unused = &["workflow", "ckpt_name", "EmptyLatentImage.batch_size"];
    Row { source: Source::ComfyUi, file: texts(&[("workflow", text)]), draft: asked(), unused }
}

fn invoke_ai() -> Row {
    let text = r#"{"generation_mode": "flux_txt2img", "positive_prompt": "a cat, \"sitting\"", "negative_prompt": "dogs",
        "width": 768, "height": 512, "seed": 42, "rand_device": "cpu", "cfg_scale": 4.5, "guidance": 3.5, "steps": 20,
        "scheduler": "euler", "model": {"key": "k", "name": "FLUX Dev", "base": "flux"}, "loras": [], "strength": null,
        "app_version": "5.6.0"}"#;
    let draft = Draft { guidance: Some(3.5), ..asked() };
    let unused = &["generation_mode", "rand_device", "model", "loras", "app_version"];
    Row { source: Source::InvokeAi, file: texts(&[("invokeai_metadata", text)]), draft, unused }
}

fn swarm_ui() -> Row {
    let text = r#"{"sui_image_params": {"prompt": "a cat, \"sitting\"", "negativeprompt": "dogs", "model": "flux/dev",
        "seed": "42", "steps": 20, "cfgscale": "4.5", "fluxguidancescale": 3.5, "sampler": "euler", "scheduler": "simple",
        "width": 768, "height": 512, "sigmashift": 3.0, "swarm_version": "0.9.5"}, "sui_extra_data": {"date": "x"},
        "sui_models": [{"name": "flux/dev", "hash": "0x12"}]}"#;
    let draft = Draft { guidance: Some(3.5), ..asked() };
    let unused = &["model", "sigmashift", "swarm_version", "sui_extra_data", "sui_models"];
    Row { source: Source::SwarmUi, file: texts(&[("parameters", text)]), draft, unused }
}

fn fooocus() -> Row {
    let text = r#"{"adm_guidance": "(1.5, 0.8, 0.3)", "base_model": "juggernaut", "guidance_scale": 4.5, "negative_prompt":
        "dogs", "full_prompt": ["a cat", "cinematic"], "performance": "Speed", "prompt": "a cat, \"sitting\"",
        "resolution": "(768, 512)", "sampler": "euler", "scheduler": "normal", "seed": "42", "steps": 20,
        "styles": "['Fooocus V2']", "version": "Fooocus v2.5.5"}"#;
    let unused = &["adm_guidance", "base_model", "full_prompt", "performance", "styles", "version"];
    let file = texts(&[("parameters", text), ("fooocus_scheme", "fooocus")]);
    Row { source: Source::Fooocus, file, draft: asked(), unused }
}

fn fooocus_text() -> Row {
    let text = "a cat, \"sitting\", cinematic\nNegative prompt: dogs, anime\nSteps: 20, Sampler: Euler, Seed: 42, Size: \
                768x512, CFG scale: 4.5, Sharpness: 2, Model: juggernaut, Performance: Speed, Scheduler: normal, Raw \
                prompt: \"a cat, \\\"sitting\\\"\", Raw negative prompt: dogs, Version: Fooocus v2.5.5";
    let unused = &["Sharpness", "Model", "Performance", "Version", "prompt with styles", "negative prompt with styles"];
    let file = texts(&[("parameters", text), ("fooocus_scheme", "a1111")]);
    Row { source: Source::Fooocus, file, draft: asked(), unused }
}

/// stable-diffusion.cpp: what its object says, not what a prompt makes of the text before it.
fn sd_cpp() -> Row {
    let text = r#"a cat, "sitting"
Negative prompt: dogs
Steps: 1, CFG scale: 9.000000, Guidance: 1.0, Seed: 7, Size: 64x64, Model: x, RNG: cuda, Sampler: heun, Version: stable-diffusion.cpp, SDCPP: {"schema":"sdcpp.image.params/v1","mode":"img_gen","generator":{"name":"stable-diffusion.cpp"},"seed":42,"width":768,"height":512,"prompt":{"positive":"a cat, \"sitting\"","negative":"dogs"},"sampling":{"steps":20,"eta":0.0,"method":"euler","scheduler":"discrete","guidance":{"txt_cfg":4.5,"distilled_guidance":3.5,"slg":{"scale":0.0,"layers":[7,8]}}},"models":{"diffusion_model":"flux1-dev-q8_0.gguf"},"rng":"cpu","strength":0.75}"#;
    let draft = Draft { guidance: Some(3.5), rng: Some(Rng::TorchCpu), ..asked() };
    let unused = &[
        "schema",
        "mode",
        "generator.name",
        "sampling.eta",
        "sampling.guidance.slg.scale",
        "sampling.guidance.slg.layers",
        "models.diffusion_model",
        "strength",
    ];
    Row { source: Source::StableDiffusionCpp, file: texts(&[("parameters", text)]), draft, unused }
}

fn sd_cpp_text() -> Row {
    let text = "a cat, \"sitting\"\nNegative prompt: dogs\nSteps: 20, CFG scale: 4.500000, Guidance: 3.500000, Eta: 0.000000, \
                Seed: 42, Size: 768x512, Model: flux1-dev-q8_0.gguf, RNG: cuda, Sampler: euler discrete, Version: \
                stable-diffusion.cpp";
    let draft = Draft { guidance: Some(3.5), ..asked() };
    let unused = &["Eta", "Model", "RNG", "Version"];
    Row { source: Source::StableDiffusionCpp, file: texts(&[("parameters", text)]), draft, unused }
}

fn mflux() -> Row {
    let comment =
        br#"{"mflux_version": "0.11.1", "model": "dev", "seed": 42, "steps": 20, "guidance": 3.5, "height": 512,
        "width": 768, "precision": "mlx.core.bfloat16", "quantize": 8, "lora_paths": null, "prompt":
        "a cat, \"sitting\"", "negative_prompt": "dogs"}"#;
    let data = exif(&[b"ASCII\0\0\0", &comment[..]].concat());
    let draft = Draft { guidance: Some(3.5), sampler: None, cfg: None, ..asked() };
    let unused = &["mflux_version", "model", "precision", "quantize"];
    Row { source: Source::Mflux, file: png(&[(b"eXIf", &data)]), draft, unused }
}

/// mflux after a program took the EXIF data away.
fn mflux_packet() -> Row {
    let packet = xmp(
        "<dc:description><rdf:Alt><rdf:li xml:lang=\"x-default\">a cat, &quot;sitting&quot;</rdf:li></rdf:Alt>\
                      </dc:description><xmp:CreatorTool>MFLUX 0.11.1</xmp:CreatorTool><mflux:seed>42</mflux:seed>\
                      <mflux:steps>20</mflux:steps><mflux:guidance>None</mflux:guidance><mflux:model>dev</mflux:model>",
    );
    let draft = Draft { prompt: asked().prompt, seeds: vec![42], steps: Some(20), ..Draft::default() };
    Row { source: Source::Mflux, file: texts(&[("XML:com.adobe.xmp", &packet)]), draft, unused: &["model"] }
}

const DRAW_THINGS: &str = r#"{"c": "a cat, \"sitting\"", "uc": "dogs", "size": "768x512", "seed": 42, "steps": 20, "sampler":
    "Euler", "scale": 4.5, "model": "sd_v1.4_f16.ckpt", "strength": 1, "lora": []}"#;

fn draw_things() -> Row {
    let comment = DRAW_THINGS.replace('"', "&quot;");
    let packet = xmp(&format!(
        "<dc:description><rdf:Alt><rdf:li xml:lang=\"x-default\">a cat</rdf:li></rdf:Alt></dc:description>\
         <xmp:CreatorTool>Draw Things</xmp:CreatorTool><exif:UserComment><rdf:Alt><rdf:li \
         xml:lang=\"x-default\">{comment}</rdf:li></rdf:Alt></exif:UserComment>"
    ));
    let file = png(&[(b"iTXt", format!("XML:com.adobe.xmp\0\0\0\0\0{packet}").as_bytes())]);
    Row { source: Source::DrawThings, file, draft: asked(), unused: &["model", "strength", "lora"] }
}

/// Draw Things's comment in the EXIF data, in UTF-16, of a model that may be distilled.
fn draw_things_exif() -> Row {
    let comment = DRAW_THINGS.replace("\"lora\": []", "\"v2\": {\"speedUpWithGuidanceEmbed\": true, \"shift\": 3}");
    let data: Vec<u8> = b"UNICODE\0".iter().copied().chain(comment.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    let draft = Draft { cfg: None, ..asked() };
    let unused = &["scale", "model", "strength", "v2.speedUpWithGuidanceEmbed", "v2.shift"];
    Row { source: Source::DrawThings, file: png(&[(b"eXIf", &exif(&data))]), draft, unused }
}

#[test]
fn every_format_is_understood_as_far_as_it_means_something_and_the_rest_is_listed() {
    for Row { source, file, draft, unused } in rows() {
        let record = read(&file).unwrap_or_else(|failure| panic!("{source}: {failure}"));
        assert_eq!((record.source, &record.draft), (source, &draft), "{source}");
        let mut listed: Vec<&str> = record.unused.iter().map(|(name, _)| name.as_str()).collect();
        let mut expected = unused.to_vec();
        listed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(listed, expected, "{source}");
        record.replayable("picture.png").unwrap();
    }
}

/// Nothing that a record says is lost: every name in it is either understood or listed, never both.
#[test]
fn nothing_is_listed_that_was_taken_over() {
    for Row { source, file, .. } in rows() {
        let record = read(&file).unwrap();
        assert!(record.understood.len() >= 3, "{source}: {:?}", record.understood);
        let prompt = record.understood.iter().find(|(name, _)| name == "prompt");
        assert_eq!(prompt.map(|(_, value)| value.as_str()), Some("a cat, \"sitting\""), "{source}");
    }
}

#[test]
fn damaged_exif_data_and_packets_say_nothing_and_stop_nobody() {
    let whole = exif(b"ASCII\0\0\0a cat\nSteps: 20, Sampler: Euler, Seed: 42, Size: 768x512");
    assert_eq!(read(&png(&[(b"eXIf", &whole)])).unwrap().source, Source::A1111);
    for end in 0..whole.len() {
        read(&png(&[(b"eXIf", &whole[..end])])).unwrap();
    }
    for at in 0..44 {
        for value in [0, 1, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] = value;
            read(&png(&[(b"eXIf", &damaged)])).unwrap();
        }
    }
    let packet = xmp(
        "<xmp:CreatorTool>Draw Things</xmp:CreatorTool><exif:UserComment>&#x1f5fc;&#xffffffff;&;{</exif:UserComment>",
    );
    for end in (0..packet.len()).filter(|end| packet.is_char_boundary(*end)) {
        let _ = read(&texts(&[("XML:com.adobe.xmp", &packet[..end])]));
    }
    let refusal = read(&texts(&[("XML:com.adobe.xmp", &packet)])).unwrap_err();
    assert!(refusal.what.contains("exif:UserComment"), "{refusal}");
}
