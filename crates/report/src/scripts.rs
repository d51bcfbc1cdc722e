//! Letters by script.
//!
//! A table of the scripts that most text is written in, by ranges of code points: coarse, but a letter costs two
//! comparisons, and a share of a dataset is wanted, not the property of a character.

use crate::page::Share;

/// The first code point of each range, ascending, and the script of its letters; none for marks and signs.
const RANGES: &[(u32, Option<&str>)] = &[
    (0x0000, Some("Latin")),
    (0x0370, Some("Greek")),
    (0x0400, Some("Cyrillic")),
    (0x0530, Some("Armenian")),
    (0x0590, Some("Hebrew")),
    (0x0600, Some("Arabic")),
    (0x0700, Some("Syriac")),
    (0x0750, Some("Arabic")),
    (0x0780, None),
    (0x08A0, Some("Arabic")),
    (0x0900, Some("Devanagari")),
    (0x0980, Some("Bengali")),
    (0x0A00, Some("Gurmukhi")),
    (0x0A80, Some("Gujarati")),
    (0x0B00, Some("Odia")),
    (0x0B80, Some("Tamil")),
    (0x0C00, Some("Telugu")),
    (0x0C80, Some("Kannada")),
    (0x0D00, Some("Malayalam")),
    (0x0D80, Some("Sinhala")),
    (0x0E00, Some("Thai")),
    (0x0E80, Some("Lao")),
    (0x0F00, Some("Tibetan")),
    (0x1000, Some("Myanmar")),
    (0x10A0, Some("Georgian")),
    (0x1100, Some("Hangul")),
    (0x1200, Some("Ethiopic")),
    (0x13A0, None),
    (0x1780, Some("Khmer")),
    (0x1800, Some("Mongolian")),
    (0x18B0, None),
    (0x1E00, Some("Latin")),
    (0x1F00, Some("Greek")),
    (0x2000, None),
    (0x2C60, Some("Latin")),
    (0x2C80, None),
    (0x2DE0, Some("Cyrillic")),
    (0x2E00, None),
    (0x3005, Some("Han")),
    (0x3040, Some("Hiragana")),
    (0x30A0, Some("Katakana")),
    (0x3100, Some("Bopomofo")),
    (0x3130, Some("Hangul")),
    (0x3190, None),
    (0x31F0, Some("Katakana")),
    (0x3200, None),
    (0x3400, Some("Han")),
    (0xA000, None),
    (0xAC00, Some("Hangul")),
    (0xD7B0, None),
    (0xF900, Some("Han")),
    (0xFB00, Some("Latin")),
    (0xFB13, None),
    (0xFB50, Some("Arabic")),
    (0xFE00, None),
    (0xFF21, Some("Latin")),
    (0xFF66, Some("Katakana")),
    (0xFFA0, None),
    (0x2_0000, Some("Han")),
    (0x3_2000, None),
];

/// Letters counted by script.
#[derive(Debug)]
pub(crate) struct Scripts {
    /// By position in `RANGES`.
    letters: Vec<u64>,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self { letters: vec![0; RANGES.len()] }
    }

    /// Counts the letters of `text`, `times` over.
    pub(crate) fn count(&mut self, text: &str, times: u64) {
        // Most text is ASCII, of which all letters are of the first range.
        let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
        self.letters[0] += letters as u64 * times;
        if text.is_ascii() {
            return;
        }
        let others = text.chars().filter(|character| !character.is_ascii() && character.is_alphabetic());
        for character in others {
            let code = u32::from(character);
            let range =
                if code < 0x370 { 0 } else { RANGES.partition_point(|(first, _)| *first <= code) - 1 };
            self.letters[range] += times;
        }
    }

    /// Takes in what another thread counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.letters.iter_mut().zip(&other.letters).for_each(|(sum, letters)| *sum += letters);
    }

    /// The scripts' shares, largest first.
    pub(crate) fn shares(&self) -> Vec<Share> {
        let all: u64 = self.letters.iter().sum();
        let mut shares: Vec<Share> = Vec::new();
        for ((_, script), &letters) in RANGES.iter().zip(&self.letters).filter(|(_, letters)| **letters > 0) {
            let (name, share) = (script.unwrap_or("others"), 100.0 * letters as f64 / all as f64);
            match shares.iter_mut().find(|known| known.name == name) {
                Some(known) => known.share += share,
                None => shares.push(Share { name, share }),
            }
        }
        shares.sort_by(|a, b| b.share.total_cmp(&a.share));
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_known_by_their_script() {
        let mut scripts = Scripts::new();
        scripts.count("Hello wörld 123!", 1);
        scripts.count("Привет", 2);
        scripts.count("日本語", 1);
        let shares = scripts.shares();
        let names: Vec<_> = shares.iter().map(|share| share.name).collect();
        assert_eq!(names, ["Cyrillic", "Latin", "Han"]);
        assert!((shares.iter().map(|share| share.share).sum::<f64>() - 100.0).abs() < 1e-9);
    }

    #[test]
    fn ranges_ascend() {
        assert!(RANGES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
