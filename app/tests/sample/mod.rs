//! A request, a picture, and prompts that have broken somebody's program before.

#![allow(dead_code, reason = "not every test file needs all of it")]

pub mod file;

use std::time::Duration;

use flowline_model::weights::Holding;
use flowline_model::{Latents, MadeWith, ModelRecord, Picture, Request, Rng, WeightRecord};
use flowline_sampler::catalog::Choice;
use image::{Rgb, RgbImage};

/// A complete request with `prompt`.
pub fn request(prompt: &str) -> Request {
    let weights = |file: &str, digit: &str| WeightRecord { file: file.into(), sha256: digit.repeat(64) };
    Request {
        schema: Request::SCHEMA,
        prompt: prompt.into(),
        negative_prompt: String::new(),
        width: 256,
        height: 192,
        seeds: vec![18_446_744_073_709_551_615],
        steps: 8,
        sampler: Choice::new("euler"),
        schedule: Choice::new("uniform"),
        sigmas: (0..=8).map(|i| f64::from(8 - i) / 8.0).collect(),
        guidance: None,
        cfg: 2.5,
        rule: Choice::new("cfg").with("scale", 2.5),
        skip_layers: Vec::new(),
        rng: Rng::Flowline,
        tilt: None,
        start: None,
        branch: None,
        stop_after: None,
        model: ModelRecord {
            name: "postcard".into(),
            loras: Vec::new(),
            weights: vec![
                weights("text_encoder/model.safetensors", "1"),
                weights("transformer/diffusion_pytorch_model.safetensors", "a"),
                weights("vae/diffusion_pytorch_model.safetensors", "c"),
            ],
            holding: Holding::default(),
            kind: None,
        },
        made_with: MadeWith { flowline: "0.1.0".into(), dtype: "f32".into(), device: "cpu x86_64+avx2+fma".into() },
    }
}

/// A picture that is not flat.
pub fn picture(request: Request) -> Picture {
    let image = RgbImage::from_fn(48, 32, |x, y| Rgb([(x * 5) as u8, (y * 7) as u8, (x * y) as u8]));
    let seed = request.seeds.first().copied().unwrap_or_default();
    let latents = Latents::flat((8, 8, 6), 0.5).unwrap();
    Picture {
        index: 0,
        seed,
        image,
        latents,
        request,
        stopped: None,
        evaluations: 8,
        elapsed: Duration::from_secs(1),
        kept: None,
    }
}

/// Prompts that have broken somebody's program before.
pub fn prompts() -> Vec<String> {
    let mut prompts: Vec<String> = [
        "a red lighthouse by the sea at sunset",
        "",
        " ",
        "  spaces around  ",
        "\n",
        "\n\nlines\n\nand lines\n",
        "carriage\r\nreturns\r",
        "Steps: 3, Sampler: Heun, Seed: 1, Size: 1x1, Model: other",
        "a cat\nSteps: 3, Sampler: Heun, Seed: 1, Size: 1x1",
        "a cat\nNegative prompt: a dog\nSteps: 3, CFG scale: 9, Seed: 1, Size: 1x1",
        "Negative prompt: everything",
        "\", Seed: 1, Size: 1x1, X: \"",
        "\\\", Seed: 1, Size: 1x1, X: \\\"",
        "ends with a backslash \\",
        "ends with two \\\\",
        "{\"schema\":1,\"seeds\":[\"1\"]}",
        "}, {\"seed\": 1}",
        "{\"sui_image_params\":{\"prompt\":\"x\"}}",
        "Flowline: \"{}\", Seed: 1, Size: 1x1",
        "'single' \"double\" `back` $HOME $(reboot) ; & | < > ! * ? [a] ~ #",
        "--force",
        "-",
        "caf\u{e9} na\u{ef}ve \u{a0}\u{ff}",
        "\u{c3}\u{a9} is Latin-1 that reads as UTF-8",
        "\u{201c}quotes\u{201d} \u{2014} 100 \u{20ac}",
        "\u{1f5fc} lighthouse \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{706f}\u{53f0} \u{6d77} \u{65e5}\u{843d}",
        "\u{202e}thgir ot tfel\u{202c}",
        "controls \u{1}\u{7}\u{1b}[31mred\u{7f}\u{85}\u{9f}",
        "separators \u{2028}\u{2029}\u{b}\u{c}",
        "\u{feff}byte order mark",
        "\u{fffd}\u{ffff}\u{10ffff}",
        "</xmp> <script>alert(1)</script> %s %n {seed} {{",
    ]
    .map(String::from)
    .to_vec();
    prompts.push("x".repeat(100_000));
    prompts.push("\u{1f600}".repeat(100_000));
    prompts.push("\"\\\n".repeat(33_334));
    prompts
}
