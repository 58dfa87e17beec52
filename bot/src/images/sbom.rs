//! Which packages an image holds, as a document that others can read: SPDX 2.3 in JSON.
//!
//! Rules: <https://spdx.github.io/spdx-spec/v2.3/>; package URLs: <https://github.com/package-url/purl-spec>. The same packages give the same bytes, in
//! whichever order they come; the document's namespace follows from the image's digest, and its time is passed in.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;
use windlass_core::image::{Digest, ImageName};

use super::oci::spec;
use super::provenance::{encoded, oci_purl, seconds};
use super::registry::Artifact;

/// What kind of document it is, for a registry.
pub const ARTIFACT: &str = "application/spdx+json";

/// Licences of the SPDX list that packages name often. A package's licence that is made of these is taken as it is written.
const LICENCES: &[&str] = &[
    "0BSD",
    "AGPL-3.0-only",
    "AGPL-3.0-or-later",
    "Apache-2.0",
    "Artistic-1.0-Perl",
    "Artistic-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSL-1.0",
    "bzip2-1.0.6",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "curl",
    "FSFAP",
    "FTL",
    "GFDL-1.3-or-later",
    "GPL-1.0-or-later",
    "GPL-2.0-only",
    "GPL-2.0-or-later",
    "GPL-3.0-only",
    "GPL-3.0-or-later",
    "HPND",
    "ICU",
    "IJG",
    "ISC",
    "LGPL-2.0-only",
    "LGPL-2.0-or-later",
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "libpng-2.0",
    "MIT",
    "MIT-0",
    "MPL-1.1",
    "MPL-2.0",
    "NCSA",
    "OFL-1.1",
    "OLDAP-2.8",
    "OpenSSL",
    "PHP-3.01",
    "PostgreSQL",
    "PSF-2.0",
    "Python-2.0",
    "Ruby",
    "SISSL",
    "Sleepycat",
    "TCL",
    "Unicode-DFS-2016",
    "Unlicense",
    "Vim",
    "W3C",
    "WTFPL",
    "X11",
    "XFree86-1.1",
    "Zlib",
    "ZPL-2.1",
    "blessing",
];

/// Exceptions of the SPDX list that may stand behind `WITH`.
const EXCEPTIONS: &[&str] = &[
    "Autoconf-exception-3.0",
    "Bison-exception-2.2",
    "Classpath-exception-2.0",
    "GCC-exception-3.1",
    "LLVM-exception",
    "Linux-syscall-note",
    "OpenSSL-exception",
    "Font-exception-2.0",
];

/// A package that an image holds, as its database says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its epoch, if it has one.
    pub epoch: Option<u32>,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its architecture.
    pub architecture: String,
    /// Its licence in its packager's words.
    pub licence: String,
    /// The name of the source package's file, as in `tool-1.0-alt1.src.rpm`.
    pub source: Option<String>,
    /// The SHA-256 of its header, as hexadecimal digits.
    pub header: Option<String>,
    /// Who made it.
    pub vendor: Option<String>,
}

impl Package {
    /// `[epoch:]version-release`.
    fn evr(&self) -> String {
        let epoch = self.epoch.map(|epoch| format!("{epoch}:")).unwrap_or_default();
        format!("{epoch}{}-{}", self.version, self.release)
    }

    /// `name-[epoch:]version-release.architecture`.
    pub fn nevra(&self) -> String {
        format!("{}-{}.{}", self.name, self.evr(), self.architecture)
    }

    /// Its package URL; qualifiers in the order of their names.
    pub fn purl(&self, namespace: Option<&str>) -> String {
        let namespace = namespace.map(|name| format!("{}/", encoded(name))).unwrap_or_default();
        let mut qualifiers = vec![format!("arch={}", encoded(&self.architecture))];
        qualifiers.extend(self.epoch.map(|epoch| format!("epoch={epoch}")));
        qualifiers.extend(
            self.source
                .as_ref()
                .map(|source| format!("upstream={}", encoded(source))),
        );
        format!(
            "pkg:rpm/{namespace}{}@{}?{}",
            encoded(&self.name),
            encoded(&format!("{}-{}", self.version, self.release)),
            qualifiers.join("&")
        )
    }
}

/// What a document is about.
#[derive(Debug, Clone)]
pub struct Contents<'a> {
    /// The image's name.
    pub image: &'a ImageName,
    /// The digest of its manifest.
    pub digest: &'a Digest,
    /// Whose packages these are, as package URLs name it: `altlinux`, `fedora`.
    pub distribution: Option<&'a str>,
    /// What it holds.
    pub packages: &'a [Package],
    /// When the document is made.
    pub created: Timestamp,
}

/// The document, as JSON.
pub fn spdx(contents: &Contents<'_>) -> Vec<u8> {
    let packages: BTreeSet<&Package> = contents.packages.iter().collect();
    let image = contents.image;
    let mut listed = vec![json!({
        "SPDXID": "SPDXRef-Image",
        "name": format!("{}/{}", image.registry(), image.repository()),
        "versionInfo": contents.digest.to_string(),
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": false,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{ "algorithm": "SHA256", "checksumValue": contents.digest.digits() }],
        "externalRefs": [purl(&oci_purl(image, contents.digest))],
    })];
    let mut relations = vec![relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image")];
    let mut licences: BTreeMap<String, &str> = BTreeMap::new();
    for (number, package) in packages.into_iter().enumerate() {
        let id = format!("SPDXRef-Package-{number}-{}", of_id(&package.name));
        let declared = declared(&package.licence);
        if declared.starts_with("LicenseRef-") {
            licences.insert(declared.clone(), &package.licence);
        }
        let mut json = json!({
            "SPDXID": id,
            "name": package.name,
            "versionInfo": package.evr(),
            "downloadLocation": "NOASSERTION",
            "filesAnalyzed": false,
            "licenseConcluded": "NOASSERTION",
            "licenseDeclared": declared,
            "copyrightText": "NOASSERTION",
            "externalRefs": [purl(&package.purl(contents.distribution))],
        });
        if let Some(source) = &package.source {
            json["sourceInfo"] = json!(format!("built from {source}"));
        }
        if let Some(header) = &package.header {
            json["comment"] = json!(format!("{}: SHA-256 of the rpm header {header}", package.nevra()));
        }
        if let Some(vendor) = &package.vendor {
            json["supplier"] = json!(format!("Organization: {vendor}"));
        }
        listed.push(json);
        relations.push(relation("SPDXRef-Image", "CONTAINS", &id));
    }
    let licences: Vec<Value> = licences
        .into_iter()
        .map(
            |(id, text)| json!({ "licenseId": id, "name": text, "extractedText": format!("The package says: {text}") }),
        )
        .collect();
    let mut document = json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": image.to_string(),
        "documentNamespace": format!("urn:windlass:spdx:sha256:{}", contents.digest.digits()),
        "creationInfo": {
            "created": seconds(contents.created),
            "creators": [format!("Tool: windlass-{}", env!("CARGO_PKG_VERSION"))],
        },
        "packages": listed,
        "relationships": relations,
    });
    if !licences.is_empty() {
        document["hasExtractedLicensingInfos"] = json!(licences);
    }
    spec::bytes(&document)
}

/// The document, as a registry takes it.
pub fn artifact(contents: &Contents<'_>) -> Artifact {
    Artifact {
        artifact_type: ARTIFACT.to_owned(),
        media_type: ARTIFACT.to_owned(),
        bytes: spdx(contents),
        annotations: BTreeMap::from([("org.opencontainers.image.created".to_owned(), seconds(contents.created))]),
    }
}

fn purl(locator: &str) -> Value {
    json!({ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": locator })
}

fn relation(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

/// What may stand in an SPDX identifier: letters, digits, `.` and `-`.
fn of_id(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect()
}

/// A licence as SPDX takes it: an expression of listed licences as it is, anything else by reference.
fn declared(licence: &str) -> String {
    if licence.trim().is_empty() {
        return "NOASSERTION".to_owned();
    }
    if is_expression(licence) {
        return licence.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let digest = hex(&Sha256::digest(licence.as_bytes()));
    format!("LicenseRef-rpm-{}", &digest[..16])
}

/// Whether a text is an expression of listed licences.
fn is_expression(text: &str) -> bool {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let mut depth = 0_u32;
    let mut wants_licence = true;
    let mut words = spaced.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "(" if wants_licence => depth += 1,
            ")" if !wants_licence && depth > 0 => depth -= 1,
            "AND" | "OR" if !wants_licence => wants_licence = true,
            "WITH" if !wants_licence => {
                if !words.next().is_some_and(|exception| EXCEPTIONS.contains(&exception)) {
                    return false;
                }
            }
            licence if wants_licence && LICENCES.contains(&licence) => wants_licence = false,
            _ => return false,
        }
    }
    depth == 0 && !wants_licence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, licence: &str) -> Package {
        Package {
            name: name.to_owned(),
            epoch: None,
            version: "1.0".to_owned(),
            release: "alt1".to_owned(),
            architecture: "x86_64".to_owned(),
            licence: licence.to_owned(),
            source: Some(format!("{name}-1.0-alt1.src.rpm")),
            header: Some("ab".repeat(32)),
            vendor: None,
        }
    }

    fn document(packages: &[Package]) -> Value {
        let image: ImageName = "r.example.org/tool:1".parse().unwrap();
        let bytes = spdx(&Contents {
            image: &image,
            digest: &Digest::of(b"image"),
            distribution: Some("altlinux"),
            packages,
            created: Timestamp::from_second(1_700_000_000).unwrap(),
        });
        serde_json::from_slice(&bytes).unwrap()
    }

    /// What the specification says of an element: the key, and whether a value is good.
    type Rules = &'static [(&'static str, fn(&str) -> bool)];

    const DOCUMENT: Rules = &[
        // 6.1 to 6.5, 6.8, 6.9
        ("spdxVersion", |text| text == "SPDX-2.3"),
        ("dataLicense", |text| text == "CC0-1.0"),
        ("SPDXID", |text| text == "SPDXRef-DOCUMENT"),
        ("name", |text| !text.is_empty()),
        ("documentNamespace", |text| text.contains(':') && !text.contains('#')),
    ];

    const PACKAGE: Rules = &[
        // 7.1 to 7.3, 7.7, 7.13, 7.15, 7.17
        ("name", |text| !text.is_empty()),
        ("SPDXID", |text| {
            text.strip_prefix("SPDXRef-")
                .is_some_and(|id| id.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)))
        }),
        ("versionInfo", |text| !text.is_empty()),
        ("downloadLocation", |text| text == "NOASSERTION"),
        ("licenseConcluded", |text| text == "NOASSERTION"),
        ("licenseDeclared", |text| {
            text == "NOASSERTION" || is_expression(text) || text.starts_with("LicenseRef-")
        }),
        ("copyrightText", |text| text == "NOASSERTION"),
    ];

    fn check(value: &Value, rules: Rules) {
        for (key, good) in rules {
            assert!(good(value[key].as_str().unwrap_or_default()), "{key}: {value}");
        }
    }

    #[test]
    fn a_document_is_as_the_specification_says() {
        let packages = [
            package("tool", "MIT AND (GPL-2.0-or-later OR Apache-2.0)"),
            package("lib+tool_x", "GPLv2+"),
            package("lib+tool_x", ""),
        ];
        let document = document(&packages);
        check(&document, DOCUMENT);
        assert_eq!(document["creationInfo"]["created"], "2023-11-14T22:13:20Z");
        assert!(
            document["creationInfo"]["creators"][0]
                .as_str()
                .unwrap()
                .starts_with("Tool: windlass-")
        );
        let listed = document["packages"].as_array().unwrap();
        assert_eq!(listed.len(), 4);
        let mut ids = BTreeSet::from(["SPDXRef-DOCUMENT"]);
        for package in listed {
            check(package, PACKAGE);
            assert_eq!(package["filesAnalyzed"], false);
            let reference = &package["externalRefs"][0];
            assert_eq!(reference["referenceCategory"], "PACKAGE-MANAGER");
            assert!(reference["referenceLocator"].as_str().unwrap().starts_with("pkg:"));
            assert!(ids.insert(package["SPDXID"].as_str().unwrap()), "an id stands twice");
        }
        // Every element that a relation names is there; the document describes something (11.1).
        let relations = document["relationships"].as_array().unwrap();
        for relation in relations {
            assert!(ids.contains(relation["spdxElementId"].as_str().unwrap()));
            assert!(ids.contains(relation["relatedSpdxElement"].as_str().unwrap()));
        }
        assert_eq!(relations[0]["relationshipType"], "DESCRIBES");
        // Every reference to a licence is explained (10.1).
        let explained = document["hasExtractedLicensingInfos"].as_array().unwrap();
        let id = explained[0]["licenseId"].as_str().unwrap();
        assert!(listed.iter().any(|package| package["licenseDeclared"] == id));
        assert!(explained[0]["extractedText"].as_str().unwrap().contains("GPLv2+"));
    }

    #[test]
    fn the_order_of_packages_does_not_matter() {
        let packages = [package("a", "MIT"), package("b", "MIT")];
        let turned = [package("b", "MIT"), package("a", "MIT"), package("a", "MIT")];
        assert_eq!(document(&packages), document(&turned));
    }

    #[test]
    fn package_urls_are_as_purl_says() {
        let mut one = package("lib+x", "MIT");
        one.epoch = Some(2);
        assert_eq!(
            one.purl(Some("altlinux")),
            "pkg:rpm/altlinux/lib%2Bx@1.0-alt1?arch=x86_64&epoch=2&upstream=lib%2Bx-1.0-alt1.src.rpm"
        );
        assert_eq!(one.nevra(), "lib+x-2:1.0-alt1.x86_64");
    }

    #[test]
    fn expressions() {
        for good in [
            "MIT",
            "(MIT)",
            "MIT OR Apache-2.0",
            "GPL-3.0-or-later WITH GCC-exception-3.1 AND (MIT OR ISC)",
        ] {
            assert!(is_expression(good), "{good}");
        }
        for bad in [
            "",
            "GPLv2+",
            "MIT OR",
            "MIT MIT",
            "(MIT",
            "MIT)",
            "MIT WITH x",
            "MIT and ISC",
            "AND MIT",
        ] {
            assert!(!is_expression(bad), "{bad}");
        }
    }
}
