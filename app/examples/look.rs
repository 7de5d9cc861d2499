//! Looks at pictures as a reader would who has only numbers: are they there, of the right size, not flat, is their
//! record the one that was asked for, and do they differ where they should?
//!
//! `look PICTURE PROMPT SEED [OTHER]`: checks the first; with a second picture, that their colours differ as red and
//! blue do. Used by `.ci/run` on what the README's command made.

use std::error::Error;
use std::path::Path;

use flowline::record;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (path, prompt, seed, other) = match arguments.as_slice() {
        [path, prompt, seed] => (path, prompt, seed, None),
        [path, prompt, seed, other] => (path, prompt, seed, Some(other)),
        _ => return Err("usage: look PICTURE PROMPT SEED [OTHER]".into()),
    };
    let picture = image::open(path)?.to_rgb8();
    if picture.dimensions() != (256, 256) {
        return Err(format!("{path} is {:?}, not 256 x 256", picture.dimensions()).into());
    }
    let spread = spread(&picture);
    if spread < 20.0 {
        return Err(format!("{path} is flat: its levels spread by {spread:.1} of 255").into());
    }
    let request = record::read(Path::new(path))?.request.ok_or("there is no record in the picture")?;
    if request.prompt != *prompt || request.seeds != [seed.parse::<u64>()?] {
        return Err(format!("the record says {:?} with seeds {:?}", request.prompt, request.seeds).into());
    }
    println!("{path}: 256 x 256, spread {spread:.1}, {:?} with seed {seed}", request.prompt);
    if let Some(other) = other {
        let (red, blue) = (redness(&picture), redness(&image::open(other)?.to_rgb8()));
        if red < blue + 2.0 {
            return Err(format!("{path} is no redder ({red:.1}) than {other} ({blue:.1})").into());
        }
        println!("{path} is redder than {other} by {:.1} levels", red - blue);
    }
    Ok(())
}

/// Standard deviation of the levels.
fn spread(picture: &image::RgbImage) -> f64 {
    let levels = picture.as_raw();
    let mean = levels.iter().map(|&level| f64::from(level)).sum::<f64>() / levels.len() as f64;
    (levels.iter().map(|&level| (f64::from(level) - mean).powi(2)).sum::<f64>() / levels.len() as f64).sqrt()
}

/// How much more red than blue there is, in levels.
fn redness(picture: &image::RgbImage) -> f64 {
    let pixels = picture.pixels();
    let count = pixels.len() as f64;
    pixels.map(|pixel| f64::from(pixel[0]) - f64::from(pixel[2])).sum::<f64>() / count
}
