//! Names that come out of files: of splits, datasets, shards, and paths below a folder.
//!
//! A manifest, a lock or a journal may have been written by a stranger, and what a command joins to a folder's path or
//! removes there must stay in that folder. So names are checked where a file is parsed, by its type: a file with a bad
//! name is refused as a whole, and no code behind the parser meets one. The same check is asked before such a file is
//! written, so that nothing is made that cannot be read.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::layout::{MANIFEST, STATE_FOLDER, VALIDATION_FOLDER};

/// The longest name in bytes: what file systems take for one folder or file.
pub const NAME_BYTES_MAX: usize = 255;

/// The longest path below a folder in bytes: what operating systems take.
pub const PATH_BYTES_MAX: usize = 4096;

/// Names in an output folder that are no split's.
const RESERVED: [&str; 3] = [STATE_FOLDER, VALIDATION_FOLDER, MANIFEST];

/// Why a name is none, as a fragment.
pub type NameRefusal = &'static str;

/// Checks that `name` is the plain name of one folder or file, of a split, dataset or shard.
///
/// # Errors
/// Why it is none.
pub fn check(name: &str) -> Result<(), NameRefusal> {
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        return Err("it has a meaning of its own in an output folder");
    }
    component(name)
}

/// Checks that `path` leads from a folder to something in it: plain names with `/` between them.
///
/// # Errors
/// Why it does not.
pub fn check_path(path: &str) -> Result<(), NameRefusal> {
    if path.len() > PATH_BYTES_MAX {
        return Err("it is longer than 4,096 bytes");
    }
    path.split('/').try_for_each(component)
}

fn component(name: &str) -> Result<(), NameRefusal> {
    match name {
        "" => Err("a name is empty, or the path begins at the root"),
        "." | ".." => Err("it leads to another folder"),
        _ if name.len() > NAME_BYTES_MAX => Err("it is longer than 255 bytes"),
        _ if name.contains(['/', '\\']) => Err("it leads to another folder"),
        _ if name.contains(char::is_control) => Err("it has control characters"),
        // A drive of Windows' is no name there.
        _ if cfg!(windows) && name.contains(':') => Err("it leads to another drive"),
        _ => Ok(()),
    }
}

fn refused<E: serde::de::Error>(name: &str, why: NameRefusal) -> E {
    // A name of megabytes is not repeated.
    let shown: String = name.chars().take(80).collect();
    let dots = if shown.len() < name.len() { "…" } else { "" };
    E::custom(format_args!("the name {shown:?}{dots} is refused: {why}"))
}

/// Parses a plain name.
pub(crate) fn plain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    check(&name).map_err(|why| refused(&name, why))?;
    Ok(name)
}

/// Parses a path below a folder.
pub(crate) fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let path = String::deserialize(deserializer)?;
    check_path(&path).map_err(|why| refused(&path, why))?;
    Ok(path)
}

/// Parses values by plain names; a name that stands twice is refused.
pub(crate) fn by_name<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    let values: BTreeMap<String, V> = once_each(deserializer)?;
    match values.keys().find_map(|name| Some((name, check(name).err()?))) {
        Some((name, why)) => Err(refused(name, why)),
        None => Ok(values),
    }
}

/// Parses values by keys; a key that stands twice is refused, where serde's own maps keep the last.
pub(crate) fn once_each<'de, D, K, V>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + fmt::Debug,
    V: Deserialize<'de>,
{
    struct Once<K, V>(PhantomData<(K, V)>);

    impl<'de, K: Deserialize<'de> + Ord + fmt::Debug, V: Deserialize<'de>> Visitor<'de> for Once<K, V> {
        type Value = BTreeMap<K, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut values = BTreeMap::new();
            while let Some(key) = map.next_key::<K>()? {
                if values.contains_key(&key) {
                    let shown: String = format!("{key:?}").chars().take(80).collect();
                    return Err(A::Error::custom(format_args!("the key {shown} appears twice")));
                }
                values.insert(key, map.next_value()?);
            }
            Ok(values)
        }
    }

    deserializer.deserialize_map(Once(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_folder() {
        let long = "n".repeat(255);
        for name in ["a", "code__apps", "über 8", "..a", "a.b", ".a", "数", "مثال", &long] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        let too_long = "n".repeat(256);
        for name in [
            "",
            ".",
            "..",
            "../x",
            "/x",
            "a/b",
            "a\\b",
            "..\\x",
            "a\0",
            "a\nb",
            "\u{1b}[2J",
            "a\u{85}b",
            "a\u{7f}",
            ".mashbill",
            ".MASHBILL",
            "_validation",
            "manifest.json",
            &too_long,
        ] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_path_stays_below_its_folder() {
        for path in ["a.jsonl", "code/apps.jsonl", "a/b/c", "_validation/x.jsonl"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        let deep = "a/".repeat(3000) + "b";
        for path in
            ["", "/etc/passwd", "a//b", "a/", "../a", "a/../../b", "a/./b", "a\\..\\b", "a/\nb", &deep]
        {
            assert!(check_path(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn names_and_keys_are_checked_while_parsing() {
        #[derive(Debug, Deserialize)]
        struct File {
            #[serde(deserialize_with = "by_name")]
            #[expect(dead_code, reason = "only whether it parses is asked")]
            splits: BTreeMap<String, u32>,
        }
        let parse = |text: &str| serde_json::from_str::<File>(text).map_err(|error| error.to_string());
        parse(r#"{"splits": {"a": 1, "b": 2}}"#).expect("plain names");
        let wrong = parse(r#"{"splits": {"../x": 1}}"#).expect_err("it leads out");
        assert!(wrong.starts_with(r#"the name "../x" is refused: it leads to another folder"#), "{wrong}");
        let twice = parse(r#"{"splits": {"a": 1, "a": 2}}"#).expect_err("it stands twice");
        assert!(twice.starts_with(r#"the key "a" appears twice"#), "{twice}");
        let long =
            parse(&format!(r#"{{"splits": {{"{}": 1}}}}"#, "x".repeat(1 << 20))).expect_err("too long");
        assert!(long.len() < 300, "{}", long.len());
    }
}
