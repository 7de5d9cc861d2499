//! `flowline verify` as a user meets it.

use std::path::Path;
use std::process::{Command, Output};

fn flowline(words: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flowline")).args(words).current_dir(folder).env("HOME", folder).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_sampler_of_the_catalogue_is_judged_and_none_falls() {
    let folder = tempfile::tempdir().unwrap();
    let output = flowline(&["verify", "--json"], folder.path());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let judged: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let listed = flowline(&["samplers", "--json"], folder.path());
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let names = |list: &[serde_json::Value], key: &str| {
        list.iter().map(|entry| entry[key].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&judged, "sampler"), names(listed["samplers"].as_array().unwrap(), "name"));
    assert!(judged.iter().all(|judged| judged["holds"] == true));
    // The table for people says the same, a line each.
    let table = stdout(&flowline(&["verify", "--sampler", "heun", "--sampler", "langevin:scale=0.5"], folder.path()));
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.lines().skip(1).all(|line| line.ends_with("converges")), "{table}");
}

#[test]
fn a_picture_is_identical_to_its_record_until_a_pixel_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let made = flowline(&["generate", "a red tent", "-s", "5", "--steps", "2", "-o", "tent.png"], folder.path());
    assert_eq!(made.status.code(), Some(0));
    let verified = flowline(&["verify", "tent.png"], folder.path());
    assert_eq!(stdout(&verified), "tent.png: identical to what its record makes\n");
    assert_eq!(verified.status.code(), Some(0));

    // The same record over other pixels.
    let other = flowline(&["generate", "a red tent", "-s", "6", "--steps", "2", "-o", "other.png"], folder.path());
    assert_eq!(other.status.code(), Some(0));
    let path = folder.path().join("forged.png");
    forge(&folder.path().join("tent.png"), &folder.path().join("other.png"), &path);
    let verified = flowline(&["verify", "forged.png"], folder.path());
    assert_eq!(verified.status.code(), Some(1));
    assert!(stdout(&verified).starts_with("forged.png: differs from what its record makes, by "), "{verified:?}");
}

#[test]
fn a_picture_of_weights_that_were_quantised_on_load_is_made_again_in_the_same_way() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, form: &[&str]| {
        let words = [&["generate", "a red tent", "-s", "5", "--steps", "1", "-o", name], form].concat();
        assert_eq!(flowline(&words, folder.path()).status.code(), Some(0));
        let verified = flowline(&["verify", name], folder.path());
        assert_eq!(stdout(&verified), format!("{name}: identical to what its record makes\n"));
        image::open(folder.path().join(name)).unwrap().to_rgb8()
    };
    let [stored, dense] = ["stored", "f32"].map(|form| make(&format!("{form}.png"), &["--weights", form]));
    assert_eq!(stored, dense, "decoded before or while it is multiplied");
    let fast = make("fast.png", &["--weights", "q4_k", "--activations", "q8"]);
    assert_ne!(fast, dense);
    assert_eq!(flowline(&["generate", "--from", "fast.png", "-o", "again.png"], folder.path()).status.code(), Some(0));
    assert_eq!(image::open(folder.path().join("again.png")).unwrap().to_rgb8(), fast);
}

/// The text of one picture with the pixels of another.
fn forge(text: &Path, pixels: &Path, to: &Path) {
    let reader = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(text).unwrap())).read_info().unwrap();
    let image = image::open(pixels).unwrap().to_rgb8();
    let mut encoder = png::Encoder::new(std::fs::File::create(to).unwrap(), image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    for chunk in &reader.info().uncompressed_latin1_text {
        encoder.add_text_chunk(chunk.keyword.clone(), chunk.text.clone()).unwrap();
    }
    for chunk in &reader.info().utf8_text {
        encoder.add_itxt_chunk(chunk.keyword.clone(), chunk.get_text().unwrap()).unwrap();
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(image.as_raw()).unwrap();
}

#[test]
fn what_cannot_be_verified_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = flowline(&["verify", "nothing.png"], folder.path());
    assert_eq!(missing.status.code(), Some(1));
    let unknown = flowline(&["verify", "--sampler", "huen"], folder.path());
    assert_eq!(unknown.status.code(), Some(1));
    let stderr = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(stderr.lines().next(), Some("error: there is no sampler named 'huen'"));
    assert!(stderr.contains("hint: did you mean 'heun'?"), "{stderr}");
}
