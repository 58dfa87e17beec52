//! A tag object made byte by byte, for what `git tag` would not make.

/// The parts of a tag object before its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagDraft {
    /// The header's lines, without line feeds.
    pub headers: Vec<Vec<u8>>,
    /// The message, with its line feed.
    pub message: Vec<u8>,
}

impl TagDraft {
    /// A well-formed tag of a commit.
    pub fn new(commit: &str, name: &str, tagger: &str) -> Self {
        Self {
            headers: [
                format!("object {commit}"),
                "type commit".to_owned(),
                format!("tag {name}"),
                format!("tagger {tagger}"),
            ]
            .map(String::into_bytes)
            .to_vec(),
            message: format!("{name}\n").into_bytes(),
        }
    }

    /// The same with this header's line replaced.
    #[must_use]
    pub fn with(mut self, header: &str, value: impl AsRef<[u8]>) -> Self {
        let line = [header.as_bytes(), b" ", value.as_ref()].concat();
        let start = format!("{header} ");
        match self.headers.iter_mut().find(|old| old.starts_with(start.as_bytes())) {
            Some(old) => *old = line,
            None => self.headers.push(line),
        }
        self
    }

    /// The same with one more line at the end of the header.
    #[must_use]
    pub fn and(mut self, line: &str) -> Self {
        self.headers.push(line.as_bytes().to_vec());
        self
    }

    /// The same without this header.
    #[must_use]
    pub fn without(mut self, header: &str) -> Self {
        let start = format!("{header} ");
        self.headers.retain(|line| !line.starts_with(start.as_bytes()));
        self
    }

    /// The same with another message.
    #[must_use]
    pub fn saying(mut self, message: impl AsRef<[u8]>) -> Self {
        self.message = message.as_ref().to_vec();
        self
    }

    /// The bytes that are signed.
    pub fn payload(&self) -> Vec<u8> {
        let mut bytes = self.headers.join(&b'\n');
        bytes.extend(b"\n\n");
        bytes.extend(&self.message);
        bytes
    }
}
