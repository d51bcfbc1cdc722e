//! Which files become one split, and what it is called.

use std::collections::BTreeMap;
use std::path::Path;

use mashbill_format::find::RecordFile;
use mashbill_records::escaped;

use crate::error::{Error, Result};
use crate::split_input::SplitInput;

/// How splits are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SplitNames {
    /// Each file after itself: `code/apps.jsonl` is `apps`.
    #[default]
    Stem,
    /// Each file after itself and the folders it is in: `code/apps.jsonl` is `code__apps`.
    Path,
    /// As with `Path`, but files of a folder whose names differ only in a part number are one split:
    /// `code/apps-00000-of-00002.jsonl` and its like are `code__apps`, and `code/part-00000.jsonl` and its like `code`.
    Parts,
    /// All files of a folder after the folder and those it is in: `data/code/a.jsonl` and `data/code/b.jsonl` are
    /// `data__code`.
    Folder,
}

/// Words that part files begin with where the name says nothing else.
const PART_WORDS: [&str; 4] = ["part", "shard", "chunk", "file"];

/// Words that the names of files begin with which are not to be trained on.
const HELD_OUT_WORDS: [&str; 6] = ["test", "validation", "valid", "val", "dev", "eval"];

/// The splits that `files`, found at `root` and sorted, become.
///
/// # Errors
/// [`Error::MixedFolder`].
pub(crate) fn splits(files: Vec<RecordFile>, names: SplitNames, root: &Path) -> Result<Vec<SplitInput>> {
    let mut families: BTreeMap<(Vec<String>, String), Vec<RecordFile>> = BTreeMap::new();
    for file in files {
        let family = match names {
            SplitNames::Stem | SplitNames::Path => file.relative(),
            SplitNames::Parts => base_of(&file.stem).unwrap_or(&file.stem).to_owned(),
            SplitNames::Folder => String::new(),
        };
        families.entry((file.folders.clone(), family)).or_default().push(file);
    }
    let each = families.into_iter().map(|((folders, family), files)| {
        let stem = files[0].stem.clone();
        let is_part = files.len() > 1 || stem.contains("-of-");
        let folder = if folders.is_empty() { vec![name_of(root)] } else { folders.clone() };
        let name = match names {
            SplitNames::Stem => stem,
            SplitNames::Parts if is_part && is_without_meaning(&family) => folder.join("__"),
            SplitNames::Parts if is_part => joined(&folders, &family),
            SplitNames::Path | SplitNames::Parts => joined(&folders, &stem),
            SplitNames::Folder if root.is_file() => stem,
            SplitNames::Folder => {
                check_folder(&files)?;
                folder.join("__")
            }
        };
        Ok(SplitInput {
            split: name,
            source: common(&files),
            files: files.into_iter().map(From::from).collect(),
        })
    });
    each.collect()
}

/// What files of one dataset have in common that become splits of their own, since nothing joins them: those that say how many
/// parts there are.
pub(crate) fn apart(files: &[RecordFile], names: SplitNames) -> Vec<String> {
    match names {
        SplitNames::Parts | SplitNames::Folder => return Vec::new(),
        SplitNames::Stem | SplitNames::Path => {}
    }
    let mut families: BTreeMap<(&[String], &str), Vec<RecordFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.stem.contains("-of-")) {
        if let Some(base) = base_of(&file.stem) {
            families.entry((&file.folders, base)).or_default().push(file.clone());
        }
    }
    families.values().filter(|family| family.len() > 1).map(|family| common(family)).collect()
}

fn joined(folders: &[String], name: &str) -> String {
    folders.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("__")
}

/// The name of the input folder, wherever it was called from.
fn name_of(root: &Path) -> String {
    let root = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    escaped(root.file_name().unwrap_or_default())
}

/// A part file's name without its number: `train` of `train-00003-of-00014`, nothing of `00003`; none where it has no number.
///
/// A number stands at the end, behind a separator, or is the whole name, or follows a word like `part`. `of` and how many
/// there are may follow it, and behind those a checksum of 16 digits, as `datasets` wrote it.
fn base_of(stem: &str) -> Option<&str> {
    let mut rest = stem;
    if let Some((before, checksum)) = rest.rsplit_once('-')
        && checksum.len() == 16
        && checksum.bytes().all(|byte| byte.is_ascii_hexdigit())
        && before.contains("-of-")
    {
        rest = before;
    }
    let mut base = None;
    loop {
        let digits = rest.bytes().rev().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            break;
        }
        let before = &rest[..rest.len() - digits];
        let without = before.trim_end_matches(['-', '_', '.']);
        let is_number = without.len() < before.len() || without.is_empty() || is_without_meaning(without);
        if !is_number {
            break;
        }
        base = Some(without);
        let of = ["-of", "_of", ".of"].iter().find_map(|of| without.strip_suffix(of));
        rest = of.unwrap_or(without);
        if of.is_some() {
            base = Some(rest);
        }
    }
    base
}

/// Whether what is left of a part file's name says nothing.
fn is_without_meaning(base: &str) -> bool {
    base.is_empty() || PART_WORDS.contains(&base)
}

/// Fails where files to train on stand beside files that are not to be.
fn check_folder(files: &[RecordFile]) -> Result<()> {
    let first_word = |file: &RecordFile| {
        let end = file.stem.find(|c: char| !c.is_alphabetic()).unwrap_or(file.stem.len());
        file.stem[..end].to_lowercase()
    };
    let find = |is: &dyn Fn(&str) -> bool| files.iter().find(|file| is(&first_word(file)));
    let trained = find(&|word| word == "train");
    let held_out = find(&|word| HELD_OUT_WORDS.contains(&word));
    let (Some(trained), Some(held_out)) = (trained, held_out) else { return Ok(()) };
    let [first, second] = [trained, held_out].map(|file| file.path.clone());
    Err(Error::MixedFolder { first, second })
}

/// What the paths of files of one folder have in common, with `*` for the rest.
fn common(files: &[RecordFile]) -> String {
    let first = files[0].relative();
    let folder = first.rfind('/').map_or(0, |slash| slash + 1);
    let names: Vec<String> = files.iter().map(|file| file.relative()[folder..].to_owned()).collect();
    let [one, others @ ..] = &names[..] else { return first };
    if others.is_empty() {
        return first;
    }
    let shared = |pairs: fn(&str, &str) -> usize, of: &str| names.iter().map(|name| pairs(of, name)).min();
    let before = |a: &str, b: &str| {
        a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let behind = |a: &str, b: &str| {
        a.chars().rev().zip(b.chars().rev()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let head = shared(before, one).unwrap_or(0);
    let shortest = names.iter().map(String::len).min().unwrap_or(0);
    let tail = shared(behind, one).unwrap_or(0).min(shortest - head);
    let tail = (0..=tail).rev().find(|tail| one.is_char_boundary(one.len() - tail)).unwrap_or(0);
    format!("{}{}*{}", &first[..folder], &one[..head], &one[one.len() - tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_number_is_told_from_a_name() {
        for (stem, base) in [
            ("train-00003-of-00014", Some("train")),
            ("train-00003-of-00014-a09b74b3ef9c3b56", Some("train")),
            ("part-00003", Some("part")),
            ("part_3", Some("part")),
            ("part3", Some("part")),
            ("c4-train.00000-of-01024", Some("c4-train")),
            ("00003", Some("")),
            ("000_00003", Some("")),
            ("gsm8k", None),
            ("llama3", None),
            ("math500", None),
            ("apps", None),
            ("", None),
            ("é-0001", Some("é")),
        ] {
            assert_eq!(base_of(stem), base, "{stem}");
        }
    }
}
