//! Machines of the virtual lab update themselves: `update_engine_client` asks the real update server, through the tunnel that a flash uses, for
//! a payload that was really made.

use std::sync::Arc;

use windlass::devices::payload::{GenerateOrder, ImagePart, NewPartition, Work, generate};
use windlass::devices::server::{
    Book, Offers, PAYLOAD, Parcel, Running, STATEFUL, Settings, Shelf, Target, Update, What,
};
use windlass_core::device::payload::codec::Zstd;
use windlass_tests::lab::{self, Machine, MachineOrder, Slot, System};
use windlass_tests::process::{Cmd, Ran};
use windlass_tests::skipped;

/// Where the tunnel ends on the machine.
const TUNNEL: u16 = 8081;
/// What a machine says when nothing is under way and nothing was.
const IDLE: &str =
    "LAST_CHECKED_TIME=0\nPROGRESS=0.000000\nCURRENT_OP=UPDATE_STATUS_IDLE\nNEW_VERSION=0.0.0.0\nNEW_SIZE=0";

/// A machine, and a server with one payload on offer.
struct Story {
    machine: Machine,
    book: Arc<Book>,
    offers: Offers,
    server: Running,
    dir: tempfile::TempDir,
}

impl Story {
    fn new(system: System) -> anyhow::Result<Self> {
        let (book, offers) = (Arc::new(Book::default()), Offers::default());
        let server = Running::start(Settings::default(), offers.clone(), Arc::clone(&book) as _)?;
        let story = Self {
            machine: Machine::started(&MachineOrder::with_system(system))?,
            book,
            offers,
            server,
            dir: tempfile::tempdir()?,
        };
        story.make(&System::version("2.0.0"))?;
        Ok(story)
    }

    /// Makes a payload of a system and offers it.
    fn make(&self, system: &System) -> anyhow::Result<()> {
        let order = GenerateOrder {
            partitions: vec![NewPartition {
                name: "root".parse()?,
                image: ImagePart::file(&system.image()?)?,
            }],
            key: None,
            zstd: Zstd::Never,
            cache: None,
            max_timestamp: None,
        };
        generate(&order, &Work::default(), &self.dir.path().join(PAYLOAD))?;
        self.offer(&system.version)
    }

    /// Offers what is in the folder.
    fn offer(&self, version: &str) -> anyhow::Result<()> {
        let parcel = |name: &str| Parcel::open(&self.dir.path().join(name), None).map(Arc::new);
        let update = Update {
            version: version.to_owned(),
            app: None,
            metadata: None,
            is_delta: false,
        };
        let mut stock = Shelf::default().with_payload(update, parcel(PAYLOAD)?);
        if self.dir.path().join(STATEFUL).is_file() {
            stock = stock.with_stateful(parcel(STATEFUL)?);
        }
        self.offers.put(Target::Anybody, stock);
        Ok(())
    }

    /// Has the machine carry out a command while the tunnel to the server stands.
    fn through_the_tunnel(&self, command: &str) -> anyhow::Result<Ran> {
        let tunnel = format!("{TUNNEL}:127.0.0.1:{}", self.server.address().port());
        self.machine
            .ssh()
            .args(["-o", "ExitOnForwardFailure=yes", "-R", &tunnel, command])
            .limit(lab::machine::BOOT)
            .run()
    }

    /// Updates as a flash does.
    fn update(&self) -> anyhow::Result<Ran> {
        self.through_the_tunnel(&format!(
            "update_engine_client --update --omaha_url http://localhost:{TUNNEL}/update"
        ))
    }

    fn status(&self) -> anyhow::Result<String> {
        self.machine.says("update_engine_client --status")
    }

    /// The events that the machine told, each as kind and result.
    fn events(&self) -> Vec<(u32, u32)> {
        let reports = self.book.reports("127.0.0.1").into_iter();
        reports
            .filter_map(|report| match report.what {
                What::Event { event, .. } => Some((u32::from(event.kind), u32::from(event.result))),
                What::Check { .. } | What::Sent { .. } => None,
            })
            .collect()
    }
}

#[test]
fn a_machine_updates_itself_from_the_real_server() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let mut story = Story::new(System::default())?;
    assert_eq!(story.status()?, IDLE);
    story.machine.run("update_engine_client --is_reboot_needed")?.exits(2)?;
    let updated = story.update()?.ok()?;
    assert!(
        updated.err().contains("Update succeeded -- reboot needed."),
        "{updated}"
    );
    let status = story.status()?;
    assert!(
        status.contains("CURRENT_OP=UPDATE_STATUS_UPDATED_NEED_REBOOT"),
        "{status}"
    );
    assert!(status.contains("PROGRESS=1.000000\n"), "{status}");
    assert!(status.contains("NEW_VERSION=2.0.0\n"), "{status}");
    assert_eq!(story.events(), [(13, 1), (14, 1), (3, 1)]);
    // Once more is no mistake.
    story.update()?.ok()?;
    story.machine.run("update_engine_client --is_reboot_needed")?.ok()?;

    story.machine.reboot()?;
    assert_eq!(
        (story.machine.slot()?, story.machine.version()?),
        (Slot::B, "2.0.0".to_owned())
    );
    assert_eq!(story.machine.says("update_engine_client --prev_version")?, "1.0.0");
    assert_eq!(story.status()?, IDLE);
    // The next check tells of the restart.
    story.update()?.ok()?;
    assert!(story.events().contains(&(54, 1)), "{:?}", story.events());
    story.machine.says("update_engine_client --reset_status")?;
    assert!(story.status()?.contains("CURRENT_OP=UPDATE_STATUS_IDLE"));
    assert!(
        story.machine.says("slotctl status")?.contains("A priority=0"),
        "given up"
    );
    Ok(())
}

#[test]
fn a_machine_refuses_a_damaged_payload_and_says_so() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let story = Story::new(System::default())?;
    let payload = story.dir.path().join(PAYLOAD);
    let whole = std::fs::read(&payload)?;
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&payload, bytes)?;
    story.offer("2.0.0")?;
    let failed = story.update()?.exits(1)?;
    assert!(
        failed.err().contains("ErrorCode::kDownloadOperationHashMismatch(29)"),
        "{failed}"
    );
    assert!(story.status()?.contains("CURRENT_OP=UPDATE_STATUS_IDLE"));
    assert_eq!(story.events(), [(13, 1), (3, 0)]);
    assert!(
        story
            .machine
            .says("slotctl status")?
            .contains("B priority=0 tries=0 successful=0")
    );

    // No server, no update; then a whole one.
    let failed = story
        .machine
        .run("update_engine_client --update --omaha_url=http://127.0.0.1:9/update")?
        .exits(1)?;
    assert!(failed.err().contains("kOmahaRequestError"), "{failed}");
    let foreign = story.through_the_tunnel(&format!(
        "update_engine_client --check_for_update --app_version=2.0.0 --follow --omaha_url=http://127.0.0.1:{TUNNEL}/nothing"
    ))?;
    assert!(foreign.exits(1)?.err().contains("kOmahaErrorInHTTPResponse"));
    std::fs::write(&payload, whole)?;
    story.offer("2.0.0")?;
    story.update()?.ok()?;
    Ok(())
}

#[test]
fn a_stateful_update_is_taken_in_when_the_machine_starts() -> anyhow::Result<()> {
    if let Some(why) = lab::lacking() {
        skipped(&why);
        return Ok(());
    }
    let mut story = Story::new(System::default())?;
    let tree = story.dir.path().join("stateful");
    std::fs::create_dir_all(tree.join("dev_image/etc"))?;
    std::fs::create_dir_all(tree.join("var_overlay"))?;
    std::fs::write(tree.join("dev_image/etc/new"), "new\n")?;
    let image = story.dir.path().join("stateful.image");
    Cmd::new("mkfs.ext4")
        .args(["-q", "-d"])
        .args([&tree, &image])
        .arg("8M")
        .run()?
        .ok()?;
    let squeezed = Cmd::new("gzip").arg("-c").arg(&image).run()?.ok()?.stdout;
    std::fs::write(story.dir.path().join(STATEFUL), squeezed)?;
    story.offer("2.0.0")?;
    story
        .through_the_tunnel(&format!("stateful_update http://localhost:{TUNNEL}"))?
        .ok()?;
    let boot_key = story.machine.host_key.clone();
    story.machine.reboot()?;
    assert_eq!(
        story.machine.says("cat /mnt/stateful_partition/dev_image/etc/new")?,
        "new"
    );
    assert_eq!(
        story.machine.host_key, boot_key,
        "and it was reached with the key that it had"
    );
    Ok(())
}
