//! The update server as devices find it: a client that this project did not write, the first server's own request, curl with ranges, many at
//! once under one budget, and those who mean harm.

#[path = "omaha/client.rs"]
mod client;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use windlass::devices::server::{
    Book, Budget, Expected, Offers, PAYLOAD, Parcel, ParcelError, Report, Running, STATEFUL, Settings, Shelf, Target,
    Update, What,
};
use windlass_core::device::omaha::{EventKind, EventResult, Stage};
use windlass_tests::{Cmd, Ran, World, pipeline, wait};

/// A server with a payload and an archive on offer for everybody.
struct Lab {
    dir: tempfile::TempDir,
    offers: Offers,
    book: Arc<Book>,
    server: Running,
}

/// Bytes that do not repeat early.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}

fn update(version: &str) -> Update {
    Update {
        version: version.to_owned(),
        app: None,
        metadata: None,
        is_delta: false,
    }
}

impl Lab {
    fn new(payload: &[u8], settings: Settings) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let (offers, book) = (Offers::default(), Arc::new(Book::default()));
        fs::write(dir.path().join(PAYLOAD), payload)?;
        fs::write(dir.path().join(STATEFUL), b"an archive")?;
        let parcel = |name: &str| Parcel::open(&dir.path().join(name), None).map(Arc::new);
        let shelf = Shelf::default()
            .with_payload(update("2.0.0.0"), parcel(PAYLOAD)?)
            .with_stateful(parcel(STATEFUL)?);
        offers.put(Target::Anybody, shelf);
        let server = Running::start(settings, offers.clone(), Arc::clone(&book) as _)?;
        Ok(Self {
            dir,
            offers,
            book,
            server,
        })
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs curl; what it wrote, with the answer's head before it.
    fn curl(&self, args: &[&str], path: &str) -> anyhow::Result<Ran> {
        Cmd::new("curl")
            .args(["-sS", "-i", "--max-time", "50"])
            .args(args)
            .arg(self.url(path))
            .run()
    }

    /// Asks with curl; the answer's status, head and body.
    fn asked(&self, args: &[&str], path: &str) -> anyhow::Result<(u16, String, Vec<u8>)> {
        let ran = self.curl(args, path)?.ok()?;
        let split = ran.stdout.windows(4).position(|four| four == b"\r\n\r\n");
        let split = split.context("an answer has a head")?;
        let head = String::from_utf8_lossy(&ran.stdout[..split]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        Ok((status, head, ran.stdout[split + 4..].to_vec()))
    }

    fn reports(&self, device: &str, enough: usize) -> anyhow::Result<Vec<Report>> {
        wait::until("reports", || {
            let reports = self.book.reports(device);
            Ok((reports.len() >= enough).then_some(reports))
        })
    }
}

/// What the first server's clients send.
const SEEDS_REQUEST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<o:gupdate xmlns:o="http://www.google.com/update2/request" version="ChromeOSUpdateEngine-0.1.0.0" updaterversion="ChromeOSUpdateEngine-0.1.0.0" protocol="2.0" ismachine="1">
    <o:os version="Indy" platform="Chrome OS" sp="ForcedUpdate_i686"></o:os>
    <o:app appid="{87efface-864d-49a5-9bb3-4b050a7c227a}" version="ForcedUpdate" lang="en-US" track="dev-channel" board="x86-generic" delta_okay="false">
        <o:ping active="0"></o:ping>
        <o:updatecheck></o:updatecheck>
    </o:app>
</o:gupdate>
"#;

#[test]
fn the_omaha_client_is_driven_through_a_whole_update() -> anyhow::Result<()> {
    let payload = noise(3_000_000, 1);
    let lab = Lab::new(&payload, Settings::default())?;
    let lab7 = Target::Device("lab7".parse()?);
    let parcel = Arc::new(Parcel::open(&lab.path(PAYLOAD), None)?);
    lab.offers.put(
        lab7,
        Shelf::default().with_payload(update("2.0.0.0"), Arc::clone(&parcel)),
    );

    let outcome = client::check(&lab.url("device/lab7/update"), [1, 0, 0, 0], client::Fate::Good)?;
    assert_eq!(outcome.installed, [payload], "in parts, and put together again");
    assert!(outcome.states.ends_with("InstallingUpdate"), "{}", outcome.states);
    let reports = lab.reports("lab7", 4)?;
    let told: Vec<_> = reports
        .iter()
        .filter_map(|report| match &report.what {
            What::Event { event, .. } => Some((event.kind, event.result, event.next_version.as_deref())),
            What::Check { .. } | What::Sent { .. } => None,
        })
        .collect();
    let next = Some("2.0.0.0");
    assert_eq!(
        told,
        [
            (EventKind::DownloadStarted, EventResult::Success, next),
            (EventKind::DownloadFinished, EventResult::Success, next),
            (EventKind::UpdateComplete, EventResult::Success, next),
        ]
    );
    assert_eq!(lab.book.stage("lab7"), Stage::Updated);
    let check = reports.iter().find_map(|report| match &report.what {
        What::Check { version, offered, .. } => Some((version.as_str(), offered.as_deref())),
        What::Event { .. } | What::Sent { .. } => None,
    });
    assert_eq!(check, Some(("1.0.0.0", next)));
    assert_eq!(parcel.sent(), 3_000_000, "each byte went out once, though in parts");

    // Now it runs what is on offer.
    let outcome = client::check(&lab.url("device/lab7/update"), [2, 0, 0, 0], client::Fate::Good)?;
    assert!(outcome.installed.is_empty());
    assert!(outcome.states.contains("NoUpdateAvailable"), "{}", outcome.states);
    Ok(())
}

#[test]
fn a_device_that_cannot_install_says_so() -> anyhow::Result<()> {
    let lab = Lab::new(b"a payload", Settings::default())?;
    let outcome = client::check(&lab.url("device/lab8/update"), [1, 0, 0, 0], client::Fate::Broken)?;
    assert!(outcome.states.contains("InstallationError"), "{}", outcome.states);
    assert_eq!(lab.book.stage("lab8"), Stage::Failed { error_code: Some(2) });
    Ok(())
}

#[test]
fn an_old_system_that_comes_back_was_rolled_back_to() -> anyhow::Result<()> {
    let lab = Lab::new(b"a payload", Settings::default())?;
    let tell = |events: &str| {
        let body = format!(
            r#"<request protocol="3.0"><app appid="{{one}}" version="1.0"><ping active="1"/><updatecheck/>{events}</app></request>"#
        );
        lab.asked(&["-d", &body, "-H", "Content-Type: text/xml"], "device/lab9/update")
    };
    let (status, _, said) = tell(r#"<event eventtype="3" eventresult="2"/>"#)?;
    let said = String::from_utf8(said)?;
    assert_eq!(status, 200);
    // Ping, check and event are all answered.
    for part in [
        "<ping status=\"ok\"/>",
        "<updatecheck status=\"ok\">",
        "<event status=\"ok\"/>",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(lab.book.stage("lab9"), Stage::Updated);
    tell(r#"<event eventtype="3" eventresult="0" errorcode="10"/>"#)?;
    assert_eq!(lab.book.stage("lab9"), Stage::RolledBack { error_code: Some(10) });
    tell(r#"<event eventtype="54" eventresult="1"/>"#)?;
    assert_eq!(lab.book.stage("lab9"), Stage::Rebooted);
    Ok(())
}

#[test]
fn the_first_servers_request_gets_the_first_servers_bytes() -> anyhow::Result<()> {
    fn one_past_one() -> jiff::Zoned {
        let noon = jiff::civil::date(2026, 11, 21).at(1, 1, 1, 0);
        noon.to_zoned(jiff::tz::TimeZone::UTC).expect("UTC has every hour")
    }
    let settings = Settings {
        now: one_past_one,
        ..Settings::default()
    };
    let lab = Lab::new(b"The quick brown fox jumps over the lazy dog", settings)?;
    let head = [
        "-H",
        "Content-Type: text/xml",
        "-H",
        "Host: localhost:8081",
        "--data-binary",
    ];
    let (status, answered, said) = lab.asked(&[&head[..], &[SEEDS_REQUEST]].concat(), "update")?;
    assert_eq!(status, 200);
    assert!(answered.contains("content-type: text/xml\r\n"), "{answered}");
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
    <gupdate xmlns=\"http://www.google.com/update2/response\" protocol=\"2.0\">
    <daystart elapsed_seconds=\"3661\"/>
    <app appid=\"{87efface-864d-49a5-9bb3-4b050a7c227a}\" status=\"ok\">
      <ping status=\"ok\"/>
      <updatecheck
      codebase=\"http://localhost:8081/update.gz\"
      hash=\"L9ThxnotKPzthJ7hu3bnORuT6xI=\"
      needsadmin=\"false\"
      size=\"43\"
      status=\"ok\"/>
    </app>
    </gupdate>
  ";
    assert_eq!(String::from_utf8(said)?, expected);
    let other = SEEDS_REQUEST.replace("\"ForcedUpdate\"", "\"0.9.1.2\"");
    let (_, _, said) = lab.asked(&[&head[..], &[&other]].concat(), "update")?;
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
      <gupdate xmlns=\"http://www.google.com/update2/response\" protocol=\"2.0\">
        <daystart elapsed_seconds=\"3661\"/>
        <app appid=\"{87efface-864d-49a5-9bb3-4b050a7c227a}\" status=\"ok\">
          <ping status=\"ok\"/>
          <updatecheck status=\"noupdate\"/>
        </app>
      </gupdate>
    ";
    assert_eq!(String::from_utf8(said)?, expected);
    // The two files that it served, under their names.
    assert_eq!(lab.asked(&[], "stateful.image.gz")?.2, b"an archive");
    assert_eq!(lab.asked(&[], "update.gz")?.2.len(), 43);
    Ok(())
}

#[test]
fn curl_gets_the_parts_that_it_asks_for() -> anyhow::Result<()> {
    let payload = noise(1_000_000, 2);
    let lab = Lab::new(&payload, Settings::default())?;
    let (status, head, body) = lab.asked(&[], PAYLOAD)?;
    assert_eq!((status, body.as_slice()), (200, payload.as_slice()));
    assert!(
        head.contains("accept-ranges: bytes") && head.contains("content-length: 1000000"),
        "{head}"
    );
    assert!(head.contains("content-type: application/octet-stream"), "{head}");
    let etag = head
        .split("etag: ")
        .nth(1)
        .and_then(|rest| rest.lines().next())
        .context("an etag")?;

    for (range, part, told) in [
        ("0-99", 0..100, "bytes 0-99/1000000"),
        ("999900-", 999_900..1_000_000, "bytes 999900-999999/1000000"),
        ("-77", 999_923..1_000_000, "bytes 999923-999999/1000000"),
        ("262100-524400", 262_100..524_401, "bytes 262100-524400/1000000"),
        ("5-2000000", 5..1_000_000, "bytes 5-999999/1000000"),
    ] {
        let (status, head, body) = lab.asked(&["-r", range], PAYLOAD)?;
        assert_eq!((status, body.as_slice()), (206, &payload[part]), "{range}");
        assert!(head.contains(&format!("content-range: {told}")), "{head}");
    }
    let (status, head, _) = lab.asked(&["-r", "1000000-"], PAYLOAD)?;
    assert_eq!(status, 416);
    assert!(head.contains("content-range: bytes */1000000"), "{head}");

    let if_range = format!("If-Range: {etag}");
    assert_eq!(lab.asked(&["-r", "0-9", "-H", &if_range], PAYLOAD)?.0, 206);
    let (status, _, body) = lab.asked(&["-r", "0-9", "-H", "If-Range: \"another\""], PAYLOAD)?;
    assert_eq!((status, body.len()), (200, 1_000_000), "it is another file: all of it");
    let if_none = format!("If-None-Match: {etag}");
    assert_eq!(lab.asked(&["-H", &if_none], PAYLOAD)?.0, 304);
    assert_eq!(lab.asked(&["-H", "If-Match: \"another\""], PAYLOAD)?.0, 412);

    let (status, head, body) = lab.asked(&["--head"], PAYLOAD)?;
    assert_eq!((status, body.len()), (200, 0));
    assert!(head.contains("content-length: 1000000"), "{head}");

    // A download that was cut off goes on where it was.
    let part = lab.path("part");
    fs::write(&part, &payload[..400_001])?;
    let part = part.to_str().context("a path")?;
    let url = lab.url(PAYLOAD);
    Cmd::new("curl")
        .args(["-sS", "-C", "-", "-o", part, &url])
        .run()?
        .ok()?;
    assert_eq!(fs::read(part)?, payload);
    Ok(())
}

#[test]
fn what_is_not_there_is_a_404_and_the_server_goes_on() -> anyhow::Result<()> {
    let lab = Lab::new(b"a payload", Settings::default())?;
    for path in [
        "",
        "nothing",
        "update",
        "update/",
        "device/x",
        "..%2f..%2fetc%2fpasswd",
        "../etc/passwd",
        "board/none/update.gz",
    ] {
        assert_eq!(lab.asked(&["--path-as-is"], path)?.0, 404, "{path}");
    }
    // An empty request, as the first server meant it; it crashed.
    assert_eq!(lab.asked(&["-X", "POST"], "update")?.0, 404);
    assert_eq!(lab.asked(&["-X", "POST", "-d", "x"], PAYLOAD)?.0, 405);
    let (status, head, _) = lab.asked(&["-X", "DELETE"], "update")?;
    assert!(status == 405 && head.contains("allow: post"), "{head}");
    assert_eq!(lab.asked(&[], PAYLOAD)?.2, b"a payload");
    Ok(())
}

#[test]
fn what_means_harm_gets_a_4xx_and_does_none() -> anyhow::Result<()> {
    let lab = Lab::new(b"a payload", Settings::default())?;
    let file = lab.path("body");
    let data = format!("@{}", file.to_str().context("a path")?);
    let entity = |at: u32| format!("<!ENTITY a{at} \"&a{0};&a{0};\">", at - 1);
    let bomb = format!(
        "<!DOCTYPE b [<!ENTITY a0 \"ha\">{}]><request protocol=\"3.0\"><app appid=\"&a29;\"/></request>",
        (1..30).map(entity).collect::<Vec<_>>().concat()
    );
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        (
            "malformed XML",
            b"<request protocol=\"3.0\"><app".to_vec(),
            400,
            "malformed",
        ),
        ("malformed JSON", b"{\"request\":".to_vec(), 400, "malformed"),
        ("an entity bomb", bomb.into_bytes(), 400, "document type"),
        (
            "a file's entity",
            b"<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><request protocol=\"3.0\">&x;</request>".to_vec(),
            400,
            "document type",
        ),
        ("deep XML", "<a>".repeat(20_000).into_bytes(), 400, "malformed"),
        ("deep JSON", "[".repeat(60_000).into_bytes(), 400, "deep"),
        (
            "another protocol",
            b"<request protocol=\"9.0\"><app appid=\"a\"/></request>".to_vec(),
            400,
            "not spoken",
        ),
        ("no text at all", vec![0xff; 1000], 400, "UTF-8"),
        ("a huge body", vec![b' '; 50 << 20], 413, "more than 65536 bytes"),
    ];
    for (name, body, status, said) in cases {
        fs::write(&file, body)?;
        let (answered, _, text) = lab.asked(&["-H", "Expect:", "--data-binary", &data], "update")?;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert_eq!(answered, status, "{name}: {text}");
        assert!(text.contains(said), "{name}: {text}");
    }
    // A body whose length is not told in advance is cut off, too.
    fs::write(&file, vec![b' '; 1 << 20])?;
    let chunked = [
        "-H",
        "Expect:",
        "-H",
        "Transfer-Encoding: chunked",
        "--data-binary",
        &data,
    ];
    assert_eq!(lab.asked(&chunked, "update")?.0, 413);
    let markup = ["-H", "Host: a\"><b", "--data-binary", SEEDS_REQUEST];
    assert_eq!(lab.asked(&markup, "update")?.0, 400);
    assert_eq!(lab.asked(&["--data-binary", SEEDS_REQUEST], "update")?.0, 200);
    Ok(())
}

/// Opens a connection, asks for a file and reads nothing yet.
fn asks(address: SocketAddr, path: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(50)))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    Ok(stream)
}

#[test]
fn a_device_that_hangs_holds_nobody_up() -> anyhow::Result<()> {
    let payload = noise(8 << 20, 3);
    let lab = Lab::new(&payload, Settings::default())?;
    // The first server served one request at a time: one of these, and nobody else got anything.
    let idle = TcpStream::connect(lab.address())?;
    let half = {
        let mut stream = TcpStream::connect(lab.address())?;
        stream.write_all(b"POST /update HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<requ")?;
        stream
    };
    let stalled = asks(lab.address(), PAYLOAD)?;
    assert_eq!(lab.asked(&[], PAYLOAD)?.2, payload);
    assert_eq!(lab.asked(&["--data-binary", SEEDS_REQUEST], "update")?.0, 200);
    drop((idle, half, stalled));
    Ok(())
}

#[test]
fn a_device_that_takes_nothing_is_cut_off() -> anyhow::Result<()> {
    let settings = Settings {
        patience: Duration::from_secs(1),
        ..Settings::default()
    };
    let lab = Lab::new(&noise(32 << 20, 4), settings)?;
    let _stalled = asks(lab.address(), PAYLOAD)?;
    let reports = lab.reports("127.0.0.1", 1)?;
    assert!(
        matches!(&reports[0].what, What::Sent { wanted, sent, .. } if sent < wanted),
        "{reports:?}"
    );
    // And one that never says what it wants.
    let mut silent = TcpStream::connect(lab.address())?;
    silent.write_all(b"POST /update HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<requ")?;
    silent.set_read_timeout(Some(Duration::from_secs(50)))?;
    let mut said = String::new();
    silent.read_to_string(&mut said)?;
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    Ok(())
}

#[test]
fn many_devices_share_one_budget_evenly() -> anyhow::Result<()> {
    const RATE: u64 = 8 << 20;
    let length = 4 << 20;
    let payload = Arc::new(noise(length, 5));
    let settings = Settings {
        budget: Budget::of(RATE),
        ..Settings::default()
    };
    let lab = Lab::new(&payload, settings)?;
    let started = Instant::now();
    let took: Vec<f64> = std::thread::scope(|scope| {
        let devices: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut stream = asks(lab.address(), PAYLOAD)?;
                    let mut bytes = Vec::new();
                    stream.read_to_end(&mut bytes)?;
                    anyhow::ensure!(bytes.ends_with(&payload), "a device got other bytes");
                    Ok(started.elapsed().as_secs_f64())
                })
            })
            .collect();
        devices
            .into_iter()
            .map(|device| device.join().map_err(|_| anyhow::anyhow!("a device panicked"))?)
            .collect::<anyhow::Result<_>>()
    })?;
    // 16 MiB at 8 MiB a second.
    let (first, last) = (
        took.iter().copied().fold(f64::MAX, f64::min),
        took.iter().copied().fold(0.0, f64::max),
    );
    assert!(last > 1.7, "the budget is kept: {took:?}");
    assert!(first > last * 0.75, "nobody is served before the others: {took:?}");
    Ok(())
}

#[test]
fn it_binds_loopback_and_gives_its_port_back() -> anyhow::Result<()> {
    let lab = Lab::new(b"a payload", Settings::default())?;
    let address = lab.address();
    assert!(address.ip().is_loopback(), "{address}");
    assert_ne!(address.port(), 0);
    // The first server was bound to every interface; this one is not there for another address of this machine.
    if let Some(other) = other_address()? {
        let reached = TcpStream::connect_timeout(&SocketAddr::new(other, address.port()), Duration::from_secs(5));
        assert!(reached.is_err(), "{other} reaches a server of loopback");
    }
    let busy = Running::start(
        Settings {
            listen: address,
            ..Settings::default()
        },
        Offers::default(),
        Arc::new(Book::default()),
    );
    let said = busy.expect_err("the port is taken").to_string();
    assert!(said.contains("another program listens there"), "{said}");
    lab.server.stop();
    std::net::TcpListener::bind(address)?;
    Ok(())
}

/// An address of this machine that is not loopback's, found without sending anything.
fn other_address() -> anyhow::Result<Option<std::net::IpAddr>> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    if socket.connect("192.0.2.1:9").is_err() {
        return Ok(None);
    }
    let address = socket.local_addr()?.ip();
    Ok(Some(address).filter(|address| !address.is_loopback() && !address.is_unspecified()))
}

#[test]
fn a_download_that_is_under_way_may_end_when_the_server_stops() -> anyhow::Result<()> {
    let payload = noise(4 << 20, 6);
    let settings = Settings {
        budget: Budget::of(4 << 20),
        ..Settings::default()
    };
    let lab = Lab::new(&payload, settings)?;
    let mut stream = asks(lab.address(), PAYLOAD)?;
    let mut first = [0; 1];
    stream.read_exact(&mut first)?;
    let address = lab.address();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes)
    });
    lab.server.stop();
    let bytes = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    assert!(bytes.ends_with(&payload), "{} bytes", bytes.len());
    assert!(TcpStream::connect(address).is_err(), "nobody is let in any more");
    Ok(())
}

#[test]
fn a_half_made_file_is_never_served() -> anyhow::Result<()> {
    let payload = noise(300_000, 7);
    let lab = Lab::new(&payload, Settings::default())?;
    let path = lab.path(PAYLOAD);
    let whole = Parcel::open(&path, None)?;
    let expected = Expected {
        size: whole.size(),
        sha256: whole.sha256(),
    };
    // The first server took whatever was newer than the image: a file that was cut short, too.
    let short = lab.path("short");
    fs::write(&short, &payload[..200_000])?;
    let said = Parcel::open(&short, Some(expected))
        .expect_err("it is cut short")
        .to_string();
    assert!(
        said.contains("has 200000 bytes") && said.contains("not 300000 bytes"),
        "{said}"
    );
    assert!(Parcel::open(&path, Some(expected)).is_ok());
    assert!(matches!(
        Parcel::open(lab.dir.path(), None),
        Err(ParcelError::NoFile(_))
    ));
    assert!(matches!(
        Parcel::open(&lab.path("none"), None),
        Err(ParcelError::Read { .. })
    ));

    // Another file under the same name: what was put on offer is what goes out, with the digest that was told.
    let new = lab.path("new");
    fs::write(&new, noise(300_000, 8))?;
    fs::rename(&new, &path)?;
    assert_eq!(lab.asked(&[], PAYLOAD)?.2, payload);

    // The same file, written to: it is not served any more.
    let shelf = Shelf::default().with_payload(update("3.0"), Arc::new(Parcel::open(&path, None)?));
    lab.offers.put(Target::Anybody, shelf);
    assert_eq!(lab.asked(&[], PAYLOAD)?.0, 200);
    fs::OpenOptions::new().append(true).open(&path)?.write_all(b"more")?;
    let (status, _, said) = lab.asked(&[], PAYLOAD)?;
    assert_eq!(status, 410, "{}", String::from_utf8_lossy(&said));
    Ok(())
}

#[test]
fn boards_and_devices_have_offers_of_their_own() -> anyhow::Result<()> {
    let lab = Lab::new(b"for everybody", Settings::default())?;
    let put = |target: Target, version: &str, bytes: &[u8]| -> anyhow::Result<()> {
        let path = lab.path(version);
        fs::write(&path, bytes)?;
        let parcel = Arc::new(Parcel::open(&path, None)?);
        lab.offers
            .put(target, Shelf::default().with_payload(update(version), parcel));
        Ok(())
    };
    put(Target::Board("eve".parse()?), "3.0", b"for eve")?;
    put(Target::Device("lab1".parse()?), "4.0", b"for lab1")?;
    let offered = |path: &str, board: &str| -> anyhow::Result<(String, Vec<u8>)> {
        let body = format!(
            r#"{{"request":{{"protocol":"3.1","app":[{{"appid":"a","version":"1.0","board":"{board}","updatecheck":{{}}}}]}}}}"#
        );
        let (status, _, said) = lab.asked(&["-H", "Content-Type: application/json", "-d", &body], path)?;
        anyhow::ensure!(status == 200, "{status}");
        let said = String::from_utf8(said)?;
        let said: serde_json::Value = serde_json::from_str(said.strip_prefix(")]}'\n").context("no script")?)?;
        let check = &said["response"]["app"][0]["updatecheck"];
        let version = check["manifest"]["version"].as_str().unwrap_or("none").to_owned();
        let base = check["urls"]["url"][0]["codebase"].as_str().unwrap_or_default();
        let name = check["manifest"]["packages"]["package"][0]["name"]
            .as_str()
            .unwrap_or_default();
        let path = format!("{base}{name}");
        let path = path.strip_prefix(&lab.url("")).unwrap_or_default().to_owned();
        let bytes = if path.is_empty() {
            Vec::new()
        } else {
            lab.asked(&[], &path)?.2
        };
        Ok((version, bytes))
    };
    assert_eq!(
        offered("update", "link")?,
        ("2.0.0.0".to_owned(), b"for everybody".to_vec())
    );
    assert_eq!(offered("update", "eve")?, ("3.0".to_owned(), b"for eve".to_vec()));
    assert_eq!(
        offered("board/eve/update", "link")?,
        ("3.0".to_owned(), b"for eve".to_vec())
    );
    assert_eq!(
        offered("device/lab1/update", "eve")?,
        ("4.0".to_owned(), b"for lab1".to_vec())
    );
    assert_eq!(
        offered("device/lab2/update", "eve")?,
        ("3.0".to_owned(), b"for eve".to_vec())
    );
    assert_eq!(
        offered("device/lab2/update", "x")?,
        ("2.0.0.0".to_owned(), b"for everybody".to_vec())
    );
    assert_eq!(offered("board/link/update", "")?, ("none".to_owned(), Vec::new()));
    assert!(lab.offers.withdraw(&Target::Device("lab1".parse()?)));
    assert_eq!(offered("device/lab1/update", "eve")?.0, "3.0");
    Ok(())
}

#[test]
fn the_daemon_serves_what_its_configuration_says() -> anyhow::Result<()> {
    let mut world = World::empty()?;
    let address = format!("127.0.0.1:{}", pipeline::free_port()?);
    let payload = world.dir().join("update.gz");
    fs::write(&payload, b"a payload")?;
    world.set("update_server", "listen", &format!("\"{address}\""))?;
    let offers = format!(
        "\n[[update_server.offer]]\nversion = \"2.0\"\nboard = \"eve\"\npayload = \"{}\"\n\n[[update_server.offer]]\nversion = \"3.0\"\npayload = \"/none\"\n",
        payload.display()
    );
    fs::OpenOptions::new()
        .append(true)
        .open(world.config())?
        .write_all(offers.as_bytes())?;
    world.enrol_everybody()?;
    world.start_bot()?;
    let get = |path: &str| {
        let url = format!("http://{address}/{path}");
        Cmd::new("curl").args(["-sS", "--fail", &url]).run()
    };
    // Its digests are made first.
    wait::until("the payload", || {
        Ok(get("board/eve/update.gz")?.status.success().then_some(()))
    })?;
    assert_eq!(get("board/eve/update.gz")?.stdout, b"a payload");
    assert_eq!(
        get("update.gz")?.code(),
        22,
        "what cannot be read is not offered, and the rest is"
    );
    world.stop_bot()?;
    assert!(TcpStream::connect(&address).is_err());
    Ok(())
}

#[test]
fn a_connection_costs_a_bounded_amount_of_memory() -> anyhow::Result<()> {
    const DEVICES: u64 = 100;
    let settings = Settings {
        patience: Duration::from_secs(50),
        ..Settings::default()
    };
    // Far more than the sockets hold.
    let lab = Lab::new(&noise(64 << 20, 9), settings)?;
    // What starting the first transfers costs is there once.
    let mut all: Vec<TcpStream> = (0..4).map(|_| asks(lab.address(), PAYLOAD)).collect::<Result<_, _>>()?;
    settle()?;
    let before = settle()?;
    for _ in 0..DEVICES {
        all.push(asks(lab.address(), PAYLOAD)?);
    }
    let after = settle()?;
    let each = after.saturating_sub(before) / DEVICES;
    assert!(each < 600, "{each} KiB for each of {DEVICES} devices that take nothing");
    for stream in all {
        stream.shutdown(Shutdown::Both)?;
    }
    Ok(())
}

/// How many KiB of memory this process has, once that does not grow any more.
fn settle() -> anyhow::Result<u64> {
    let mut seen = BTreeSet::new();
    let (mut last, mut since) = (0, Instant::now());
    wait::until("memory to settle", || {
        let status = fs::read_to_string("/proc/self/status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let now: u64 = line.context("RssAnon")?.trim().trim_end_matches(" kB").parse()?;
        seen.insert(now);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        Ok((since.elapsed() > Duration::from_millis(500)).then_some(now))
    })
}
