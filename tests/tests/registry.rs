//! A real registry: what is pushed there is what others pull, what is said of it is found, and what goes wrong is told for what it is.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use windlass::images::build::tree::{Nothing, Tree};
use windlass::images::oci::{self, Built, Image, OciBuild};
use windlass::images::registry::{Artifact, Registry, RegistryError, Settings};
use windlass_core::image::dockerfile::{Arguments, Platform};
use windlass_core::image::{Digest, Dockerfile, ImageName};
use windlass_tests::engines::{self, Engine, Kind, PASSWORD, Setup, USER, busybox_context};
use windlass_tests::{Cmd, skipped};

struct World {
    dir: tempfile::TempDir,
    platform: Platform,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            dir: tempfile::tempdir()?,
            platform: Platform::linux(std::env::consts::ARCH),
            runtime: tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
        })
    }

    /// Builds a small image that runs.
    fn build(&self, name: &ImageName, label: &str) -> anyhow::Result<(Built, Image)> {
        let context = self.dir.path().join("context");
        if !context.exists() {
            busybox_context(&context)?;
        }
        let text = format!(
            "{}LABEL which={label}\nCMD [\"echo\", \"{label}\"]\n",
            fs::read_to_string(context.join("Dockerfile"))?
        );
        let mut files = Tree::default();
        files.add_folder(&context, &Nothing)?;
        let built = oci::build(
            &OciBuild {
                dockerfile: &Dockerfile::parse(&text)?,
                files: &files,
                arguments: &Arguments::native(&self.platform),
                target: None,
                labels: &BTreeMap::new(),
                platform: &self.platform,
                epoch: 0,
                names: std::slice::from_ref(name),
                find_base: &|_| Ok(None),
            },
            &self.dir.path().join(format!("layout-{label}")),
        )?;
        let image = built.layout.image(Some(name), &self.platform)?;
        Ok((built, image))
    }

    fn credentials(&self, password: &str) -> anyhow::Result<PathBuf> {
        let path = self.dir.path().join(format!("credentials-{}", password.len()));
        fs::write(&path, format!("username = \"{USER}\"\npassword = \"{password}\"\n"))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(path)
    }
}

/// Settings with which a registry that is away is given up soon.
fn soon(credentials: Option<&Path>) -> Settings {
    Settings {
        credentials: credentials.map(Path::to_owned),
        connect: Duration::from_secs(2),
        idle: Duration::from_secs(5),
        document: Duration::from_secs(5),
        ..Settings::default()
    }
}

fn said(text: &str) -> Artifact {
    Artifact {
        artifact_type: "application/vnd.test+json".to_owned(),
        media_type: "application/vnd.test+json".to_owned(),
        bytes: text.as_bytes().to_vec(),
        annotations: BTreeMap::from([("test.which".to_owned(), text.to_owned())]),
    }
}

#[test]
fn what_is_pushed_is_what_others_pull() -> anyhow::Result<()> {
    if let Some(why) = engines::Registry::lacking() {
        skipped(&why);
        return Ok(());
    }
    let world = World::new()?;
    let server = engines::Registry::start()?;
    let name: ImageName = format!("{}/team/tool:1", server.address()).parse()?;
    let (built, image) = world.build(&name, "one")?;
    let registry = Registry::of(&name, &soon(None))?;
    let absent = world.runtime.block_on(registry.resolve(&name)).unwrap_err();
    assert!(
        matches!(absent, RegistryError::Missing { .. }) && !absent.is_transient(),
        "{absent}"
    );

    let digest = world.runtime.block_on(registry.push(&built.layout, &image, &name))?;
    assert_eq!(digest, built.manifest);
    assert_eq!(world.runtime.block_on(registry.resolve(&name))?, digest);
    assert_eq!(
        world
            .runtime
            .block_on(registry.resolve(&name.with_digest(digest.clone())))?,
        digest
    );
    let labels = world.runtime.block_on(registry.labels(&name, &world.platform))?;
    assert_eq!(labels.get("which").map(String::as_str), Some("one"));

    // A second image with the same layer. What is there is not sent again: were it, the registry would refuse what was made of it here.
    let other: ImageName = format!("{}/team/tool:2", server.address()).parse()?;
    let (second, second_image) = world.build(&other, "two")?;
    assert_eq!(second_image.manifest.layers, image.manifest.layers);
    let blob = second.layout.blob(&second_image.manifest.layers[0].digest);
    let mut bytes = fs::read(&blob)?;
    bytes[100] ^= 1;
    fs::write(&blob, bytes)?;
    world
        .runtime
        .block_on(registry.push(&second.layout, &second_image, &other))?;

    // Pulled by us, it is the same, bit for bit.
    let out = world.dir.path().join("pulled");
    let pulled = world.runtime.block_on(registry.pull(&name, &world.platform, &out))?;
    let pulled_image = pulled.image(Some(&name), &world.platform)?;
    pulled.verify(&pulled_image)?;
    assert_eq!(pulled_image, image);

    // And by others.
    let shown = Cmd::new("skopeo")
        .args(["inspect", "--tls-verify=false", &format!("docker://{name}")])
        .run()?
        .ok()?
        .json()?;
    assert_eq!(shown["Digest"], digest.as_str());
    if let Some(why) = engines::lacking(Kind::Podman) {
        skipped(&why);
        return Ok(());
    }
    let setup = Setup {
        plain_registries: vec![server.address()],
        ..Setup::default()
    };
    let podman = Engine::start_with(Kind::Podman, &setup)?;
    let ran = podman
        .cli()
        .args(["run", "--rm", "--network=none", "--tls-verify=false", &name.to_string()])
        .run()?
        .ok()?;
    assert_eq!(ran.out(), "one\n");
    Ok(())
}

#[test]
fn what_is_said_of_an_image_is_found_and_nobody_loses_a_word() -> anyhow::Result<()> {
    if let Some(why) = engines::Registry::lacking() {
        skipped(&why);
        return Ok(());
    }
    let world = World::new()?;
    let server = engines::Registry::start()?;
    let name: ImageName = format!("{}/team/tool:1", server.address()).parse()?;
    let (built, image) = world.build(&name, "one")?;
    let registry = Registry::of(&name, &soon(None))?;
    world.runtime.block_on(registry.push(&built.layout, &image, &name))?;
    assert!(
        world
            .runtime
            .block_on(registry.referrers(&name, &built.manifest))?
            .is_empty()
    );

    let first = world
        .runtime
        .block_on(registry.push_referrer(&name, &image.descriptor, &said("first")))?;
    let again = world
        .runtime
        .block_on(registry.push_referrer(&name, &image.descriptor, &said("first")))?;
    assert_eq!(first, again);
    let listed = world.runtime.block_on(registry.referrers(&name, &built.manifest))?;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].artifact_type(), "application/vnd.test+json");
    assert_eq!(world.runtime.block_on(registry.statement(&name, &listed[0]))?, b"first");

    // Eight who write at once, each a client of its own, as in as many processes.
    world.runtime.block_on(async {
        let mut writers = Vec::new();
        for number in 0..8 {
            let (name, subject) = (name.clone(), image.descriptor.clone());
            let settings = soon(None);
            writers.push(tokio::spawn(async move {
                let registry = Registry::of(&name, &settings)?;
                registry
                    .push_referrer(&name, &subject, &said(&format!("writer {number}")))
                    .await
            }));
        }
        for writer in writers {
            writer.await??;
        }
        anyhow::Ok(())
    })?;
    let mut words = Vec::new();
    for referrer in world.runtime.block_on(registry.referrers(&name, &built.manifest))? {
        words.push(String::from_utf8(
            world.runtime.block_on(registry.statement(&name, &referrer))?,
        )?);
    }
    words.sort();
    let mut want: Vec<String> = (0..8).map(|number| format!("writer {number}")).collect();
    want.insert(0, "first".to_owned());
    assert_eq!(words, want);
    // As the specification says where the registry keeps no list by itself.
    let list = server.get(&format!("/v2/team/tool/manifests/sha256-{}", built.manifest.digits()))?;
    assert_eq!(list["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(list["manifests"].as_array().context("a list")?.len(), 9);
    Ok(())
}

#[test]
fn what_goes_wrong_is_told_and_tried_again_only_where_that_helps() -> anyhow::Result<()> {
    if let Some(why) = engines::Registry::lacking() {
        skipped(&why);
        return Ok(());
    }
    let world = World::new()?;
    let mut server = engines::Registry::start_with_password()?;
    let name: ImageName = format!("{}/team/tool:1", server.address()).parse()?;
    let (built, image) = world.build(&name, "one")?;
    let push = |settings: &Settings| -> Result<Digest, RegistryError> {
        world.runtime.block_on(async {
            let registry = Registry::of(&name, settings)?;
            registry.push(&built.layout, &image, &name).await
        })
    };

    let nobody = push(&soon(None)).unwrap_err();
    assert!(
        matches!(nobody, RegistryError::Unauthorized { .. }) && !nobody.is_transient(),
        "{nobody}"
    );
    assert!(
        nobody.to_string().contains("hint: name a file with credentials"),
        "{nobody}"
    );
    let wrong = push(&soon(Some(&world.credentials("wrong password")?))).unwrap_err();
    assert!(
        matches!(wrong, RegistryError::Unauthorized { .. }) && !wrong.is_transient(),
        "{wrong}"
    );
    assert!(!format!("{wrong} {wrong:?}").contains("wrong password"), "{wrong:?}");

    let good = soon(Some(&world.credentials(PASSWORD)?));
    let registry = Registry::of(&name, &good)?;
    assert!(!format!("{registry:?}").contains(PASSWORD), "{registry:?}");
    let readable = world.credentials(PASSWORD)?;
    fs::set_permissions(&readable, Permissions::from_mode(0o644))?;
    let told = Registry::of(&name, &good).unwrap_err();
    assert!(
        told.to_string().contains("hint: chmod 600") && !told.is_transient(),
        "{told}"
    );
    fs::set_permissions(&readable, Permissions::from_mode(0o600))?;
    assert_eq!(push(&good)?, built.manifest);
    world
        .runtime
        .block_on(registry.push_referrer(&name, &image.descriptor, &said("closed")))?;

    // A blob that is not what it was to be is refused by the registry, and never sent by us where we can see it.
    let (damaged, damaged_image) = world.build(&format!("{}/team/other:1", server.address()).parse()?, "damaged")?;
    let other: ImageName = format!("{}/team/other:1", server.address()).parse()?;
    let blob = damaged.layout.blob(&damaged_image.manifest.layers[0].digest);
    let mut bytes = fs::read(&blob)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, &bytes)?;
    let refused = world
        .runtime
        .block_on(registry.push(&damaged.layout, &damaged_image, &other))
        .unwrap_err();
    assert!(!refused.is_transient(), "{refused}");
    assert!(server.tags("team/other")?.is_empty(), "nothing has the name");
    bytes.truncate(middle);
    fs::write(&blob, &bytes)?;
    let short = world
        .runtime
        .block_on(registry.push(&damaged.layout, &damaged_image, &other))
        .unwrap_err();
    assert!(short.to_string().contains("not as long here"), "{short}");

    // Stopped in its tracks it does not answer in time; killed, it is not there.
    server.daemon()?.signal(rustix::process::Signal::STOP);
    let slow = push(&good).unwrap_err();
    server.daemon()?.signal(rustix::process::Signal::CONT);
    assert!(
        matches!(slow, RegistryError::Away { .. }) && slow.is_transient(),
        "{slow}"
    );
    server.daemon()?.kill();
    let gone = push(&good).unwrap_err();
    assert!(
        matches!(gone, RegistryError::Away { .. }) && gone.is_transient(),
        "{gone}"
    );
    let unknown: ImageName = "no-such-host.invalid/x:1".parse()?;
    let unknown = world
        .runtime
        .block_on(async { Registry::of(&unknown, &soon(None))?.resolve(&unknown).await });
    let unknown = unknown.unwrap_err();
    assert!(unknown.is_transient(), "{unknown}");
    Ok(())
}

#[test]
fn an_answer_that_never_ends_is_cut_off() -> anyhow::Result<()> {
    use std::io::{Read as _, Write as _};
    let world = World::new()?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let name: ImageName = format!("127.0.0.1:{}/x:1", listener.local_addr()?.port()).parse()?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        for stream in listener.incoming().take(2) {
            let mut stream = stream?;
            let mut request = [0; 4096];
            let read = stream.read(&mut request)?;
            if request[..read].starts_with(b"GET /v2/ ") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")?;
                continue;
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nConnection: close\r\n\r\n")?;
            let piece = vec![b' '; 1 << 16];
            // Until the other side has had enough.
            while stream.write_all(&piece).is_ok() {}
        }
        Ok(())
    });
    let registry = Registry::of(&name, &soon(None))?;
    let told = world
        .runtime
        .block_on(registry.image(&name, &world.platform))
        .unwrap_err();
    assert!(
        told.to_string().contains("more than 4194304 bytes") && !told.is_transient(),
        "{told}"
    );
    server.join().map_err(|_| anyhow::anyhow!("the server panicked"))??;
    Ok(())
}
