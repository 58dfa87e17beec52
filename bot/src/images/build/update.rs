//! `image update`: one more layer on an image that is there, with an executable and its libraries, or a user, or both.
//!
//! The image says so afterwards: what was added stands in its list of inputs, and its checksum is another one.

use windlass_core::image::inputs::{Input, Inputs, Kind};
use windlass_core::image::{ImageName, label};

use super::context::place;
use super::digests::Digests;
use super::error::BuildError;
use super::inputs;
use super::layer::Layer;
use super::session::Session;
use super::sources;
use super::stock::Have;
use super::taglock::TagLock;
use super::tree::{Limits, Tree, shown};
use super::user::User;

/// The input that only an updated image has.
pub const MARK: &str = "image update";

/// What is to be added.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// An executable with its libraries.
    pub executable: Option<std::path::PathBuf>,
    /// It goes to its own path, whatever `binfmt_misc` says.
    pub skip_binfmt: bool,
    /// A user.
    pub user: Option<User>,
}

/// Adds it; gives the image as it is then.
///
/// # Errors
/// There is no such image; something to be added is not there; the engine's.
pub async fn update(session: &Session, tag: &ImageName, update: &Update) -> Result<Have, BuildError> {
    let subject = format!("{} {tag}", session.stock.place());
    let lock = TagLock::take(&session.locks, &subject, |_| {
        session.say(&format!("{tag} is being built by somebody else: waiting"));
    });
    let _lock = session.unless_stopped(lock).await?;
    let Some(have) = session.stock.look(tag).await? else {
        return Err(BuildError::NoBase {
            name: tag.to_string(),
            why: "there is no such image".to_owned(),
            hint: format!("windlass image build -t {tag} -f FILE makes it"),
        });
    };
    // What it was made from before is its own affair: by its digest it counts whole.
    let mut list = vec![
        inputs::base(tag.to_string(), &have.id),
        Input::text(Kind::Option, MARK, "yes"),
    ];
    let mut files = None;
    if let Some(executable) = &update.executable {
        let mut notes = Vec::new();
        let place = place(executable, update.skip_binfmt, &session.machine, &mut notes)?;
        let closure = session.machine.host.closure(executable, place.as_deref())?;
        notes.iter().chain(&closure.notes).for_each(|note| session.say(note));
        let mut tree = Tree::new(Limits::default());
        tree.add_pieces(&closure.pieces)?;
        for piece in &closure.pieces {
            let path = piece.image.strip_prefix("/").unwrap_or(&piece.image);
            let kind = if place.as_ref() == Some(&piece.image) {
                Kind::Executable
            } else {
                Kind::Library
            };
            if let Some(entry) = tree.get(path) {
                list.push(sources::input(kind, shown(&piece.image), entry, &mut Digests::none())?);
            }
        }
        files = Some(tree);
    }
    if let Some(user) = &update.user {
        list.push(Input::named(Kind::User, format!("{} ({})", user.name(), user.uid())));
    }
    let list: Inputs = list.into_iter().collect();
    let checksum = list.digest().to_string();
    let layer = Layer {
        from: tag.clone(),
        tag: tag.clone(),
        files,
        user: update.user.clone(),
        labels: [
            (label::CHECKSUM.to_owned(), checksum.clone()),
            (label::INPUTS.to_owned(), list.to_label()),
            (label::TAG.to_owned(), tag.to_string()),
        ]
        .into(),
        platform: None,
    };
    layer.put(session).await?;
    let now = session.stock.look(tag).await?;
    now.filter(|now| now.labels.get(label::CHECKSUM) == Some(&checksum))
        .ok_or_else(|| BuildError::NotOurs(tag.to_string()))
}
