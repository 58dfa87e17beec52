//! Payloads read by programs that this project did not write: two unpackers, openssl, gunzip; and the command line from start to end.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;
use windlass_tests::process::{Cmd, Ran};
use windlass_tests::programs::Programs;
use windlass_tests::skipped;

/// Where a reader is, as `cargo xtask test` installs it.
fn reader(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
    let tools = cache.join("windlass-tools");
    [
        tools.join("bin").join(name),
        tools.join("payload-dumper/bin").join(name),
    ]
    .into_iter()
    .find(|file| file.is_file())
}

/// A directory with images, keys and payloads.
struct Bench {
    dir: TempDir,
    windlass: PathBuf,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let bench = Self {
            dir: tempfile::tempdir()?,
            windlass: Programs::built()?.windlass,
        };
        bench.tool("openssl", &["genrsa", "-out", "key.pem", "2048"])?;
        bench.tool("openssl", &["rsa", "-in", "key.pem", "-pubout", "-out", "key.pub"])?;
        Ok(bench)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn write(&self, file: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path(file);
        std::fs::create_dir_all(path.parent().context("a file is in a folder")?)?;
        Ok(std::fs::write(path, bytes)?)
    }

    fn read(&self, file: &str) -> anyhow::Result<Vec<u8>> {
        std::fs::read(self.path(file)).with_context(|| format!("cannot read {file}"))
    }

    /// Runs a program of this system, which has to succeed.
    fn tool(&self, program: impl AsRef<Path>, args: &[&str]) -> anyhow::Result<Vec<u8>> {
        Ok(Cmd::new(program.as_ref())
            .args(args)
            .dir(self.dir.path())
            .run()?
            .ok()?
            .stdout)
    }

    fn windlass(&self, args: &[&str]) -> anyhow::Result<Ran> {
        Cmd::new(&self.windlass)
            .arg("payload")
            .args(args)
            .dir(self.dir.path())
            .run()
    }

    fn json(&self, args: &[&str]) -> anyhow::Result<Value> {
        self.windlass(args)?.ok()?.json()
    }

    /// Two versions of two partitions, and the payloads between them, signed.
    fn with_payloads() -> anyhow::Result<Self> {
        let bench = Self::new()?;
        let old = image(1, 3000);
        // Something is inserted, something goes, something changes within blocks.
        let mut new = [&old[..100 * 4096], &image(2, 40), &old[100 * 4096..2900 * 4096]].concat();
        for at in (500 * 4096..600 * 4096).step_by(1000) {
            new[at] ^= 0x55;
        }
        bench.write("old/root.img", &old)?;
        bench.write("new/root.img", &new)?;
        bench.write("old/kernel.img", &image(3, 200))?;
        bench.write("new/kernel.img", &image(3, 250))?;
        bench
            .windlass(&[
                "generate",
                "--partition",
                "root=new/root.img",
                "--partition",
                "kernel=new/kernel.img",
                "--key",
                "key.pem",
                "-o",
                "full",
            ])?
            .ok()?;
        bench
            .windlass(&[
                "delta",
                "--partition",
                "root=old/root.img:new/root.img",
                "--partition",
                "kernel=old/kernel.img:new/kernel.img",
                "--key",
                "key.pem",
                "-o",
                "delta",
            ])?
            .ok()?;
        Ok(bench)
    }

    fn same(&self, partition: &str, unpacked: &str) -> anyhow::Result<()> {
        let (made, wanted) = (
            self.read(&format!("{unpacked}/{partition}.img"))?,
            self.read(&format!("new/{partition}.img"))?,
        );
        ensure!(made == wanted, "{partition} is not what it was made from");
        Ok(())
    }
}

/// Blocks of text, of zeros, of noise, in turn.
fn image(seed: u64, blocks: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut image = Vec::new();
    for block in 0..blocks {
        match block / 16 % 4 {
            0 => image.resize(image.len() + 4096, 0),
            1 => image.extend(format!("{seed} {block} ").bytes().cycle().take(4096)),
            _ => {
                for _ in 0..512 {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    // Half of it can be packed.
                    image.extend((state & 0x0f0f_0f0f_0f0f_0f0f).to_le_bytes());
                }
            }
        }
    }
    image
}

#[test]
fn a_reader_in_python_unpacks_a_full_payload() -> anyhow::Result<()> {
    let Some(dumper) = reader("payload-dumper") else {
        skipped("android-payload-dumper is not installed: cargo xtask test brings it");
        return Ok(());
    };
    let bench = Bench::with_payloads()?;
    bench.tool(dumper, &["-o", "unpacked", "full"])?;
    bench.same("root", "unpacked")?;
    bench.same("kernel", "unpacked")
}

#[test]
fn a_reader_in_rust_unpacks_full_and_delta_payloads() -> anyhow::Result<()> {
    let Some(dumper) = reader("payload_dumper") else {
        skipped("payload_dumper is not installed: cargo xtask test brings it");
        return Ok(());
    };
    let bench = Bench::with_payloads()?;
    bench.tool(&dumper, &["full", "-o", "from-full"])?;
    bench.same("root", "from-full")?;
    bench.same("kernel", "from-full")?;
    bench.tool(&dumper, &["delta", "--source-dir", "old", "-o", "from-delta"])?;
    bench.same("root", "from-delta")?;
    bench.same("kernel", "from-delta")?;
    let (full, delta) = (bench.read("full")?.len(), bench.read("delta")?.len());
    ensure!(delta * 5 < full, "the delta has {delta} bytes, the full one {full}");
    Ok(())
}

#[test]
fn openssl_verifies_both_signatures() -> anyhow::Result<()> {
    let bench = Bench::with_payloads()?;
    for payload in ["full", "delta"] {
        let bytes = bench.read(payload)?;
        let shown = bench.json(&["inspect", payload, "--json"])?;
        let metadata = usize::try_from(shown["metadata_size"].as_u64().context("a size")?)?;
        // A message of 264 bytes ends with the 256 of the signature.
        let blobs = metadata + 264;
        bench.write("metadata", &bytes[..metadata])?;
        bench.write("metadata.sig", &bytes[blobs - 256..blobs])?;
        bench.write("all", &[&bytes[..metadata], &bytes[blobs..bytes.len() - 264]].concat())?;
        bench.write("all.sig", &bytes[bytes.len() - 256..])?;
        for (signed, signature) in [("metadata", "metadata.sig"), ("all", "all.sig")] {
            bench.tool(
                "openssl",
                &["dgst", "-sha256", "-verify", "key.pub", "-signature", signature, signed],
            )?;
        }
    }
    Ok(())
}

#[test]
fn the_properties_are_what_openssl_says() -> anyhow::Result<()> {
    let bench = Bench::with_payloads()?;
    let text = String::from_utf8(bench.windlass(&["properties", "full"])?.ok()?.stdout)?;
    let said = bench.json(&["properties", "full", "--json"])?;
    let base64 = |digest: &str, file: &str| -> anyhow::Result<String> {
        let raw = bench.tool("openssl", &["dgst", digest, "-binary", file])?;
        let encoded = Cmd::new("openssl").args(["base64", "-A"]).stdin(raw).run()?.ok()?;
        Ok(String::from_utf8(encoded.stdout)?)
    };
    let size = bench.read("full")?.len();
    let metadata = usize::try_from(said["metadata_size"].as_u64().context("a size")?)?;
    bench.write("metadata", &bench.read("full")?[..metadata])?;
    let (hash, of_metadata) = (base64("-sha256", "full")?, base64("-sha256", "metadata")?);
    assert_eq!(
        text,
        format!("FILE_HASH={hash}\nFILE_SIZE={size}\nMETADATA_HASH={of_metadata}\nMETADATA_SIZE={metadata}\n")
    );
    // What the oldest updaters are told.
    assert_eq!(said["file_sha1"].as_str(), Some(base64("-sha1", "full")?.as_str()));
    Ok(())
}

#[test]
fn from_images_to_partitions_by_the_command_line() -> anyhow::Result<()> {
    let bench = Bench::with_payloads()?;
    let said = bench.windlass(&["verify", "full", "--pubkey", "key.pub"])?.ok()?;
    assert_eq!(
        String::from_utf8(said.stdout)?,
        "full is in order; its signatures are by this key\n"
    );
    bench
        .windlass(&["apply", "full", "--pubkey", "key.pub", "-o", "applied"])?
        .ok()?;
    bench.same("root", "applied")?;
    bench.same("kernel", "applied")?;
    let delta = bench.read("delta")?;
    let from_stdin = Cmd::new(&bench.windlass)
        .args(["payload", "apply", "-", "--pubkey", "key.pub", "-o", "updated"])
        .args(["--source", "root=old/root.img", "--source", "kernel=old/kernel.img"])
        .dir(bench.dir.path())
        .stdin(delta.clone());
    from_stdin.run()?.ok()?;
    bench.same("root", "updated")?;
    bench.same("kernel", "updated")?;

    // On another system than the one that it was made for, nothing is written.
    let args = ["apply", "delta", "--pubkey", "key.pub", "-o", "wrong"];
    let sources = ["--source", "root=new/root.img", "--source", "kernel=old/kernel.img"];
    let refused = bench.windlass(&[&args[..], &sources[..]].concat())?;
    assert_eq!(refused.code(), 1, "{}", refused.err());
    assert_eq!(std::fs::read_dir(bench.path("wrong"))?.count(), 0);

    let mut damaged = delta;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    bench.write("damaged", &damaged)?;
    let refused = bench.windlass(&["verify", "damaged", "--pubkey", "key.pub"])?;
    assert_eq!(refused.code(), 1);
    let said = String::from_utf8(refused.stdout)?;
    ensure!(said.contains("its data is not what the manifest says"), "{said}");
    assert_eq!(bench.windlass(&["apply", "full", "-o", "no"])?.code(), 2);
    assert_eq!(bench.windlass(&["verify", "none"])?.code(), 3);
    Ok(())
}

#[test]
fn gunzip_and_busybox_read_the_stateful_archive() -> anyhow::Result<()> {
    let Some(sgdisk) = ["/usr/sbin/sgdisk", "/sbin/sgdisk"]
        .into_iter()
        .find(|path| Path::new(path).is_file())
    else {
        skipped("sgdisk is not installed: cargo xtask test brings it");
        return Ok(());
    };
    let bench = Bench::new()?;
    let content = image(5, 3000);
    let partition = 3072 * 4096;
    bench.write("disk", &vec![0; partition + (4 << 20)])?;
    let end = 2048 + partition / 512 - 1;
    bench.tool(sgdisk, &["-n", &format!("1:2048:{end}"), "-c", "1:STATE", "disk"])?;
    let mut disk = bench.read("disk")?;
    disk[2048 * 512..2048 * 512 + content.len()].copy_from_slice(&content);
    bench.write("disk", &disk)?;
    let wanted = &disk[2048 * 512..2048 * 512 + partition];
    bench
        .windlass(&["stateful", "--image", "disk", "-o", "stateful.image.gz"])?
        .ok()?;
    bench.tool("gzip", &["-t", "stateful.image.gz"])?;
    ensure!(bench.tool("gunzip", &["-c", "stateful.image.gz"])? == wanted, "gunzip");
    ensure!(
        bench.tool("busybox", &["gunzip", "-c", "stateful.image.gz"])? == wanted,
        "busybox"
    );
    let ours = bench.read("stateful.image.gz")?.len();
    let gzip = Cmd::new("gzip")
        .args(["-c", "-n"])
        .stdin(wanted)
        .run()?
        .ok()?
        .stdout
        .len();
    ensure!(ours * 100 <= gzip * 102, "{ours} bytes, and gzip makes {gzip}");
    Ok(())
}
