//! Where the time of a picture goes: reading weights, text, steps, decoding.
//!
//! `cargo run --release -p flowline-model --example stages -- [MODEL] [PICTURES]`

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use flowline_model::{Draft, Pipeline};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or_else(|| "postcard".into());
    let pictures: u64 = arguments.next().map_or(Ok(3), |count| count.parse())?;
    let clock = Instant::now();
    let mut pipeline = Pipeline::open(&model, None)?;
    println!("open      {:7.1} ms", clock.elapsed().as_secs_f64() * 1e3);
    for seed in 0..pictures {
        let prompt = "a red lighthouse by the sea at sunset".to_owned();
        let request = Draft { prompt, seeds: vec![seed], ..Draft::default() }.resolve(pipeline.spec())?.request;
        let outcome = pipeline.generate(&request, |_| ControlFlow::Continue(()))?;
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        println!(
            "picture {seed}: load {:7.1} ms, text {:6.1} ms, {} steps {:7.1} ms, decode {:7.1} ms",
            ms(outcome.loading),
            ms(outcome.encoding),
            request.steps,
            ms(outcome.sampling),
            ms(outcome.decoding)
        );
    }
    Ok(())
}
