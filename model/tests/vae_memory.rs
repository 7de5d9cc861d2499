//! What decoding and encoding allocate, against what is planned for.

mod synthetic;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{Device, Tensor};
use flowline_model::vae::{Autoencoder, Tiling, VaeConfig};
use flowline_model::weights::Weights;

/// The system's allocator, with an account of the bytes that are taken.
struct Counting;

static TAKEN: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are the system allocator's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size() as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn took(bytes: usize) {
    let taken = TAKEN.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
    PEAK.fetch_max(taken, Ordering::Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` takes at one time.
fn peak<R>(work: impl FnOnce() -> R) -> u64 {
    let before = TAKEN.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    drop(work());
    PEAK.load(Ordering::Relaxed).saturating_sub(before)
}

fn load(config: &VaeConfig) -> Autoencoder {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vae.safetensors");
    synthetic::write_autoencoder(config, &file);
    let weights = Weights::open(&file).unwrap();
    let vae = Autoencoder::load(config, &weights.reader(&Device::Cpu, &|_| ControlFlow::Continue(()))).unwrap();
    weights.finish(&[]).unwrap();
    vae
}

fn ramp(shape: (usize, usize, usize, usize)) -> Tensor {
    let values = (0..shape.0 * shape.1 * shape.2 * shape.3).map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0);
    Tensor::from_vec(values.collect::<Vec<_>>(), shape, &Device::Cpu).unwrap()
}

/// A plan is kept to, and is at most so many times what is taken.
const FACTOR: u64 = 4;

#[track_caller]
fn assert_planned(name: &str, tiling: Tiling, taken: u64, planned: u64) {
    println!("{name} {tiling}: {} MiB taken, {} MiB planned", taken >> 20, planned >> 20);
    assert!(taken <= planned && planned <= FACTOR * taken, "{name} {tiling}: {taken} taken, {planned} planned");
}

/// One test, for another at the same time would be counted too.
#[test]
fn decoding_and_encoding_take_what_is_planned_and_strips_far_less_than_the_whole() {
    let published = VaeConfig::parse("config.json", synthetic::PUBLISHED.as_bytes()).unwrap();
    let narrow = synthetic::PUBLISHED.replace("128, 256, 512, 512", "32, 64, 64, 64");
    let narrow = VaeConfig::parse("config.json", narrow.as_bytes()).unwrap();
    for (name, config, side) in [("published", published, 192), ("narrow", narrow, 768)] {
        let vae = load(&config);
        let (latents, picture) = (ramp((1, 16, side / 8, side / 8)), ramp((1, 3, side, side)));
        let side = side as u32;
        let mut whole = None;
        // As the memory gets less: everything, two thirds of it, half, hardly any.
        let all = Tiling::None.decode_bytes(&config, side, side);
        for available in [u64::MAX, all * 2 / 3, all / 2, 0] {
            let tiling = Tiling::fitting_decode(&config, side, side, available);
            assert!(available < u64::MAX || tiling == Tiling::None);
            let planned = tiling.decode_bytes(&config, side, side);
            let mut made = None;
            let taken = peak(|| made = Some(vae.decode_tiled(&latents, tiling, &mut ()).unwrap()));
            assert_planned(&format!("{name} decode"), tiling, taken, planned);
            let bits = made.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let (first, most) = whole.get_or_insert_with(|| (bits.clone(), taken));
            assert!(*first == bits, "{name} {tiling}");
            assert!(planned <= available.max(all));
            assert!(name == "published" || available > 0 || taken < *most / 3, "{taken} of {most}");
        }
        let all = Tiling::None.encode_bytes(&config, side, side);
        for available in [u64::MAX, all / 2, 0] {
            let tiling = Tiling::fitting_encode(&config, side, side, available);
            let planned = tiling.encode_bytes(&config, side, side);
            let taken = peak(|| vae.encode_tiled(&picture, tiling, &mut ()).unwrap());
            assert_planned(&format!("{name} encode"), tiling, taken, planned);
        }
    }
}

#[test]
fn a_plan_for_the_largest_pictures_and_networks_runs_over_nowhere() {
    let config = VaeConfig::parse("config.json", synthetic::PUBLISHED.as_bytes()).unwrap();
    for side in [0, 8, u32::MAX - 7] {
        for available in [0, 1 << 30, u64::MAX] {
            let tiling = Tiling::fitting_decode(&config, side, side, available);
            let bytes = tiling.decode_bytes(&config, side, side);
            assert!(bytes <= Tiling::None.decode_bytes(&config, side, side));
            Tiling::fitting_encode(&config, side, side, available).encode_bytes(&config, side, side);
        }
    }
    // 1024 x 1024: five maps and more as a whole, hardly more than one in strips.
    let map = 512 << 20;
    assert!(Tiling::None.decode_bytes(&config, 1024, 1024) > 4 * map);
    let strips = Tiling::fitting_decode(&config, 1024, 1024, 3 * map / 2);
    assert!(strips.decode_bytes(&config, 1024, 1024) <= 3 * map / 2, "{strips}");
}
