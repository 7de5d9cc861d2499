//! A Hub on this machine that misbehaves as it is told: a few threads and the standard library.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// The commit that every repository here is at.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A file in a repository.
#[derive(Clone)]
pub struct File {
    pub path: String,
    pub content: Vec<u8>,
    /// Whether it is in git LFS, which gives it a SHA-256.
    pub large: bool,
}

/// How a request is answered. Of several answers each is given once, the last again and again.
#[derive(Clone)]
pub enum Answer {
    /// As the Hub does.
    Good,
    /// The whole file, whatever range was asked for.
    Whole,
    /// So many bytes of it, and the connection is closed.
    Drop(usize),
    /// So many bytes of it, and then nothing, until [`FakeHub::release`].
    Hold(usize),
    /// These bytes in its place.
    Content(Vec<u8>),
    /// This status, these headers, this body.
    Status(u16, Vec<(&'static str, String)>, String),
}

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

struct Shared {
    files: Mutex<Vec<File>>,
    /// What is said about the repository, in the place of the truth.
    said: Mutex<BTreeMap<&'static str, Value>>,
    answers: Mutex<BTreeMap<String, VecDeque<Answer>>>,
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
    held: Sender<()>,
    released: (Mutex<bool>, Condvar),
    gone: AtomicBool,
}

/// The Hub, with one repository whatever it is called.
pub struct FakeHub {
    pub url: String,
    shared: Arc<Shared>,
    holds: Receiver<()>,
}

impl FakeHub {
    /// A Hub with these files.
    pub fn new(files: Vec<File>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let (held, holds) = mpsc::channel();
        let shared = Arc::new(Shared {
            files: Mutex::new(files),
            said: Mutex::default(),
            answers: Mutex::default(),
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
            held,
            released: Default::default(),
            gone: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.gone.load(Ordering::SeqCst) {
                    return;
                }
                let (serving, Ok(stream)) = (Arc::clone(&serving), stream) else { continue };
                serving.connections.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || serving.serve(stream));
            }
        });
        Self { url, shared, holds }
    }

    /// How requests for `path` (a file, `info` or `tree`) are answered.
    pub fn answer(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.shared.answers.lock().unwrap().insert(path.to_owned(), answers.into_iter().collect());
    }

    /// What `info` or `tree` says in the place of the truth.
    pub fn say(&self, what: &'static str, said: Value) {
        self.shared.said.lock().unwrap().insert(what, said);
    }

    /// Waits until an [`Answer::Hold`] holds.
    pub fn wait_for_hold(&self) {
        self.holds.recv_timeout(super::PATIENCE).expect("somebody asks");
    }

    /// Lets go of all that is held, now and later.
    pub fn release(&self) {
        *self.shared.released.0.lock().unwrap() = true;
        self.shared.released.1.notify_all();
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The requests for a file.
    pub fn asked_for(&self, file: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path.ends_with(&format!("/{file}"))).collect()
    }

    /// How often anybody connected.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.release();
        self.shared.gone.store(true, Ordering::SeqCst);
        // The listener looks up once more and ends.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        let Some((path, headers)) = read(&stream) else { return };
        let asked = Asked {
            path: path.clone(),
            range: headers.get("range").cloned(),
            authorization: headers.get("authorization").cloned(),
        };
        self.asked.lock().unwrap().push(asked.clone());
        let bare = path.split('?').next().unwrap();
        if bare.starts_with("/api/models/") {
            let what = if bare.contains("/tree/") { "tree" } else { "info" };
            let (status, headers, body) = match self.next(what) {
                Answer::Status(status, headers, body) => (status, headers, body),
                _ => (200, Vec::new(), self.said(what).to_string()),
            };
            return send(&stream, status, &headers, body.as_bytes(), body.len());
        }
        let name =
            bare.split_once("/resolve/").and_then(|(_, rest)| rest.split_once('/')).map_or(bare, |(_, name)| name);
        let name = name.trim_start_matches('/');
        let file = self.files.lock().unwrap().iter().find(|file| file.path == name).cloned();
        match file {
            Some(file) => self.send_file(&stream, &file, &asked),
            None => send(&stream, 404, &[("X-Error-Code", "EntryNotFound".into())], b"", 0),
        }
    }

    fn send_file(&self, stream: &TcpStream, file: &File, asked: &Asked) {
        let from =
            asked.range.as_deref().and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let answer = self.next(&file.path);
        let (content, from) = match &answer {
            Answer::Content(content) => (content, None),
            Answer::Whole => (&file.content, None),
            _ => (&file.content, from),
        };
        let total = content.len();
        let rest = &content[from.unwrap_or(0).min(total)..];
        let (status, headers) = match from {
            Some(from) if from >= total => return send(stream, 416, &[], b"", 0),
            Some(from) => (206, vec![("Content-Range", format!("bytes {from}-{}/{total}", total - 1))]),
            None => (200, Vec::new()),
        };
        match answer {
            Answer::Status(status, headers, body) => send(stream, status, &headers, body.as_bytes(), body.len()),
            Answer::Drop(bytes) => send(stream, status, &headers, &rest[..bytes.min(rest.len())], rest.len()),
            Answer::Hold(bytes) => {
                let (now, later) = rest.split_at(bytes.min(rest.len()));
                head(stream, status, &headers, rest.len());
                let _ = (&*stream).write_all(now);
                let _ = self.held.send(());
                let mut released = self.released.0.lock().unwrap();
                while !*released {
                    released = self.released.1.wait(released).unwrap();
                }
                let _ = (&*stream).write_all(later);
            }
            Answer::Good | Answer::Whole | Answer::Content(_) => send(stream, status, &headers, rest, rest.len()),
        }
    }

    /// The next answer for `path`.
    fn next(&self, path: &str) -> Answer {
        let mut answers = self.answers.lock().unwrap();
        match answers.get_mut(path) {
            Some(queue) if queue.len() > 1 => queue.pop_front().unwrap(),
            Some(queue) => queue.front().cloned().unwrap_or(Answer::Good),
            None => Answer::Good,
        }
    }

    fn said(&self, what: &str) -> Value {
        if let Some(said) = self.said.lock().unwrap().get(what) {
            return said.clone();
        }
        match what {
            "info" => json!({ "sha": COMMIT, "gated": false, "cardData": { "license": "mit" }, "siblings": [] }),
            _ => self.files.lock().unwrap().iter().map(File::listed).collect(),
        }
    }
}

impl File {
    pub fn small(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), content: content.into(), large: false }
    }

    pub fn large(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.to_owned(), content: content.into(), large: true }
    }

    /// The name of its blob.
    pub fn hash(&self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.large {
            true => hex(&Sha256::digest(&self.content)),
            false => hex(&Sha1::new_with_prefix(format!("blob {}\0", self.content.len()))
                .chain_update(&self.content)
                .finalize()),
        }
    }

    /// As the tree API lists it.
    pub fn listed(&self) -> Value {
        let (size, hash) = (self.content.len(), self.hash());
        match self.large {
            true => json!({ "type": "file", "path": self.path, "size": size, "oid": "e".repeat(40),
                            "lfs": { "oid": hash, "size": size, "pointerSize": 134 } }),
            false => json!({ "type": "file", "path": self.path, "size": size, "oid": hash }),
        }
    }
}

/// The path and the headers of a request.
fn read(stream: &TcpStream) -> Option<(String, BTreeMap<String, String>)> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some((path, headers))
}

fn head(mut stream: &TcpStream, status: u16, headers: &[(&'static str, String)], length: usize) {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let _ = write!(stream, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
}

/// An answer that says `length` bytes will come, and as many as there are.
fn send(mut stream: &TcpStream, status: u16, headers: &[(&'static str, String)], body: &[u8], length: usize) {
    head(stream, status, headers, length);
    let _ = stream.write_all(body);
    let _ = stream.shutdown(Shutdown::Write);
}
