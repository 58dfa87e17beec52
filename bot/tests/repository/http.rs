//! The server, by its own words on the wire: what it serves, what it never serves, and how long it waits for whom.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rstest::rstest;
use sha2::{Digest as _, Sha256};

use crate::world::{Bot, World, the_file};

/// What came back.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

fn connect(bot: &Bot) -> TcpStream {
    let stream = TcpStream::connect(&bot.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head has an end");
    let head = String::from_utf8(bytes[..end].to_vec())
        .unwrap()
        .to_ascii_lowercase()
        .replace('\r', "");
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: bytes[end + 4..].to_vec(),
        head,
    }
}

fn ask(bot: &Bot, method: &str, path: &str, headers: &[&str]) -> Answer {
    let mut stream = connect(bot);
    let more: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: packages.example.org\r\nConnection: close\r\n{more}\r\n"
    )
    .unwrap();
    read(stream)
}

fn get(bot: &Bot, path: &str) -> Answer {
    ask(bot, "GET", path, &[])
}

#[test]
fn one_client_reads_all_of_it() {
    let Some(world) = World::filled("") else { return };
    let bot = world.start();
    let list = get(&bot, "/repos/main/mirrorlist?arch=x86_64");
    assert_eq!(
        list.text(),
        "http://packages.example.org/repos/main/generations/2/x86_64/\n"
    );
    assert_eq!(list.header("cache-control"), Some("no-cache"));
    let family = get(&bot, "/repos/main/mirrorlist?arch=i386");
    assert_eq!(
        family.text(),
        "http://packages.example.org/repos/main/generations/2/i586/\n"
    );
    let repomd = get(&bot, "/repos/main/generations/2/x86_64/repodata/repomd.xml");
    assert_eq!(repomd.status, 200);
    assert!(repomd.header("cache-control").unwrap().contains("immutable"));
    let on_disk = std::fs::read(world.repo("current/x86_64/repodata/repomd.xml")).unwrap();
    assert_eq!(repomd.body, on_disk);
    let current = get(&bot, "/repos/main/current/x86_64/repodata/repomd.xml");
    assert_eq!(
        (current.body.as_slice(), current.header("cache-control")),
        (on_disk.as_slice(), Some("no-cache"))
    );
    // dnf's word for the architecture.
    assert_eq!(get(&bot, "/repos/main/current/i386/repodata/repomd.xml").status, 200);
    for package in world.json(&["repo", "ls", "--json"]).as_array().unwrap() {
        let text = |key: &str| package[key].as_str().unwrap();
        let path = format!("/repos/main/current/{}/{}", text("directory"), text("location"));
        let file = get(&bot, &path);
        let digest = Sha256::digest(&file.body);
        let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((file.status, digest.concat().as_str()), (200, text("sha256")), "{path}");
        assert_eq!(file.header("content-type"), Some("application/x-rpm"));
    }
    let key = get(&bot, "/repos/main/key.asc");
    assert_eq!(key.body, std::fs::read(world.repo("key.asc")).unwrap());
    assert!(
        get(&bot, "/repos/main/main.repo")
            .text()
            .starts_with("[windlass-main]\n")
    );
    world.done(&["repo", "import", &world.tree("two")]);
    let list = get(&bot, "/repos/main/mirrorlist?arch=x86_64");
    assert_eq!(
        list.text(),
        "http://packages.example.org/repos/main/generations/3/x86_64/\n"
    );
    assert_eq!(bot.stop(), Some(0));
}

#[rstest]
#[case("GET", "/", 404)]
#[case("GET", "/repos/main/", 404)]
#[case("GET", "/repos/other/key.asc", 404)]
#[case("GET", "/repos/main/../../windlass.toml", 404)]
#[case("GET", "/repos/main/%2e%2e/%2e%2e/windlass.toml", 404)]
#[case(
    "GET",
    "/repos/main/current/x86_64/repodata/..%2F..%2F..%2F..%2F..%2F..%2Fwindlass.toml",
    404
)]
#[case("GET", "/repos/main/current/x86_64/packages/../windlass.json", 404)]
#[case("GET", "/repos/main/.lock", 404)]
#[case("GET", "/repos/main/current/x86_64/members.json", 404)]
#[case("GET", "/repos/main/current/x86_64/repodata/link.xml", 404)]
#[case("GET", "/repos/main/current/x86_64/repodata", 404)]
#[case("GET", "/repos/main/current/sparc/repodata/repomd.xml", 404)]
#[case("GET", "/repos/main/generations/3/x86_64/repodata/repomd.xml", 404)]
#[case("GET", "/repos/main/mirrorlist", 400)]
#[case("GET", "/repos/main/mirrorlist?arch=%00", 404)]
#[case("POST", "/repos/main/key.asc", 405)]
#[case("PUT", "/repos/main/current/x86_64/repodata/repomd.xml", 405)]
#[case("DELETE", "/repos/main/key.asc", 405)]
fn nothing_else_is_served(#[case] method: &str, #[case] path: &str, #[case] status: u16) {
    let Some(world) = World::filled("") else { return };
    std::os::unix::fs::symlink("/etc/passwd", world.repo("current/x86_64/repodata/link.xml")).unwrap();
    let bot = world.start();
    let answer = ask(&bot, method, path, &[]);
    assert_eq!(answer.status, status, "{}", answer.text());
    assert!(!answer.text().contains("root"), "{}", answer.text());
}

#[test]
fn parts_conditions_and_heads() {
    let Some(world) = World::filled("") else { return };
    let bot = world.start();
    let path = "/repos/main/current/x86_64/repodata/repomd.xml";
    let whole = get(&bot, path);
    let etag = whole.header("etag").unwrap().to_owned();
    let head = ask(&bot, "HEAD", path, &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), whole.header("content-length"));
    assert_eq!(head.header("etag"), Some(etag.as_str()));
    let known = ask(&bot, "GET", path, &[&format!("If-None-Match: {etag}")]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    let part = ask(&bot, "GET", path, &["Range: bytes=10-19"]);
    assert_eq!((part.status, part.body.as_slice()), (206, &whole.body[10..20]));
    let size = whole.body.len();
    assert_eq!(
        part.header("content-range"),
        Some(format!("bytes 10-19/{size}").as_str())
    );
    let behind = ask(&bot, "GET", path, &["Range: bytes=1000000-"]);
    assert_eq!(behind.status, 416);
    assert_eq!(behind.header("content-range"), Some(format!("bytes */{size}").as_str()));
    // Another generation: the old part is not mixed with the new file.
    world.done(&["repo", "import", &world.tree("two")]);
    let other = ask(&bot, "GET", path, &["Range: bytes=10-19", &format!("If-Range: {etag}")]);
    assert_eq!(other.status, 200);
    let changed = ask(&bot, "GET", path, &[&format!("If-None-Match: {etag}")]);
    assert_eq!(changed.status, 200);
}

#[test]
fn who_does_not_ask_or_does_not_take_is_cut_off() {
    let Some(world) = World::filled("") else { return };
    world.done(&["repo", "import", &world.tree("large")]);
    let bot = world.start();
    let begin = Instant::now();
    // As many as may be there at once, and none of them says anything, or they say it very slowly.
    let silent: Vec<TcpStream> = (0..8).map(|_| connect(&bot)).collect();
    for (at, stream) in silent.iter().enumerate() {
        if at % 2 == 0 {
            write!(&*stream, "GET / HTTP/1.1\r\nX-Slow: ").unwrap();
        }
    }
    // The next one is served all the same, when their time is over.
    assert_eq!(get(&bot, "/repos/main/key.asc").status, 200);
    assert!(begin.elapsed() > Duration::from_secs(1));
    for mut stream in silent {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    // One asks again and again for a large file and takes nothing of it.
    let file = the_file(&world.repo("packages/x86_64"), "wheel");
    let location = file
        .strip_prefix(world.repo("packages/x86_64"))
        .unwrap()
        .display()
        .to_string();
    let mut greedy = connect(&bot);
    for _ in 0..32 {
        let sent = write!(
            greedy,
            "GET /repos/main/current/x86_64/packages/{location} HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        if sent.is_err() {
            break;
        }
    }
    let begin = Instant::now();
    let ended = loop {
        // A byte more is an error as soon as the other side has closed.
        if greedy.write_all(b"x").is_err() {
            break true;
        }
        if begin.elapsed() > Duration::from_secs(30) {
            break false;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    };
    assert!(ended, "it was not cut off");
    assert_eq!(bot.stop(), Some(0));
}

#[test]
fn a_head_without_end_is_refused() {
    let Some(world) = World::filled("") else { return };
    let bot = world.start();
    let long = format!("X-Long: {}", "x".repeat(100_000));
    let mut stream = connect(&bot);
    let _ = write!(stream, "GET / HTTP/1.1\r\n{long}\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    let many: Vec<String> = (0..200).map(|number| format!("X-{number}: x")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(ask(&bot, "GET", "/repos/main/key.asc", &many).status, 431);
    assert_eq!(get(&bot, "/repos/main/key.asc").status, 200);
}

#[test]
fn what_is_under_way_at_the_end_may_end() {
    let Some(world) = World::filled("") else { return };
    world.done(&["repo", "import", &world.tree("large")]);
    let bot = world.start();
    let file = the_file(&world.repo("packages/x86_64"), "wheel");
    let location = file
        .strip_prefix(world.repo("packages/x86_64"))
        .unwrap()
        .display()
        .to_string();
    let mut stream = connect(&bot);
    write!(
        stream,
        "GET /repos/main/current/x86_64/packages/{location} HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    .unwrap();
    let mut first = [0; 1000];
    stream.read_exact(&mut first).unwrap();
    bot.terminate();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    let whole = [&first[..], &rest].concat();
    let end = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(whole[end..], std::fs::read(file).unwrap());
    assert_eq!(bot.stop(), Some(0));
}

#[test]
fn an_address_that_cannot_be_had_is_told() {
    let Some(world) = World::empty("") else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let path = world.path("windlass.toml");
    let text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("127.0.0.1:0", &address.to_string());
    std::fs::write(path, text).unwrap();
    let told = world.fails(&["serve"], 3);
    assert!(
        told.contains(&format!("repositories cannot be served at {address}")),
        "{told}"
    );
    assert!(told.contains("hint: another program listens there"), "{told}");
}
