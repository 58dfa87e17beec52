//! A base in a directory and on a web server: read once, checked, and what counts when the server is away.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use windlass_core::hex::hex;

const PACKAGE: &[u8] = b"the bytes of a package";

/// A web server for one directory, which can be away.
struct Server {
    address: String,
    is_away: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn of(directory: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: format!("http://{}/$arch/", listener.local_addr().unwrap()),
            is_away: Arc::default(),
            asked: Arc::default(),
        };
        let (is_away, asked, directory) = (
            Arc::clone(&server.is_away),
            Arc::clone(&server.asked),
            directory.to_owned(),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                asked.fetch_add(1, Ordering::SeqCst);
                let _ = answer(&stream, &directory, is_away.load(Ordering::SeqCst));
            }
        });
        server
    }
}

fn answer(mut stream: &TcpStream, directory: &Path, is_away: bool) -> io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap()?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().replace("/x86_64/", "");
    let body = fs::read(directory.join(path));
    let (status, body) = match body {
        _ if is_away => ("503 Away", Vec::new()),
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Makes a repository with one package, in such a version, in a directory.
fn publish(directory: &Path, version: &str) {
    let primary = format!(
        "<metadata><package type=\"rpm\"><name>tin</name><arch>noarch</arch><version epoch=\"0\" ver=\"{version}\" rel=\"1\"/>\
         <checksum type=\"sha256\" pkgid=\"YES\">{}</checksum><size package=\"{}\"/><location href=\"Packages/tin.rpm\"/></package>\
         <package type=\"rpm\"><name>lead</name><arch>ppc</arch><version ver=\"1\"/><checksum type=\"sha256\">00</checksum>\
         <location href=\"lead.rpm\"/></package></metadata>",
        digest(PACKAGE),
        PACKAGE.len()
    );
    let name = format!("repodata/{}-primary.xml", digest(primary.as_bytes()));
    let repomd = format!(
        "<repomd><data type=\"primary\"><checksum type=\"sha256\">{}</checksum><location href=\"{name}\"/></data></repomd>",
        digest(primary.as_bytes())
    );
    fs::create_dir_all(directory.join("repodata")).unwrap();
    fs::create_dir_all(directory.join("Packages")).unwrap();
    fs::write(directory.join("Packages/tin.rpm"), PACKAGE).unwrap();
    fs::write(directory.join(name), primary).unwrap();
    fs::write(directory.join("repodata/repomd.xml"), repomd).unwrap();
}

fn arch() -> ArchName {
    "x86_64".parse().unwrap()
}

fn names(index: &Index) -> Vec<String> {
    index.packages().map(|package| package.nevra()).collect()
}

/// As if so much time had passed that the server is asked again.
fn later(foreign: &Foreign) {
    foreign.known().as_mut().unwrap().asked = None;
}

#[test]
fn a_directory_is_read_when_it_changes_and_its_packages_are_checked() {
    let (there, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    publish(there.path(), "1");
    let foreign = Foreign::new(&format!("file://{}", there.path().display()), &arch(), cache.path()).unwrap();
    let index = foreign.index().unwrap();
    assert_eq!(names(&index), ["tin-1-1.noarch"]);
    assert!(Arc::ptr_eq(&index, &foreign.index().unwrap()));
    let package = Arc::clone(index.packages().next().unwrap());
    let file = foreign.file(&package).unwrap();
    assert_eq!(fs::read(&file).unwrap(), PACKAGE);
    assert!(file.starts_with(cache.path()));
    // What is here does not change with what is there.
    fs::write(there.path().join("Packages/tin.rpm"), "another package, longer").unwrap();
    assert_eq!(fs::read(foreign.file(&package).unwrap()).unwrap(), PACKAGE);
    fs::remove_file(&file).unwrap();
    let error = foreign.file(&package).unwrap_err().to_string();
    assert!(
        error.contains("tin-1-1.noarch cannot be fetched: it has more bytes, and 22"),
        "{error}"
    );
    fs::write(there.path().join("Packages/tin.rpm"), "the bytes of A package").unwrap();
    let error = foreign.file(&package).unwrap_err().to_string();
    assert!(error.contains("its SHA-256 is"), "{error}");
    assert_eq!(
        fs::read_dir(cache.path().join("packages")).unwrap().count(),
        0,
        "nothing unverified stays"
    );
    publish(there.path(), "2");
    assert_eq!(names(&foreign.index().unwrap()), ["tin-2-1.noarch"]);
    assert_eq!(names(&index), ["tin-1-1.noarch"]);
}

#[test]
fn a_package_leads_nowhere_else() {
    let (there, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    publish(there.path(), "1");
    let foreign = Foreign::new(&there.path().display().to_string(), &arch(), cache.path()).unwrap();
    let mut package = Package::clone(foreign.index().unwrap().packages().next().unwrap());
    for location in ["../x", "/etc/passwd", "http://127.0.0.1:1/x"] {
        package.artifact.as_mut().unwrap().location = location.to_owned();
        let error = foreign.file(&package).unwrap_err().to_string();
        assert!(error.contains("is no place below the repository"), "{error}");
    }
    package.artifact = None;
    let error = foreign.file(&package).unwrap_err().to_string();
    assert!(error.contains("has no SHA-256"), "{error}");
}

#[test]
fn a_server_is_asked_seldom_and_may_be_away() {
    let (there, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    publish(there.path(), "1");
    let server = Server::of(there.path());
    let foreign = Foreign::new(&server.address, &arch(), cache.path()).unwrap();
    assert!(foreign.name().ends_with("/x86_64/"), "{}", foreign.name());
    let index = foreign.index().unwrap();
    assert_eq!(names(&index), ["tin-1-1.noarch"]);
    let asked = server.asked.load(Ordering::SeqCst);
    foreign.index().unwrap();
    assert_eq!(server.asked.load(Ordering::SeqCst), asked, "not again within a minute");
    publish(there.path(), "2");
    later(&foreign);
    assert_eq!(names(&foreign.index().unwrap()), ["tin-2-1.noarch"]);
    let kept = fs::read_dir(foreign.metadata.join("repodata")).unwrap().count();
    assert_eq!(kept, 2, "repomd.xml and the newest primary");

    // Away: what it said last counts, also for a bot that starts anew; a package that is not here cannot be had.
    server.is_away.store(true, Ordering::SeqCst);
    later(&foreign);
    assert_eq!(names(&foreign.index().unwrap()), ["tin-2-1.noarch"]);
    let again = Foreign::new(&server.address, &arch(), cache.path()).unwrap();
    let index = again.index().unwrap();
    assert_eq!(names(&index), ["tin-2-1.noarch"]);
    let package = Arc::clone(index.packages().next().unwrap());
    let error = again.file(&package).unwrap_err().to_string();
    assert!(error.contains("the server answers 503"), "{error}");
    server.is_away.store(false, Ordering::SeqCst);
    assert_eq!(fs::read(again.file(&package).unwrap()).unwrap(), PACKAGE);
    server.is_away.store(true, Ordering::SeqCst);
    assert_eq!(fs::read(again.file(&package).unwrap()).unwrap(), PACKAGE);

    let elsewhere = tempfile::tempdir().unwrap();
    let never = Foreign::new(&server.address, &arch(), elsewhere.path()).unwrap();
    let error = never.index().unwrap_err().to_string();
    assert!(
        error.starts_with("repository http://127.0.0.1") && error.contains("503"),
        "{error}"
    );
}

#[test]
fn a_lying_server_changes_nothing() {
    let (there, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    publish(there.path(), "1");
    let server = Server::of(there.path());
    let foreign = Foreign::new(&server.address, &arch(), cache.path()).unwrap();
    foreign.index().unwrap();
    // repomd.xml is of now, what it names is of another time.
    publish(there.path(), "2");
    for entry in fs::read_dir(there.path().join("repodata")).unwrap().flatten() {
        if entry.file_name() != "repomd.xml" {
            fs::write(entry.path(), "<metadata/>").unwrap();
        }
    }
    later(&foreign);
    assert_eq!(names(&foreign.index().unwrap()), ["tin-1-1.noarch"]);
    // Nor for a bot that starts anew.
    let again = Foreign::new(&server.address, &arch(), cache.path()).unwrap();
    assert_eq!(names(&again.index().unwrap()), ["tin-1-1.noarch"]);
    publish(there.path(), "3");
    later(&foreign);
    assert_eq!(names(&foreign.index().unwrap()), ["tin-3-1.noarch"]);
    // Nonsense in the place of repomd.xml.
    fs::write(
        there.path().join("repodata/repomd.xml"),
        "<html>Welcome to the hotel's network</html>",
    )
    .unwrap();
    later(&foreign);
    assert_eq!(names(&foreign.index().unwrap()), ["tin-3-1.noarch"]);
}

#[test]
fn damaged_metadata_in_the_cache_is_fetched_again() {
    let (there, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    publish(there.path(), "1");
    let server = Server::of(there.path());
    let foreign = Foreign::new(&server.address, &arch(), cache.path()).unwrap();
    foreign.index().unwrap();
    for entry in fs::read_dir(foreign.metadata.join("repodata")).unwrap().flatten() {
        if entry.file_name() != "repomd.xml" {
            fs::write(entry.path(), "half").unwrap();
        }
    }
    let again = Foreign::new(&server.address, &arch(), cache.path()).unwrap();
    assert_eq!(names(&again.index().unwrap()), ["tin-1-1.noarch"]);
}
