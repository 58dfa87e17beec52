//! Boards of RAUC and `SWUpdate`, reached over ssh as devices are: an sshd on this machine, in a mount namespace in which the boot and the release
//! are the board's. A restart is the board's own: its boot loader chooses, and the boot gets another name.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use windlass_tests::lab::boards::Board;
use windlass_tests::lab::rauc::{self, Rauc};
use windlass_tests::lab::swupdate::{self, SwUpdate};
use windlass_tests::lab::{Fault, Slot, System, damaged};
use windlass_tests::process::{Cmd, Ran, Running};
use windlass_tests::programs::Programs;
use windlass_tests::{skipped, wait};

use super::world::{LIMIT, outcome, record, text};

/// What the board's own commands are on this machine: they write down what is wanted, or ask the boot loader's files.
const SLOTCTL: &str = "#!/bin/sh
cd \"${0%/bin/slotctl}\" || exit 1
other() { case $(cat current) in A) echo B ;; *) echo A ;; esac; }
case $1 in
active) cat current ;;
other) other ;;
try) echo \"$2\" >primary && echo good >\"state-$2\" && echo 2 >\"tries-$2\" ;;
good) echo good >\"state-$(cat current)\" ;;
*) exit 2 ;;
esac
";

/// An sshd behind which a board is.
struct Door {
    dir: PathBuf,
    port: u16,
    boots: u32,
    sshd: Option<Running>,
}

impl Door {
    /// Opens it to a board.
    fn open(board: &Board) -> anyhow::Result<Self> {
        let dir = board.dir().to_owned();
        let bin = dir.join("bin");
        std::fs::create_dir(&bin)?;
        let reboot = format!("#!/bin/sh\ntouch '{}/reboot'\n", dir.display());
        for (name, script) in [("reboot", reboot.as_str()), ("slotctl", SLOTCTL)] {
            std::fs::write(bin.join(name), script)?;
            Cmd::new("chmod").arg("755").arg(bin.join(name)).run()?.ok()?;
        }
        for key in ["host_key", "identity"] {
            let make = Cmd::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            make.arg(dir.join(key)).run()?.ok()?;
        }
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let place = dir.display();
        let path = std::env::var("PATH").unwrap_or_default();
        std::fs::create_dir_all("/run/sshd")?;
        std::fs::write(
            dir.join("sshd_config"),
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {place}/host_key\nAuthorizedKeysFile {place}/identity.pub\n\
                 PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n\
                 SetEnv PATH={place}/bin:{path}:/usr/sbin:/sbin DBUS_SESSION_BUS_ADDRESS=unix:path={place}/bus DBUS_STARTER_BUS_TYPE=session TMPDIR={place}\n"
            ),
        )?;
        let mut door = Self {
            dir,
            port,
            boots: 0,
            sshd: None,
        };
        door.boot(board)?;
        Ok(door)
    }

    /// The board has started: another boot, and the release of what runs.
    fn boot(&mut self, board: &Board) -> anyhow::Result<()> {
        drop(self.sshd.take());
        self.boots += 1;
        let place = self.dir.display().to_string();
        std::fs::write(self.dir.join("boot_id"), format!("boot-{}\n", self.boots))?;
        let version = board.version(board.slot()?)?;
        std::fs::write(
            self.dir.join("os-release"),
            format!("ID=lab\nIMAGE_ID=vm-lab\nIMAGE_VERSION={version}\n"),
        )?;
        let start = "mount --bind \"$0/boot_id\" /proc/sys/kernel/random/boot_id && mount --bind \"$0/os-release\" /etc/os-release \
                     && exec /usr/sbin/sshd -D -e -f \"$0/sshd_config\"";
        let command = Cmd::new("unshare").args(["--mount", "--propagation", "private", "sh", "-c", start, &place]);
        self.sshd = Some(command.start()?);
        let port = self.port;
        wait::until("the board's sshd", || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(()))
        })
    }

    /// `windlass device flash` of the board, to be completed by a driver and an update.
    fn flash(&self) -> anyhow::Result<Cmd> {
        let public = std::fs::read_to_string(self.dir.join("host_key.pub"))?;
        Ok(Cmd::new(Programs::built()?.windlass)
            .args([
                "device", "flash", "--json", "--device", "board-1", "--board", "vm-lab", "--remote",
            ])
            .arg(format!("127.0.0.1:{}", self.port))
            .arg("--identity")
            .arg(self.dir.join("identity"))
            .args(["--host-key", public.trim()])
            .arg("--state")
            .arg(self.dir.join("state"))
            .limit(LIMIT))
    }

    /// Waits for a flash, and restarts the board when it is told to.
    fn attend(&mut self, flash: &Cmd, board: &mut impl Restarts) -> anyhow::Result<Ran> {
        let mut running = flash.start()?;
        let marker = self.dir.join("reboot");
        wait::until_within(LIMIT, "the flash", || {
            if marker.exists() {
                std::fs::remove_file(&marker)?;
                drop(self.sshd.take());
                board.restarts()?;
                self.boot(board.board())?;
            }
            Ok(running.child().ended()?.map(|_| ()))
        })?;
        running.finish()
    }
}

/// A board that can be restarted.
trait Restarts {
    fn restarts(&mut self) -> anyhow::Result<()>;
    fn board(&self) -> &Board;
}

impl Restarts for Rauc {
    fn restarts(&mut self) -> anyhow::Result<()> {
        self.restart()
    }
    fn board(&self) -> &Board {
        &self.board
    }
}

impl Restarts for SwUpdate {
    fn restarts(&mut self) -> anyhow::Result<()> {
        self.board.restart()?;
        Ok(())
    }
    fn board(&self) -> &Board {
        &self.board
    }
}

#[test]
fn a_board_with_rauc_is_flashed() -> anyhow::Result<()> {
    if let Some(why) = rauc::lacking() {
        skipped(&why);
        return Ok(());
    }
    let mut rauc = Rauc::start(&System::default())?;
    let mut door = Door::open(&rauc.board)?;
    let flash = |door: &Door, bundle: &Path, version: &str| {
        let flash = door
            .flash()?
            .args(["--driver", "rauc", "--to-version", version, "--from"]);
        anyhow::Ok(flash.arg(bundle))
    };
    let bundle = rauc.bundle(&System::version("2.0.0"))?;

    let ran = door
        .attend(&flash(&door, &damaged(&bundle)?, "2.0.0")?, &mut rauc)?
        .exits(1)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "step"), outcome(&told, "fault")),
        ("install", "product"),
        "{ran}"
    );
    assert!(outcome(&told, "why").contains("signature verification failed"), "{ran}");
    assert_eq!(rauc.board.get("primary")?, "A");

    let ran = door.attend(&flash(&door, &bundle, "2.0.0")?, &mut rauc)?.ok()?;
    let told = record(&ran)?;
    assert_eq!(
        (
            text(&told, "from_version"),
            text(&told, "slot_before"),
            text(&told, "slot_after")
        ),
        ("1.0.0", "A", "B"),
        "{ran}"
    );
    assert_eq!(rauc.board.slot()?, Slot::B);

    let broken = rauc.bundle(&System::version("3.0.0").with(Fault::Panic))?;
    let ran = door.attend(&flash(&door, &broken, "3.0.0")?, &mut rauc)?.exits(1)?;
    assert_eq!(outcome(&record(&ran)?, "is"), "rolled-back", "{ran}");
    assert_eq!(
        (rauc.board.slot()?, rauc.board.get("primary")?.as_str()),
        (Slot::B, "B")
    );
    Ok(())
}

#[test]
fn a_board_with_swupdate_is_flashed() -> anyhow::Result<()> {
    if let Some(why) = swupdate::lacking().or_else(rauc::lacking) {
        skipped(&why);
        return Ok(());
    }
    let mut board = SwUpdate::new(&System::default())?;
    let mut door = Door::open(&board.board)?;
    let driver = door.dir.join("driver.toml");
    let certificate = door.dir.join("cert.pem");
    std::fs::write(
        &driver,
        format!(
            "kind = \"swupdate\"\nspool = \"{}\"\n\
             install = [\"swupdate\", \"-e\", \"stable,{{slot}}\", \"-H\", \"lab:vm-lab\", \"-k\", \"{}\", \"-i\", \"{{file}}\"]\n",
            door.dir.display(),
            certificate.display()
        ),
    )?;
    let flash = |door: &Door, update: &Path, version: &str| {
        let flash = door.flash()?.arg("--driver-file").arg(&driver);
        anyhow::Ok(flash.args(["--to-version", version, "--from"]).arg(update))
    };
    let update = board.update(&System::version("2.0.0"))?;

    let ran = door
        .attend(&flash(&door, &damaged(&update)?, "2.0.0")?, &mut board)?
        .exits(1)?;
    let told = record(&ran)?;
    assert_eq!(
        (outcome(&told, "step"), outcome(&told, "fault")),
        ("install", "product"),
        "{ran}"
    );
    assert_eq!(board.board.get("primary")?, "A");

    let ran = door.attend(&flash(&door, &update, "2.0.0")?, &mut board)?.ok()?;
    let told = record(&ran)?;
    assert_eq!(
        (text(&told, "driver"), text(&told, "slot_after")),
        ("swupdate", "B"),
        "{ran}"
    );
    assert_eq!(board.board.version(Slot::B)?, "2.0.0");

    let broken = board.update(&System::version("3.0.0").with(Fault::NoSsh))?;
    let ran = door.attend(&flash(&door, &broken, "3.0.0")?, &mut board)?.exits(1)?;
    assert_eq!(outcome(&record(&ran)?, "is"), "rolled-back", "{ran}");
    assert_eq!(board.board.slot()?, Slot::B);
    Ok(())
}
