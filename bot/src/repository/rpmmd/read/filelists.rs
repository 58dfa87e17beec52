//! Reads `filelists`: all files of each package.

use std::collections::HashMap;

use windlass_core::rpm::{File, FileKind, Package};

use super::primary::{file_kind, path};
use super::xml::{Attributes, Visit};
use super::{Budget, Limits};

/// Gives packages their files.
pub(super) struct Filelists<'a> {
    places: &'a HashMap<String, usize>,
    packages: &'a mut Vec<(String, Package)>,
    limits: &'a Limits,
    budget: &'a mut Budget,
    listed: usize,
    /// The place of the package whose files are read.
    place: Option<usize>,
    kind: FileKind,
    files: Vec<File>,
}

impl<'a> Filelists<'a> {
    pub(super) fn new(
        places: &'a HashMap<String, usize>,
        packages: &'a mut Vec<(String, Package)>,
        limits: &'a Limits,
        budget: &'a mut Budget,
    ) -> Self {
        Self {
            places,
            packages,
            limits,
            budget,
            listed: 0,
            place: None,
            kind: FileKind::Plain,
            files: Vec::new(),
        }
    }
}

impl Visit for Filelists<'_> {
    fn open(&mut self, depth: usize, name: &str, attributes: &Attributes<'_>) -> Result<(), String> {
        match (depth, name) {
            (1, "package") => {
                self.listed += 1;
                if self.listed > self.limits.packages {
                    return Err(format!("it lists more than {} packages", self.limits.packages));
                }
                let pkgid = attributes.need("pkgid")?;
                // Those of other architectures are not known.
                self.place = self.places.get(&*pkgid.to_ascii_lowercase()).copied();
                self.files.clear();
            }
            (2, "file") if self.place.is_some() => self.kind = file_kind(attributes)?,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, depth: usize, name: &str, text: &str) -> Result<(), String> {
        match (depth, name) {
            (1, "package") => {
                if let Some(place) = self.place.take() {
                    let mut files = std::mem::take(&mut self.files);
                    files.shrink_to_fit();
                    self.packages[place].1.files = files;
                }
            }
            (2, "file") if self.place.is_some() => {
                let path = self.budget.keep(path(text)?)?;
                self.files.push(File { path, kind: self.kind });
                if self.files.len() > self.limits.files {
                    return Err(format!("a package has more than {} files", self.limits.files));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
