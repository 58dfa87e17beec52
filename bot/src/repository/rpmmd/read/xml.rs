//! Walks through XML with every size bounded: one tag or text, how many attributes, how deep.
//!
//! Names are taken without their prefixes. There are no entities but XML's own five and characters by number; a document type is
//! refused, so that nothing grows by being replaced.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use windlass_core::escape::{escaped, shortened};

/// How deep elements may stand in each other; rpm-md has 5.
const DEEPEST: usize = 16;

/// How many bytes an error has: what is wrong with a name may quote much of the file.
const TOLD: usize = 400;

/// How many attributes an element may have; rpm-md has 6.
const MOST_ATTRIBUTES: usize = 64;

/// Why the walk ended early.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file cannot be read.
    Read(io::Error),
    /// It makes no sense.
    Wrong(String),
}

/// Is told of every element. What it answers as an error ends the walk.
pub(super) trait Visit {
    /// An element begins; `depth` is 1 for those in the outermost.
    fn open(&mut self, depth: usize, name: &str, attributes: &Attributes<'_>) -> Result<(), String>;

    /// It ends; `text` is what stands in it after the last element in it.
    fn close(&mut self, depth: usize, name: &str, text: &str) -> Result<(), String>;
}

/// The attributes of an element.
pub(super) struct Attributes<'a>(&'a BytesStart<'a>);

impl<'a> Attributes<'a> {
    /// One of them, by its name without prefix.
    pub(super) fn get(&self, wanted: &str) -> Result<Option<Cow<'a, str>>, String> {
        // Whether one is there twice is not looked for: with many of them that takes time.
        let mut attributes = self.0.attributes();
        for (at, attribute) in attributes.with_checks(false).enumerate() {
            if at >= MOST_ATTRIBUTES {
                return Err(format!("an element has more than {MOST_ATTRIBUTES} attributes"));
            }
            let attribute = attribute.map_err(|error| error.to_string())?;
            if attribute.key.local_name().as_ref() == wanted {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                return value.map(Some).map_err(|error| error.to_string());
            }
        }
        Ok(None)
    }

    /// One that has to be there.
    pub(super) fn need(&self, wanted: &str) -> Result<Cow<'a, str>, String> {
        self.get(wanted)?.ok_or_else(|| {
            format!(
                "an element '{}' has no '{wanted}'",
                escaped(self.0.local_name().as_ref())
            )
        })
    }
}

/// Gives no more than a tag or text may have.
struct Bounded<R> {
    inner: R,
    most: usize,
    left: usize,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("one tag or text has more than {} bytes", self.most),
            ));
        }
        let buffer = self.inner.fill_buf()?;
        Ok(&buffer[..buffer.len().min(self.left)])
    }

    fn consume(&mut self, amount: usize) {
        self.left = self.left.saturating_sub(amount);
        self.inner.consume(amount);
    }
}

/// Walks through a document whose outermost element is `root`.
pub(super) fn walk(input: impl BufRead, root: &str, most: u64, visitor: &mut impl Visit) -> Result<(), Fault> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut reader = Reader::from_reader(Bounded {
        inner: input,
        most,
        left: most,
    });
    reader.config_mut().expand_empty_elements = true;
    let mut walk = Walk {
        root,
        most,
        open: Vec::new(),
        is_over: false,
        text: String::new(),
    };
    let mut buffer = Vec::new();
    loop {
        reader.get_mut().left = most;
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        let at = reader.buffer_position();
        let wrong = |what: String| Fault::Wrong(format!("{} (at byte {at} of its text)", shortened(what, TOLD)));
        let event = match event {
            Ok(event) => event,
            Err(quick_xml::Error::Io(error)) => {
                return Err(if error.kind() == io::ErrorKind::InvalidData {
                    wrong(error.to_string())
                } else {
                    Fault::Read(io::Error::new(error.kind(), error.to_string()))
                });
            }
            Err(error) => return Err(wrong(escaped(&error.to_string()))),
        };
        match walk.step(&event, visitor) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(what) => return Err(wrong(what)),
        }
    }
}

/// Where the walk is.
struct Walk<'a> {
    root: &'a str,
    most: usize,
    /// The elements that are open; the outermost first.
    open: Vec<String>,
    /// Whether the outermost was closed.
    is_over: bool,
    text: String,
}

impl Walk<'_> {
    /// Whether it goes on.
    fn step(&mut self, event: &Event<'_>, visitor: &mut impl Visit) -> Result<bool, String> {
        match event {
            Event::Start(start) | Event::Empty(start) => self.start(start, visitor)?,
            Event::End(_) => {
                let name = self.open.pop().ok_or("an element ends that never began")?;
                if self.open.is_empty() {
                    self.is_over = true;
                } else {
                    visitor.close(self.open.len(), &name, &self.text)?;
                }
                self.text.clear();
            }
            Event::Text(text) => self.push(&text.xml10_content())?,
            Event::CData(text) => self.push(&text.xml10_content())?,
            Event::GeneralRef(reference) => {
                if let Some(character) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
                    self.push(character.encode_utf8(&mut [0; 4]))?;
                } else {
                    let text = resolve_predefined_entity(reference)
                        .ok_or_else(|| format!("'&{};' is not known", escaped(reference)))?;
                    self.push(text)?;
                }
            }
            Event::DocType(_) => return Err("it has a document type, which rpm-md does not".to_owned()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if self.is_over => return Ok(false),
            Event::Eof => return Err("it ends too early".to_owned()),
        }
        Ok(true)
    }

    fn start(&mut self, start: &BytesStart<'_>, visitor: &mut impl Visit) -> Result<(), String> {
        let name = start.local_name();
        let name: &str = name.as_ref();
        if self.is_over {
            return Err("something follows its end".to_owned());
        }
        if self.open.len() >= DEEPEST {
            return Err(format!("its elements stand more than {DEEPEST} deep in each other"));
        }
        if self.open.is_empty() {
            if name != self.root {
                return Err(format!(
                    "it begins with '{}' and not with '{}'",
                    escaped(name),
                    self.root
                ));
            }
        } else {
            visitor.open(self.open.len(), name, &Attributes(start))?;
        }
        self.open.push(name.to_owned());
        self.text.clear();
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), String> {
        if self.open.is_empty() {
            return if text.trim_ascii().is_empty() {
                Ok(())
            } else {
                Err("text stands outside of its elements".to_owned())
            };
        }
        if self.text.len() + text.len() > self.most {
            return Err(format!("one text has more than {} bytes", self.most));
        }
        self.text.push_str(text);
        Ok(())
    }
}
