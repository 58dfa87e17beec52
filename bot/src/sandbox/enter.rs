//! `windlass sandbox-enter`: makes the namespaces of one sandbox and starts its keeper in them.
//!
//! The bot starts it for every sandbox, with one end of a socket pair as standard input. It has one thread, as a new user
//! namespace demands. Its end is the sandbox's end: the keeper is the first process of the sandbox's process namespace, and with it
//! the kernel kills all that was ever started in there.

use std::io;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use rustix::fd::AsFd as _;
use rustix::process::{Signal, getegid, geteuid, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use windlass_hooks::process::{Run, Streams};

use super::wire::{Answer, Limits, Order, receive, send};
use crate::exit::Exit;

/// The word on the command line.
pub(crate) const ENTER: &str = "sandbox-enter";

/// Does it; whoever called hears over the socket what went wrong.
pub(crate) fn main() -> Exit {
    let Ok(socket) = socket() else { return Exit::Usage };
    match enter(&socket) {
        Ok(exit) => exit,
        Err(error) => {
            // Nobody may be there any more.
            let _ = send(&socket, &Answer::Broken(error.to_string()), None);
            Exit::Environment
        }
    }
}

/// Our standard input, which is the bot's socket.
pub(super) fn socket() -> io::Result<UnixStream> {
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    socket.local_addr()?;
    Ok(socket)
}

fn enter(socket: &UnixStream) -> io::Result<Exit> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let Some((Order::Begin(limits), _)) = receive(socket)? else {
        return Ok(Exit::Usage);
    };
    let (uid, gid) = (geteuid(), getegid());
    #[expect(
        deprecated,
        reason = "it is unsafe where descriptors are unshared, which these flags do not do; and there is one thread"
    )]
    rustix::thread::unshare(
        UnshareFlags::NEWUSER | UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWIPC | UnshareFlags::NEWNET,
    )
    .map_err(|error| {
        io::Error::other(format!(
            "this machine gives no user namespace: {error}\n\nhint: as root allow them with `sysctl user.max_user_namespaces=10000`, \
             where there is such a thing `sysctl kernel.unprivileged_userns_clone=1` and `sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0`"
        ))
    })?;
    if limits.range {
        send(socket, &Answer::Unshared, None)?;
        let Some((Order::Mapped, _)) = receive(socket)? else {
            return Ok(Exit::Usage);
        };
        set_thread_groups(&[])?;
    } else {
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("0 {} 1", uid.as_raw()))?;
        std::fs::write("/proc/self/gid_map", format!("0 {} 1", gid.as_raw()))?;
    }
    let (root, root_group) = (rustix::fs::Uid::ROOT, rustix::fs::Gid::ROOT);
    set_thread_res_gid(root_group, root_group, root_group)?;
    set_thread_res_uid(root, root, root)?;
    keep(limits)
}

/// Starts the keeper, which takes the socket over, and waits for its end.
fn keep(limits: Limits) -> io::Result<Exit> {
    // Changing the id took the signal away.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let limits = serde_json::to_string(&limits)?;
    let mut keeper = Run::new("/proc/self/exe")
        .arg(super::keeper::KEEP)
        .arg(limits)
        .clear_env()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .start(Streams {
            stdin: Stdio::inherit(),
            stdout: Stdio::null(),
            stderr: Stdio::inherit(),
        })
        .map_err(io::Error::other)?;
    let status = keeper.wait()?;
    Ok(if status.success() {
        Exit::Done
    } else {
        Exit::Environment
    })
}
