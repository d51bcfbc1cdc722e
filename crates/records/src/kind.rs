//! What a file is, by the end of its name. Letter case says nothing.

use serde::Serialize;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// JSON: an object a line, or one array of objects.
    Json(Container),
    /// Parquet with a text column.
    Parquet,
}

/// What a file is packed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Container {
    /// Nothing.
    Plain,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
}

/// The ends of names of JSON.
const JSON: [&str; 3] = [".jsonl", ".ndjson", ".json"];

/// The ends of names that say what a file is packed in.
const CONTAINERS: [(&str, Container); 5] = [
    (".gz", Container::Gzip),
    (".bz2", Container::Bzip2),
    (".xz", Container::Xz),
    (".zst", Container::Zstd),
    (".zstd", Container::Zstd),
];

/// The end of the names of Parquet files.
const PARQUET: &str = ".parquet";

/// Ends of names of data that are not read: what has one is never passed over without a word.
const UNREAD: [&str; 63] = [
    "7z",
    "arrow",
    "arrows",
    "avro",
    "br",
    "bz2",
    "csv",
    "db",
    "doc",
    "docx",
    "dta",
    "duckdb",
    "epub",
    "feather",
    "gz",
    "h5",
    "hdf5",
    "htm",
    "html",
    "jl",
    "jsonlines",
    "lance",
    "lz",
    "lz4",
    "lzma",
    "lzo",
    "md",
    "mds",
    "mdx",
    "msgpack",
    "npy",
    "npz",
    "ods",
    "odt",
    "orc",
    "parq",
    "pdf",
    "pickle",
    "pkl",
    "pq",
    "rar",
    "rds",
    "rst",
    "rtf",
    "sav",
    "sqlite",
    "sqlite3",
    "sz",
    "tar",
    "tfrecord",
    "tgz",
    "tsv",
    "txt",
    "warc",
    "xls",
    "xlsx",
    "xml",
    "xz",
    "yaml",
    "yml",
    "zip",
    "zst",
    "zstd",
];

/// JSON files that describe a dataset, a model or a tokenizer and hold no records: what lies beside data so often that
/// it is not taken for data in a folder.
const DESCRIPTIONS: [&str; 15] = [
    "added_tokens.json",
    "config.json",
    "croissant.json",
    "dataset_dict.json",
    "dataset_info.json",
    "dataset_infos.json",
    "generation_config.json",
    "manifest.json",
    "metadata.json",
    "package.json",
    "special_tokens_map.json",
    "state.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
];

impl FileKind {
    /// The stem and the kind of a file name; none for files that are not read.
    #[must_use]
    pub fn of(name: &str) -> Option<(&str, Self)> {
        let (unpacked, container) = CONTAINERS
            .iter()
            .find_map(|&(end, container)| Some((without_end(name, end)?, container)))
            .unwrap_or((name, Container::Plain));
        let json =
            JSON.iter().find_map(|end| without_end(unpacked, end)).map(|stem| (stem, Self::Json(container)));
        let found = json.or_else(|| Some((without_end(name, PARQUET)?, Self::Parquet)));
        found.filter(|(stem, _)| !stem.is_empty())
    }

    /// How many bytes of text a byte of the file stands for, roughly: for estimates before anything is read.
    #[must_use]
    pub const fn expansion(self) -> f64 {
        match self {
            Self::Json(Container::Plain) => 1.0,
            Self::Json(Container::Gzip) | Self::Parquet => 3.5,
            Self::Json(Container::Zstd | Container::Bzip2 | Container::Xz) => 4.0,
        }
    }
}

impl Container {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain text",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }
}

/// Whether a name is that of data which is not read.
#[must_use]
pub fn is_unread_data(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let ends = ending.is_some_and(|ending| UNREAD.contains(&ending.as_str()));
    (ends || describes_data(name)) && !is_about_data(name)
}

/// Whether a name is that of a JSON file that describes data and holds none.
pub fn describes_data(name: &str) -> bool {
    DESCRIPTIONS.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether a name is that of a file for people.
#[must_use]
pub fn is_about_data(name: &str) -> bool {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem).to_ascii_uppercase();
    ["README", "LICENSE", "LICENCE", "NOTICE", "CHANGELOG", "CITATION", "COPYING"].contains(&stem.as_str())
}

/// `name` without its end, in whatever case that is written.
fn without_end<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(end.len())?;
    let found = name.get(at..)?;
    found.eq_ignore_ascii_case(end).then(|| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_means_the_same_in_any_case() {
        let json = |container| Some(("a", FileKind::Json(container)));
        for (names, kind) in [
            (&["a.jsonl", "a.JSONL", "a.json", "a.Json", "a.ndjson", "a.NDJSON"][..], json(Container::Plain)),
            (&["a.jsonl.gz", "a.json.GZ", "a.ndjson.gz", "a.JSONL.Gz"], json(Container::Gzip)),
            (&["a.jsonl.bz2", "a.json.bz2"], json(Container::Bzip2)),
            (&["a.jsonl.xz", "a.ndjson.XZ"], json(Container::Xz)),
            (&["a.jsonl.zst", "a.jsonl.zstd", "a.json.ZST"], json(Container::Zstd)),
            (&["a.parquet", "a.PARQUET"], Some(("a", FileKind::Parquet))),
            (
                &["a.csv", "a.csv.gz", "a.gz", ".jsonl", ".json.gz", "a.parquet.gz", "jsonl", "", "a.txt"],
                None,
            ),
        ] {
            for name in names {
                assert_eq!(FileKind::of(name), kind, "{name}");
            }
        }
        assert_eq!(FileKind::of("é.jsonl"), Some(("é", FileKind::Json(Container::Plain))));
        assert_eq!(FileKind::of("a.b.json.gz").map(|(stem, _)| stem), Some("a.b"));
    }

    #[test]
    fn what_is_data_and_not_read_is_told_from_all_else() {
        for name in ["a.csv", "a.TSV", "a.arrow", "a.txt", "a.zip", "a.tar.gz", "a.jsonl.lz4", "a.7z", "a.gz"]
        {
            assert!(is_unread_data(name), "{name}");
        }
        for name in ["a.jsonl", "notes", "README.md", "LICENSE.txt", "a.py", "a.png", "Makefile"] {
            assert!(!is_unread_data(name) || FileKind::of(name).is_some(), "{name}");
        }
        assert!(is_unread_data("dataset_infos.json"));
    }
}
