//! Checkpoints of the published shapes, with nothing behind their headers.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::fixture;

/// The tensors of a published checkpoint and their shapes.
pub fn shapes(name: &str) -> BTreeMap<String, Vec<usize>> {
    serde_json::from_slice(&fs::read(fixture(&format!("tensor_lists/{name}.json"))).unwrap()).unwrap()
}

/// A sparse file with a header of these shapes, all in bf16, and nothing behind it.
pub fn header_only(path: &Path, shapes: &BTreeMap<String, Vec<usize>>) {
    let (mut header, mut end) = (serde_json::Map::new(), 0);
    for (name, shape) in shapes {
        let from = end;
        end += 2 * shape.iter().product::<usize>();
        let info = serde_json::json!({ "dtype": "BF16", "shape": shape, "data_offsets": [from, end] });
        header.insert(name.clone(), info);
    }
    let header = serde_json::Value::Object(header).to_string();
    let mut file = File::create(path).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + end) as u64).unwrap();
}
