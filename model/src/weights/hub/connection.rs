//! Asking the Hub for bytes: where the token may go, redirections, refusals, and a watch over the silence.
//!
//! A request runs on a thread of its own that hands over what comes. So whoever waits hears Ctrl-C within a moment, and
//! gives a silent connection up, whatever it is silent about: the name, the handshake, the headers, the next byte.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{HeaderMap, Uri};

use super::Hub;
use super::reference::Reference;
use super::retries::Trouble;
use super::token::Token;
use crate::catalog::{Alternative, MODELS, Source};
use crate::{Error, Result};

/// Redirections that are followed.
const REDIRECTIONS: usize = 10;

/// Bytes handed over at once.
const PIECE: usize = 256 << 10;

/// Pieces that may lie waiting: fetching goes on while the disk is slow.
const PIECES: usize = 16;

/// How often a waiting user is asked whether to go on.
pub(super) const BEAT: Duration = Duration::from_millis(50);

/// A way to the Hub.
pub(super) struct Connection<'a> {
    hub: &'a Hub,
    agent: Agent,
}

/// The head of an answer, and what follows it.
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    /// Whether the Hub itself answered, not a server that it sent us to.
    own: bool,
    /// Who answered.
    host: String,
    patience: Duration,
    pieces: Receiver<Piece>,
}

/// What the thread hands over.
enum Piece {
    Head { status: u16, headers: HeaderMap, own: bool, host: String },
    Bytes(Vec<u8>),
    End,
    Trouble(Trouble),
}

/// What the thread is given.
struct Order {
    agent: Agent,
    url: String,
    /// The first byte that is wanted.
    from: u64,
    endpoint: Uri,
    token: Option<Token>,
}

impl<'a> Connection<'a> {
    /// A way to the Hub that `hub` describes.
    ///
    /// # Errors
    /// [`Error::Hub`] where the network is off limits.
    pub(super) fn new(hub: &'a Hub) -> Result<Self> {
        if hub.offline {
            let hint = "leave out --offline (or HF_HUB_OFFLINE) to fetch";
            return Err(Error::hub("the network is off limits", hint));
        }
        // Nobody waits for a thread that was given up, but it should end some day.
        let last = Some(hub.patience.saturating_mul(2));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("flowline/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(last)
            .timeout_connect(last)
            .timeout_recv_response(last)
            .timeout_per_read(last)
            .build();
        Ok(Self { hub, agent: config.into() })
    }

    /// The Hub that is asked.
    pub(super) fn hub(&self) -> &'a Hub {
        self.hub
    }

    /// Asks for what is at `path` of the endpoint, from the byte `from` on.
    pub(super) fn get(
        &self,
        path: &str,
        from: u64,
        beat: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Answer, Trouble> {
        let endpoint: Uri = self.hub.endpoint.parse().ok().filter(is_server).ok_or_else(|| {
            let what = format!("the Hub's address '{}' is none", self.hub.endpoint);
            Error::hub(what, "set HF_ENDPOINT to an address such as https://huggingface.co, or not at all")
        })?;
        let (sender, pieces) = mpsc::sync_channel(PIECES);
        let url = format!("{}{path}", self.hub.endpoint);
        let order = Order { agent: self.agent.clone(), url, from, endpoint, token: self.hub.token.clone() };
        let run = move || {
            // A receiver that is gone has given the connection up.
            if let Err(trouble) = order.run(&sender) {
                let _ = sender.send(Piece::Trouble(trouble));
            }
        };
        let started = thread::Builder::new().name("hub".into()).spawn(run);
        started.map_err(|error| Error::hub(format!("the system gives no thread ({error})"), "close other programs"))?;
        let headers = HeaderMap::new();
        let patience = self.hub.patience;
        let waiting = Answer { status: 0, headers, own: true, host: String::new(), patience, pieces };
        match waiting.next(beat)? {
            Piece::Head { status, headers, own, host } => Ok(Answer { status, headers, own, host, ..waiting }),
            Piece::Trouble(trouble) => Err(trouble),
            Piece::Bytes(_) | Piece::End => Err(Trouble::passing("the connection ended before the answer")),
        }
    }
}

impl Answer {
    /// HTTP's status.
    pub(super) fn status(&self) -> u16 {
        self.status
    }

    /// Who answered.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A header that is a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// The next bytes; `None` at the end.
    pub(super) fn bytes(&self, beat: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Option<Vec<u8>>, Trouble> {
        match self.next(beat)? {
            Piece::Bytes(bytes) => Ok(Some(bytes)),
            Piece::End | Piece::Head { .. } => Ok(None),
            Piece::Trouble(trouble) => Err(trouble),
        }
    }

    /// All bytes of an answer that should be small.
    pub(super) fn text(&self, limit: usize, beat: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Vec<u8>, Trouble> {
        let mut text = Vec::new();
        while let Some(bytes) = self.bytes(beat)? {
            if text.len() + bytes.len() > limit {
                let what = format!("{} answers with more than {limit} bytes", self.host);
                return Err(Error::hub(what, "this is no answer of a Hub; check HF_ENDPOINT").into());
            }
            text.extend(bytes);
        }
        Ok(text)
    }

    fn next(&self, beat: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Piece, Trouble> {
        let silent = Instant::now();
        loop {
            match self.pieces.recv_timeout(BEAT.min(self.patience)) {
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Disconnected) => return Err(Trouble::passing("the connection ended")),
                Err(RecvTimeoutError::Timeout) if silent.elapsed() >= self.patience => {
                    let seconds = self.patience.as_secs_f64();
                    return Err(Trouble::passing(format!("the connection was silent for {seconds} s")));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if beat().is_break() {
                return Err(Error::Cancelled.into());
            }
        }
    }

    /// What a status other than the wanted ones means, said about `reference`.
    pub(super) fn refusal(&self, reference: &Reference, hub: &Hub) -> Trouble {
        let (status, host) = (self.status, &self.host);
        let repository = reference.repository();
        let code = self.header("X-Error-Code").unwrap_or_default();
        let page = hub.page(reference);
        let no = |what: String, hint: String| Trouble::Lasting(Error::hub(what, hint));
        let missing = || {
            let what = format!("there is no '{reference}' on {host}, or it is private");
            no(what, "check its name; for a private one set HF_TOKEN".to_owned())
        };
        match status {
            // An address that a file server was given expires; the next one is asked for at the Hub.
            401 | 403 if !self.own => Trouble::passing(format!("{host} refuses the file ({status})")),
            401 | 403 if code == "RepoNotFound" => missing(),
            401 if hub.token.is_none() => no(
                format!("{repository} is gated: whoever wants it must accept its licence"),
                accept(&page, repository),
            ),
            401 => no(format!("{host} does not accept the token for {repository}"), accept(&page, repository)),
            403 => no(format!("{host} does not give {repository} to this user"), accept(&page, repository)),
            404 => missing(),
            408 | 425 | 429 | 500..600 => {
                let pause = self.number("Retry-After").map(Duration::from_secs);
                let what = match status {
                    429 => format!("{host} asks for fewer requests (429)"),
                    _ => format!("{host} answers with an error ({status})"),
                };
                Trouble::Passing { what, pause }
            }
            _ => no(
                format!("{host} answers with {status}"),
                "check HF_ENDPOINT, and whether something sits between".to_owned(),
            ),
        }
    }
}

/// How somebody gets at a gated model, or does without it.
fn accept(page: &str, repository: &str) -> String {
    let token = "https://huggingface.co/settings/tokens";
    let way = format!("accept the licence at {page}, make a token at {token}, and set HF_TOKEN to it");
    let hosted = MODELS.iter().filter_map(|entry| match entry.source {
        Source::Hub(hosted) => Some(hosted),
        Source::Embedded(_) => None,
    });
    let other = hosted.filter(|hosted| hosted.repository == repository).find_map(|hosted| hosted.alternatives.first());
    match other {
        Some(Alternative { reference, about }) => format!("{way}; or without an account: -m {reference} ({about})"),
        None => way,
    }
}

impl Order {
    /// Asks, follows redirections, and hands over what comes.
    fn run(self, sender: &SyncSender<Piece>) -> Result<(), Trouble> {
        let mut url = self.url.clone();
        for _ in 0..REDIRECTIONS {
            let uri: Uri = url.parse().map_err(|_| Trouble::passing("the Hub sends us to an address that is none"))?;
            let host = uri.host().unwrap_or_default().to_owned();
            let own = same_origin(&uri, &self.endpoint);
            let mut request = self.agent.get(&url).header("Accept-Encoding", "identity");
            if self.from > 0 {
                request = request.header("Range", format!("bytes={}-", self.from));
            }
            // The token is for the Hub and for nobody whom the Hub sends us to.
            if let (Some(token), true) = (&self.token, own) {
                request = request.header("Authorization", token.header());
            }
            let answer = request.call().map_err(|error| no_answer(&host, &error))?;
            let (head, body) = answer.into_parts();
            let status = head.status.as_u16();
            let location = head.headers.get("Location").and_then(|location| location.to_str().ok());
            if let (300..400, Some(location)) = (status, location) {
                url = redirected(&uri, location).ok_or_else(|| {
                    Error::hub(format!("{host} sends us to a place that is not safe"), "check HF_ENDPOINT")
                })?;
                continue;
            }
            let head = Piece::Head { status, headers: head.headers, own, host: host.clone() };
            if sender.send(head).is_err() {
                return Ok(());
            }
            return hand_over(body, sender, &host);
        }
        Err(Error::hub("the Hub sends us round in circles", "check HF_ENDPOINT").into())
    }
}

fn hand_over(body: ureq::Body, sender: &SyncSender<Piece>, host: &str) -> Result<(), Trouble> {
    use std::io::Read as _;
    let mut reader = body.into_with_config().limit(u64::MAX).reader();
    loop {
        let mut piece = vec![0; PIECE];
        let count = match reader.read(&mut piece) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Trouble::passing(format!("the connection to {host} ended ({error})"))),
        };
        piece.truncate(count);
        let piece = if count == 0 { Piece::End } else { Piece::Bytes(piece) };
        if sender.send(piece).is_err() || count == 0 {
            return Ok(());
        }
    }
}

/// Why there is no answer. The address stays unsaid: a signed one is a secret for a while.
fn no_answer(host: &str, error: &ureq::Error) -> Trouble {
    match error {
        ureq::Error::HostNotFound => Trouble::passing(format!("{host} is not found")),
        ureq::Error::Timeout(_) => Trouble::passing(format!("{host} does not answer")),
        ureq::Error::Io(error) => Trouble::passing(format!("{host} cannot be reached ({error})")),
        ureq::Error::BadUri(_) => Trouble::passing(format!("{host} is no address")),
        other => Trouble::passing(format!("{host} cannot be reached ({other})")),
    }
}

/// Whether an address is of a server that can be asked.
fn is_server(uri: &Uri) -> bool {
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}

/// Whether two addresses are of one server: scheme, host and port.
fn same_origin(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| {
        uri.port_u16().or(match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        })
    };
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    a.scheme_str() == b.scheme_str() && host(a) == host(b) && port(a) == port(b)
}

/// Where `location` leads from `uri`; nowhere from a protected connection to an open one, nor to other schemes.
fn redirected(uri: &Uri, location: &str) -> Option<String> {
    let scheme = uri.scheme_str()?;
    let url = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{}{location}", uri.authority()?)
    } else {
        location.to_owned()
    };
    let target: Uri = url.parse().ok()?;
    target.host()?;
    match (scheme, target.scheme_str()?) {
        (_, "https") | ("http", "http") => Some(url),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let hub = uri("https://huggingface.co");
        for same in ["https://huggingface.co/a/b", "https://HuggingFace.co:443/x"] {
            assert!(same_origin(&uri(same), &hub), "{same}");
        }
        for other in [
            "http://huggingface.co/a",
            "https://huggingface.co:8443/a",
            "https://cdn.huggingface.co/a",
            "https://huggingface.co.evil.example/a",
            "https://user@evil.example/huggingface.co",
        ] {
            assert!(!same_origin(&uri(other), &hub), "{other}");
        }
    }

    #[test]
    fn redirections_never_leave_protection() {
        let from = uri("https://huggingface.co/a/b");
        assert_eq!(redirected(&from, "/c/d?x=1").as_deref(), Some("https://huggingface.co/c/d?x=1"));
        assert_eq!(redirected(&from, "//cdn.example/x").as_deref(), Some("https://cdn.example/x"));
        assert_eq!(redirected(&from, "https://cdn.example/x").as_deref(), Some("https://cdn.example/x"));
        for unsafe_place in ["http://cdn.example/x", "file:///etc/passwd", "ftp://x/y", "x/y", ""] {
            assert_eq!(redirected(&from, unsafe_place), None, "{unsafe_place}");
        }
        assert!(redirected(&uri("http://127.0.0.1:8/a"), "http://127.0.0.1:9/b").is_some());
    }
}
