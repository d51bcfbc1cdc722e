//! `README.md` in an output folder: the dataset card.
//!
//! Readers of Hugging Face's and the Hub take from its front matter which files are rows to train on and which are held
//! out; without it they guess from the names of folders, and guess wrong. People read the rest.
//!
//! It is made of the manifests alone, so it says the same on every machine. What stands outside of our marks is the user's
//! and is kept byte by byte.

mod config;
mod front_matter;
mod parts;
mod body;
mod escape;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use mashbill_store::open;

use crate::layout::Output;
use crate::manifest::Manifest;
use parts::Parts;

pub use config::config_names;

/// The largest card in bytes: one of a hundred thousand splits. A larger `README.md` is not touched.
pub const CARD_BYTES_MAX: u64 = 32 << 20;

/// The lines between which the front matter is ours.
pub const FRONT_MARKS: [&str; 2] = ["# mashbill: begin", "# mashbill: end"];

/// The lines between which the text is ours.
pub const BODY_MARKS: [&str; 2] = ["<!-- mashbill: begin -->", "<!-- mashbill: end -->"];

/// What opens and what closes the front matter.
const FENCE: &str = "---";

/// A card as the manifests have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Keys of the front matter, each with its lines.
    front: Vec<(&'static str, String)>,
    body: String,
    unloadable: Vec<String>,
}

/// A card in the place of what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The text of the file.
    pub text: String,
    /// Keys of the user's front matter that stand in the place of ours.
    pub theirs: Vec<&'static str>,
}

/// Why a `README.md` that was found cannot take a card. It stays as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// It cannot be read, is no file, or is too large.
    #[error("{0}")]
    Unreadable(#[source] io::Error),
    /// It is no text.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A mark that hides the front matter from readers.
    #[error("it begins with a byte order mark, which hides its front matter")]
    ByteOrderMark,
    /// A mark of ours stands alone, twice or in the wrong order.
    #[error("it does not have the lines `{begin}` and `{end}` once each, in this order")]
    Marks {
        /// The first mark.
        begin: &'static str,
        /// The last.
        end: &'static str,
    },
    /// The front matter cannot take further keys.
    #[error("its front matter is not a YAML mapping with a line for each key, each key once")]
    FrontMatter,
    /// With the card it would be too large.
    #[error("with the card it would have more than {CARD_BYTES_MAX} bytes")]
    TooLarge,
}

impl Card {
    /// The card of an output folder: of its manifest, and of the one of what is held out, if there is any.
    #[must_use]
    pub fn of(train: &Manifest, validation: Option<&Manifest>) -> Self {
        let parts = train.splits.iter().map(|(name, train)| Parts {
            name,
            train,
            validation: validation.and_then(|other| other.splits.get(name)),
        });
        let parts: Vec<_> = parts.collect();
        let loadable = |parts: &&Parts<'_>| config::is_loadable(parts.name);
        let listed: Vec<_> = parts.iter().filter(|parts| parts.has_rows()).filter(loadable).collect();
        let names: BTreeMap<_, _> = config_names(listed.iter().map(|parts| parts.name));
        let unloadable = parts.iter().filter(|parts| !config::is_loadable(parts.name));
        Self {
            front: front_matter::entries(&parts, &listed, &names, train),
            body: body::text(train, validation, &parts, &names),
            unloadable: unloadable.map(|parts| parts.name.to_owned()).collect(),
        }
    }

    /// Splits that `datasets` cannot load, since it takes `::` in a path for something else.
    #[must_use]
    pub fn unloadable(&self) -> &[String] {
        &self.unloadable
    }

    /// The text of the file with this card in it; `found` is what the file is, none where it is not there.
    ///
    /// # Errors
    /// [`Unfit`]: what was found cannot take it.
    pub fn merge(&self, found: Option<&[u8]>) -> Result<Merged, Unfit> {
        let found = std::str::from_utf8(found.unwrap_or_default()).map_err(|_| Unfit::NotUtf8)?;
        if found.starts_with('\u{feff}') {
            return Err(Unfit::ByteOrderMark);
        }
        let end = if found.split_inclusive('\n').next().is_some_and(|line| line.ends_with("\r\n")) {
            "\r\n"
        } else {
            "\n"
        };
        let (front, body) = match front_matter_of(found) {
            Some(range) => (Some(range.clone()), range.end),
            None => (None, 0),
        };
        let yaml = front.clone().map_or("", |range| &found[range]);
        let (yaml, theirs) = self.merged_front(yaml, end)?;
        let body = merged_body(&found[body..], &self.body, end)?;
        let text = match front {
            Some(range) => format!("{}{yaml}{body}", &found[..range.start]),
            None => format!("{FENCE}{end}{yaml}{FENCE}{end}{body}"),
        };
        if text.len() as u64 > CARD_BYTES_MAX {
            return Err(Unfit::TooLarge);
        }
        Ok(Merged { text, theirs })
    }

    /// The lines of the front matter, and which keys of ours have given way to the user's.
    fn merged_front(&self, found: &str, end: &str) -> Result<(String, Vec<&'static str>), Unfit> {
        let place = marked(found, FRONT_MARKS)?;
        let place = place.unwrap_or(found.len()..found.len());
        let (before, behind) = (&found[..place.start], &found[place.end..]);
        let user = front_matter::keys(&format!("{before}{behind}")).ok_or(Unfit::FrontMatter)?;
        let is_theirs = |key: &str| user.iter().any(|theirs| theirs == key);
        // What is said of the configurations' rows holds for our configurations only.
        let gives_way = |key: &str| is_theirs(key) || key == "dataset_info" && is_theirs("configs");
        let (theirs, ours): (Vec<_>, Vec<_>) = self.front.iter().partition(|(key, _)| gives_way(key));
        let theirs = theirs.into_iter().map(|(key, _)| *key).collect();
        // Whether keys may stand at this place is seen by parsing; what they hold is known to be right.
        let stubs: String = ours.iter().map(|(key, _)| format!("{key}: 0\n")).collect();
        let keys = front_matter::keys(&format!("{before}{stubs}{behind}")).ok_or(Unfit::FrontMatter)?;
        let expected = user.len() + ours.len();
        let mut once: Vec<_> = keys.iter().collect();
        once.sort();
        once.dedup();
        if keys.len() != expected || once.len() != expected {
            return Err(Unfit::FrontMatter);
        }
        let ours: String = ours.iter().map(|(_, lines)| lines.as_str()).collect();
        let note = "# Made from manifest.json. These lines are written again; add yours outside of them.";
        let block = between(FRONT_MARKS, &format!("{note}\n{ours}"), end);
        Ok((format!("{before}{block}{behind}"), theirs))
    }
}

/// Reads the `README.md` of an output folder; none where it is not there.
///
/// # Errors
/// [`Unfit::Unreadable`]: also where it is a link, which may lead to somebody else's file.
pub fn read(output: &Output) -> Result<Option<Vec<u8>>, Unfit> {
    let path = output.readme();
    let read = || {
        open::check_own(&path)?;
        open::read(&path, CARD_BYTES_MAX)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Unfit::Unreadable(error)),
    }
}

/// Where the lines of the front matter stand, without its fences, as the Hub's client finds them; none where there is none.
fn front_matter_of(text: &str) -> Option<Range<usize>> {
    let opening = text.len() - text.trim_start().len();
    let mut start = None;
    let mut place = opening;
    for line in text[opening..].split_inclusive('\n') {
        let is_fence = line.strip_suffix('\n').unwrap_or(line).trim_end_matches('\r') == FENCE;
        match start {
            // Without an end of its line it opens nothing.
            None if is_fence && line.ends_with('\n') => start = Some(place + line.len()),
            None => return None,
            Some(start) if is_fence => return Some(start..place),
            Some(_) => {}
        }
        place += line.len();
    }
    None
}

/// What follows the lines of the front matter.
fn merged_body(found: &str, body: &str, end: &str) -> Result<String, Unfit> {
    let block = between(BODY_MARKS, body, end);
    if let Some(place) = marked(found, BODY_MARKS)? {
        return Ok(format!("{}{block}{}", &found[..place.start], &found[place.end..]));
    }
    let ends = found.is_empty() || found.ends_with('\n');
    let line_end = if ends { "" } else { end };
    // A blank line before it, so that it is no part of a paragraph of the user's.
    Ok(format!("{found}{line_end}{end}{block}"))
}

/// Where our lines stand in a text, the marks included; none where there are no marks.
fn marked(text: &str, [begin, end]: [&'static str; 2]) -> Result<Option<Range<usize>>, Unfit> {
    let (mut begins, mut ends, mut place) = (Vec::new(), Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        let is = line.trim_end();
        if is == begin {
            begins.push(place);
        } else if is == end {
            ends.push(place + line.len());
        }
        place += line.len();
    }
    match (&begins[..], &ends[..]) {
        ([], []) => Ok(None),
        ([first], [last]) if first < last => Ok(Some(*first..*last)),
        _ => Err(Unfit::Marks { begin, end }),
    }
}

fn between([first, last]: [&str; 2], lines: &str, end: &str) -> String {
    let block = format!("{first}\n{lines}{last}\n");
    if end == "\n" { block } else { block.replace('\n', end) }
}

#[cfg(test)]
mod tests;
