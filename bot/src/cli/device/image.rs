//! Which image is meant, and what is made of it.

use std::path::PathBuf;

use windlass_core::device::flash::DriverChoice;
use windlass_core::device::payload::codec::Zstd;

use crate::cli::payload::terminal::Session;
use crate::devices::Place;
use crate::devices::flash::Parcels;
use crate::devices::flash::prepare::{self, Wanted};
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
    /// The image, or a directory with one: a disk image, a file system, or a payload that is made
    #[arg(long, value_name = "FILE|DIR")]
    from: Option<PathBuf>,
    /// The image's name in its directory
    #[arg(long, value_name = "NAME", default_value = "chromiumos_image.bin")]
    image_name: String,
    /// Without --from: the newest image below DIR/BOARD
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

impl ImageArgs {
    /// The image.
    ///
    /// # Errors
    /// None is named and none is found: a usage error.
    pub(super) fn image(&self, out: &mut Output) -> anyhow::Result<PathBuf> {
        if self.patch_kernel {
            out.say("--patch_kernel is ignored: payloads hold the kernel as it is");
        }
        if let Some(from) = &self.from {
            let image = prepare::image_in(from, &self.image_name);
            return image.map_err(|why| {
                Usage::new(why)
                    .hint("--from FILE, or --from DIR --image-name NAME")
                    .into()
            });
        }
        let none = |why: String| Usage::new(why).hint("name an image: --from FILE");
        let board = self
            .board
            .as_deref()
            .ok_or_else(|| none("no image is named, and no board of which the newest could be taken".to_owned()))?;
        let images = self
            .images
            .as_deref()
            .ok_or_else(|| none(format!("no image is named, and no directory with images for {board}")))?;
        let newest = prepare::newest(images, board, &self.image_name)?;
        Ok(newest.ok_or_else(|| none(format!("there is no image for {board} below '{}'", images.display())))?)
    }

    /// Makes what a device is flashed with; an interruption becomes its exit code.
    pub(super) fn parcels(
        &self,
        image: PathBuf,
        driver: &DriverChoice,
        place: &Place,
        session: &Session,
        out: &mut Output,
    ) -> anyhow::Result<Result<Parcels, Exit>> {
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
}
