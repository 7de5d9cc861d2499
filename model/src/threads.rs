//! How many threads the tensor library computes with, and how they wait for each other.

use std::env;
use std::ffi::OsStr;

/// Elementwise operations wait for their threads by spinning this long before they sleep. candle's own 25,000 rounds
/// suit a machine with nothing else to do; where another program holds a core, every operation then waits for a time
/// slice: 8 steps of the default model took 1.1 s instead of 0.25 s beside one busy process on two cores.
const SPIN_ROUNDS: &str = "2000";

/// Sets the number of threads, or settles on what candle would choose. What the environment already says about
/// `RAYON_NUM_THREADS`, `CANDLE_NUM_THREADS` and `CANDLE_BARRIER_POOL_SPIN_LIMIT` stays, unless `threads` is given.
///
/// candle-core 0.11.1 reads these variables (`utils.rs:107`, `:403-422`) and has no other setting. Without
/// `RAYON_NUM_THREADS` it reads the processor's description anew for every matrix product.
///
/// # Safety
/// No other thread of the process may be running: the environment is shared by all of them.
pub unsafe fn configure(threads: Option<usize>) {
    let set = |name: &str, value: &OsStr| {
        // SAFETY: the caller vouches that this is the only thread.
        unsafe { env::set_var(name, value) };
    };
    let default = |name: &str, value: &str| {
        if env::var_os(name).is_none() {
            set(name, value.as_ref());
        }
    };
    match threads {
        Some(threads) => {
            let threads = threads.to_string();
            ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"].iter().for_each(|name| set(name, threads.as_ref()));
        }
        None => default("RAYON_NUM_THREADS", &candle_core::utils::get_num_threads().to_string()),
    }
    default("CANDLE_BARRIER_POOL_SPIN_LIMIT", SPIN_ROUNDS);
}
