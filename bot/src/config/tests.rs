//! What is read, and how what is wrong is told.

use insta::assert_snapshot;

use windlass_hooks::settings::{Duration, Paths, Settings, Signing, Users};

use super::problem::render;
use super::{
    Build, BuildHost, Config, Device, EngineChoice, FlashTimeouts, Http, Image, Jobs, Lab, Nightly, Payload,
    PayloadFile, PayloadPartition, Registry, Repository, UpdateOffer, UpdateServer, strict,
};
use crate::repository::rpmmd::Codec;

fn problems(text: &str) -> String {
    let found = strict::parse::<Config>(text).expect_err("it is wrong");
    render("windlass.toml".as_ref(), text, &found)
}

#[test]
fn every_problem_is_told_at_once_in_the_order_of_the_file() {
    let text = "\
[signing]
future_tolerence = \"5m\"
mode = \"enforced\"
max_refs = -1

[[repository]]
default = true

[[repository]]
name = \"sisyphus\"
architecture = [\"x86_64\"]

[signign]
mode = \"observe\"
";
    assert_snapshot!(problems(text), @r#"
    windlass.toml:2:1: unknown key 'future_tolerence' in [signing]
      2 | future_tolerence = "5m"
        | ^^^^^^^^^^^^^^^^
    hint: did you mean 'future_tolerance'?

    windlass.toml:3:8: 'enforced' is not known for 'mode'
      3 | mode = "enforced"
        |        ^^^^^^^^^^
    hint: did you mean "enforce"? Known: enforce, observe

    windlass.toml:4:12: 'max_refs': invalid value: integer '-1', expected usize
      4 | max_refs = -1
        |            ^^

    windlass.toml:6:1: the key 'name' is missing in [[repository]]
      6 | [[repository]]
        | ^^^^^^^^^^^^^^

    windlass.toml:11:1: unknown key 'architecture' in [[repository]]
      11 | architecture = ["x86_64"]
         | ^^^^^^^^^^^^
    hint: did you mean 'architectures'?

    windlass.toml:13:2: unknown key 'signign'
      13 | [signign]
         |  ^^^^^^^
    hint: did you mean 'signing'?
    "#);
}

#[test]
fn bad_syntax_is_told_with_all_its_places() {
    assert_snapshot!(problems("[signing\nmode = observe\nmode = 'enforce'\n"), @r"
    windlass.toml:1:9: unclosed table, expected `]`
      1 | [signing
        |         ^
    ");
}

#[test]
fn what_is_shown_is_harmless() {
    let shown = problems("\"a\u{1b}[2Jb\u{202e}\" = 1\n");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
}

/// The template as `windlass init` writes it, made for these values.
fn template(repositories: &[&str]) -> String {
    windlass_templates::windlass_toml(&windlass_templates::ConfigValues {
        root: "/var/lib/windlass".into(),
        git_user: "git".into(),
        bot_user: "windlass".into(),
        local: None,
        repositories: repositories
            .iter()
            .map(|name| windlass_templates::RepositoryValues {
                name: (*name).to_owned(),
                architectures: vec!["x86_64".into(), "i586".into()],
            })
            .collect(),
    })
    .unwrap()
}

/// The keys and values of a table, by dotted name; of several elements of an array the first.
fn flat(table: &toml::Table, prefix: &str, into: &mut std::collections::BTreeMap<String, String>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match (
            value.as_table(),
            value.as_array().and_then(|a| a.first()).and_then(toml::Value::as_table),
        ) {
            (Some(inner), _) | (None, Some(inner)) => flat(inner, &format!("{name}."), into),
            (None, None) => {
                into.insert(name, value.to_string());
            }
        }
    }
}

#[test]
fn the_template_documents_every_key_with_its_default() {
    let text = template(&["sisyphus"]);
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) || rest.starts_with('[') => {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let all = Config::parse(&uncommented, "windlass.toml".as_ref()).unwrap_or_else(|error| panic!("{error}"));
    // What stands in the template only as an example, since it has no default.
    let expected = Config {
        users: Users {
            local: Some("alice".parse().unwrap()),
            ..Users::default()
        },
        signing: Signing {
            allowed_signers: Some("/etc/windlass/allowed_signers".into()),
            ..Signing::default()
        },
        build: Build {
            root: Some("/srv/windlass-root".into()),
            ..Build::default()
        },
        builders: vec![BuildHost {
            name: "east".to_owned(),
            host: "tcp://east.example.org:2376".to_owned(),
            tls: Some("/etc/windlass/tls/east".into()),
            architectures: vec!["x86_64".to_owned()],
            image: "registry.example.org/build:el9".to_owned(),
            slots: 1,
        }],
        paths: Paths {
            people: Some(Paths::default().people()),
            git: Some(Paths::default().git()),
            spool: Some(Paths::default().spool()),
            socket: Some(Paths::default().socket()),
            state: Some(Paths::default().state()),
            ..Paths::default()
        },
        repositories: vec![Repository {
            name: "sisyphus".parse().unwrap(),
            default: true,
            architectures: vec!["x86_64".into(), "i586".into()],
            deny_unlisted: false,
            approvals_from: Vec::new(),
            base: Vec::new(),
            codec: Codec::Zstd,
            keep: Duration::from_secs(14 * 86_400),
            overlap: Duration::from_secs(3600),
            url: Some("https://packages.example.org/repos/sisyphus".into()),
        }],
        http: Http {
            listen: Some("127.0.0.1:8080".parse().unwrap()),
            url: Some("https://packages.example.org".into()),
            ..Http::default()
        },
        update_server: UpdateServer {
            listen: Some("127.0.0.1:8081".parse().unwrap()),
            bandwidth: Some("20MiB".parse().unwrap()),
            offers: vec![UpdateOffer {
                version: "1.2.3".to_owned(),
                payload: "/srv/images/eve/update.gz".into(),
                stateful: Some("/srv/images/eve/stateful.image.gz".into()),
                board: Some("eve".to_owned()),
            }],
            ..UpdateServer::default()
        },
        jobs: Jobs {
            engine_host: Some("unix:///run/podman/podman.sock".into()),
            ..Jobs::default()
        },
        lab: Lab {
            bandwidth: Some("20MiB".parse().unwrap()),
            timeouts: FlashTimeouts {
                reboot: Some("5m".parse().unwrap()),
                ..FlashTimeouts::default()
            },
            ..Lab::default()
        },
        devices: vec![Device {
            name: "kiosk-1".parse().unwrap(),
            address: "192.0.2.17".into(),
            port: 22,
            user: "root".into(),
            identity: Some("/etc/windlass/lab_ed25519".into()),
            host_key: Some("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPhSkYwYkvVLWcSbVrgpVHDJ4jtUXKh0PCdQ4hY7kmVr".into()),
            driver: "rauc".parse().unwrap(),
            board: Some("kiosk".into()),
            tags: vec!["canary".into(), "arm".into()],
            payload: Some("kiosk".parse().unwrap()),
            after_merge: false,
            power: vec!["/usr/local/bin/power-cycle".into(), "17".into()],
            console: vec!["/usr/bin/nc".into(), "192.0.2.9".into(), "7017".into()],
        }],
        nightlies: vec![Nightly {
            name: "arm".parse().unwrap(),
            calendar: "30 2 * * mon-fri".into(),
            zone: "UTC".into(),
            tags: vec!["arm".into()],
            board: Some("kiosk".into()),
            payload: Some("kiosk".parse().unwrap()),
            canary: Some("canary".into()),
            canaries: Some(1),
            stop_at: 30,
            retries: 2,
        }],
        registries: vec![Registry {
            host: "registry.example.org".into(),
            credentials: Some("/etc/windlass/registry.json".into()),
            plain_http: false,
        }],
        images: vec![Image {
            name: "web".parse().unwrap(),
            dockerfile: "/srv/images/web/Dockerfile".into(),
            context: Some("/srv/images/web".into()),
            registry: Some("registry.example.org/team".into()),
            tag: "latest".into(),
            packages: vec!["hello".parse().unwrap()],
            repositories: vec!["sisyphus".parse().unwrap()],
            architecture: Some("x86_64".parse().unwrap()),
            engine: EngineChoice::Auto,
            build_args: std::collections::BTreeMap::new(),
            platform: Some("linux/amd64".into()),
        }],
        payloads: vec![Payload {
            name: "kiosk".parse().unwrap(),
            board: "kiosk-x86".parse().unwrap(),
            version: "{generation}.{number}".parse().unwrap(),
            repositories: vec!["sisyphus".parse().unwrap()],
            architecture: Some("x86_64".parse().unwrap()),
            key: Some("/etc/windlass/payload.pem".into()),
            zstd: false,
            delta: false,
            disk: false,
            keep: 3,
            rpm_database: "/usr/lib/sysimage/rpm".into(),
            partitions: vec![PayloadPartition {
                packages: vec!["hello".parse().unwrap()],
                slack: Some("16MiB".parse().unwrap()),
                files: vec![PayloadFile {
                    path: "etc/lsb-release".to_owned(),
                    content: "CHROMEOS_RELEASE_BOARD={board}\nCHROMEOS_RELEASE_VERSION={version}\n".to_owned(),
                    mode: "644".to_owned(),
                }],
                ..partition("root")
            }],
            stateful: Some(PayloadPartition {
                size: Some("64MiB".parse().unwrap()),
                ..partition("stateful")
            }),
        }],
        ..Config::default()
    };
    assert_eq!(all, expected);

    // And no key is missing in it.
    let (mut has, mut has_not) = Default::default();
    flat(&toml::Table::try_from(&expected).unwrap(), "", &mut has_not);
    flat(&uncommented.parse::<toml::Table>().unwrap(), "", &mut has);
    // What updates a device is a name there, and could be a table with settings of its own.
    has_not.retain(|key, _| !has.contains_key(key) && !key.starts_with("device.driver."));
    assert_eq!(has_not, std::collections::BTreeMap::default());
}

/// A partition of which only the name is known.
fn partition(name: &str) -> PayloadPartition {
    PayloadPartition {
        name: name.parse().unwrap(),
        source: None,
        image: None,
        packages: Vec::new(),
        size: None,
        slack: None,
        files: Vec::new(),
    }
}

#[test]
fn the_template_as_it_is_says_the_defaults() {
    let text = template(&["sisyphus", "p11"]);
    let config = Config::parse(&text, "windlass.toml".as_ref()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.signing, Signing::default());
    assert_eq!(config.default_repository().map(AsRef::as_ref), Some("sisyphus"));
    assert_eq!(config.settings(), Settings::from_toml(&text).unwrap());
}

#[test]
fn what_does_not_fit_together_is_told_at_once() {
    let text = "\
[paths]
root = \"srv/windlass\"
state = \"/srv/git/state\"
git = \"/srv/git\"

[users]
git = \"-git\"

[signing]
max_tag_size = \"16KiB\"
max_signature_size = \"32KiB\"
future_tolerance = \"2w\"

[push]
namespaces = [\"refs/heads/\", \"refs/replace/\", \"heads\"]

[server]
max_connections = 0

[[repository]]
name = \"sisyphus\"
default = true

[[repository]]
name = \"sisyphus\"
default = true
architectures = [\"x86_64\", \"noarch\", \"x86_64\"]

[[repository]]
name = \"p11\"
architectures = []
";
    let error = Config::parse(text, "windlass.toml".as_ref()).unwrap_err();
    assert_snapshot!(error.to_string(), @r#"
    windlass.toml:2:8: 'root' is no absolute path: 'srv/windlass'
      2 | root = "srv/windlass"
        |        ^^^^^^^^^^^^^^
    hint: write it from '/' on: hooks, ssh door and daemon start in different directories

    windlass.toml:4:7: '/srv/git' and '/srv/git/state' may not lie in one another
      4 | git = "/srv/git"
        |       ^^^^^^^^^^
    hint: each has its own owner and mode

    windlass.toml:7:7: '-git' is no name of a Unix user
      7 | git = "-git"
        |       ^^^^^^

    windlass.toml:11:22: 'max_signature_size' (32KiB) is more than 'max_tag_size' (16KiB), of which it is a part
      11 | max_signature_size = "32KiB"
         |                      ^^^^^^^

    windlass.toml:12:20: 'future_tolerance' is 2w; it may be a day at most
      12 | future_tolerance = "2w"
         |                    ^^^^
    hint: it makes up for clocks, and a clock is minutes wrong

    windlass.toml:15:30: 'refs/replace/' may not be pushed
      15 | namespaces = ["refs/heads/", "refs/replace/", "heads"]
         |                              ^^^^^^^^^^^^^^^
    hint: a replaced object makes an unsigned tag look signed

    windlass.toml:15:47: 'heads' is no namespace of references
      15 | namespaces = ["refs/heads/", "refs/replace/", "heads"]
         |                                               ^^^^^^^
    hint: it begins with 'refs/', has a name, and ends with '/', as in "refs/heads/"

    windlass.toml:18:19: 'max_connections' is 0: nothing would work
      18 | max_connections = 0
         |                   ^

    windlass.toml:25:8: there are two repositories 'sisyphus'
      25 | name = "sisyphus"
         |        ^^^^^^^^^^

    windlass.toml:26:11: 'sisyphus' and 'sisyphus' are both the default repository
      26 | default = true
         |           ^^^^
    hint: only one may say `default = true`

    windlass.toml:27:28: 'noarch' is no architecture
      27 | architectures = ["x86_64", "noarch", "x86_64"]
         |                            ^^^^^^^^
    hint: rpm's word for a machine, as in "x86_64" or "aarch64"; 'noarch' and 'source' come by themselves

    windlass.toml:27:38: 'x86_64' stands twice in 'architectures'
      27 | architectures = ["x86_64", "noarch", "x86_64"]
         |                                      ^^^^^^^^

    windlass.toml:31:17: repository 'p11' has no architecture
      31 | architectures = []
         |                 ^^
    hint: as in ["x86_64"]
    "#);
}

#[test]
fn quantities_and_names_are_told_with_their_rule() {
    let text = "[signing]\nfuture_tolerance = 5\nmax_tag_size = \"64kb\"\nother_tags = \"deny\"\nbots = [\"CI\"]\n";
    let error = Config::parse(text, "windlass.toml".as_ref()).unwrap_err();
    assert_snapshot!(error.to_string(), @r#"
    windlass.toml:2:20: 'future_tolerance': invalid type: integer '5', expected a string
      2 | future_tolerance = 5
        |                    ^

    windlass.toml:3:16: 'max_tag_size': '64kb' is no size: a whole number and a unit (B, KiB, MiB, GiB, TiB), as in "64KiB"
      3 | max_tag_size = "64kb"
        |                ^^^^^^

    windlass.toml:4:14: 'deny' is not known for 'other_tags'
      4 | other_tags = "deny"
        |              ^^^^^^
    hint: known: allow, signed, refuse

    windlass.toml:5:8: 'bots': 'CI' is no user name: lower-case letters, digits, '_' and '-', a letter first, at most 32 characters
      5 | bots = ["CI"]
        |        ^^^^^^
    "#);
}

#[test]
fn images_are_checked_together_with_what_they_install_from() {
    let text = "\
[jobs]
lease = \"1s\"
back_off = \"2h\"

[[registry]]
host = \"https://registry.example.org\"

[[repository]]
name = \"sisyphus\"
architectures = [\"x86_64\"]

[[image]]
name = \"Web\"
dockerfile = \"images/Dockerfile\"
registry = \"docker\"
repositories = [\"sysiphus\"]

[[image]]
name = \"db\"
dockerfile = \"/srv/db/Dockerfile\"
architecture = \"aarch64\"
tag = \"a:b\"
platform = \"amd64\"
build_args = { \"A=B\" = \"1\" }
regsitry = \"x\"
";
    let error = Config::parse(&text.replace("regsitry = \"x\"\n", ""), "windlass.toml".as_ref()).unwrap_err();
    assert_snapshot!(error.to_string(), @r#"
    windlass.toml:2:9: 'lease' is 1s: it would run out between two signs of life
      2 | lease = "1s"
        |         ^^^^
    hint: it is 3s at least

    windlass.toml:3:12: 'longest_back_off' (1h) is shorter than 'back_off' (2h)
      3 | back_off = "2h"
        |            ^^^^

    windlass.toml:6:8: 'https://registry.example.org' is no registry's host
      6 | host = "https://registry.example.org"
        |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    hint: as in "registry.example.org" or "localhost:5000": without https:// and without a path

    windlass.toml:13:8: 'Web' is no name that a registry takes
      13 | name = "Web"
         |        ^^^^^
    hint: lower-case letters, digits, '.', '_', '-', a letter or digit first and last

    windlass.toml:14:14: 'dockerfile' is no absolute path: 'images/Dockerfile'
      14 | dockerfile = "images/Dockerfile"
         |              ^^^^^^^^^^^^^^^^^^^
    hint: write it from '/' on, without '..'

    windlass.toml:15:12: 'docker' is no place in a registry
      15 | registry = "docker"
         |            ^^^^^^^^
    hint: as in "registry.example.org/team" or "localhost:5000": without https:// and without the image's own name

    windlass.toml:16:17: there is no repository 'sysiphus'
      16 | repositories = ["sysiphus"]
         |                 ^^^^^^^^^^
    hint: did you mean 'sisyphus'?

    windlass.toml:21:16: repository 'sisyphus' has no 'aarch64'
      21 | architecture = "aarch64"
         |                ^^^^^^^^^
    hint: it has: x86_64

    windlass.toml:22:7: 'a:b' is no tag of an image
      22 | tag = "a:b"
         |       ^^^^^
    hint: letters, digits, '.', '_', '-', as in "latest"

    windlass.toml:23:12: 'amd64' is no platform
      23 | platform = "amd64"
         |            ^^^^^^^
    hint: as in "linux/amd64" or "linux/arm/v7"

    windlass.toml:24:24: 'A=B' cannot be given to a Dockerfile so
      24 | build_args = { "A=B" = "1" }
         |                        ^^^
    hint: a name has letters, digits and '_'; its value is one line
    "#);
    assert_snapshot!(problems(text), @r#"
    windlass.toml:25:1: unknown key 'regsitry' in [[image]]
      25 | regsitry = "x"
         | ^^^^^^^^
    hint: did you mean 'registry'?
    "#);
}

#[test]
fn an_image_says_where_it_goes() {
    let text = "\
[[repository]]
name = \"sisyphus\"
architectures = [\"x86_64\", \"i586\"]

[[image]]
name = \"web\"
dockerfile = \"/srv/web/Dockerfile\"
registry = \"localhost:5000/team\"

[[image]]
name = \"db\"
dockerfile = \"/srv/db/Dockerfile\"
";
    let config = Config::parse(text, "windlass.toml".as_ref()).unwrap_or_else(|error| panic!("{error}"));
    let [web, db] = config.images.as_slice() else { panic!() };
    assert_eq!(web.reference(), "localhost:5000/team/web:latest");
    assert_eq!(web.registry_host(), Some("localhost:5000"));
    assert_eq!(web.context(), std::path::Path::new("/srv/web"));
    assert_eq!(web.arch(&config).unwrap().as_str(), "x86_64");
    assert_eq!(
        (db.reference().as_str(), db.registry_host()),
        ("localhost/db:latest", None)
    );
    assert_eq!(db.repositories(&config)[0].as_str(), "sisyphus");
}

#[test]
fn a_payload_says_what_it_is_made_of() {
    let text = "\
[[repository]]
name = \"sisyphus\"
architectures = [\"x86_64\", \"i586\"]

[[payload]]
name = \"kiosk\"
board = \"kiosk-x86\"
[[payload.partition]]
name = \"root\"
packages = [\"hello\", \"libc\"]
[[payload.partition.file]]
path = \"etc/lsb-release\"
content = \"{board}\"
[payload.stateful]
name = \"stateful\"
packages = [\"hello\"]
size = \"16MiB\"
";
    let config = Config::parse(text, "windlass.toml".as_ref()).unwrap_or_else(|error| panic!("{error}"));
    let [kiosk] = config.payloads.as_slice() else { panic!() };
    assert_eq!(kiosk.version.to_string(), "{generation}.{number}");
    assert_eq!(kiosk.arch(&config).unwrap().as_str(), "x86_64");
    assert_eq!(kiosk.repositories(&config)[0].as_str(), "sisyphus");
    let packages: Vec<String> = kiosk.packages().iter().map(ToString::to_string).collect();
    assert_eq!(packages, ["hello", "libc"]);
    assert_eq!(kiosk.partitions[0].files[0].mode(), Some(0o644));
    assert_eq!(kiosk.keep, 3);
}

#[test]
fn payloads_are_checked_together_with_images_and_offers() {
    let text = "\
[[update_server.offer]]
version = \"1\"
payload = \"/srv/p\"
board = \"eve\"

[[repository]]
name = \"sisyphus\"
architectures = [\"x86_64\"]

[[image]]
name = \"web\"
dockerfile = \"/srv/web/Dockerfile\"

[[payload]]
name = \"web\"
board = \"eve\"
key = \"payload.pem\"
keep = 0
repositories = [\"sysiphus\"]

[[payload]]
name = \"kiosk\"
board = \"kiosk\"
architecture = \"aarch64\"
[[payload.partition]]
name = \"root\"
image = \"webb\"
packages = [\"hello\"]
size = \"1000B\"
slack = \"1MiB\"
[[payload.partition]]
name = \"root\"
[[payload.partition.file]]
path = \"../etc/passwd\"
content = \"\"
mode = \"rwx\"
[[payload.partition]]
name = \"kernel\"
source = \"vmlinuz\"
slack = \"1MiB\"
[[payload.partition]]
name = \"empty\"
";
    let error = Config::parse(text, "windlass.toml".as_ref()).unwrap_err().to_string();
    for said in [
        "there is an image 'web', too",
        "an [[update_server.offer]] is for the board 'eve' already",
        "'key' is no absolute path: 'payload.pem'",
        "'keep' is 0: nothing would be left",
        "there is no repository 'sysiphus'\n",
        "payload 'web' writes no partition",
        "repository 'sisyphus' has no 'aarch64'",
        "there is no image 'webb'\n",
        "hint: did you mean 'web'?",
        "partition 'root' is to hold several things",
        "no file system has 1000",
        "in whole blocks of 4KiB",
        "'slack' is what a file system has beside what fits",
        "there are two partitions 'root'",
        "'../etc/passwd' is no file of a file system",
        "'rwx' are no permissions",
        "'source' is no absolute path: 'vmlinuz'",
        "partition 'kernel' is the file as it is",
        "nothing says what partition 'empty' holds",
    ] {
        assert!(error.contains(said), "{said} is not in\n{error}");
    }
    let template = text.replace("board = \"kiosk\"", "board = \"kiosk\"\nversion = \"1.0\"");
    let error = Config::parse(&template, "windlass.toml".as_ref())
        .unwrap_err()
        .to_string();
    assert!(error.contains("'1.0' names no versions"), "{error}");
}

#[test]
fn builders_are_checked_together_with_who_needs_them() {
    let text = "\
[build]
sandbox = \"container\"

[[builder]]
name = \"east\"
host = \"tcp://east:2375\"
image = \"fedora\"
architectures = [\"x86_64\"]

[[builder]]
name = \"east\"
host = \"unix:///run/docker.sock\"
tls = \"/etc/tls\"
image = \"localhost/build:1\"
architectures = [\"x86_64\", \"noarch\"]
slots = 0

[[builder]]
name = \"we st\"
host = \"http://west\"
image = \"localhost/build:1\"
architectures = []

[[repository]]
name = \"sisyphus\"
architectures = [\"x86_64\", \"aarch64\"]
";
    let error = Config::parse(text, "windlass.toml".as_ref()).unwrap_err();
    assert_snapshot!(error.to_string(), @r#"
    windlass.toml:6:8: 'tcp://east:2375' needs 'tls': whoever can connect to an engine without it is root there
      6 | host = "tcp://east:2375"
        |        ^^^^^^^^^^^^^^^^^
    hint: tls = "/etc/windlass/tls/NAME", a directory with ca.pem, cert.pem and key.pem

    windlass.toml:7:9: 'fedora' does not say in full which image it is
      7 | image = "fedora"
        |         ^^^^^^^^
    hint: a registry, a name, and a tag or a digest, as in "registry.example.org/build:el9" or "localhost/build:el9"

    windlass.toml:11:8: there are two builders 'east'
      11 | name = "east"
         |        ^^^^^^

    windlass.toml:13:7: 'tls' is for tcp:// only, and this is 'unix:///run/docker.sock'
      13 | tls = "/etc/tls"
         |       ^^^^^^^^^^

    windlass.toml:14:9: 'east' and 'east' build for x86_64 in different images: 'fedora' and 'localhost/build:1'
      14 | image = "localhost/build:1"
         |         ^^^^^^^^^^^^^^^^^^^
    hint: what is built must not depend on where: name one image for an architecture

    windlass.toml:15:28: 'noarch' is no architecture
      15 | architectures = ["x86_64", "noarch"]
         |                            ^^^^^^^^
    hint: rpm's word for a machine, as in "x86_64" or "aarch64"

    windlass.toml:16:9: 'slots' is 0: nothing is built on it
      16 | slots = 0
         |         ^

    windlass.toml:19:8: 'we st' is no name of a builder
      19 | name = "we st"
         |        ^^^^^^^
    hint: letters, digits, '.', '_' and '-', at most 64

    windlass.toml:20:8: 'http://west' is no address of a container engine
      20 | host = "http://west"
         |        ^^^^^^^^^^^^^
    hint: "unix:///run/docker.sock", "ssh://USER@HOST", or "tcp://HOST:PORT" with 'tls'

    windlass.toml:22:17: builder 'we st' has no architecture
      22 | architectures = []
         |                 ^^
    hint: as in ["x86_64"]

    windlass.toml:26:28: no [[builder]] builds for 'aarch64', and [build] sandbox is "container"
      26 | architectures = ["x86_64", "aarch64"]
         |                            ^^^^^^^^^
    hint: add the architecture to a [[builder]]
    "#);
    let text = text.replace("\"container\"", "\"docker\"");
    let error = Config::parse(&text, "windlass.toml".as_ref()).unwrap_err().to_string();
    assert!(error.contains("'docker' is not known for 'sandbox'"), "{error}");
}

#[test]
fn several_repositories_need_one_default() {
    let text = "[[repository]]\nname = \"a\"\n[[repository]]\nname = \"b\"\n";
    let error = Config::parse(text, "windlass.toml".as_ref()).unwrap_err();
    assert_snapshot!(error.to_string(), @r"
    windlass.toml:1:1: none of the repositories is the default: a, b
      1 | [[repository]]
        | ^^^^^^^^^^^^^^
    hint: one of them says `default = true`
    ");
    let config = Config::parse("[[repository]]\nname = \"a\"\n", "windlass.toml".as_ref()).unwrap();
    assert_eq!(config.default_repository().map(AsRef::as_ref), Some("a"));
}

#[test]
fn any_text_is_an_answer_and_no_panic() {
    bolero::check!().with_type::<String>().for_each(|text| answers(text));
}

proptest::proptest! {
    #[test]
    fn a_damaged_template_is_an_answer(cut in 0..10_000_usize, length in 0..40_usize, put in "[a-z\"=\\[\\]{}. \u{e9}\u{202e}\n#0-9-]{0,8}") {
        let text: Vec<char> = template(&["sisyphus", "p11"]).replace("\n#", "\n").chars().collect();
        let from = cut % text.len();
        let to = (from + length).min(text.len());
        let damaged: String = text[..from].iter().copied().chain(put.chars()).chain(text[to..].iter().copied()).collect();
        answers(&damaged);
    }
}

/// A text is a configuration, or is told what is wrong with it, in lines that it has and with nothing that moves a cursor.
fn answers(text: &str) {
    if let Err(wrong) = Config::parse(text, "windlass.toml".as_ref()) {
        let shown = wrong.to_string();
        assert!(!wrong.problems.is_empty());
        assert!(
            shown.chars().all(|c| c == '\n' || windlass_core::escape::is_plain(c)),
            "{shown:?}"
        );
        let lines = text.lines().count().max(1) + 1;
        assert!(wrong.problems.iter().all(|problem| problem.line <= lines), "{shown}");
    }
}

#[test]
fn what_the_update_server_may_not_be() {
    let text = "\
[update_server]
bandwidth = \"0B\"
max_connections = 0

[[update_server.offer]]
version = \"1\"
payload = \"update.gz\"

[[update_server.offer]]
version = \"\"
payload = \"/srv/update.gz\"

[[update_server.offer]]
version = \"2\"
payload = \"/srv/update.gz\"
board = \"../x\"
";
    let error = Config::parse(text, "windlass.toml".as_ref()).unwrap_err().to_string();
    for expected in [
        "windlass.toml:2:13: 'bandwidth' is 0",
        "windlass.toml:3:19: 'max_connections' is 0",
        "windlass.toml:7:11: 'payload' is no absolute path: 'update.gz'",
        "windlass.toml:10:11: '' is no version",
        "windlass.toml:11:11: two offers are for every board",
        "windlass.toml:16:9: '../x' is no name of a board",
    ] {
        assert!(error.contains(expected), "{expected}:\n{error}");
    }
}

#[test]
fn every_part_of_a_flash_has_some_time() {
    let config = Config::parse("[lab.timeouts]\nstall = \"10s\"\n", "windlass.toml".as_ref()).unwrap();
    let limits = config.lab.flash_limits();
    assert_eq!((limits.stall.as_secs(), limits.connect.as_secs()), (10, 15));
    assert_eq!(limits.total.as_secs(), 3600);
    let error = Config::parse("[lab.timeouts]\nstall = \"0s\"\n", "windlass.toml".as_ref()).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("windlass.toml:2:9: 'stall' is 0: every flash would fail"),
        "{error}"
    );
}

#[test]
fn devices_are_checked_together() {
    let text = "\
[lab]
at_once = 0
leave_alone = \"2h\"
canary = \"first ones\"

[[device]]
name = \"kiosk-1\"
address = \"-oProxyCommand=x\"
user = \"root@x\"
host_key = \"AAAA\"
tags = [\"arm\", \"arm\"]
after_merge = true
power = [\"power-cycle\"]

[[device]]
name = \"kiosk-1\"
address = \"::1\"

[[device]]
name = \"kiosk-2\"
address = \"::1\"
port = 22
adress = 1

[[nightly]]
name = \"all\"
calendar = \"30 25 * * *\"
tags = [\"amr\"]
stop_at = 0

[[nightly]]
name = \"all\"
calendar = \"0 0 30 2 *\"

[[nightly]]
name = \"zone\"
calendar = \"0 0 * * *\"
zone = \"Europe/Atlantis\"
";
    let told = problems(text);
    assert!(told.contains("did you mean 'address'?"), "{told}");
    let told = Config::parse(&text.replace("adress = 1\n", ""), "windlass.toml".as_ref())
        .expect_err("it is wrong")
        .to_string();
    for line in [
        "'at_once' is 0: nothing would work",
        "'longest_leave_alone' (1h) is shorter than 'leave_alone' (2h)",
        "'first ones' is no tag",
        "'-oProxyCommand=x' is no host",
        "'root@x' is no name of a user",
        "'AAAA' is no public key",
        "'arm' stands twice in 'tags'",
        "device 'kiosk-1' is to be flashed after each commit, and takes no payload",
        "'power-cycle' is no command",
        "there are two devices 'kiosk-1'",
        "two devices are at '::1', port 22",
        "'30 25 * * *' is no calendar",
        "no device has the tag 'amr'",
        "'stop_at' is 0",
        "there are two nightly runs 'all'",
        "'0 0 30 2 *' never comes",
        "'Europe/Atlantis' is no time zone that this machine knows",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[test]
fn a_payload_that_devices_take_is_one_that_is_made() {
    let text = "\
[[device]]
name = \"kiosk-1\"
address = \"::1\"
payload = \"kisok\"
after_merge = true

[[nightly]]
name = \"all\"
calendar = \"0 2 * * *\"
payload = \"zzz\"
";
    let wrong = |text: &str| {
        Config::parse(text, "windlass.toml".as_ref())
            .expect_err("it is wrong")
            .to_string()
    };
    let told = wrong(text);
    for line in [
        "windlass.toml:4:11: there is no payload 'kisok'",
        "windlass.toml:10:11: there is no payload 'zzz'",
        "a [[payload]] section names it",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let kiosk =
        "\n[[payload]]\nname = \"kiosk\"\nboard = \"kiosk\"\npartition = [{ name = \"root\", size = \"1MiB\" }]\n";
    let told = wrong(&format!("{text}{kiosk}"));
    assert!(told.contains("hint: did you mean 'kiosk'?"), "{told}");
    let good = text.replace("kisok", "kiosk").replace("zzz", "kiosk");
    let config = Config::parse(&format!("{good}{kiosk}"), "windlass.toml".as_ref());
    assert!(!config.is_err_and(|wrong| wrong.to_string().contains("there is no payload")));
}
