//! Beginning at a picture: `-i PICTURE --strength S`, and what kinds of pictures are taken in.

mod binary;

use std::fs;
use std::path::Path;

use binary::{Ran, Sandbox, pixels};
use image::{ExtendedColorType, GrayImage, ImageEncoder, Rgb, RgbImage, Rgba, RgbaImage};

const PROMPT: &str = "a red lighthouse by the sea at sunset";

/// Makes a picture in a few steps that begins at `input`.
fn begin(sandbox: &Sandbox, input: &str, words: &[&str]) -> Ran {
    let few = ["generate", PROMPT, "--steps", "5", "-s", "7", "--progress", "none", "--force", "-i", input];
    sandbox.run(few.iter().chain(words))
}

fn made(sandbox: &Sandbox, words: &[&str]) -> Vec<u8> {
    begin(sandbox, "in.png", &[&["-o", "out.png"], words].concat()).ok();
    pixels(&sandbox.path().join("out.png")).into_raw()
}

/// A soft picture of 64 x 64.
fn soft() -> RgbImage {
    RgbImage::from_fn(64, 64, |x, y| Rgb([200 - 2 * y as u8, 90 + x as u8, 120]))
}

fn warnings(ran: &Ran) -> Vec<&str> {
    let said = ran.stderr.lines().filter_map(|line| line.strip_prefix("warning: "));
    said.filter(|line| !line.contains("was trained at")).collect()
}

fn distance(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

#[test]
fn a_picture_is_begun_at_and_the_record_makes_it_again() {
    let sandbox = Sandbox::new();
    soft().save(sandbox.path().join("in.png")).unwrap();
    let back = made(&sandbox, &["--strength", "0"]);
    assert!(distance(&back, soft().as_raw()) < 12.0);
    let apart = ["0.2", "0.75"].map(|strength| distance(&made(&sandbox, &["--strength", strength]), &back));
    assert!(apart[0] < apart[1], "{apart:?}");
    // Strength 1 keeps nothing of it; 0.75 is the strength that nobody gives.
    let small = ["generate", PROMPT, "--steps", "5", "-s", "7", "-W", "64", "-H", "64", "-o", "text.png"];
    sandbox.run(small).ok();
    assert_eq!(made(&sandbox, &["--strength", "1"]), pixels(&sandbox.path().join("text.png")).into_raw());
    assert_eq!(made(&sandbox, &[]), made(&sandbox, &["--strength", "0.75"]));

    // Its record names the picture by its hash; the picture itself must be given again.
    let again = sandbox.run(["generate", "--from", "out.png", "-o", "again.png"]);
    assert_eq!((again.code, again.line("error: ")), (Some(1), Some("the picture begins at an image that is not here")));
    assert_eq!(again.line("hint: "), Some("give it again: -i PICTURE"));
    sandbox.run(["generate", "--from", "out.png", "-i", "in.png", "-o", "again.png"]).ok();
    let bytes = |name: &str| fs::read(sandbox.path().join(name)).unwrap();
    assert!(bytes("again.png") == bytes("out.png"));
    assert!(sandbox.run(["verify", "out.png", "-i", "in.png"]).ok().contains("identical"));
    assert_eq!(sandbox.run(["verify", "out.png"]).code, Some(1));
    assert!(sandbox.run(["inspect", "out.png"]).ok().contains("flowline generate --from out.png -i PICTURE"));
    // Another picture in its place is said to be one.
    RgbImage::new(64, 64).save(sandbox.path().join("black.png")).unwrap();
    let other = sandbox.run(["generate", "--from", "out.png", "-i", "black.png", "-o", "other.png"]);
    assert_eq!(other.line("warning: "), Some("black.png is not the picture that the record begins at"));
    // At another strength the record's schedule is cut off elsewhere.
    sandbox.run(["generate", "--from", "out.png", "-i", "in.png", "--strength", "0.3", "-o", "weak.png"]).ok();
    assert_eq!(pixels(&sandbox.path().join("weak.png")).into_raw(), made(&sandbox, &["--strength", "0.3"]));
}

#[test]
fn a_dry_run_says_how_many_of_the_steps_are_walked() {
    let sandbox = Sandbox::new();
    soft().save(sandbox.path().join("in.png")).unwrap();
    let plan = begin(&sandbox, "in.png", &["--strength", "0.5", "--dry-run"]).ok().to_owned();
    assert!(plan.contains("start     at strength 0.5 of the image ") && plan.contains(", 3 of 5 steps\n"), "{plan}");
    let plan = begin(&sandbox, "in.png", &["--strength", "0.5", "--dry-run", "--json"]).json();
    assert_eq!(plan["request"]["sigmas"], serde_json::json!([0.5, 0.4, 0.2, 0.0]));
    assert_eq!((&plan["request"]["steps"], &plan["request"]["start"]["steps"]), (&3.into(), &5.into()));
    let aliases = ["--init-img", "--image", "--init-image"].map(|name| {
        let words =
            ["generate", PROMPT, "-s", "1", name, "in.png", "--denoising-strength", "0.5", "--dry-run", "--json"];
        sandbox.run(words).json()["request"]["start"].clone()
    });
    assert!(aliases.iter().all(|start| start["strength"] == 0.5), "{aliases:?}");
}

#[test]
fn a_picture_of_any_size_is_cut_and_scaled_to_what_the_model_makes_and_that_is_said() {
    let sandbox = Sandbox::new();
    RgbImage::from_pixel(150, 70, Rgb([9, 90, 200])).save(sandbox.path().join("in.png")).unwrap();
    let size = |words: &[&str]| {
        let ran = begin(&sandbox, "in.png", &[&["--strength", "0.5", "--dry-run", "--json"], words].concat());
        let said = warnings(&ran).join("; ");
        let request = ran.json()["request"].clone();
        (request["width"].as_u64().unwrap(), request["height"].as_u64().unwrap(), said)
    };
    let resized = |to: &str| format!("in.png is 150 x 70; its middle is taken, scaled to {to}");
    assert_eq!(size(&[]), (160, 64, resized("160 x 64")));
    assert_eq!(size(&["-W", "64", "-H", "64"]), (64, 64, resized("64 x 64")));
    assert_eq!(size(&["-W", "96"]), (96, 32, resized("96 x 32")));
    assert_eq!(size(&["-H", "96"]), (192, 96, resized("192 x 96")));
}

#[test]
fn grey_deep_transparent_turned_and_moving_pictures_are_taken_in() {
    let sandbox = Sandbox::new();
    let path = |name: &str| sandbox.path().join(name);
    // Every kind of the same grey picture gives the latents of the plain one.
    let level = |x: u32, y: u32| (x * 3 + y) as u8;
    RgbImage::from_fn(64, 64, |x, y| Rgb([level(x, y); 3])).save(path("plain.png")).unwrap();
    GrayImage::from_fn(64, 64, |x, y| image::Luma([level(x, y)])).save(path("grey.png")).unwrap();
    let deep = image::ImageBuffer::from_fn(64, 64, |x, y| Rgb([u16::from(level(x, y)) * 257; 3]));
    image::DynamicImage::ImageRgb16(deep).save(path("deep.png")).unwrap();
    palette(&path("palette.png"), level);
    RgbImage::from_fn(64, 64, |x, y| Rgb([level(x, y); 3])).save(path("lossless.webp")).unwrap();
    turned(&path("turned.png"), level);
    // Alpha over white: level a/255 + 255 (1 - a/255) with black below.
    RgbaImage::from_fn(64, 64, |x, y| Rgba([0, 0, 0, 255 - level(x, y)])).save(path("alpha.png")).unwrap();
    let start = |name: &str| {
        let ran = begin(&sandbox, name, &["--strength", "0.5", "--dry-run", "--json"]);
        let said: Vec<String> = warnings(&ran).into_iter().map(str::to_owned).collect();
        (ran.json()["request"]["start"]["sha256"].clone(), said)
    };
    let (plain, said) = start("plain.png");
    assert!(said.is_empty(), "{said:?}");
    for name in ["grey.png", "deep.png", "palette.png", "lossless.webp", "turned.png"] {
        assert_eq!(start(name), (plain.clone(), Vec::new()), "{name}");
    }
    let clear = "alpha.png is transparent in parts; they become white".to_owned();
    assert_eq!(start("alpha.png"), (plain.clone(), vec![clear]));
    moving(&path("moving.png"), level);
    let moves = "moving.png is a moving picture; its first frame is taken".to_owned();
    assert_eq!(start("moving.png"), (plain, vec![moves]));
    // A JPEG is not exact, but it is the picture.
    let file = fs::File::create(path("photo.jpg")).unwrap();
    image::codecs::jpeg::JpegEncoder::new_with_quality(file, 100)
        .write_image(soft().as_raw(), 64, 64, ExtendedColorType::Rgb8)
        .unwrap();
    begin(&sandbox, "photo.jpg", &["--strength", "0", "-o", "back.png"]).ok();
    assert!(distance(pixels(&path("back.png")).as_raw(), soft().as_raw()) < 12.0);
}

/// A PNG with a palette of greys.
fn palette(path: &Path, level: fn(u32, u32) -> u8) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), 64, 64);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette((0..=255).flat_map(|level| [level; 3]).collect::<Vec<u8>>());
    encoder.write_header().unwrap().write_image_data(&levels(level)).unwrap();
}

/// A PNG whose EXIF data say that its top is at the left (orientation 5: transposed).
fn turned(path: &Path, level: fn(u32, u32) -> u8) {
    let transposed: Vec<u8> = (0..64).flat_map(|y| (0..64).map(move |x| level(y, x))).collect();
    let mut info = png::Info::with_size(64, 64);
    // TIFF, little-endian: one field, 0x0112, a short, 5.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x05\0\0\0\0\0\0\0";
    info.exif_metadata = Some(exif.to_vec().into());
    let mut encoder = png::Encoder::with_info(fs::File::create(path).unwrap(), info).unwrap();
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&transposed).unwrap();
}

/// An animated PNG of two frames.
fn moving(path: &Path, level: fn(u32, u32) -> u8) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), 64, 64);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&levels(level)).unwrap();
    writer.write_image_data(&[0; 64 * 64]).unwrap();
}

fn levels(level: fn(u32, u32) -> u8) -> Vec<u8> {
    (0..64).flat_map(|y| (0..64).map(move |x| level(x, y))).collect()
}

#[test]
fn strength_is_an_axis_of_a_grid_and_so_is_the_picture() {
    let sandbox = Sandbox::new();
    soft().save(sandbox.path().join("a.png")).unwrap();
    RgbImage::from_pixel(64, 64, Rgb([20, 60, 90])).save(sandbox.path().join("b.png")).unwrap();
    let axes = ["--axis", "strength=0,0.5,1", "--axis", "init-image=a.png", "--axis", "init-image=b.png"];
    let words = ["grid", PROMPT, "--steps", "4", "-s", "1", "-o", "lab", "--progress", "none"];
    sandbox.run(words.iter().chain(&axes)).ok();
    let table: serde_json::Value =
        serde_json::from_slice(&fs::read(sandbox.path().join("lab/results.json")).unwrap()).unwrap();
    let rows = table["rows"].as_array().unwrap_or_else(|| table.as_array().expect("rows"));
    assert_eq!(rows.len(), 6);
}
