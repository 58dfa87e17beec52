use super::*;

/// A header's bytes: tags with type and data, in this order.
fn header(tags: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
    let mut index = Vec::new();
    let mut store: Vec<u8> = Vec::new();
    for (tag, kind, count, data) in tags {
        let width = match kind {
            3 => 2,
            4 => 4,
            5 => 8,
            _ => 1,
        };
        store.resize(store.len().next_multiple_of(width), 0);
        for number in [*tag, *kind, u32::try_from(store.len()).unwrap(), *count] {
            index.extend(number.to_be_bytes());
        }
        store.extend(*data);
    }
    let mut bytes = vec![0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];
    bytes.extend(u32::try_from(tags.len()).unwrap().to_be_bytes());
    bytes.extend(u32::try_from(store.len()).unwrap().to_be_bytes());
    bytes.extend(index);
    bytes.extend(store);
    bytes
}

/// A package's bytes, without payload.
fn file(signature: &[(u32, u32, u32, &[u8])], main: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0xed, 0xab, 0xee, 0xdb];
    bytes.resize(96, 0);
    bytes.extend(header(signature));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(header(main));
    bytes
}

const SMALL: &[(u32, u32, u32, &[u8])] = &[
    (1000, 6, 1, b"hello\0"),
    (1001, 6, 1, b"1.0\0"),
    (1002, 6, 1, b"alt1\0"),
    (1003, 4, 1, &[0, 0, 0, 2]),
    (1022, 6, 1, b"noarch\0"),
    (1030, 3, 2, &[0x81, 0xa4, 0x41, 0xed]),
    (1044, 6, 1, b"hello-1.0-alt1.src.rpm\0"),
    (1047, 8, 1, b"hello\0"),
    (1048, 4, 3, &[0, 0, 0, 12, 1, 0, 0, 10, 0, 0, 2, 0]),
    (1049, 8, 3, b"libfoo\0rpmlib(X)\0(a or b)\0"),
    (1050, 8, 3, b"1:1.0\x001\0\0"),
    (1112, 4, 1, &[0, 0, 0, 8]),
    (1113, 8, 1, b"2:1.0-alt1\0"),
    (1116, 4, 2, &[0, 0, 0, 0, 0, 0, 0, 0]),
    (1117, 8, 2, b"hello\0hello.d\0"),
    (1118, 8, 1, b"/usr/bin/\0"),
];

fn with(tag: u32, kind: u32, count: u32, data: &'static [u8]) -> Vec<u8> {
    let mut tags: Vec<_> = SMALL.iter().copied().filter(|(number, ..)| *number != tag).collect();
    tags.push((tag, kind, count, data));
    tags.sort_by_key(|(number, ..)| *number);
    file(&[], &tags)
}

fn problem(bytes: &[u8]) -> String {
    read(&mut &bytes[..]).expect_err("it is wrong").to_string()
}

#[test]
fn a_small_package_is_read() {
    let header = read(&mut &file(&[(1007, 4, 1, &[0, 0, 1, 0])], SMALL)[..]).unwrap();
    let package = &header.package;
    assert_eq!(package.nevra(), "hello-2:1.0-alt1.noarch");
    assert_eq!(package.file_name(), "hello-1.0-alt1.noarch.rpm");
    assert_eq!(package.source_rpm.as_deref(), Some("hello-1.0-alt1.src.rpm"));
    let requires: Vec<String> = package.requires.iter().map(ToString::to_string).collect();
    assert_eq!(requires, ["libfoo >= 1:1.0", "(a or b)"]);
    assert_eq!(header.about.pre, [false, true]);
    assert_eq!(package.provides[0].to_string(), "hello = 2:1.0-alt1");
    let files: Vec<_> = package
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.kind))
        .collect();
    assert_eq!(
        files,
        [
            ("/usr/bin/hello", crate::rpm::FileKind::Plain),
            ("/usr/bin/hello.d", crate::rpm::FileKind::Directory)
        ]
    );
    assert_eq!(header.about.files[0].mode, 0o100_644);
    assert_eq!(header.about.archive_size, 256);
    assert_eq!(header.about.header_range.start, 96 + 16 + 16 + 8, "the padding counts");
}

#[test]
fn what_lies_is_refused() {
    assert!(problem(b"").contains("ends in the middle of its lead"));
    assert!(problem(&[0; 200]).contains("no rpm package"));
    let good = file(&[], SMALL);
    for end in [90, 100, 130, good.len() - 1] {
        assert!(problem(&good[..end]).contains("ends in the middle"), "{end}");
    }
    let mut claims = good.clone();
    claims[96 + 16 + 12..][..4].copy_from_slice(&0x3fff_ffff_u32.to_be_bytes());
    assert!(problem(&claims).contains("header is too big: 1073741823"));
    claims[96 + 16 + 12..][..4].copy_from_slice(&0x0300_0000_u32.to_be_bytes());
    assert!(problem(&claims).contains("ends in the middle of its header"));
    assert!(problem(&with(1000, 6, 1, b"../../etc/passwd\0")).contains("the name is wrong"));
    assert!(problem(&with(1000, 6, 1, b"a/b\0")).contains("the name is wrong"));
    assert!(problem(&with(1000, 6, 1, b"\0")).contains("it is not there"));
    assert!(problem(&with(1001, 6, 1, b"1.0-2\0")).contains("the version is wrong"));
    assert!(problem(&with(1002, 6, 1, b"a\x1b[2J\0")).contains("a\\u{1b}[2J"));
    assert!(problem(&with(1000, 4, 1, &[0, 0, 0, 1])).contains("it is no text"));
    assert!(problem(&with(1044, 6, 1, b"../x.src.rpm\0")).contains("no file's name"));
    assert!(problem(&with(1116, 4, 2, &[0, 0, 0, 0, 0, 0, 0, 1])).contains("there is no directory 1"));
    assert!(problem(&with(1030, 3, 1, &[0x81, 0xa4])).contains("there are 1 of them for 2 files"));
    assert!(problem(&with(1048, 4, 1, &[0, 0, 0, 0])).contains("3 names, 1 flags, 3 versions"));
    assert!(problem(&with(1049, 8, 3, b"a\0b\0(a or\0")).contains("is no dependency"));
    let digest = file(&[(273, 6, 1, b"00\0")], SMALL);
    assert!(problem(&digest).contains("the header's digest is wrong"));
}

#[test]
fn entries_do_not_overlap_or_lead_outside() {
    for (tag, kind, offset, count) in [
        (9u32, 4u32, 0u32, 1u32),
        (9, 7, 0, u32::MAX),
        (9, 8, 0, 9),
        (9, 99, 0, 1),
        (9, 5, u32::MAX, 1),
    ] {
        let mut bytes = header(&[(1, 7, 4, b"abcd"), (2, 7, 4, b"abcd")]);
        for (at, number) in [tag, kind, offset, count].into_iter().enumerate() {
            bytes[16 + 16 + at * 4..][..4].copy_from_slice(&number.to_be_bytes());
        }
        assert!(
            store::Store::read(&mut &bytes[..], "header").is_err(),
            "{tag} {kind} {offset} {count}"
        );
    }
}

#[test]
fn many_files_under_a_long_name_cost_nothing() {
    // One directory of 60 kB, named by 100,000 files: 6 GB if it were believed.
    let directory: &'static [u8] = Box::leak([vec![b'/'; 60_000], vec![0]].concat().into_boxed_slice());
    let names: &'static [u8] = Box::leak(b"x\0".repeat(100_000).into_boxed_slice());
    let indexes: &'static [u8] = Box::leak(vec![0; 400_000].into_boxed_slice());
    let mut tags: Vec<_> = SMALL
        .iter()
        .copied()
        .filter(|(tag, ..)| *tag < 1116 && *tag != 1030)
        .collect();
    tags.extend([
        (1116u32, 4u32, 100_000u32, indexes),
        (1117, 8, 100_000, names),
        (1118, 8, 1, directory),
    ]);
    assert!(problem(&file(&[], &tags)).contains("is longer than 4096 bytes"));
}

#[test]
fn old_text_is_read_as_latin_1() {
    let header = read(&mut &with(1004, 9, 1, b"J\xf6rg\0")[..]).unwrap();
    assert_eq!(header.about.summary, "Jörg");
}

#[test]
fn fuzz_bytes_never_panic() {
    bolero::check!().with_iterations(5_000).for_each(|bytes: &[u8]| {
        let mut whole = vec![0xed, 0xab, 0xee, 0xdb];
        whole.resize(96, 0);
        whole.extend(bytes);
        let _ = read(&mut &whole[..]);
    });
}

#[test]
fn fuzz_changed_packages_never_panic() {
    let seed = file(&[(1007, 4, 1, &[0, 0, 1, 0])], SMALL);
    bolero::check!()
        .with_iterations(20_000)
        .with_type::<(Vec<(u16, u8)>, u16)>()
        .for_each(|(changes, end)| {
            let mut bytes = seed.clone();
            for (place, value) in changes {
                let place = usize::from(*place) % bytes.len();
                bytes[place] = *value;
            }
            if end % 4 == 0 {
                bytes.truncate(usize::from(*end) % bytes.len());
            }
            let _ = read(&mut &bytes[..]);
        });
}
