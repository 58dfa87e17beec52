//! An engine on a Unix socket that answers by a script, and remembers what it was asked.
//!
//! A script is a list of rules; a rule's answers are used up one after the other, and its last stays. What no rule is about is answered
//! as by a Docker that has nothing. A fake that is dropped with an answer that nobody fetched fails the test.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass::images::engine::{Choice, Engine, Environment, Limits, NoEngine, Where};
use windlass::images::runtime;

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A status and JSON.
    Json(u16, Value),
    /// Status 200 and a body in these pieces, each sent by itself; then its proper end.
    Pieces(Vec<Vec<u8>>),
    /// The same, and then the connection is closed without the body's end.
    Cut(Vec<Vec<u8>>),
    /// The same, and then nothing more until the other side hangs up.
    Silent(Vec<Vec<u8>>),
    /// The same piece again and again until the other side hangs up.
    Endless(Vec<u8>),
    /// These bytes in place of any answer of HTTP.
    Bytes(Vec<u8>),
    /// Nothing, until the other side hangs up.
    Nothing,
    /// The connection is reset: closed with the request unread.
    Reset,
    /// A status and JSON before the request's body is read, then closed.
    Early(u16, Value),
}

impl Answer {
    /// Messages as an engine streams them, one a piece.
    pub(crate) fn messages(messages: &[Value]) -> Self {
        Self::Pieces(lines(messages))
    }
}

/// Messages as bytes.
pub(crate) fn lines(messages: &[Value]) -> Vec<Vec<u8>> {
    messages
        .iter()
        .map(|message| format!("{message}\r\n").into_bytes())
        .collect()
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `POST /build?t=…`
    pub(crate) line: String,
    /// All of the head, in lower case but for the values.
    pub(crate) head: Vec<(String, String)>,
    /// The body, unchunked.
    pub(crate) body: Vec<u8>,
    /// Whether the other side hung up before the answer's end.
    pub(crate) hung_up: bool,
}

#[derive(Debug)]
struct Rule {
    what: String,
    answers: VecDeque<Answer>,
    used: bool,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    requests: Vec<Request>,
}

/// The engine.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) socket: PathBuf,
    state: Arc<Mutex<State>>,
    _dir: TempDir,
}

impl Fake {
    /// One that behaves as a Docker of this API that has nothing.
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("wlf-").tempdir().expect("a directory");
        let socket = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self {
            socket,
            state,
            _dir: dir,
        }
    }

    /// Adds a rule for requests whose line begins so; later ones win.
    pub(crate) fn on(self, what: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.state().rules.push(Rule {
            what: what.to_owned(),
            answers: answers.into_iter().collect(),
            used: false,
        });
        self
    }

    /// The same for what may be asked, and may be given up before it is.
    pub(crate) fn maybe(self, what: &str, answer: Answer) -> Self {
        self.state().rules.push(Rule {
            what: what.to_owned(),
            answers: [answer].into(),
            used: true,
        });
        self
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was asked whose line begins so.
    pub(crate) fn asked(&self, what: &str) -> Vec<Request> {
        let state = self.state();
        state
            .requests
            .iter()
            .filter(|request| request.line.starts_with(what))
            .cloned()
            .collect()
    }

    /// Waits until the other side has hung up on such a request.
    pub(crate) fn hung_up(&self, what: &str) {
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while !self.asked(what).iter().any(|request| request.hung_up) {
            assert!(std::time::Instant::now() < end, "nobody hung up on {what}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Waits until such a request came.
    pub(crate) fn was_asked(&self, what: &str) {
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while self.asked(what).is_empty() {
            assert!(std::time::Instant::now() < end, "nobody asked {what}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Finds it, under limits at which tests do not have to wait.
    pub(crate) fn find(&self) -> Result<Engine, NoEngine> {
        let place = Where {
            host: Some(format!("unix://{}", self.socket.display())),
            ..Where::default()
        };
        let environment = Environment::of(|_| None);
        runtime()
            .expect("a runtime")
            .block_on(Engine::find_within(Choice::Auto, &place, &environment, quick()))
    }

    pub(crate) fn engine(&self) -> Engine {
        self.find().expect("it answers")
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let state = self.state();
        let unread: Vec<&Rule> = state
            .rules
            .iter()
            .filter(|rule| !rule.used || rule.answers.len() > 1)
            .collect();
        assert!(unread.is_empty(), "nobody asked for {unread:?}");
    }
}

/// Limits that a test can wait for.
pub(crate) fn quick() -> Limits {
    Limits {
        probe: Duration::from_secs(5),
        probe_last: Duration::from_secs(5),
        answer: Duration::from_secs(1),
        silence: Duration::from_secs(1),
        answer_bytes: 1 << 20,
        message_bytes: 64 << 10,
        ..Limits::default()
    }
}

fn serve(stream: &UnixStream, state: &Mutex<State>) {
    // Whatever goes wrong here shows on the other side.
    let _ = serve_one(stream, state);
}

fn serve_one(stream: &UnixStream, state: &Mutex<State>) -> std::io::Result<()> {
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let answer = {
        let mut state = lock();
        let rule = state.rules.iter_mut().rev().find(|rule| line.starts_with(&rule.what));
        match rule {
            Some(rule) => {
                rule.used = true;
                if rule.answers.len() > 1 {
                    rule.answers.pop_front()
                } else {
                    rule.answers.front().cloned()
                }
            }
            None => None,
        }
        .unwrap_or_else(|| usual(&line))
    };
    let mut head = Vec::new();
    loop {
        let mut text = String::new();
        reader.read_line(&mut text)?;
        match text.trim_end().split_once(':') {
            Some((name, value)) => head.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let number = {
        let mut state = lock();
        state.requests.push(Request {
            line: line.clone(),
            head: head.clone(),
            body: Vec::new(),
            hung_up: false,
        });
        state.requests.len() - 1
    };
    if matches!(answer, Answer::Reset) {
        // With bytes unread, closing resets. A request without a body has none unread: it is cut off, which is as bad.
        return Ok(());
    }
    if let Answer::Early(status, value) = &answer {
        let mut stream = stream;
        return stream.write_all(&whole(*status, value));
    }
    match body(&mut reader, &head) {
        Ok(body) => lock().requests[number].body = body,
        Err(error) => {
            lock().requests[number].hung_up = true;
            return Err(error);
        }
    }
    let done = answer_with(stream, &answer);
    if done.is_err() || matches!(answer, Answer::Nothing | Answer::Silent(_)) {
        lock().requests[number].hung_up = true;
    }
    done
}

fn body(reader: &mut BufReader<&UnixStream>, head: &[(String, String)]) -> std::io::Result<Vec<u8>> {
    let value = |name: &str| {
        head.iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    let mut body = Vec::new();
    if value("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    let length: usize = value("content-length")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0);
    body.resize(length, 0);
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn whole(status: u16, value: &Value) -> Vec<u8> {
    let body = value.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn answer_with(mut stream: &UnixStream, answer: &Answer) -> std::io::Result<()> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let until_hung_up = |mut stream: &UnixStream| stream.read(&mut [0; 16]).map(|_| ());
    let pieces = |mut stream: &UnixStream, pieces: &[Vec<u8>]| -> std::io::Result<()> {
        stream.write_all(HEAD)?;
        for piece in pieces {
            stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            stream.write_all(piece)?;
            stream.write_all(b"\r\n")?;
            stream.flush()?;
        }
        Ok(())
    };
    match answer {
        Answer::Json(status, value) => stream.write_all(&whole(*status, value)),
        Answer::Pieces(list) => {
            pieces(stream, list)?;
            stream.write_all(b"0\r\n\r\n")
        }
        Answer::Cut(list) => pieces(stream, list),
        Answer::Silent(list) => {
            pieces(stream, list)?;
            until_hung_up(stream)
        }
        Answer::Endless(piece) => {
            stream.write_all(HEAD)?;
            loop {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
                stream.write_all(piece)?;
                stream.write_all(b"\r\n")?;
            }
        }
        Answer::Bytes(bytes) => stream.write_all(bytes),
        Answer::Nothing => until_hung_up(stream),
        Answer::Reset | Answer::Early(..) => Ok(()),
    }
}

/// What a Docker that has nothing answers.
fn usual(line: &str) -> Answer {
    if line.starts_with("GET /version") {
        return Answer::Json(200, version("1.41"));
    }
    if line.starts_with("GET /info") {
        return Answer::Json(200, json!({}));
    }
    if line.starts_with("GET /images/json") || line.starts_with("GET /containers/json") {
        return Answer::Json(200, json!([]));
    }
    if line.starts_with("DELETE /containers/") {
        return Answer::Json(204, json!({}));
    }
    Answer::Json(404, json!({"message": "No such image"}))
}

/// What a Docker says of itself.
pub(crate) fn version(api: &str) -> Value {
    json!({"Version": "20.10.24", "ApiVersion": api, "Os": "linux", "Arch": "amd64", "Components": [{"Name": "Engine", "Version": "20.10.24"}]})
}
