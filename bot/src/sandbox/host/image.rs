//! What an image stands for in build roots: the same generated package `windlass-host`, made of what the image holds.
//!
//! Its digest is that of the image's id and of what is configured to be provided, and of nothing else: an image never changes, so it is
//! looked at once. If the image has a database of rpm's, what its packages provide counts too.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use windlass_core::hex::hex;
use windlass_core::repository::Index;
use windlass_core::rpm::Package;

use super::{FORMAT, Host, package, place, scan};
use crate::sandbox::Builder;
use crate::sandbox::macros::Target;

/// Where rpm keeps its database, where it is not [`super::RPM`].
const ELSEWHERE: &str = "usr/lib/sysimage/rpm";

/// The files of such a database.
const FILES: [&str; 3] = ["rpmdb.sqlite", "Packages.db", "Packages"];

/// What is kept beside the package.
const NOTE: &str = "image.json";

/// What is known of an image's database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Where it is, absolute, if it is not where rpm has it by itself.
    database: Option<String>,
}

/// A tree with what an image holds, and a way to ask its rpm.
pub(in crate::sandbox) trait Image {
    /// Lays the tree out below a directory.
    fn lay_out(&self, directory: &Path) -> io::Result<()>;

    /// What the packages of its database provide, one a line as rpm prints requirements.
    fn provided(&self, database: &str) -> io::Result<String>;
}

impl Host {
    /// The digest of an image as an architecture's builds see it.
    pub(in crate::sandbox) fn digest_of(builder: &Builder, target: &Target, id: &str) -> String {
        let settings = &builder.settings;
        hex(&Sha256::digest(format!(
            "windlass-image {FORMAT} {} {id}\n{:?}\n",
            target.arch, settings.host_provides
        )))
    }

    /// The one of an image, if it was looked at before.
    pub(in crate::sandbox) fn known_image(builder: &Builder, target: &Target, digest: &str) -> io::Result<Self> {
        let directory = place(builder, target, digest);
        let kept: Kept = serde_json::from_slice(&fs::read(directory.join(NOTE))?)?;
        let file = directory.join(package::file_name(target, digest));
        let (header, artifact) = package::read(&file)?;
        let package = Arc::new(Package {
            artifact: Some(artifact),
            ..Package::clone(&header.package)
        });
        Ok(Self {
            digest: digest.to_owned(),
            index: Arc::new(Index::of([Arc::clone(&package)])),
            package,
            header,
            file,
            state: Vec::new(),
            database: kept.database,
        })
    }

    /// Looks at an image, and writes down what it stands for.
    pub(in crate::sandbox) fn of_image(
        builder: &Builder,
        target: &Target,
        digest: &str,
        image: &dyn Image,
    ) -> io::Result<Self> {
        if let Ok(known) = Self::known_image(builder, target, digest) {
            return Ok(known);
        }
        let directory = place(builder, target, digest);
        let parent = directory.parent().unwrap_or(&directory).to_owned();
        fs::create_dir_all(&parent)?;
        let tree = tempfile::Builder::new().prefix(".new-").tempdir_in(&parent)?;
        image.lay_out(tree.path())?;
        let configured = builder.settings.host_provides.iter();
        let mut provides = scan::provides(
            tree.path(),
            digest,
            target,
            configured.map(|(name, path)| (name.as_str(), path.as_str())),
        )?;
        let has = |place: &str| FILES.iter().any(|name| tree.path().join(place).join(name).exists());
        let database = [super::RPM, ELSEWHERE].into_iter().find(|place| has(place));
        if let Some(database) = database {
            let mut more: Vec<_> = image
                .provided(&format!("/{database}"))?
                .lines()
                .filter_map(scan::dependency)
                .collect();
            provides.append(&mut more);
            provides.sort_by_key(ToString::to_string);
            provides.dedup();
        }
        let new = tempfile::Builder::new().prefix(".new-").tempdir_in(&parent)?;
        package::write(new.path(), target, digest, &provides)?;
        let kept = Kept {
            database: database
                .filter(|place| *place == ELSEWHERE)
                .map(|place| format!("/{place}")),
        };
        fs::write(new.path().join(NOTE), serde_json::to_vec(&kept)?)?;
        fs::set_permissions(new.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        match fs::rename(new.path(), &directory) {
            Ok(()) => drop(new.keep()),
            // Somebody else was quicker.
            Err(_) if directory.join(NOTE).is_file() => {}
            Err(error) => return Err(error),
        }
        Self::known_image(builder, target, digest)
    }
}
