//! A virtual lab: machines in QEMU (emulated, no KVM) that really boot, really restart and really roll back.
//!
//! A machine has a GPT disk with a stateful partition and two system slots, as `ChromeOS` lays them out; whether a slot may be started stands
//! in its partition entry (priority, tries, successful), where a boot selector in the initramfs reads it ([`parts`], `guest/selector.sh`). A
//! slot holds an ext4 file system ([`system`]) with busybox, dropbear and what an updater needs; host keys and people's keys are on the
//! stateful partition, so that they outlive an update ([`disk`]). [`machine`] starts one and has it do what stories want.
//!
//! Updaters that need no machine run on this one: [`rauc`] and [`swupdate`], real ones, write to [`boards`] whose slots are files.
//!
//! Nothing is left behind: a machine ends when it is dropped, and when the test's process dies.

pub mod boards;
pub mod disk;
pub mod machine;
pub mod package;
pub mod parts;
mod qmp;
pub mod rauc;
pub mod swupdate;
pub mod system;
mod traces;
mod tree;

pub use disk::Slot;
pub use machine::{Machine, MachineOrder};
pub use system::{Fault, System};

use std::path::{Path, PathBuf};

use crate::engines::find;

/// The programs that machines are made and run with, and the Debian packages that bring them.
const PROGRAMS: [(&str, &str); 11] = [
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("busybox", "busybox-static"),
    ("dropbear", "dropbear-bin"),
    ("dropbearkey", "dropbear-bin"),
    ("cpio", "cpio"),
    ("modprobe", "kmod"),
    ("depmod", "kmod"),
    ("sgdisk", "gdisk"),
    ("mkfs.ext4", "e2fsprogs"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
];

/// Why machines cannot be run here, for [`crate::skipped`]; nothing when they can.
pub fn lacking() -> Option<String> {
    if let Some((program, package)) = PROGRAMS.iter().find(|(program, _)| find(program).is_none()) {
        return Some(format!("there is no {program} (apt-get install {package})"));
    }
    // The kernel is fetched once; where that fails nothing can be started.
    parts::Parts::get().err().map(|error| format!("{error:#}"))
}

/// A copy of an update with one byte changed far inside.
pub fn damaged(file: &Path) -> anyhow::Result<PathBuf> {
    let mut bytes = std::fs::read(file)?;
    let middle = bytes.len() / 3;
    bytes[middle] ^= 0x40;
    let copy = file.with_extension("damaged");
    std::fs::write(&copy, bytes)?;
    Ok(copy)
}
