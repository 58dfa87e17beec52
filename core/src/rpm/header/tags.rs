//! The numbers of a header's tags, and flags. Source: rpm's manual, "Tags".

/// Defines the numbers, and what each is called.
macro_rules! tags {
    ($($name:ident = $number:literal, $text:literal;)+) => {
        $(pub(super) const $name: u32 = $number;)+

        /// What a tag is called in texts; a number where nobody needs more.
        pub fn name(tag: u32) -> String {
            match tag {
                $($number => $text.to_owned(),)+
                1023 => "%pre".to_owned(),
                1024 => "%post".to_owned(),
                1025 => "%preun".to_owned(),
                1026 => "%postun".to_owned(),
                1065 => "triggers".to_owned(),
                1079 => "%verifyscript".to_owned(),
                1085 => "%pre's interpreter".to_owned(),
                1086 => "%post's interpreter".to_owned(),
                1087 => "%preun's interpreter".to_owned(),
                1088 => "%postun's interpreter".to_owned(),
                1151 => "%pretrans".to_owned(),
                1152 => "%posttrans".to_owned(),
                _ => format!("header tag {tag}"),
            }
        }
    };
}

tags! {
    NAME = 1000, "name";
    VERSION = 1001, "version";
    RELEASE = 1002, "release";
    EPOCH = 1003, "epoch";
    SUMMARY = 1004, "summary";
    DESCRIPTION = 1005, "description";
    BUILD_TIME = 1006, "build time";
    BUILD_HOST = 1007, "build host";
    SIZE = 1009, "size";
    VENDOR = 1011, "vendor";
    LICENSE = 1014, "licence";
    PACKAGER = 1015, "packager";
    GROUP = 1016, "group";
    URL = 1020, "URL";
    ARCH = 1022, "architecture";
    FILE_SIZES = 1028, "file sizes";
    FILE_MODES = 1030, "file modes";
    FILE_DIGESTS = 1035, "file digests";
    FILE_LINKS = 1036, "link targets";
    FILE_FLAGS = 1037, "file flags";
    FILE_USERS = 1039, "file owners";
    FILE_GROUPS = 1040, "file groups";
    SOURCE_RPM = 1044, "source package";
    ARCHIVE_SIZE = 1046, "archive size";
    PROVIDE_NAME = 1047, "provides";
    REQUIRE_FLAGS = 1048, "flags of requires";
    REQUIRE_NAME = 1049, "requires";
    REQUIRE_VERSION = 1050, "versions of requires";
    CONFLICT_FLAGS = 1053, "flags of conflicts";
    CONFLICT_NAME = 1054, "conflicts";
    CONFLICT_VERSION = 1055, "versions of conflicts";
    EXCLUDE_ARCH = 1059, "ExcludeArch";
    EXCLUSIVE_ARCH = 1061, "ExclusiveArch";
    CHANGELOG_TIME = 1080, "changelog times";
    CHANGELOG_NAME = 1081, "changelog names";
    CHANGELOG_TEXT = 1082, "changelog";
    OBSOLETE_NAME = 1090, "obsoletes";
    SOURCE_PACKAGE = 1106, "being a source package";
    PROVIDE_FLAGS = 1112, "flags of provides";
    PROVIDE_VERSION = 1113, "versions of provides";
    OBSOLETE_FLAGS = 1114, "flags of obsoletes";
    OBSOLETE_VERSION = 1115, "versions of obsoletes";
    DIR_INDEXES = 1116, "directories of files";
    BASE_NAMES = 1117, "file names";
    DIR_NAMES = 1118, "directories";
    LONG_FILE_SIZES = 5008, "long file sizes";
    LONG_SIZE = 5009, "long size";
    FILE_CAPABILITIES = 5010, "file capabilities";
    RECOMMEND_NAME = 5046, "recommends";
    RECOMMEND_VERSION = 5047, "versions of recommends";
    RECOMMEND_FLAGS = 5048, "flags of recommends";
    SUGGEST_NAME = 5049, "suggests";
    SUGGEST_VERSION = 5050, "versions of suggests";
    SUGGEST_FLAGS = 5051, "flags of suggests";
    SUPPLEMENT_NAME = 5052, "supplements";
    SUPPLEMENT_VERSION = 5053, "versions of supplements";
    SUPPLEMENT_FLAGS = 5054, "flags of supplements";
    ENHANCE_NAME = 5055, "enhances";
    ENHANCE_VERSION = 5056, "versions of enhances";
    ENHANCE_FLAGS = 5057, "flags of enhances";
}

/// In the signature header: the SHA-256 of the main header.
pub(super) const SIGNATURE_HEADER_SHA256: u32 = 273;
/// In the signature header: the payload's size before compression.
pub(super) const SIGNATURE_PAYLOAD_SIZE: u32 = 1007;
/// The same in 64 bits.
pub(super) const SIGNATURE_LONG_ARCHIVE_SIZE: u32 = 271;

/// A dependency's flag: less.
pub(super) const SENSE_LESS: u64 = 1 << 1;
/// A dependency's flag: greater.
pub(super) const SENSE_GREATER: u64 = 1 << 2;
/// A dependency's flag: equal.
pub(super) const SENSE_EQUAL: u64 = 1 << 3;
/// A dependency's flags: it has to be there before scriptlets run.
pub(super) const SENSE_PRE: u64 = 1 << 6 | 1 << 9 | 1 << 10;
/// A file's flag: it belongs to the package and is not in it.
pub(super) const FILE_GHOST: u64 = 1 << 6;
