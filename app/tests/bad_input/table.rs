//! How a table is written: rows between empty lines, each like a session in a terminal.
//!
//! ```text
//! with truncated-picture          what lies around, by name; any number of these
//! env HOME=/nowhere               a variable that is set
//! unset HOME                      or taken away
//! stdin a\0b                      what is piped in; `stdin closed` closes it
//! on linux                        the row is for this system only
//! $ generate --from 'a.png'       the words after the program's name
//! error: …                        what is said on stderr, line by line; a line that ends in … may go on
//! exit 1
//! ```
//! Words may be quoted; `\0`, `\n` and `\xff` stand for bytes. `REPLAY` stands for each command that reads a picture.

use std::ffi::OsString;

/// What is on standard input.
pub enum Stdin {
    Empty,
    Bytes(Vec<u8>),
    Closed,
}

/// One row.
pub struct Row {
    pub with: Vec<String>,
    pub env: Vec<(String, Option<String>)>,
    pub stdin: Stdin,
    pub args: Vec<OsString>,
    pub said: Vec<String>,
    pub code: i32,
}

impl Row {
    /// Whether these lines are the ones it names; one that ends in `…` may go on.
    pub fn expects(&self, said: &[&str]) -> bool {
        let same = |(said, expected): (&&str, &String)| match expected.strip_suffix('…') {
            Some(start) => said.starts_with(start),
            None => said == expected,
        };
        said.len() == self.said.len() && said.iter().zip(&self.said).all(same)
    }
}

/// The commands that read a picture.
const REPLAYS: [&str; 2] = ["inspect", "generate --from"];

/// The rows of a table; lines that begin with `#` are comments.
pub fn rows(table: &str) -> Vec<Row> {
    let blocks = table.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    let expanded = blocks.flat_map(|block| match block.contains("REPLAY") {
        true => REPLAYS.iter().map(|replay| block.replace("REPLAY", replay)).collect(),
        false => vec![block.to_owned()],
    });
    expanded.filter_map(|block| row(&block)).collect()
}

fn row(block: &str) -> Option<Row> {
    let (with, env, said) = (Vec::new(), Vec::new(), Vec::new());
    let mut row = Row { with, env, stdin: Stdin::Empty, args: Vec::new(), said, code: i32::MIN };
    for line in block.lines().filter(|line| !line.starts_with('#')) {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("on", system) if system == std::env::consts::OS => {}
            ("on", _) => return None,
            ("with", name) => row.with.push(name.to_owned()),
            ("env", pair) => {
                let (name, value) = pair.split_once('=').expect("env NAME=VALUE");
                row.env.push((name.to_owned(), Some(value.to_owned())));
            }
            ("unset", name) => row.env.push((name.to_owned(), None)),
            ("stdin", "closed") => row.stdin = Stdin::Closed,
            ("stdin", text) => row.stdin = Stdin::Bytes(bytes(text)),
            ("$", words) => row.args = split(words),
            ("exit", code) => row.code = code.parse().expect("an exit code"),
            ("error:" | "hint:" | "warning:", _) => row.said.push(line.to_owned()),
            _ => panic!("what is '{line}'?"),
        }
    }
    if row.args.is_empty() {
        return None;
    }
    assert_ne!(row.code, i32::MIN, "no exit code in:\n{block}");
    Some(row)
}

/// Words between spaces; single quotes keep spaces and nothing at all together.
fn split(words: &str) -> Vec<OsString> {
    let mut found = Vec::new();
    for (index, part) in words.split('\'').enumerate() {
        match index % 2 {
            0 => found.extend(part.split_whitespace().map(|word| os_string(bytes(word)))),
            _ => found.push(os_string(bytes(part))),
        }
    }
    found
}

/// Text with `\0`, `\n` and `\xff` as the bytes they stand for.
fn bytes(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (byte, rest) = match part.split_at(1) {
            ("0", rest) => (0, rest),
            ("n", rest) => (b'\n', rest),
            ("x", rest) => (u8::from_str_radix(&rest[..2], 16).expect("two hexadecimal digits"), &rest[2..]),
            (other, _) => panic!("what is '\\{other}'?"),
        };
        bytes.push(byte);
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

#[cfg(unix)]
fn os_string(bytes: Vec<u8>) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes)
}

#[cfg(not(unix))]
fn os_string(bytes: Vec<u8>) -> OsString {
    String::from_utf8(bytes).expect("rows with other bytes are for Unix").into()
}
