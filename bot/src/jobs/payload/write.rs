//! What is written of a payload's version, and put into the stock as one.

use std::cmp::Ordering;
use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use windlass_core::device::payload::codec::Zstd;
use windlass_core::device::payload::{PartitionName, Properties};
use windlass_core::device::version;
use windlass_core::hex::hex;
use windlass_core::id::{Generation, JobId};
use windlass_core::job::{JobResult, MadeDelta, MadeFile, MadePayload};

use super::files::Words;
use super::filesystem::{self, Maker};
use super::inputs::{From, Inputs};
use crate::crash;
use crate::devices::payload::{
    Cache, ChangedPartition, DeltaOrder, GenerateOrder, ImagePart, NewPartition, PayloadError, SigningKey, Work, delta,
    generate,
};
use crate::devices::stock::{self, Draft, Label, Stock, Stocked};
use crate::devices::{gpt, stateful};
use crate::digest::sha256_of;
use crate::jobs::Trouble;
use crate::jobs::logs::Log;
use crate::sandbox::Builder;
use crate::stages::StopFlag;

/// A version that is to be made.
pub(super) struct Making {
    pub(super) inputs: Inputs,
    pub(super) job: JobId,
    pub(super) before: Before,
    pub(super) builder: Builder,
    pub(super) stock: Stock,
    pub(super) log: Log,
    pub(super) stop: StopFlag,
}

/// What is on record.
pub(super) struct Before {
    /// The number and the name of the version that was made last.
    pub(super) last: Option<(u64, String)>,
    /// What the images hold that file systems are taken from.
    pub(super) in_images: Vec<String>,
}

/// The content of a partition, in a file.
struct Part {
    name: PartitionName,
    path: PathBuf,
    image: ImagePart,
}

impl Making {
    /// Makes the next version; nothing where the newest one was made of the same.
    pub(super) fn make(&self) -> Result<JobResult, Trouble> {
        let payload = &self.inputs.payload;
        let newest = self.stock.versions(&payload.name).into_iter().next();
        if let Some(same) = newest
            .as_ref()
            .filter(|newest| newest.label.inputs == self.inputs.digest)
        {
            let mut made = same.label.made.clone();
            made.reused = same.label.job != self.job;
            made.generations = self.inputs.pinned.generations();
            return Ok(JobResult::Payload(Box::new(made)));
        }
        let (number, version) = self.next(newest.as_ref())?;
        self.log.say(&format!("version {version} for board {}", payload.board));
        let draft = self.stock.begin(&payload.name).map_err(|error| of_io(&error))?;
        let mut parts = self.parts(&draft, &version)?;
        crash::point("payload.imaged");
        let staying = payload.stateful.as_ref().and_then(|_| parts.pop());
        let made = self.written(&draft, &parts, staying.as_ref(), newest.as_ref())?;
        let made = MadePayload {
            number,
            version,
            ..made
        };
        crash::point("payload.written");
        if !payload.delta {
            // Nobody reads them again.
            for part in parts
                .iter()
                .chain(&staying)
                .filter(|part| part.path.starts_with(draft.path()))
            {
                std::fs::remove_file(&part.path).map_err(|error| of_io(&error))?;
            }
        }
        let label = Label {
            at: Timestamp::now(),
            job: self.job,
            inputs: self.inputs.digest.clone(),
            made: made.clone(),
        };
        draft.finish(&label).map_err(|error| of_io(&error))?;
        crash::point("payload.stocked");
        if let Err(error) = self.stock.clear(&payload.name, payload.keep) {
            tracing::warn!(payload = %payload.name, %error, "old versions of payload {} stay: {error}", payload.name);
        }
        Ok(JobResult::Payload(Box::new(made)))
    }

    /// The number and the name of the next version, which has to be higher than all before.
    fn next(&self, newest: Option<&Stocked>) -> Result<(u64, String), Trouble> {
        let stocked = newest.map(|newest| (newest.label.made.number, newest.version().to_owned()));
        let before: Vec<(u64, String)> = self.before.last.iter().cloned().chain(stocked).collect();
        let number = before.iter().map(|(number, _)| *number).max().unwrap_or(0) + 1;
        let template = &self.inputs.payload.version;
        let version = template.fill(number, self.inputs.pinned.first().unwrap_or(Generation(0)));
        let is_higher = |(_, other): &&(u64, String)| version::compare(&version, other) != Ordering::Greater;
        if let Some((_, other)) = before.iter().find(is_higher) {
            return Err(Trouble::lasting(format!(
                "version {version} is not higher than {other}, which was made before: devices would not take it\n\nhint: [[payload]] version \
                 has to name higher ones, as in \"{}.{{number}}\"",
                other
                    .split('.')
                    .next()
                    .and_then(|first| first.parse::<u64>().ok())
                    .map_or(1, |first| first + 1)
            )));
        }
        Ok((number, version))
    }

    /// What the partitions hold, the stateful one last.
    fn parts(&self, draft: &Draft, version: &str) -> Result<Vec<Part>, Trouble> {
        let payload = &self.inputs.payload;
        let board = payload.board.to_string();
        let maker = Maker {
            builder: &self.builder,
            arch: self.inputs.pinned.arch(),
            database: &payload.rpm_database,
            words: Words { version, board: &board },
            log: &self.log,
            stop: &self.stop,
        };
        let mut parts = Vec::new();
        for content in &self.inputs.partitions {
            let name = content.partition.name.clone();
            let path = match &content.from {
                // The next delta wants it as it is now.
                From::Source(source) if payload.delta => {
                    let path = draft.image(&name);
                    let copied = File::open(source).and_then(|file| filesystem::copy(&file, &path));
                    copied.map_err(|error| Trouble::lasting(format!("{}: {error}", source.display())))?;
                    path
                }
                From::Source(source) => source.clone(),
                From::Image(_) | From::Packages(_) => {
                    let path = draft.image(&name);
                    maker.make(content, &path)?;
                    path
                }
            };
            let image = ImagePart::file(&path).map_err(|error| of_payload(&error))?;
            self.log.say(&format!("partition {name}: {} bytes", image.size()));
            parts.push(Part { name, path, image });
        }
        Ok(parts)
    }

    /// Writes payload, delta, archive and disk.
    fn written(
        &self,
        draft: &Draft,
        parts: &[Part],
        staying: Option<&Part>,
        newest: Option<&Stocked>,
    ) -> Result<MadePayload, Trouble> {
        let payload = &self.inputs.payload;
        let stopped = || self.stop.is_set();
        let work = Work {
            stopped: &stopped,
            ..Work::default()
        };
        let out = |name: &str| draft.path().join(name);
        let order = GenerateOrder {
            partitions: parts
                .iter()
                .map(|part| NewPartition {
                    name: part.name.clone(),
                    image: part.image.clone(),
                })
                .collect(),
            key: self.key()?,
            zstd: self.zstd(),
            cache: Some(self.cache()?),
            max_timestamp: None,
        };
        let full = generate(&order, &work, &out(stock::PAYLOAD)).map_err(|error| of_payload(&error))?;
        let full = made_file(&full.properties);
        self.log.say(&format!("payload: {} bytes", full.size));
        let delta = match newest.filter(|_| payload.delta) {
            Some(newest) => self.delta(parts, newest, &work, &out(stock::DELTA))?,
            None => None,
        };
        let archive = match staying {
            Some(part) => {
                let archived = stateful::archive(&part.image, &work, &out(stock::STATEFUL));
                let archived = archived.map_err(|error| of_payload(&error))?;
                self.log
                    .say(&format!("archive of partition {}: {} bytes", part.name, archived.size));
                Some(MadeFile {
                    digest: hex(archived.hash.bytes()),
                    size: archived.size,
                })
            }
            None => None,
        };
        let disk = if payload.disk {
            let contents: Vec<(String, ImagePart)> = staying
                .into_iter()
                .chain(parts)
                .map(|part| (part.name.to_string(), part.image.clone()))
                .collect();
            Some(disk(&out(stock::DISK), &contents)?)
        } else {
            None
        };
        let mut packages = self.inputs.packages();
        packages.extend(self.before.in_images.iter().cloned());
        packages.sort();
        packages.dedup();
        Ok(MadePayload {
            payload: payload.name.clone(),
            board: payload.board.to_string(),
            version: String::new(),
            number: 0,
            digest: full.digest,
            size: full.size,
            reused: false,
            stateful: archive,
            disk,
            delta,
            generations: self.inputs.pinned.generations(),
            packages,
        })
    }

    /// What leads from the newest version to this one; nothing where what it held is not kept, or where it had other partitions.
    fn delta(
        &self,
        parts: &[Part],
        newest: &Stocked,
        work: &Work<'_>,
        out: &Path,
    ) -> Result<Option<MadeDelta>, Trouble> {
        let from = newest.version().to_owned();
        let mut partitions = Vec::new();
        for part in parts {
            let Some(old) = newest.image(&part.name) else {
                self.log.say(&format!(
                    "no delta: what partition {} held in version {from} is not kept",
                    part.name
                ));
                return Ok(None);
            };
            partitions.push(ChangedPartition {
                name: part.name.clone(),
                old: ImagePart::file(&old).map_err(|error| of_payload(&error))?,
                new: part.image.clone(),
            });
        }
        let order = DeltaOrder {
            partitions,
            key: self.key()?,
            zstd: self.zstd(),
            cache: Some(self.cache()?),
            max_timestamp: None,
        };
        let made = delta(&order, work, out).map_err(|error| of_payload(&error))?;
        let file = made_file(&made.properties);
        self.log.say(&format!("delta from version {from}: {} bytes", file.size));
        Ok(Some(MadeDelta { from, file }))
    }

    fn key(&self) -> Result<Option<SigningKey>, Trouble> {
        let key = self.inputs.payload.key.as_deref();
        key.map(SigningKey::read)
            .transpose()
            .map_err(|error| of_payload(&error))
    }

    fn zstd(&self) -> Zstd {
        if self.inputs.payload.zstd {
            Zstd::Always
        } else {
            Zstd::Never
        }
    }

    fn cache(&self) -> Result<Cache, Trouble> {
        Cache::open(&self.stock.chunks(), Cache::LIMIT).map_err(|error| of_payload(&error))
    }
}

fn disk(out: &Path, contents: &[(String, ImagePart)]) -> Result<MadeFile, Trouble> {
    gpt::write(out, contents).map_err(|error| of_payload(&error))?;
    let digested = File::open(out).and_then(sha256_of).map_err(|error| of_io(&error))?;
    let (digest, size) = digested;
    Ok(MadeFile { digest, size })
}

fn made_file(properties: &Properties) -> MadeFile {
    MadeFile {
        digest: hex(properties.file_hash.bytes()),
        size: properties.file_size,
    }
}

/// A full disk, a file that somebody holds: the same may succeed later.
fn of_io(error: &std::io::Error) -> Trouble {
    Trouble::transient(format!("the payload cannot be written: {error}"))
}

fn of_payload(error: &PayloadError) -> Trouble {
    Trouble::of(error, error.is_environment() || matches!(error, PayloadError::Stopped))
}
