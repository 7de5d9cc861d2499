//! A model of the real shapes with random weights, for measuring time and memory where the real one is not at hand. What it
//! draws means nothing.
//!
//! `cargo run --release -p flowline-model --example synthesise -- sd3.5-medium DIR [without-t5]`
//!
//! A diffusers folder in bf16: transformer and autoencoder by the lists of the tests (`tests/fixtures/tensor_lists`), the
//! text encoders by the published sizes, the tokenizers those of the tests, whose vocabularies are tiny.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use half::bf16;
use serde_json::{Value, json};

/// Tensors by name.
type Shapes = BTreeMap<String, Vec<usize>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kind, folder, t5) = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [kind, folder] => (*kind, PathBuf::from(folder), true),
        [kind, folder, "without-t5"] => (*kind, PathBuf::from(folder), false),
        _ => return Err("name a kind (sd3-medium, sd3.5-medium, sd3.5-large) and a folder".into()),
    };
    let config = transformer(kind).ok_or("the kinds are sd3-medium, sd3.5-medium and sd3.5-large")?;
    let place = |part: &str| -> Result<PathBuf, std::io::Error> {
        let place = folder.join(part);
        fs::create_dir_all(&place).map(|()| place)
    };
    fs::create_dir_all(&folder)?;
    fs::write(
        folder.join("model_index.json"),
        json!({ "_class_name": "StableDiffusion3Pipeline", "kind": kind }).to_string(),
    )?;
    let diffusers = "diffusion_pytorch_model.safetensors";
    write(&place("transformer")?, diffusers, &config, &list(kind)?)?;
    write(&place("vae")?, diffusers, &autoencoder(), &list("vae16")?)?;
    let (l, g) = (Clip { width: 768, layers: 12, gelu: "quick_gelu" }, Clip { width: 1280, layers: 32, gelu: "gelu" });
    for (encoder, tokenizer, clip, fixture) in
        [("text_encoder", "tokenizer", l, "tokenizer_clip_l"), ("text_encoder_2", "tokenizer_2", g, "tokenizer_clip_g")]
    {
        write(&place(encoder)?, "model.safetensors", &clip.config(), &clip.shapes())?;
        copy(&fixtures().join("common").join(fixture), &place(tokenizer)?)?;
    }
    if t5 {
        write(&place("text_encoder_3")?, "model.safetensors", &t5_config(), &t5_shapes())?;
        copy(&fixtures().join("common/tokenizer_t5"), &place("tokenizer_3")?)?;
    }
    Ok(())
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The shapes of a published checkpoint.
fn list(name: &str) -> Result<Shapes, Box<dyn Error>> {
    let file = fixtures().join(format!("tensor_lists/{name}.diffusers.json"));
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

/// The published configuration of a transformer.
fn transformer(kind: &str) -> Option<Value> {
    let (layers, side, norm, dual) = match kind {
        "sd3-medium" => (24, 192, Value::Null, vec![]),
        "sd3.5-medium" => (24, 384, json!("rms_norm"), (0..13).collect::<Vec<_>>()),
        "sd3.5-large" => (38, 192, json!("rms_norm"), vec![]),
        _ => return None,
    };
    Some(json!({
        "_class_name": "SD3Transformer2DModel", "sample_size": 128, "patch_size": 2, "in_channels": 16,
        "num_layers": layers, "attention_head_dim": 64, "num_attention_heads": layers, "joint_attention_dim": 4096,
        "caption_projection_dim": 64 * layers, "pooled_projection_dim": 2048, "out_channels": 16,
        "pos_embed_max_size": side, "dual_attention_layers": dual, "qk_norm": norm,
    }))
}

fn autoencoder() -> Value {
    json!({
        "_class_name": "AutoencoderKL", "in_channels": 3, "out_channels": 3,
        "down_block_types": vec!["DownEncoderBlock2D"; 4], "up_block_types": vec!["UpDecoderBlock2D"; 4],
        "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "act_fn": "silu", "latent_channels": 16,
        "norm_num_groups": 32, "sample_size": 1024, "scaling_factor": 1.5305, "shift_factor": 0.0609,
        "use_quant_conv": false, "use_post_quant_conv": false,
    })
}

/// A CLIP text encoder; a head is 64 wide.
struct Clip {
    width: usize,
    layers: usize,
    gelu: &'static str,
}

impl Clip {
    fn config(&self) -> Value {
        let Self { width, layers, gelu } = self;
        json!({
            "architectures": ["CLIPTextModelWithProjection"], "vocab_size": 49_408, "hidden_size": width,
            "intermediate_size": 4 * width, "num_hidden_layers": layers, "num_attention_heads": width / 64,
            "max_position_embeddings": 77, "projection_dim": width, "hidden_act": gelu, "layer_norm_eps": 1e-5,
            "eos_token_id": 2,
        })
    }

    fn shapes(&self) -> Shapes {
        let d = self.width;
        let mut shapes = Shapes::new();
        let mut put = |name: String, shape: &[usize]| drop(shapes.insert(name, shape.to_vec()));
        put("text_model.embeddings.token_embedding.weight".into(), &[49_408, d]);
        put("text_model.embeddings.position_embedding.weight".into(), &[77, d]);
        put("text_projection.weight".into(), &[d, d]);
        for (part, width) in [("weight", d), ("bias", d)] {
            put(format!("text_model.final_layer_norm.{part}"), &[width]);
        }
        for layer in 0..self.layers {
            let at = format!("text_model.encoder.layers.{layer}");
            let maps = ["q_proj", "k_proj", "v_proj", "out_proj"].map(|map| (format!("self_attn.{map}"), d, d));
            for (map, inputs, outputs) in
                maps.into_iter().chain([("mlp.fc1".into(), d, 4 * d), ("mlp.fc2".into(), 4 * d, d)])
            {
                put(format!("{at}.{map}.weight"), &[outputs, inputs]);
                put(format!("{at}.{map}.bias"), &[outputs]);
            }
            for norm in ["layer_norm1", "layer_norm2"] {
                put(format!("{at}.{norm}.weight"), &[d]);
                put(format!("{at}.{norm}.bias"), &[d]);
            }
        }
        shapes
    }
}

fn t5_config() -> Value {
    json!({
        "architectures": ["T5EncoderModel"], "vocab_size": 32_128, "d_model": 4096, "d_kv": 64, "d_ff": 10_240,
        "num_layers": 24, "num_heads": 64, "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128, "feed_forward_proj": "gated-gelu", "layer_norm_epsilon": 1e-6,
    })
}

fn t5_shapes() -> Shapes {
    let (d, inner) = (4096, 10_240);
    let mut shapes = Shapes::new();
    let mut put = |name: String, shape: &[usize]| drop(shapes.insert(name, shape.to_vec()));
    put("shared.weight".into(), &[32_128, d]);
    put("encoder.final_layer_norm.weight".into(), &[d]);
    put("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight".into(), &[32, 64]);
    for block in 0..24 {
        let at = format!("encoder.block.{block}.layer");
        for map in ["q", "k", "v", "o"] {
            put(format!("{at}.0.SelfAttention.{map}.weight"), &[d, d]);
        }
        for (map, outputs, inputs) in [("wi_0", inner, d), ("wi_1", inner, d), ("wo", d, inner)] {
            put(format!("{at}.1.DenseReluDense.{map}.weight"), &[outputs, inputs]);
        }
        put(format!("{at}.0.layer_norm.weight"), &[d]);
        put(format!("{at}.1.layer_norm.weight"), &[d]);
    }
    shapes
}

/// Writes a part: its configuration, and its tensors as they come, a few numbers at a time.
fn write(folder: &Path, file: &str, config: &Value, shapes: &Shapes) -> Result<(), Box<dyn Error>> {
    fs::write(folder.join("config.json"), config.to_string())?;
    let (mut header, mut end) = (serde_json::Map::new(), 0usize);
    for (name, shape) in shapes {
        let from = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({ "dtype": "BF16", "shape": shape, "data_offsets": [from, end] }));
    }
    let header = Value::Object(header).to_string();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(folder.join(file))?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for (name, shape) in shapes {
        // Norms are one; maps keep the size of what they read.
        let norm = name.contains("norm") && name.ends_with("weight") && shape.len() == 1;
        let inputs: usize = shape.iter().skip(1).product();
        let size = if shape.len() == 1 { 0.0 } else { (3.0 / inputs as f32).sqrt() };
        for _ in 0..shape.iter().product::<usize>() {
            // xorshift64 (Marsaglia 2003): uniform in [-1, 1).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let uniform = (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
            let value = if norm { 1.0 } else { uniform * size };
            out.write_all(&bf16::from_f32(value).to_le_bytes())?;
        }
    }
    out.flush()?;
    println!("{}: {:.2} GB", folder.join(file).display(), end as f64 / 1e9);
    Ok(())
}
