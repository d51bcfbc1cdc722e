//! What a split is called where configurations are named, and the pattern that finds its rows.

use std::collections::{BTreeMap, BTreeSet};

use mashbill_store::checksum::Checksum;

/// The configuration of all splits.
pub(super) const DEFAULT: &str = "default";

/// The longest name of a configuration in bytes: `datasets` names folders after it, with more behind it.
const CONFIG_BYTES_MAX: usize = 128;

/// Characters that `datasets` refuses in the name of a configuration.
const REFUSED: [char; 9] = ['<', '>', ':', '/', '\\', '|', '?', '*', '\0'];

/// Digits of a hash behind a name that could not stay.
const DIGITS: usize = 8;

/// Whether `datasets` can read files in a folder of this name: in a path it takes `::` for the end of one and the beginning
/// of another, also where a pattern is escaped, and then finds no row and says nothing.
pub(super) fn is_loadable(split: &str) -> bool {
    !split.contains("::")
}

/// The name of each split's configuration. It is the split's, where it can be: characters that are refused become `_`, what
/// is too long is cut, and what is changed or taken (`default` is, and case makes no difference: folders are named after them)
/// gets a hash of the split's name behind it. No two are the same.
#[must_use]
pub fn config_names<'a>(splits: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, String> {
    let mut taken = BTreeSet::from([DEFAULT.to_owned()]);
    let mut names = BTreeMap::new();
    let mut changed = Vec::new();
    for split in splits {
        let can_stay = split.len() <= CONFIG_BYTES_MAX && !split.contains(REFUSED);
        if can_stay && taken.insert(split.to_lowercase()) {
            names.insert(split, split.to_owned());
        } else {
            changed.push(split);
        }
    }
    for split in changed {
        let hash = Checksum::of(split.as_bytes()).to_string();
        let plain: String = split.replace(REFUSED, "_");
        // A name may have been made to look like one with a hash.
        let name = (DIGITS..=hash.len()).map(|digits| format!("{}-{}", cut(&plain), &hash[..digits]));
        let counted = (0_u64..).map(|number| format!("{}-{hash}-{number}", cut(&plain)));
        let mut names_of_it = name.chain(counted);
        let name = names_of_it.find(|name| taken.insert(name.to_lowercase())).expect("numbers do not end");
        names.insert(split, name);
    }
    names
}

/// The beginning of a name, so that a hash has room behind it.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(CONFIG_BYTES_MAX)]
}

/// The pattern of the shards in a folder below the output folder: `fsspec` takes some characters for wildcards, and a colon
/// for the end of a protocol.
pub(super) fn pattern(folder: &str, split: &str) -> String {
    let mut pattern = folder.to_owned();
    for character in split.chars() {
        match character {
            '[' | '*' | '?' | ':' => pattern.extend(['[', character, ']']),
            _ => pattern.push(character),
        }
    }
    pattern.push_str("/shard_*.parquet");
    pattern
}
