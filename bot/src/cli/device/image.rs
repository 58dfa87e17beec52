//! Which image is meant, and what is made of it.

use std::path::PathBuf;

use windlass_core::device::flash::DriverChoice;
use windlass_core::device::payload::codec::Zstd;
use windlass_core::id::PayloadName;

use crate::cli::payload::terminal::Session;
use crate::devices::Place;
use crate::devices::flash::Parcels;
use crate::devices::flash::prepare::{self, Wanted};
use crate::devices::stock::{Stock, Stocked};
use crate::exit::{Exit, Usage};
use crate::output::Output;

/// What is flashed.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "one flag each")]
pub(super) struct ImageArgs {
    /// The board that the image is for; by default what the image says, or `WINDLASS_BOARD`
    #[arg(long, env = "WINDLASS_BOARD", value_name = "BOARD")]
    pub(super) board: Option<String>,
    /// Flash even if the device's board is another one
    #[arg(long)]
    pub(super) force_mismatch: bool,
    /// The image, or a directory with one: a disk image, a file system, or a payload that is made; by default the newest payload of the stock
    #[arg(long, value_name = "FILE|DIR")]
    from: Option<PathBuf>,
    /// The image's name in its directory
    #[arg(long, value_name = "NAME", default_value = "chromiumos_image.bin")]
    image_name: String,
    /// Without --from: the newest image below DIR/BOARD, before the stock
    #[arg(long, env = "WINDLASS_IMAGES", value_name = "DIR")]
    images: Option<PathBuf>,
    /// The image that the device runs: send only what differs from it
    #[arg(long, value_name = "IMAGE")]
    delta_from: Option<PathBuf>,
    /// The RSA key, in PEM, that signs the payload
    #[arg(long, value_name = "PEM")]
    key: Option<PathBuf>,
    /// Compress with Zstandard, for devices that are known to understand it
    #[arg(long)]
    zstd: bool,
    /// Leave the stateful partition as it is
    #[arg(long)]
    no_stateful: bool,
    /// The version that is to run afterwards; by default what the image says
    #[arg(long, value_name = "VERSION")]
    to_version: Option<String>,
    /// Taken for older scripts, and ignored: payloads hold the kernel as it is
    #[arg(long = "patch_kernel", alias = "patch-kernel", hide = true)]
    patch_kernel: bool,
}

/// What is to be flashed.
#[derive(Debug)]
pub(super) enum Image {
    /// A file, of which something may have to be made.
    File(PathBuf),
    /// A payload of the stock, which is taken as it is.
    Stocked(Box<Stocked>),
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Stocked(stocked) => write!(f, "payload {} {}", stocked.label.made.payload, stocked.version()),
        }
    }
}

impl ImageArgs {
    /// The image that is named, or the newest of a board in the directory of images; nothing where the stock is meant.
    ///
    /// # Errors
    /// The one that is named is not there: a usage error.
    pub(super) fn named(&self, board: Option<&str>, out: &mut Output) -> anyhow::Result<Option<Image>> {
        if self.patch_kernel {
            out.say("--patch_kernel is ignored: payloads hold the kernel as it is");
        }
        if let Some(from) = &self.from {
            let image = prepare::image_in(from, &self.image_name);
            let image = image.map_err(|why| Usage::new(why).hint("--from FILE, or --from DIR --image-name NAME"))?;
            return Ok(Some(Image::File(image)));
        }
        if let (Some(images), Some(board)) = (&self.images, board)
            && let Some(newest) = prepare::newest(images, board, &self.image_name)?
        {
            return Ok(Some(Image::File(newest)));
        }
        let made = [
            ("--delta-from", self.delta_from.is_some()),
            ("--key", self.key.is_some()),
            ("--zstd", self.zstd),
        ];
        if let Some((option, _)) = made.into_iter().find(|(_, is_given)| *is_given) {
            return Err(Usage::new(format!(
                "{option} is for a payload that is made now, and no image is named: what is in stock is taken as it is"
            ))
            .hint(FROM)
            .into());
        }
        Ok(None)
    }

    /// The newest payload of the stock: this one, or else the one for this board.
    ///
    /// # Errors
    /// There is none: a usage error that says what is there.
    pub(super) fn stocked(
        &self,
        stock: &Stock,
        payload: Option<&PayloadName>,
        board: Option<&str>,
    ) -> anyhow::Result<Image> {
        let (found, why) = match (payload, board) {
            // Whoever names a board wants that one.
            (_, Some(board)) if self.board.is_some() || payload.is_none() => (
                stock.newest_of_board(board),
                format!("no image is named, and no payload for board {board} is in stock"),
            ),
            (Some(payload), _) => (
                stock.versions(payload).into_iter().next(),
                format!("no image is named, and no version of payload {payload} is in stock"),
            ),
            (None, _) => (
                None,
                "no image is named, and no board of which the newest could be taken".to_owned(),
            ),
        };
        if let Some(found) = found {
            return Ok(Image::Stocked(Box::new(found)));
        }
        let boards: Vec<String> = stock
            .boards()
            .iter()
            .map(|(board, newest)| format!("{board} ({} {})", newest.label.made.payload, newest.version()))
            .collect();
        let hint = match (payload, boards.is_empty()) {
            (Some(payload), _) => format!("windlass job build {payload} makes one; or {FROM}"),
            (None, true) => format!("{FROM}; a [[payload]] of the configuration makes payloads of what lands"),
            (None, false) => format!("in stock is what {} take; or {FROM}", boards.join(", ")),
        };
        Err(Usage::new(why).hint(hint).into())
    }

    /// What a device is flashed with: made of a file, or as it is in stock. An interruption becomes its exit code.
    pub(super) fn parcels(
        &self,
        image: Image,
        driver: &DriverChoice,
        place: &Place,
        session: &Session,
        out: &mut Output,
    ) -> anyhow::Result<Result<Parcels, Exit>> {
        let image = match image {
            Image::File(image) => image,
            Image::Stocked(stocked) => return Ok(Ok(self.as_it_is(&stocked, driver)?)),
        };
        let wanted = Wanted {
            image,
            driver: driver.clone(),
            delta_from: self.delta_from.clone(),
            key: self.key.clone(),
            zstd: if self.zstd { Zstd::Always } else { Zstd::Never },
            stateful: !self.no_stateful,
            cache: place.made(),
        };
        let made = session.does("payload", out, |work| prepare::parcels(&wanted, work))?;
        Ok(made.map(|made| Parcels {
            version: self.to_version.clone().or(made.version),
            board: self.board.clone().or(made.board),
            ..made
        }))
    }

    /// What is in stock, as far as the driver can do with it.
    fn as_it_is(&self, stocked: &Stocked, driver: &DriverChoice) -> anyhow::Result<Parcels> {
        let name = format!("payload {} {}", stocked.label.made.payload, stocked.version());
        let (payload, stateful) = match driver {
            DriverChoice::UpdateEngine(_) | DriverChoice::Command(_) => (stocked.payload(), stocked.stateful()),
            DriverChoice::RawAb(_) => (system(stocked).ok_or_else(|| no_image(&name))?, None),
            DriverChoice::Rauc(_) | DriverChoice::SwUpdate(_) => {
                return Err(Usage::new(format!(
                    "{name} is in the format of update_engine, and the device is updated by {driver}"
                ))
                .hint(FROM)
                .into());
            }
        };
        Ok(Parcels {
            stateful: stateful.filter(|_| !self.no_stateful),
            version: Some(self.to_version.clone().unwrap_or_else(|| stocked.version().to_owned())),
            board: Some(stocked.label.made.board.clone()),
            ..Parcels::of(payload)
        })
    }
}

/// The way out where there is nothing to flash.
const FROM: &str = "name an image: --from FILE";

/// The names that the partition of a slot's system has.
const SYSTEMS: [&str; 3] = ["root", "rootfs", "system"];

/// The image of a slot's system, where it is kept.
fn system(stocked: &Stocked) -> Option<PathBuf> {
    SYSTEMS.iter().find_map(|name| stocked.image(&name.parse().ok()?))
}

fn no_image(name: &str) -> Usage {
    Usage::new(format!(
        "of {name} the image of a slot is not kept, which this driver writes"
    ))
    .hint(FROM)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        image: ImageArgs,
    }

    fn line(words: &[&str]) -> ImageArgs {
        Line::try_parse_from(std::iter::once(&"flash").chain(words))
            .unwrap()
            .image
    }

    /// A stock with one payload.
    fn stock(dir: &std::path::Path) -> Stock {
        let folder = dir.join("payloads/kiosk/1.2");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("payload.bin"), "CrAU").unwrap();
        let made = serde_json::json!({
            "at": "2026-01-31T12:00:00Z", "job": 1, "inputs": "00",
            "made": {
                "payload": "kiosk", "board": "kiosk-board", "version": "1.2", "number": 2, "digest": "00".repeat(32), "size": 4, "reused": false,
                "generations": {}, "packages": []
            }
        });
        std::fs::write(folder.join("made.json"), made.to_string()).unwrap();
        Stock::below(dir)
    }

    #[test]
    fn what_is_in_stock_is_taken_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let stock = stock(dir.path());
        let args = line(&[]);
        let kiosk: PayloadName = "kiosk".parse().unwrap();
        for (payload, board) in [
            (None, Some("kiosk-board")),
            (Some(&kiosk), None),
            (Some(&kiosk), Some("other")),
        ] {
            let Image::Stocked(stocked) = args.stocked(&stock, payload, board).unwrap() else {
                panic!("it is a file");
            };
            let parcels = args.as_it_is(&stocked, &DriverChoice::default()).unwrap();
            assert_eq!(
                (parcels.version.as_deref(), parcels.board.as_deref()),
                (Some("1.2"), Some("kiosk-board"))
            );
            for driver in ["rauc", "raw-ab"] {
                let refused = args.as_it_is(&stocked, &driver.parse().unwrap());
                assert!(
                    refused
                        .unwrap_err()
                        .to_string()
                        .contains("hint: name an image: --from FILE")
                );
            }
        }
    }

    #[test]
    fn what_is_not_in_stock_has_a_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let stock = stock(dir.path());
        let till: PayloadName = "till".parse().unwrap();
        let args = line(&[]);
        let says = |payload, board| args.stocked(&stock, payload, board).unwrap_err().to_string();
        assert!(says(Some(&till), None).contains("hint: windlass job build till"));
        assert!(says(None, Some("other")).contains("in stock is what kiosk-board (kiosk 1.2) take"));
        assert!(says(None, None).contains("no board"));
        let other = line(&["--board", "other"]);
        let kiosk: PayloadName = "kiosk".parse().unwrap();
        assert!(
            other.stocked(&stock, Some(&kiosk), Some("other")).is_err(),
            "the board that is named counts"
        );
    }
}
