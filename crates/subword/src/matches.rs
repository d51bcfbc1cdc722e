//! The matches of a regular expression, found by the library that the reference has.

use std::ops::Range;

use onig::{MatchParam, Regex, Region, SearchOptions};

use crate::error::Error;

/// A regular expression, as the reference reads it.
pub(crate) fn regex(spelled: &str) -> Result<Regex, Error> {
    Regex::new(spelled).map_err(|error| Error::Unsupported {
        reason: format!("its regular expression {spelled:?} is none: {}", error.description()),
    })
}

/// Where the search for matches in a part of a text is.
#[derive(Debug)]
pub(crate) struct Matches {
    region: Region,
    /// From where on is searched.
    from: usize,
    last_match_end: Option<usize>,
    is_over: bool,
}

impl Matches {
    /// Nothing is found, until it begins.
    pub(crate) fn new() -> Self {
        Self { region: Region::new(), from: 0, last_match_end: None, is_over: true }
    }

    /// Goes to the beginning of a part, which is at `start`.
    pub(crate) fn begin(&mut self, start: usize) {
        (self.from, self.last_match_end, self.is_over) = (start, None, false);
    }

    /// The next match in `part`, which begins at `start`, as the reference's `find_iter` has it; it may be empty.
    ///
    /// # Errors
    /// [`Error::Regex`]: the library gives up over the text.
    pub(crate) fn next(
        &mut self,
        spelled: &str,
        regex: &Regex,
        part: &str,
        start: usize,
    ) -> Result<Option<Range<usize>>, Error> {
        let end = start + part.len();
        while self.from <= end && !self.is_over {
            self.region.clear();
            let (from, options) = (self.from - start, SearchOptions::SEARCH_OPTION_NONE);
            let region = Some(&mut self.region);
            let gives_up = |source: onig::Error| Error::Regex {
                pattern: spelled.to_owned(),
                why: source.description().to_owned(),
            };
            regex
                .search_with_param(part, from, part.len(), options, region, MatchParam::default())
                .map_err(gives_up)?;
            let Some((first, last)) = self.region.pos(0) else { break };
            let found = start + first..start + last;
            if found.is_empty() && self.last_match_end == Some(found.end) {
                // Nothing behind a match is none.
                let next = part[from..].chars().next();
                self.from += next.map_or(1, char::len_utf8);
                continue;
            }
            (self.from, self.last_match_end) = (found.end, Some(found.end));
            return Ok(Some(found));
        }
        self.is_over = true;
        Ok(None)
    }
}
