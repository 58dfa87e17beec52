//! Builds that try what a build must not: each fails alone, and nothing of it stays.

use std::time::{Duration, Instant};

use windlass_hooks::settings::{Duration as Setting, Size};
use windlass_tests::engines::Kind;

use crate::bench::{Bench, ONE_FILE, engines_with_image, failure, left, names, script, spec};

#[test]
fn hostile_builds_fail_alone_on_docker() -> anyhow::Result<()> {
    story(Kind::Docker)
}

#[test]
fn hostile_builds_fail_alone_on_podman() -> anyhow::Result<()> {
    story(Kind::Podman)
}

/// What takes too much, and what is said of it; or what else may be, where the engine does not tell.
const GREEDY: [(&str, &str, &str); 7] = [
    (
        // Each waits for those that it made: the first of them ends only when there can be no more.
        "set +x\nbomb() { bomb | bomb; }\nbomb\nfalse",
        "the limit is `processes` in [build]",
        // So many shells may be too much for the memory first.
        "the limit is `memory`",
    ),
    (
        "perl -e '$x = \"y\" x (1 << 30)'",
        "the build used more memory than 192MiB",
        "the limit is `memory`",
    ),
    (
        "dd if=/dev/zero of=big bs=1M || :\nfalse",
        "the build filled its disk, 64MiB",
        "",
    ),
    (
        "dd if=/dev/zero of=/tmp/big bs=1M || :\nfalse",
        "the build filled its disk, 64MiB",
        "the limit is `memory`",
    ),
    (
        "dd if=/dev/zero of=/dev/shm/big bs=1M || :\nfalse",
        "the build filled its disk, 64MiB",
        "the limit is `memory`",
    ),
    (
        "set +x\nperl -e 'for ($n = 0; ; $n++) { open(F, \">f$n\") or die $! }'",
        "the build filled its disk, 64MiB",
        "",
    ),
    ("set +x\nyes", "the build said more than 1MiB", ""),
];

fn story(kind: Kind) -> anyhow::Result<()> {
    let Some(engines) = engines_with_image(&[kind])? else {
        return Ok(());
    };
    let engine = &engines[0];
    let mut bench = Bench::new(&[engine]).and(|settings| {
        settings.disk = Size::from_bytes(64 << 20);
        settings.memory = Size::from_bytes(192 << 20);
        settings.processes = 200;
        settings.log = Size::from_bytes(1 << 20);
        settings.timeout = Setting::from_secs(90);
        settings.max_packages = 20;
        settings.max_package = Size::from_bytes(8 << 20);
    });
    for (lines, said, or) in GREEDY {
        let run = bench.runs();
        let began = Instant::now();
        let text = failure(bench.spec(&script(lines)));
        println!("{} {:?} {text}\n", kind.name(), began.elapsed());
        assert!(
            text.contains(said) || (!or.is_empty() && text.contains(or)),
            "{lines}\n{text}\n{}",
            tail(&bench.log(run))
        );
        assert!(bench.log(run).len() <= (1 << 20) + 4096);
        assert!(began.elapsed() < Duration::from_secs(80), "{lines}");
    }
    assert_eq!(left(engine)?, Vec::<String>::new());
    escapes(&bench, kind)?;
    assert_eq!(left(engine)?, Vec::<String>::new());
    lies(&bench);
    scriptlets(&mut bench);
    // What ends and leaves something running is no better off; what never ends is ended.
    bench
        .spec(&script(
            "setsid sleep 4242422 &\n(setsid sleep 4242422 </dev/null >/dev/null 2>&1 &)",
        ))
        .unwrap();
    assert_eq!(left(engine)?, Vec::<String>::new());
    let bench = bench.and(|settings| settings.timeout = Setting::from_secs(15));
    let text = failure(bench.spec(&script("trap '' TERM INT HUP\nsetsid sleep 4242421 &\nsleep 4242421")));
    assert!(text.contains("the build took longer than 15s"), "{text}");
    assert_eq!(left(engine)?, Vec::<String>::new());
    assert!(!runs("424242"), "a sleeper is left");
    Ok(())
}

/// A build looks for everything that it could reach.
fn escapes(bench: &Bench, kind: Kind) -> anyhow::Result<()> {
    let secret = bench.path("secret");
    std::fs::write(&secret, "hush")?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let secret = secret.display();
    // Podman's own filter of system calls lets processes make user namespaces.
    let namespaces = if kind == Kind::Docker {
        "unshare -Ur true 2>/dev/null && bad made a user namespace"
    } else {
        ":"
    };
    let lines = format!(
        r#"
bad() {{ echo "ESCAPED: $*"; touch /tmp/escaped; }}
(echo > /dev/tcp/127.0.0.1/{port}) 2>/dev/null && bad tcp
test -e {secret} && bad file
for socket in /run/docker.sock /var/run/docker.sock /run/podman/podman.sock /run/containerd/containerd.sock; do
    test -e $socket && bad $socket
done
find / -xdev -type s 2>/dev/null | grep -q . && bad "sockets: $(find / -xdev -type s)"
test "$(ls -d /proc/[0-9]* | wc -l)" -lt 16 || bad "processes of others"
for place in / /usr /usr/bin /usr/lib /usr/share /etc /etc/rpm /opt /var /var/lib/rpm /boot /proc/sys/kernel /sys /run /dev /home /root; do
    touch $place/mine 2>/dev/null && bad "wrote to $place"
done
find / -xdev -writable -type d 2>/dev/null | grep -v -x -e '/proc/.*' -e /build -e /tmp -e /var/tmp | grep . && bad "can write to the root"
echo x > /usr/bin/true 2>/dev/null && bad overwrote a program
mknod /tmp/disk b 8 0 2>/dev/null && bad made a device
mount -t tmpfs none /tmp 2>/dev/null && bad mounted
{namespaces}
unshare -m true 2>/dev/null && bad made a mount namespace
chroot / true 2>/dev/null && bad chroot
echo 1 > /proc/sys/kernel/sysrq 2>/dev/null && bad sysctl
echo b > /proc/sysrq-trigger 2>/dev/null && bad sysrq
cat /proc/1/environ 2>/dev/null | tr '\0' '\n' | grep -q '^SECRET' && bad environment
cat /etc/shadow 2>/dev/null && bad shadow
dmesg >/dev/null 2>&1 && bad dmesg
ls /dev/kvm /dev/mem /dev/sd* /dev/vd* /dev/fuse 2>/dev/null && bad devices
test "$(wc -l < /proc/net/route)" -le 1 || bad routes
grep Cap /proc/self/status
grep -q '^Cap[A-Za-z]*:[[:space:]]*0*[1-9a-f]' /proc/self/status && bad capabilities
grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/self/status || bad new privileges
test "$(id -u):$(id -g):$(id -G)" = 1000:1000:1000 || bad "$(id)"
grep -q '^[^ ]* / [^ ]* ro[, ]' /proc/self/mounts || bad "the root is not read-only"
! test -e /tmp/escaped
"#
    );
    let run = bench.runs();
    let result = bench.spec(&script(&format!("set +x +e\n{lines}")));
    let log = bench.log(run);
    println!("{log}");
    assert!(!log.contains("ESCAPED"), "{log}");
    result.unwrap_or_else(|error| panic!("{error}\n{log}"));
    Ok(())
}

/// Results that are not what they pass for.
fn lies(bench: &Bench) {
    let clean = |lines: &str| {
        spec(
            "evil",
            &format!(
                "BuildArch: noarch\n{ONE_FILE}%clean\ncd /build\nrpm=RPMS/evil-1.0-1.noarch.rpm\nsrc=SRPMS/evil-1.0-1.src.rpm\n{lines}\n"
            ),
        )
    };
    for (lines, said) in [
        ("ln -s /etc/passwd RPMS/x.rpm", "/build/RPMS/x.rpm is no plain file"),
        ("mkfifo RPMS/x.rpm", "/build/RPMS/x.rpm is no plain file"),
        ("mv RPMS OLD; ln -s /etc RPMS", "/build/RPMS is no directory any more"),
        ("mv RPMS OLD; ln -s OLD RPMS", "/build/RPMS is no directory any more"),
        ("rm -r RPMS; echo > RPMS", "/build/RPMS is no directory any more"),
        ("rm -r RPMS", "/build/RPMS is no directory any more"),
        ("echo hello > RPMS/x.rpm", "/build/RPMS/x.rpm is no package: "),
        ("truncate -s 60M RPMS/x.rpm", "8MiB are taken: [build] max_package"),
        (
            "for n in 1 2 3; do truncate -s 60M RPMS/$n.rpm; done",
            "8MiB are taken: [build] max_package",
        ),
        (
            "for n in $(seq 30); do cp $rpm RPMS/$n; done",
            "/build/RPMS holds more than 20 files",
        ),
        (
            "cp $rpm \"RPMS/$(printf '\\377')\"",
            "/build/RPMS holds a file of the name '\\xff'",
        ),
        ("chmod 0 $rpm", ""),
        ("kill -9 $PPID", "rpmbuild was killed by signal 9"),
    ] {
        let run = bench.runs();
        let result = bench.spec(&clean(lines));
        if said.is_empty() {
            assert_eq!(names(&result.unwrap()), ["evil-1.0-1.noarch"], "{lines}");
        } else {
            let text = failure(result);
            println!("{text}");
            assert!(text.contains(said), "{lines}\n{text}\n{}", tail(&bench.log(run)));
        }
    }
}

/// A scriptlet of a build requirement is root in its container, and no more; what it fills is limited too.
fn scriptlets(bench: &mut Bench) {
    let scriptlet = r#"%post
exec > /etc/said 2>&1
bad() { echo "ESCAPED: $*"; }
mount -t tmpfs none /mnt 2>/dev/null && bad mounted
mknod /tmp/disk b 8 0 2>/dev/null && bad made a device
echo evil > /proc/sys/kernel/hostname 2>/dev/null && bad hostname
echo b > /proc/sysrq-trigger 2>/dev/null && bad sysrq
ls -A /build | grep -q . && bad "the build's files"
(bash -c 'echo > /dev/tcp/127.0.0.1/22') 2>/dev/null && bad network
chroot / true || echo no chroot
grep CapBnd /proc/self/status
sleep 4242426 &
"#;
    let built = bench
        .spec(&spec("rootkit", &format!("BuildArch: noarch\n{scriptlet}{ONE_FILE}")))
        .unwrap();
    bench.offer(&built);
    let run = bench.runs();
    let user = spec(
        "user",
        &format!("BuildArch: noarch\nBuildRequires: rootkit\n%build\ncat /etc/said\n{ONE_FILE}"),
    );
    bench
        .spec(&user)
        .unwrap_or_else(|error| panic!("{error}\n{}", bench.log(run)));
    let log = bench.log(run);
    assert!(!log.contains("ESCAPED"), "{log}");
    assert!(log.contains("CapBnd:\t00000000800400fb"), "{log}");
    for (name, post, said) in [
        (
            "filler",
            "dd if=/dev/zero of=/var/big bs=1M count=2000 2>/dev/null; while :; do sleep 1; done",
            "the build filled its disk, 64MiB",
        ),
        ("angry", "kill -9 $PPID", "rpm cannot install the build root"),
    ] {
        let built = bench
            .spec(&spec(name, &format!("BuildArch: noarch\n%post\n{post}\n{ONE_FILE}")))
            .unwrap();
        bench.offer(&built);
        let text = failure(bench.spec(&spec(
            "user",
            &format!("BuildArch: noarch\nBuildRequires: {name}\n{ONE_FILE}"),
        )));
        println!("{text}");
        assert!(text.contains(said), "{text}");
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Whether a process runs that has a word on its command line.
fn runs(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.into_iter().any(|process| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.starts_with(b"sleep") && String::from_utf8_lossy(&line).contains(word)
    })
}
