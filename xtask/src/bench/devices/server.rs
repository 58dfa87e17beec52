//! The update server that `windlass serve` runs: large files against nginx on the same machine, checks in a second, memory for each device.
//!
//! Client and server share the machine, and the client is the same for both: it reads and throws away. nginx is measured with
//! `sendfile off`, which copies as we do, and for comparison with it on, where the kernel passes pages on.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use windlass_tests::programs::Programs;
use windlass_tests::{World, pipeline, wait};

use super::super::figure::{Figures, Goal};
use crate::packages;

/// The bytes of the large file.
const LARGE: u64 = 512 << 20;

/// How many download at once, where several do.
const AT_ONCE: usize = 4;

/// How many ask for updates at once, and how often each.
const ASKING: usize = 8;
const CHECKS: usize = 2000;

/// How many devices take nothing while memory is measured.
const STALLED: usize = 200;

/// What one of them may cost.
const MOST_KIB: f64 = 600.0;

/// What a device asks, by protocol 3.0.
const CHECK: &str = r#"<?xml version="1.0" encoding="UTF-8"?><request requestid="{a}" sessionid="{b}" protocol="3.0" updater="ChromeOSUpdateEngine" updaterversion="0.1.0.0" installsource="ondemandupdate" ismachine="1"><os version="Indy" platform="Chrome OS" sp="13000.1.0_x86_64"></os><app appid="{one}" version="13000.1.0" track="stable-channel" board="eve" hardware_class="EVE" delta_okay="true"><ping active="1" a="-1" r="-1"></ping><updatecheck targetversionprefix=""></updatecheck><event eventtype="3" eventresult="2" previousversion=""></event></app></request>"#;

/// Measures, and adds the rows.
pub(super) fn measure(programs: Programs, runs: usize, figures: &mut Figures) -> anyhow::Result<()> {
    let world = World::empty_of(programs)?;
    let payload = world.dir().join("update.gz");
    large(&payload)?;
    let ours = format!("127.0.0.1:{}", pipeline::free_port()?);
    world.set("update_server", "listen", &format!("\"{ours}\""))?;
    world.set("update_server", "max_connections", "512")?;
    let mut config = fs::OpenOptions::new().append(true).open(world.config())?;
    writeln!(
        config,
        "\n[[update_server.offer]]\nversion = \"13505.0.0\"\npayload = \"{}\"",
        payload.display()
    )?;
    let mut world = world;
    world.enrol_everybody()?;
    world.start_bot()?;
    is_served(&ours)?;

    let off = Nginx::start(world.dir(), "off")?;
    let on = Nginx::start(world.dir(), "on")?;
    for at_once in [1, AT_ONCE] {
        let name = if at_once == 1 { "one download" } else { "four at once" };
        // By turns: what else the machine does is shared by all.
        let rates = downloads(&[&ours, &off.address, &on.address], at_once, runs)?;
        let [own, off, on] = rates.as_slice() else {
            bail!("three servers were asked");
        };
        figures.add(&format!("update server, {name}"), "MB/s", own.clone());
        for (sendfile, peer) in [("off", off), ("on", on)] {
            figures.add(&format!("nginx, sendfile {sendfile}, {name}"), "MB/s", peer.clone());
            let ratios = own.iter().zip(peer).map(|(own, peer)| own / peer).collect();
            figures.add(
                &format!("update server / nginx, sendfile {sendfile}, {name}"),
                "x",
                ratios,
            );
            if sendfile == "off" {
                figures.goal(Goal::AtLeast(0.8));
            }
        }
    }
    drop((off, on));
    let asked = (0..runs.min(5)).map(|_| checks(&ours)).collect::<anyhow::Result<_>>()?;
    figures.add("update checks in a second, eight devices at once", "", asked);
    figures.goal(Goal::AtLeast(1000.0));
    memory(&world, &ours, figures)?;
    world.stop_bot()
}

/// A file whose bytes are no zeros.
fn large(path: &Path) -> anyhow::Result<()> {
    let mut file = fs::File::create(path)?;
    let piece: Vec<u8> = (0..1_u32 << 18)
        .flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    for _ in 0..LARGE / piece.len() as u64 {
        file.write_all(&piece)?;
    }
    Ok(())
}

/// Waits until the file is there: its digests are made first.
fn is_served(address: &str) -> anyhow::Result<()> {
    wait::until("the payload to be on offer", || {
        let Ok(mut stream) = TcpStream::connect(address) else {
            return Ok(None);
        };
        write!(
            stream,
            "HEAD /update.gz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )?;
        let mut said = String::new();
        stream.read_to_string(&mut said)?;
        Ok(said.starts_with("HTTP/1.1 200 ").then_some(()))
    })
}

/// A connection on which the large file was asked for.
fn asks(address: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET /update.gz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )?;
    Ok(stream)
}

/// Downloads the file so many times at once from each server in turn; the rates of all together, in megabytes a second, of each server.
fn downloads(addresses: &[&str], at_once: usize, runs: usize) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut rates = vec![Vec::new(); addresses.len()];
    for run in 0..=runs {
        for (address, rates) in addresses.iter().zip(&mut rates) {
            let rate = download(address, at_once)?;
            // The first one warms up, and is not counted.
            if run > 0 {
                rates.push(rate);
            }
        }
    }
    Ok(rates)
}

fn download(address: &str, at_once: usize) -> anyhow::Result<f64> {
    let one = || -> anyhow::Result<u64> {
        let mut stream = asks(address)?;
        let mut buffer = vec![0; 256 << 10];
        let mut all = 0;
        loop {
            match stream.read(&mut buffer)? {
                0 => return Ok(all),
                read => all += read as u64,
            }
        }
    };
    let started = Instant::now();
    let bytes = std::thread::scope(|scope| {
        let all: Vec<_> = (0..at_once).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(joined).sum::<anyhow::Result<u64>>()
    })?;
    if bytes < LARGE * at_once as u64 {
        bail!("{address} sent {bytes} bytes only");
    }
    let mib = u32::try_from(bytes >> 20)?;
    Ok(f64::from(mib) * 1.048_576 / started.elapsed().as_secs_f64())
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<T>>) -> anyhow::Result<T> {
    match thread.join() {
        Ok(answer) => answer,
        Err(_) => bail!("a client's thread panicked"),
    }
}

/// How many checks are answered in a second, over connections that are kept.
fn checks(address: &str) -> anyhow::Result<f64> {
    let request = format!(
        "POST /update HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{CHECK}",
        CHECK.len()
    );
    let device = || -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut buffer = vec![0; 16 << 10];
        for _ in 0..CHECKS {
            stream.write_all(request.as_bytes())?;
            let mut filled = 0;
            while !buffer[..filled].ends_with(b"</response>\n") {
                let read = stream.read(&mut buffer[filled..])?;
                if read == 0 {
                    bail!("an answer broke off");
                }
                filled += read;
            }
            if !buffer.starts_with(b"HTTP/1.1 200 ") {
                bail!("{}", String::from_utf8_lossy(&buffer[..filled]));
            }
        }
        Ok(())
    };
    let started = Instant::now();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..ASKING).map(|_| scope.spawn(device)).collect();
        all.into_iter().try_for_each(joined)
    })?;
    let all = f64::from(u32::try_from(ASKING * CHECKS)?);
    Ok(all / started.elapsed().as_secs_f64())
}

/// What a device costs that asks for the large file and takes nothing.
fn memory(world: &World, address: &str, figures: &mut Figures) -> anyhow::Result<()> {
    let bot = bot_of(world)?;
    let status = bot.join("status");
    let before = settled(&status)?;
    let stalled = (0..STALLED).map(|_| asks(address)).collect::<Result<Vec<_>, _>>()?;
    let after = settled(&status)?;
    drop(stalled);
    let each = (after - before).max(0.0) / f64::from(u32::try_from(STALLED)?);
    figures.one("memory of a device that takes nothing, of 200", "KiB", each);
    figures.goal(Goal::AtMost(MOST_KIB));
    Ok(())
}

/// The bot's directory in /proc.
fn bot_of(world: &World) -> anyhow::Result<PathBuf> {
    let config = world.config();
    let config = config.to_string_lossy();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        let is_ours = words.clone().any(|word| word == config.as_bytes()) && words.any(|word| word == b"serve");
        if is_ours {
            return Ok(path);
        }
    }
    bail!("the bot does not run")
}

/// How many KiB of its own a process has, once that does not change any more.
fn settled(status: &Path) -> anyhow::Result<f64> {
    let (mut last, mut since) = (0, Instant::now());
    wait::until("memory to settle", || {
        let text = fs::read_to_string(status)?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .context("RssAnon")?;
        let now: u32 = line.trim().trim_end_matches(" kB").parse()?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
        Ok((since.elapsed() > Duration::from_secs(1)).then_some(f64::from(now)))
    })
}

/// nginx, which serves a folder.
struct Nginx {
    child: Child,
    address: String,
}

impl Nginx {
    fn start(folder: &Path, sendfile: &str) -> anyhow::Result<Self> {
        let program = packages::find("nginx").context("nginx is missing")?;
        let address = format!("127.0.0.1:{}", pipeline::free_port()?);
        let place = folder.join(format!("nginx-{sendfile}"));
        fs::create_dir_all(place.join("logs"))?;
        let user = if rustix::process::geteuid().is_root() {
            "user root;"
        } else {
            ""
        };
        let config = format!(
            "{user} daemon off; worker_processes auto; pid {place}/pid; error_log {place}/error.log;\n\
             events {{ worker_connections 512; }}\n\
             http {{\n  access_log off; sendfile {sendfile}; default_type application/octet-stream;\n\
             client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/fastcgi;\n\
             uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;\n\
             server {{ listen {address}; root {root}; }}\n}}\n",
            place = place.display(),
            root = folder.display(),
        );
        let file = place.join("nginx.conf");
        fs::write(&file, config)?;
        let mut command = Command::new(program);
        command.arg("-p").arg(&place).arg("-c").arg(&file);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let nginx = Self { child, address };
        is_served(&nginx.address).with_context(|| format!("see {}", place.join("error.log").display()))?;
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its master ends its workers when it is asked to end.
        if let Some(id) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}
