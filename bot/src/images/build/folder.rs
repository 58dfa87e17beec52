//! All images of a folder: every Dockerfile in it by the name that others call it by.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use windlass_core::image::ImageName;

use super::error::BuildError;
use super::record;
use super::request::{BuildRequest, Places, What};

/// Files of a folder that are looked at.
const MOST: usize = 100_000;

/// The images of a folder, each with what is known of how it was built here.
///
/// # Errors
/// The folder cannot be read.
pub fn images(folder: &Path, places: &Places) -> Result<Vec<BuildRequest>, BuildError> {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    let entries = std::fs::read_dir(folder).map_err(BuildError::file(folder))?;
    for entry in entries.take(MOST) {
        let entry = entry.map_err(BuildError::file(folder))?;
        let path = entry.path();
        let Some(file) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        let name = if path.is_dir() {
            let inner = path.join("Dockerfile");
            if !inner.is_file() {
                continue;
            }
            file
        } else if let Some(name) = name_of(&file) {
            name.to_owned()
        } else {
            continue;
        };
        // Which of two counts is decided as it is for a base.
        if let Some(path) = super::family::find(folder, &name) {
            found.insert(name, path);
        }
    }
    let prefix = places.prefixes.first().map_or("localhost/", String::as_str);
    let records = record::directory();
    let mut requests = Vec::with_capacity(found.len());
    for (name, path) in found {
        let Ok(tag) = ImageName::local(&format!("{prefix}{name}")) else {
            continue;
        };
        let record = records.as_deref().and_then(|dir| record::read(dir, &tag));
        let same = std::path::absolute(&path).map_err(BuildError::file(&path))?;
        let mut request = BuildRequest::new(tag, &path);
        request.places = places.clone();
        request.what = match record.filter(|record| record.dockerfile == same) {
            Some(record) => record.what,
            None => What {
                context: path
                    .ends_with("Dockerfile")
                    .then(|| path.parent().map(Path::to_owned))
                    .flatten(),
                ..What::default()
            },
        };
        requests.push(request);
    }
    Ok(requests)
}

/// The name of the image that a Dockerfile makes, by the file's name.
fn name_of(file: &str) -> Option<&str> {
    let name = [".docker", ".dockerfile", ".Dockerfile"]
        .into_iter()
        .find_map(|suffix| file.strip_suffix(suffix));
    name.or_else(|| file.strip_prefix("Dockerfile."))
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dockerfile_is_an_image_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "a.docker",
            "b.Dockerfile",
            "Dockerfile.c",
            "d/Dockerfile",
            "e/other",
            "notes",
            "UPPER.docker",
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "FROM scratch\n").unwrap();
        }
        let images = images(dir.path(), &Places::default()).unwrap();
        let names: Vec<&str> = images.iter().map(|image| image.tag.repository()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert!(images[3].what.context.is_some());
    }
}
