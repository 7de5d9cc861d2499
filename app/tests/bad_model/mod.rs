//! Model folders with something wrong in them, made from the built-in model's files.

use std::path::Path;

/// Writes a file inside `dir`.
pub fn write(dir: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(dir.join(name), bytes).expect("a file");
}

/// Puts the built-in model into `dir/model`.
pub fn copy(dir: &Path) {
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/postcard"), &dir.join("model"));
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the model's folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy_folder(&path, &target),
            false => drop(std::fs::copy(&path, &target).expect("a copy")),
        }
    }
}

/// Keeps the first `bytes` of a file.
pub fn cut(dir: &Path, name: &str, bytes: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(dir.join(name)).expect("the file");
    file.set_len(bytes).expect("a shorter file");
}

/// Overwrites the beginning of a file.
pub fn header(dir: &Path, name: &str, bytes: &[u8]) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().write(true).open(dir.join(name)).expect("the file");
    file.write_all(bytes).expect("another beginning");
}

/// Replaces text in a file.
pub fn rewrite(dir: &Path, name: &str, old: &str, new: &str) {
    let path = dir.join(name);
    let text = std::fs::read_to_string(&path).expect("text");
    assert!(text.contains(old), "{name} does not say {old}");
    std::fs::write(&path, text.replace(old, new)).expect("the file");
}
