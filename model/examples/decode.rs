//! What decoding or encoding a picture with FLUX.1's autoencoder (random weights) takes: seconds, and memory at its peak.
//!
//! `cargo run --release -p flowline-model --example decode -- [decode|encode] WIDTH HEIGHT [AVAILABLE_MIB]`
//!
//! Without AVAILABLE_MIB whole maps are worked on, with it in the fastest pieces that fit into so much.

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use candle_core::{Device, Tensor};
use flowline_model::vae::{Autoencoder, Tiling, VaeConfig};
use flowline_model::weights::Weights;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| arguments.get(n).map(|text| text.parse::<u32>()).transpose();
    let encode = arguments.first().is_some_and(|what| what == "encode");
    let (width, height) = (number(1)?.unwrap_or(1024), number(2)?.unwrap_or(1024));
    let config = VaeConfig::parse("config.json", synthetic::PUBLISHED.as_bytes())?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("vae.safetensors");
    synthetic::write_autoencoder(&config, &file);
    let weights = Weights::open(&file)?;
    let vae = Autoencoder::load(&config, &weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(())))?;
    drop(weights);

    let available = number(3)?.map_or(u64::MAX, |mib| u64::from(mib) << 20);
    let tiling = match encode {
        true => Tiling::fitting_encode(&config, width, height, available),
        false => Tiling::fitting_decode(&config, width, height, available),
    };
    let planned = match encode {
        true => tiling.encode_bytes(&config, width, height),
        false => tiling.decode_bytes(&config, width, height),
    };
    let (w, h) = (width as usize, height as usize);
    let shape = if encode { (1, 3, h, w) } else { (1, 16, h / 8, w / 8) };
    let values = (0..shape.1 * shape.2 * shape.3).map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0);
    let x = Tensor::from_vec(values.collect::<Vec<_>>(), shape, &Device::Cpu)?;
    reset_peak();
    let before = resident("VmRSS").unwrap_or(0);
    let (clock, busy_before) = (Instant::now(), busy());
    match encode {
        true => drop(vae.encode_tiled(&x, tiling, &mut ())?),
        false => drop(vae.decode_tiled(&x, tiling, &mut ())?),
    }
    let (seconds, busy) = (clock.elapsed().as_secs_f64(), busy() - busy_before);
    let peak =
        resident("VmHWM").map_or("unknown".to_owned(), |peak| format!("{} MiB", peak.saturating_sub(before) >> 10));
    println!(
        "{width} x {height} {tiling}: {seconds:.1} s ({busy:.1} s of all cores), peak {peak} beside the weights, planned {} MiB",
        planned >> 20
    );
    Ok(())
}

/// Forgets how much memory was resident at most (Linux: proc(5), `clear_refs`).
fn reset_peak() {
    // Elsewhere there is no such file, and nothing to measure.
    std::fs::write("/proc/self/clear_refs", "5").unwrap_or_default();
}

/// Seconds that all cores together have spent on this process; 0 where the system does not say (Linux: proc(5), `stat`).
fn busy() -> f64 {
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// A figure of this process in KiB; `None` where the system has none.
fn resident(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
