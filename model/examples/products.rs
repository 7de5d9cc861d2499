//! What a product costs in every form that a matrix can be held in, in time and memory, beside candle's f32 product.
//!
//! `cargo run --release -p flowline-model --example products -- [ROWS] [INPUTS] [OUTPUTS]`

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::{Device, Tensor};
use flowline_model::ops::weight::Weight;
use flowline_model::weights::{Activations, ENCODINGS, Encoding, HeldAs, Holding, Weights};
use serde_json::json;

/// The shortest of so many runs counts.
const RUNS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut sizes = std::env::args().skip(1).map(|size| size.parse::<usize>());
    let mut size = |default| sizes.next().unwrap_or(Ok(default));
    let (n, inputs, outputs) = (size(1024)?, size(3072)?, size(3072)?);
    let folder = std::env::temp_dir().join(format!("flowline-products-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let x = Tensor::from_vec(numbers(n * inputs), (n, inputs), &Device::Cpu)?;
    let raw = numbers(outputs * inputs);
    let path = folder.join("model.safetensors");
    println!(
        "({n}, {inputs}) -> {outputs}, times beside f32 in the same run, memory that stays after the first product"
    );
    for encoding in ENCODINGS {
        // A matrix of a block, so that it may be encoded.
        let name = "blocks.0.weight";
        let kind = match encoding {
            Encoding::F64 => "F64",
            Encoding::F16 => "F16",
            Encoding::Bf16 => "BF16",
            Encoding::F8E4M3 => "F8_E4M3",
            Encoding::F8E5M2 => "F8_E5M2",
            _ => "F32",
        };
        let stored = Encoding::named(&kind.to_lowercase()).unwrap_or(Encoding::F32);
        let data = stored.encode(&raw)?;
        let header = json!({ name: { "dtype": kind, "shape": [outputs, inputs], "data_offsets": [0, data.len()] } });
        let header = header.to_string();
        fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat())?;
        drop(data);
        let weights = Weights::open(&path)?;
        let read = |holding: Holding| -> Result<Weight, flowline_model::Error> {
            let quiet = |_| ControlFlow::Continue(());
            weights.reader(&Device::Cpu, &quiet).holding(holding).matrix(name, outputs, inputs)
        };
        let held = if encoding.is_quantised() { HeldAs::Encoded(encoding) } else { HeldAs::Stored };
        let dense = read(Holding::DENSE)?;
        for activations in Activations::ALL {
            if activations == Activations::Q8 && !encoding.is_quantised() {
                continue;
            }
            // What candle's rounding of activations keeps for a thread is not the matrix's.
            drop(read(Holding { weights: held, activations })?.apply(&x)?);
            let before = resident();
            let weight = read(Holding { weights: held, activations })?;
            weight.apply(&x)?;
            let kept = resident().saturating_sub(before) as f64 / 1e6;
            let (mut own, mut reference) = (f64::INFINITY, f64::INFINITY);
            for _ in 0..RUNS {
                own = own.min(seconds(|| weight.apply(&x))?);
                reference = reference.min(seconds(|| dense.apply(&x))?);
            }
            println!(
                "{:8} activations {:3}  {:7.1} ms  {:5.2} x f32  planned {:6.1} MB + {:6.1} MB mapped, resident {kept:6.1} MB",
                encoding.name(),
                activations.name(),
                own * 1e3,
                own / reference,
                weight.memory().heap as f64 / 1e6,
                weight.memory().mapped as f64 / 1e6,
            );
        }
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn seconds(product: impl Fn() -> flowline_model::Result<Tensor>) -> flowline_model::Result<f64> {
    let clock = Instant::now();
    product()?;
    Ok(clock.elapsed().as_secs_f64())
}

/// Numbers around 0 that are the same everywhere.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Bytes of memory of this process that are resident and its own, where the system says; else 0.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}
