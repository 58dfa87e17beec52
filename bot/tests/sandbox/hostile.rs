//! Builds that try what a build must not: take all there is, reach the host, outlive their end, pass for another package.

use std::io::Read as _;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

use windlass::stages::StageError;
use windlass_hooks::settings::{Duration as Setting, Size};

use crate::world::{ONE_FILE, World, can_build, failure, processes_with, spec};

/// A spec that runs a script in %build.
pub(crate) fn script(lines: &str) -> String {
    let rest = ONE_FILE.trim_start_matches("%description\nA package.\n");
    spec(
        "evil",
        &format!("BuildArch: noarch\n%description\nx\n%build\n{lines}\n{rest}"),
    )
}

pub(crate) fn small() -> World {
    World::with(|settings| {
        settings.disk = Size::from_bytes(64 << 20);
        settings.memory = Size::from_bytes(192 << 20);
        settings.processes = 200;
        settings.log = Size::from_bytes(1 << 20);
        settings.timeout = Setting::from_secs(60);
        settings.max_packages = 20;
        settings.max_package = Size::from_bytes(8 << 20);
    })
}

#[test]
fn whoever_takes_all_there_is_is_stopped_and_told() {
    if !can_build() {
        return;
    }
    let world = small();
    for (lines, said) in [
        (
            "bomb() { bomb | bomb; }\nbomb\nfalse",
            "the build had more processes than 200",
        ),
        (
            "perl -e '$x = \"y\" x (1 << 30)'",
            "the build used more memory than 192MiB",
        ),
        (
            "dd if=/dev/zero of=big bs=1M || :\nfalse",
            "the build filled its disk, 64MiB",
        ),
        (
            "dd if=/dev/zero of=/tmp/big bs=1M || :\nfalse",
            "the build filled its disk, 64MiB",
        ),
        (
            "dd if=/dev/zero of=/dev/shm/big bs=1M || :\nfalse",
            "the build filled its disk, 64MiB",
        ),
        (
            "set +x\nperl -e 'for ($n = 0; ; $n++) { open(F, \">f$n\") or die $! }'",
            "the build filled its disk, 64MiB",
        ),
        ("set +x\nyes", "the build said more than 1MiB"),
        ("while :; do cat /dev/urandom; done", "the build said more than 1MiB"),
    ] {
        let run = world.runs();
        let began = Instant::now();
        let text = failure(world.spec("x86_64", &script(lines)));
        println!("{:?} {text}\n", began.elapsed());
        // Where no control group can be made, what the programs say of it has to do.
        let limit = said
            .split(' ')
            .find_map(|word| ["processes", "memory"].into_iter().find(|limit| word == *limit));
        let by_itself = limit.is_some_and(|limit| text.contains(&format!("the limit is `{limit}` in [build]")));
        assert!(text.contains(said) || by_itself, "{text}\n{}", tail(&world.log(run)));
        assert!(world.log(run).len() <= (1 << 20) + 4096);
        assert!(began.elapsed() < Duration::from_secs(30), "{lines}");
    }
}

pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

#[test]
fn a_build_that_never_ends_is_ended_with_all_that_it_started() {
    if !can_build() {
        return;
    }
    let world = World::with(|settings| settings.timeout = Setting::from_secs(3));
    let lines = "trap '' TERM INT HUP\nsetsid sleep 4242421 &\n(setsid sh -c 'trap \"\" TERM; while :; do sleep 4242421; done' &) &\nsleep 4242421";
    let text = failure(world.spec("x86_64", &script(lines)));
    println!("{text}");
    assert!(text.contains("the build took longer than 3s"), "{text}");
    assert_eq!(processes_with("4242421"), Vec::<u32>::new());
    // What ends and leaves something running is no better off.
    let lines = "setsid sleep 4242422 &\n(setsid sleep 4242422 </dev/null >/dev/null 2>&1 &)";
    let world = world.and(|settings| settings.timeout = Setting::from_secs(60));
    let began = Instant::now();
    world.spec("x86_64", &script(lines)).unwrap();
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(processes_with("4242422"), Vec::<u32>::new());
}

#[test]
fn a_stopped_build_ends_at_once() {
    if !can_build() {
        return;
    }
    let world = World::new();
    let stop = world.stop.clone();
    let order = world.order_of("x86_64", &script("sleep 4242423"));
    let log = order.log.clone();
    let waker = std::thread::spawn(move || {
        crate::world::until(|| std::fs::read_to_string(&log).is_ok_and(|log| log.contains("+ sleep 4242423")));
        stop.set();
        Instant::now()
    });
    let result = world.run(&order);
    let ended = Instant::now();
    assert!(matches!(result, Err(StageError::Stopped)), "{result:?}");
    assert!(ended - waker.join().unwrap() < Duration::from_secs(5));
    assert_eq!(processes_with("4242423"), Vec::<u32>::new());
}

#[test]
fn the_host_is_out_of_reach() {
    if !can_build() {
        return;
    }
    let world = World::new();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let name = format!("windlass-{port}");
    let address = <SocketAddr as SocketAddrExt>::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let path = world.path("socket");
    let _socket = UnixListener::bind(&path).unwrap();
    let secret = world.path("secret");
    std::fs::write(&secret, "hush").unwrap();
    let (path, secret) = (path.display(), secret.display());
    let lines = format!(
        r#"
bad() {{ echo "ESCAPED: $*"; touch /tmp/escaped; }}
(echo > /dev/tcp/127.0.0.1/{port}) 2>/dev/null && bad tcp
perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); exit(connect(S, sockaddr_un("\0{name}")) ? 0 : 1)' && bad abstract socket
test -e {path} && bad socket
test -e {secret} && bad file
test -e /root/.bashrc && bad root
test "$(ls -A /home /mnt /media /srv /boot 2>/dev/null | grep -v ':$' | tr -d '\n')" = "" || bad "something in the root"
test "$(ls -A /run | sort | tr '\n' ' ')" = "lock packages " || bad "run: $(ls -A /run)"
ls /proc | grep -q '^[0-9]*$' || bad no proc
test "$(ls -d /proc/[0-9]* | wc -l)" -lt 12 || bad "processes of others"
for place in /usr /usr/bin /usr/lib /usr/share /etc /etc/rpm /opt /var /var/lib/rpm /boot /proc/sys/kernel /sys / /run /dev /home; do
    touch $place/mine 2>/dev/null && bad "wrote to $place"
done
echo x > /usr/bin/true 2>/dev/null && bad overwrote a program
rm -f /etc/passwd 2>/dev/null && bad removed a file
mknod /tmp/disk b 8 0 2>/dev/null && bad made a device
mount -t tmpfs none /tmp 2>/dev/null && bad mounted
unshare -Ur true 2>/dev/null && bad "made a user namespace"
unshare -m true 2>/dev/null && bad "made a mount namespace"
chroot / true 2>/dev/null && bad chroot
echo 1 > /proc/sys/kernel/sysrq 2>/dev/null && bad sysctl
echo b > /proc/sysrq-trigger 2>/dev/null && bad sysrq
kill -9 1 2>/dev/null
cat /proc/1/environ 2>/dev/null | tr '\0' '\n' | grep -q '^WINDLASS_SECRET' && bad environment
env | grep -q '^WINDLASS_SECRET' && bad environment
su -c true 2>/dev/null && bad su
cat /etc/shadow 2>/dev/null && bad shadow
dmesg >/dev/null 2>&1 && bad dmesg
ls /dev/kvm /dev/mem /dev/sd* /dev/vd* /dev/fuse 2>/dev/null && bad devices
find / -xdev -perm -4000 -type f 2>/dev/null | head -1 | grep -q . && sudo -n true 2>/dev/null && bad setuid
test "$(cat /sys/class/net/*/operstate 2>/dev/null | wc -l)" -le 1 || bad interfaces
test "$(wc -l < /proc/net/route)" -le 1 || bad routes
python3 -c 'import fcntl,termios; fcntl.ioctl(0, termios.TIOCSTI, "x")' 2>/dev/null && bad tiocsti
grep Cap /proc/self/status
grep -q '^CapEff:[[:space:]]*0000000000000000$' /proc/self/status || bad capabilities
grep -q '^NoNewPrivs:[[:space:]]*1$' /proc/self/status || bad "new privileges"
id
! test -e /tmp/escaped
"#
    );
    let result = world.spec("x86_64", &script(&format!("set +x +e\n{lines}")));
    let log = world.log(0);
    assert!(!log.contains("ESCAPED"), "{log}");
    result.unwrap_or_else(|error| panic!("{error}\n{log}"));
    println!("{log}");
    assert!(!std::path::Path::new("/usr/bin/mine").exists());
    tcp.set_nonblocking(true).unwrap();
    assert!(tcp.accept().is_err());
}

#[test]
fn a_scriptlet_of_the_root_is_held_too() {
    if !can_build() {
        return;
    }
    let mut world = World::new();
    let scriptlet = r#"%post
exec > /etc/said 2>&1
bad() { echo "ESCAPED: $*"; }
mount -t tmpfs none /mnt 2>/dev/null && bad mounted
mknod /tmp/disk b 8 0 2>/dev/null && bad made a device
echo x >> /usr/bin/true 2>/dev/null && bad overwrote a program
echo evil > /proc/sys/kernel/hostname 2>/dev/null && bad hostname
echo b > /proc/sysrq-trigger 2>/dev/null && bad sysrq
chroot /proc/1/root true 2>/dev/null && test -e /proc/1/root/build/home/../../proc/1/root/root/.bashrc && bad proc
ls /proc/1/cwd/ >/dev/null 2>&1; test -e /proc/1/root/work && bad root of one
echo > /dev/tcp/127.0.0.1/22 2>/dev/null && bad network
cat /etc/shadow 2>/dev/null && bad shadow
echo left > /usr/share/left-by-scriptlet
grep CapEff /proc/self/status
id
"#;
    let text = spec("rootkit", &format!("BuildArch: noarch\n{scriptlet}{ONE_FILE}"));
    let built = world.spec("x86_64", &text).unwrap();
    world.offer(&built);
    let run = world.runs();
    let text = spec(
        "user",
        &format!("BuildArch: noarch\nBuildRequires: rootkit\n%build\ncat /etc/said\n{ONE_FILE}"),
    );
    world
        .spec("x86_64", &text)
        .unwrap_or_else(|error| panic!("{error}\n{}", world.log(run)));
    let log = world.log(run);
    println!("{log}");
    assert!(!log.contains("ESCAPED"), "{log}");
    assert!(!std::path::Path::new("/usr/share/left-by-scriptlet").exists());
}

#[test]
fn a_root_that_cannot_be_installed_says_so() {
    if !can_build() {
        return;
    }
    let mut world = World::new();
    for (name, lines) in [
        ("angry", format!("BuildArch: noarch\n%pre\necho no such luck >&2\nexit 3\n{ONE_FILE}")),
        ("one", "BuildArch: noarch\n%description\nx\n%install\nmkdir -p %buildroot/opt\necho 1 > %buildroot/opt/same\n%files\n/opt/same\n".to_owned()),
        ("other", "BuildArch: noarch\n%description\nx\n%install\nmkdir -p %buildroot/opt\necho 2 > %buildroot/opt/same\n%files\n/opt/same\n".to_owned()),
        ("slow", format!("BuildArch: noarch\n%post\nsleep 4242424\n{ONE_FILE}")),
    ] {
        let built = world.spec("x86_64", &spec(name, &lines)).unwrap();
        world.offer(&built);
    }
    let user = |needs: &str| {
        spec(
            "user",
            &format!("BuildArch: noarch\nBuildRequires: {needs}\n{ONE_FILE}"),
        )
    };
    let text = failure(world.spec("x86_64", &user("angry")));
    println!("{text}\n");
    assert!(text.contains("rpm cannot install the build root"), "{text}");
    assert!(
        text.contains("no such luck") && text.contains("angry-1.0-1.noarch"),
        "{text}"
    );
    let text = failure(world.spec("x86_64", &user("one other")));
    println!("{text}\n");
    assert!(text.contains("/opt/same"), "{text}");
    let world = world.and(|settings| settings.timeout = Setting::from_secs(2));
    let text = failure(world.spec("x86_64", &user("slow")));
    println!("{text}\n");
    assert!(text.contains("took longer than 2s"), "{text}");
    assert_eq!(processes_with("4242424"), Vec::<u32>::new());
}

/// Says to this test, when it runs itself once more, that it is the bot that is killed, and where it builds.
const PLACE: &str = "WINDLASS_TEST_PLACE";

#[test]
fn a_killed_bot_leaves_nothing() {
    if let Some(place) = std::env::var_os(PLACE) {
        let _ = World::at(place.into()).spec("x86_64", &script("sleep 4242425"));
        return;
    }
    if !can_build() {
        return;
    }
    let world = World::new();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::a_killed_bot_leaves_nothing", "--nocapture"])
        .env(PLACE, world.path(""))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    crate::world::until(|| !processes_with("4242425").is_empty());
    let began = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    crate::world::until(|| processes_with("4242425").is_empty());
    println!("all dead after {:?}", began.elapsed());
    // Nothing of it holds what the bot had open.
    let mut rest = String::new();
    child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
    // Engines of other tests mount below places of their own meanwhile.
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let place = world.path("").into_os_string().into_string().unwrap();
    assert!(!mounts.contains(&place), "{mounts}");
    let began = Instant::now();
    world.builder.sweep();
    println!("swept in {:?}", began.elapsed());
    let half: Vec<_> = ["results", "requires", "host"]
        .iter()
        .filter_map(|below| std::fs::read_dir(world.path(&format!("state/builds/{below}"))).ok())
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".new-"))
        .collect();
    assert_eq!(half, Vec::<String>::new());
    let groups = crate::world::groups_of(child.id());
    assert!(groups.is_empty(), "{groups:?}");
    // And the next one builds as if nothing had been.
    world.spec("x86_64", &script("true")).unwrap();
}

/// Where nobody else than root can make user namespaces there is nothing to test.
#[test]
fn it_works_without_root() {
    if !can_build() || !rustix::process::geteuid().is_root() {
        return;
    }
    let place = tempfile::Builder::new().prefix("windlass-nobody-").tempdir().unwrap();
    std::fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let copy = |from: &std::path::Path, name: &str| {
        let to = place.path().join(name);
        std::fs::copy(from, &to).unwrap();
        to
    };
    let program = copy(std::path::Path::new(env!("CARGO_BIN_EXE_windlass")), "windlass");
    let test = copy(&std::env::current_exe().unwrap(), "test");
    let setpriv = |command: &std::path::Path| {
        let mut run = std::process::Command::new("setpriv");
        run.args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(command);
        run.env_remove("TMPDIR")
            .env("HOME", "/")
            .env("WINDLASS_TEST_PROGRAM", &program);
        run
    };
    let allowed = setpriv(std::path::Path::new("unshare"))
        .args(["-Ur", "true"])
        .status()
        .unwrap();
    if !allowed.success() {
        println!("SKIPPED: this machine gives user namespaces to root only");
        return;
    }
    let done = setpriv(&test)
        .args([
            "--exact",
            "good::a_program_is_built_for_both_architectures",
            "good::what_a_task_built_before_is_there_with_its_scriptlets",
            "hostile::the_host_is_out_of_reach",
            "hostile::whoever_takes_all_there_is_is_stopped_and_told",
            "hostile::a_build_that_never_ends_is_ended_with_all_that_it_started",
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success() && said.contains("5 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
}
