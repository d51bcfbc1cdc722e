//! The catalogue: which datasets there are, where they lie, what they may be used for, and how
//! their rows become records.
//!
//! A dataset is data, not code: a TOML file that a person writes and reviews. So unknown keys are
//! errors that name the line and the key that was probably meant, and whatever is not certain
//! about a dataset is written down beside it instead of being assumed. The price is a small
//! vocabulary of renderings; a source that none of them fits needs a new one here.

use std::collections::BTreeMap;

use mashbill_store::checksum::Checksum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The category of data that users bring themselves.
pub const CUSTOM: &str = "custom";

/// `catalog/curriculum.toml`: the categories and their shares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Curriculum {
    /// Categories in the order in which they are listed.
    pub category: Vec<Category>,
}

/// A category and the share of tokens it is to have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Its name, which is also its folder's.
    pub name: String,
    /// Its share of all tokens in percent, 0 to 100.
    pub target_percent: f64,
    /// Bytes of text that a token stands for, to estimate tokens before they are counted.
    pub bytes_per_token: f64,
    /// What belongs into it.
    pub description: String,
}

/// One dataset: a file `catalog/<category>/<name>.toml`, or a `[[dataset]]` of a user's own file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogDataset {
    /// Its name, which is also its file's: letters, digits, `_`, `-` and `.`. Without one it is named
    /// after the repository.
    #[serde(default)]
    pub name: String,
    /// The category it counts for; `custom` where none is named.
    #[serde(default = "custom")]
    pub category: String,
    /// What it is, in a line.
    #[serde(default)]
    pub description: String,
    /// Whether a bare `download` takes it.
    #[serde(default = "yes")]
    pub on: bool,
    /// The repository on the Hub: `organization/name`.
    pub repo: String,
    /// Branch, tag or commit; what it is at the first download stands in `curriculum.lock`.
    #[serde(default = "main")]
    pub revision: String,
    /// Which files are taken: paths in the repository, `*` for anything within a folder, `**` across
    /// folders. Without any, the data files whose path does not speak of test or validation.
    #[serde(default)]
    pub files: Vec<String>,
    /// What the files are; told by their names where it is not given.
    #[serde(default)]
    pub format: Option<FileFormat>,
    /// The key under which a JSON file holds its rows, where it is an object and no array.
    #[serde(default)]
    pub rows_key: Option<String>,
    /// How a row becomes a record. Without it the usual columns are looked for in each row.
    #[serde(default)]
    #[schemars(with = "OneRender")]
    pub render: Render,
    /// The field that identifies a row, with dots into nested ones. Without it rows are numbered.
    #[serde(default)]
    pub id: Option<String>,
    /// Fields that are copied into `metadata`.
    #[serde(default)]
    pub metadata: Vec<String>,
    /// What it may be used for.
    #[serde(default)]
    pub license: DatasetLicense,
    /// Whether access has to be asked for on its page.
    #[serde(default)]
    pub gated: bool,
    /// What is known of its size.
    #[serde(default)]
    pub expected: Expected,
    /// The most bytes of files that are fetched of it without a budget.
    #[serde(default)]
    pub max_download_bytes: Option<u64>,
    /// How sure it is that rows look as `render` says.
    #[serde(default)]
    pub schema: SchemaStanding,
    /// Why it cannot be taken at all, where that is so.
    #[serde(default)]
    pub refused: Option<String>,
    /// What to watch out for.
    #[serde(default)]
    pub traps: Vec<String>,
}

/// File formats of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// An array of rows, or rows under a key, or one row a line in spite of the name.
    Json,
    /// One row a line.
    Jsonl,
    /// Parquet.
    Parquet,
    /// Comma-separated values under a line of names.
    Csv,
}

impl FileFormat {
    /// The format that a file's name speaks of in letters of any case, a compression's ending left aside.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "json" => Some(Self::Json),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// How a row becomes a record. Fields are named as in the source, with dots into nested ones.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "OneRender")]
pub enum Render {
    /// By the first of these that the row has: `messages`, `conversations`, `text`, `prompt` with
    /// `response` or `completion`, `instruction` (with `input`) with `output` or `response`, `question`
    /// with `answer` or `answers`, `problem` with `solution`, `query` with `response`, `content`.
    #[default]
    Auto,
    /// The text as it stands.
    Text(TextField),
    /// Turns in a list.
    Dialogue(Dialogue),
    /// A user's turn and an assistant's.
    Exchange(Exchange),
    /// A question and its answer, with what the answer is in where the source has it.
    Question(Question),
}

/// One table with one of the renderings' names, as it is spelled in a file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OneRender {
    /// The text as it stands.
    text: Option<TextField>,
    /// Turns in a list.
    dialogue: Option<Dialogue>,
    /// A user's turn and an assistant's.
    exchange: Option<Exchange>,
    /// A question and its answer.
    question: Option<Question>,
}

impl TryFrom<OneRender> for Render {
    type Error = &'static str;

    fn try_from(one: OneRender) -> Result<Self, Self::Error> {
        Ok(match (one.text, one.dialogue, one.exchange, one.question) {
            (Some(text), None, None, None) => Self::Text(text),
            (None, Some(dialogue), None, None) => Self::Dialogue(dialogue),
            (None, None, Some(exchange), None) => Self::Exchange(exchange),
            (None, None, None, Some(question)) => Self::Question(question),
            _ => return Err("`render` is one of `text`, `dialogue`, `exchange` and `question`"),
        })
    }
}

/// The text as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextField {
    /// The field.
    pub field: String,
}

/// Turns in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dialogue {
    /// The list of turns. Turns that are plain strings are the user's and the assistant's in alternation.
    pub turns: String,
    /// In a turn, who speaks: `role` or `from`.
    #[serde(default = "role")]
    pub role: String,
    /// In a turn, what is said: `content` or `value`.
    #[serde(default = "content")]
    pub content: String,
    /// The field of the row that holds a system prompt.
    #[serde(default)]
    pub system: Option<String>,
}

/// A user's turn and an assistant's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What the user says: these fields, empty ones left out, a blank line between two.
    pub user: Vec<String>,
    /// What the assistant says.
    pub assistant: String,
    /// Whether the assistant's field is JSON in a string.
    #[serde(default)]
    pub assistant_is_json: bool,
    /// The field that holds a system prompt.
    #[serde(default)]
    pub system: Option<String>,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The question.
    pub question: String,
    /// The answer; of a list the first.
    pub answer: String,
    /// What the answer is found in. Lists of sentences become paragraphs.
    #[serde(default)]
    pub context: Option<String>,
    /// The answer where the source has an empty list of them, and the row is otherwise refused.
    #[serde(default)]
    pub no_answer: Option<String>,
    /// What is done to the answer.
    #[serde(default)]
    pub rewrite: Vec<Rewrite>,
}

/// A change to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rewrite {
    /// `48/2 = <<48/2=24>>24` becomes `48/2 = 24`.
    StripCalculatorMarks,
    /// A line `#### 72` becomes `The answer is 72`.
    FinalAnswer,
}

/// What a dataset may be used for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetLicense {
    /// The license's id, as on the Hub: `mit`, `cc-by-sa-4.0`.
    #[serde(default)]
    pub id: Option<String>,
    /// What kind of license it is.
    #[serde(default)]
    pub kind: LicenseKind,
    /// What is not clear about it.
    #[serde(default)]
    pub note: Option<String>,
}

impl DatasetLicense {
    /// The id, or `not stated`.
    #[must_use]
    pub fn label(&self) -> &str {
        self.id.as_deref().unwrap_or("not stated")
    }

    /// The kind, where the dataset's card has the license `id`: what the catalogue says of it counts, else the id.
    #[must_use]
    pub fn kind_of(&self, id: &str) -> LicenseKind {
        match (&self.id, self.kind) {
            (None, LicenseKind::Unknown) => LicenseKind::of_id(id),
            (_, kind) => kind,
        }
    }
}

/// Licenses that are free to use, by their ids on the Hub, without what follows the name: versions and variants.
const OPEN: [&str; 14] = [
    "apache",
    "artistic",
    "bsd",
    "cc-by",
    "cc0",
    "cdla-permissive",
    "cdla-sharing",
    "isc",
    "mit",
    "odbl",
    "odc-by",
    "pddl",
    "unlicense",
    "zlib",
];

/// Kinds of licenses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LicenseKind {
    /// Free to use, perhaps with attribution or under the same license.
    Open,
    /// Terms of its own, which are accepted on the dataset's page.
    Terms,
    /// Not for commercial use, or disputed to be.
    NonCommercial,
    /// None is stated.
    #[default]
    Unknown,
}

impl LicenseKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Open, Self::Terms, Self::NonCommercial, Self::Unknown];

    /// The kind of the license that a dataset's card calls `id`; unknown where its text would have to be read.
    #[must_use]
    pub fn of_id(id: &str) -> Self {
        let id = id.to_ascii_lowercase();
        let is =
            |name: &&str| id.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        if id.starts_with("cc-by-nc") {
            Self::NonCommercial
        } else if OPEN.iter().any(is) && !id.contains("-nd") {
            Self::Open
        } else {
            Self::Unknown
        }
    }

    /// The name in files and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Terms => "terms",
            Self::NonCommercial => "non-commercial",
            Self::Unknown => "unknown",
        }
    }
}

/// What is known of a dataset's size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Rows in the files that are taken.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Bytes of the files that are taken.
    #[serde(default)]
    pub download_bytes: Option<u64>,
}

/// How sure it is that a dataset's rows look as the catalogue says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaStanding {
    /// Rows of its upstream were looked at.
    Confirmed,
    /// Public pages describe it so.
    Documented,
    /// It could not be confirmed; a row that looks otherwise is counted and set aside.
    #[default]
    Unconfirmed,
}

/// A user's own file: `--catalog FILE.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnCatalog {
    /// The datasets it adds.
    pub dataset: Vec<CatalogDataset>,
}

fn yes() -> bool {
    true
}

fn custom() -> String {
    CUSTOM.into()
}

fn main() -> String {
    "main".into()
}

fn role() -> String {
    "role".into()
}

fn content() -> String {
    "content".into()
}

impl CatalogDataset {
    /// A dataset of which only the repository is known.
    #[must_use]
    pub fn of_repo(repo: &str) -> Self {
        basic_toml::from_str(&format!("repo = {repo:?}")).expect("every other key has a default")
    }

    /// The checksum of what decides about its records: not of its description, its traps or its size.
    #[must_use]
    pub fn checksum(&self) -> Checksum {
        let what = (
            (&self.name, &self.category, &self.repo, &self.files),
            (&self.format, &self.rows_key, &self.render, &self.id, &self.metadata),
        );
        Checksum::of(&serde_json::to_vec(&what).expect("strings and lists are JSON"))
    }

    /// Checks what the types cannot, and names a dataset that has no name after its repository.
    fn finish(mut self) -> Result<Self, String> {
        let Some((owner, repo)) = self.repo.split_once('/') else {
            return Err(format!("`repo = {:?}` is not `organization/name`", self.repo));
        };
        if self.name.is_empty() {
            self.name = format!("{owner}__{repo}");
        }
        for (key, name) in [("name", &self.name), ("category", &self.category)] {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
            if name.is_empty() || name.starts_with('.') || !name.bytes().all(plain) {
                return Err(format!(
                    "`{key} = {name:?}` is not a file name: it may have letters, digits, `_`, `-`, `.`"
                ));
            }
        }
        Ok(self)
    }
}

/// What is wrong with a catalogue's text, and on which line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Mistake {
    /// The line, 1-based.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// Parses a dataset's file.
///
/// # Errors
/// The [`Mistake`] in it.
pub fn parse_dataset(text: &str) -> Result<CatalogDataset, Mistake> {
    parse::<CatalogDataset>(text)?.finish().map_err(|what| Mistake { line: 1, what })
}

/// Parses a user's own catalogue.
///
/// # Errors
/// The first [`Mistake`] in it.
pub fn parse_own(text: &str) -> Result<Vec<CatalogDataset>, Mistake> {
    let own: OwnCatalog = parse(text)?;
    let starts: Vec<_> =
        text.lines().enumerate().filter(|(_, l)| l.trim_start().starts_with("[[dataset]]")).collect();
    let finish = |(index, dataset): (usize, CatalogDataset)| {
        let line = starts.get(index).map_or(1, |(line, _)| line + 1);
        dataset.finish().map_err(|what| Mistake { line, what })
    };
    own.dataset.into_iter().enumerate().map(finish).collect()
}

/// Parses the curriculum.
///
/// # Errors
/// The [`Mistake`] in it; targets over 100 % in all are one.
pub fn parse_curriculum(text: &str) -> Result<Curriculum, Mistake> {
    let curriculum: Curriculum = parse(text)?;
    let total: f64 = curriculum.category.iter().map(|category| category.target_percent).sum();
    let sane = |c: &Category| c.target_percent >= 0.0 && c.bytes_per_token > 0.0;
    if total > 100.0 + 1e-9 || !curriculum.category.iter().all(sane) {
        let what = format!("targets have to be 0 or more and sum to 100 %, not {total} %");
        return Err(Mistake { line: 1, what });
    }
    Ok(curriculum)
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    basic_toml::from_str(text).map_err(|error| {
        let message = error.to_string();
        let (what, place) = message.rsplit_once(" at line ").unwrap_or((&message, "1"));
        let digits = place.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        // The parser names the table of an unknown key or value; the key itself is found by its name.
        let given = what.split('`').nth(1).filter(|_| what.starts_with("unknown"));
        let line =
            given.and_then(|given| line_with(text, given)).or_else(|| digits.parse().ok()).unwrap_or(1);
        let what = what.split(" for key ").next().unwrap_or(what);
        Mistake { line, what: with_suggestion(what) }
    })
}

/// The first line, 1-based, on which a key or a quoted value is `given`.
fn line_with(text: &str, given: &str) -> Option<usize> {
    let quoted = format!("\"{given}\"");
    let names = |line: &str| {
        let key = line.split('=').next().unwrap_or_default();
        key.split(['.', '[', ']']).any(|part| part.trim() == given) || line.contains(&quoted)
    };
    text.lines().position(names).map(|index| index + 1)
}

/// Serde's message about an unknown key lists all keys; the one that was probably meant is enough.
fn with_suggestion(message: &str) -> String {
    let message = message.lines().collect::<Vec<_>>().join(" ");
    let Some((unknown, known)) = message.split_once(", expected ") else { return message };
    if !message.starts_with("unknown") {
        return message;
    }
    let given = unknown.split('`').nth(1).unwrap_or_default();
    let names: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    match closest(given, names.iter().copied()) {
        Some(meant) => format!("{unknown}; did you mean `{meant}`?"),
        None => format!("{unknown}; known are {}", names.join(", ")),
    }
}

/// The name that was probably meant by `given`, if there is one that is like it.
#[must_use]
pub fn closest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase();
    let scored = names.map(|name| (strsim::jaro_winkler(&given, &name.to_lowercase()), name));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// Datasets by name.
pub type Datasets = BTreeMap<String, CatalogDataset>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_enough_for_a_dataset_with_usual_columns() {
        let own = parse_own("[[dataset]]\nrepo = \"org/some-set\"\n").expect("it is one");
        let [dataset] = own.as_slice() else { panic!("{own:?}") };
        assert_eq!((dataset.name.as_str(), dataset.category.as_str()), ("org__some-set", "custom"));
        assert_eq!((&dataset.render, dataset.license.kind), (&Render::Auto, LicenseKind::Unknown));
        assert_eq!(dataset.repo, CatalogDataset::of_repo("org/some-set").repo);
    }

    #[test]
    fn the_kind_of_a_license_is_told_by_its_id_where_the_catalog_has_none() {
        let none = DatasetLicense::default();
        for (id, kind) in [
            ("mit", LicenseKind::Open),
            ("Apache-2.0", LicenseKind::Open),
            ("cc-by-sa-4.0", LicenseKind::Open),
            ("bsd-3-clause", LicenseKind::Open),
            ("cc-by-nc-sa-4.0", LicenseKind::NonCommercial),
            ("cc-by-nd-4.0", LicenseKind::Unknown),
            ("mitre", LicenseKind::Unknown),
            ("other", LicenseKind::Unknown),
            ("not stated", LicenseKind::Unknown),
        ] {
            assert_eq!(none.kind_of(id), kind, "{id}");
        }
        let disputed = DatasetLicense { kind: LicenseKind::NonCommercial, ..DatasetLicense::default() };
        assert_eq!(disputed.kind_of("mit"), LicenseKind::NonCommercial);
    }

    #[test]
    fn mistakes_name_their_line_and_what_was_meant() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse_own(text).expect_err(text).to_string(), expected, "{text}");
        };
        check(
            "[[dataset]]\nrepo = \"a/b\"\ncatagory = \"code\"\n",
            "line 3: unknown field `catagory`; did you mean `category`?",
        );
        check(
            "[[dataset]]\nrepo = \"a/b\"\nformat = \"jsonlines\"\n",
            "line 3: unknown variant `jsonlines`; did you mean `jsonl`?",
        );
        check(
            "[[dataset]]\nrepo = \"a/b\"\n\n[dataset.render.exchange]\nuser = [\"a\"]\nasistant = \"b\"\n",
            "line 6: unknown field `asistant`; did you mean `assistant`?",
        );
        check(
            "[[dataset]]\nrepo = \"a/b\"\n[[dataset]]\nrepo = \"b\"\n",
            "line 3: `repo = \"b\"` is not `organization/name`",
        );
        check(
            "[[dataset]]\nrepo = \"a/b\"\nname = \"../x\"\n",
            "line 1: `name = \"../x\"` is not a file name: it may have letters, digits, `_`, `-`, `.`",
        );
    }

    #[test]
    fn only_what_changes_records_changes_the_checksum() {
        let one = CatalogDataset::of_repo("a/b");
        let mut other = CatalogDataset { description: "new words".into(), gated: true, ..one.clone() };
        assert_eq!(one.checksum(), other.checksum());
        other.id = Some("id".into());
        assert_ne!(one.checksum(), other.checksum());
    }

    #[test]
    fn formats_are_told_by_names() {
        let of = |name| FileFormat::of_name(name);
        assert_eq!([of("a.json"), of("b/c.jsonl.gz")], [Some(FileFormat::Json), Some(FileFormat::Jsonl)]);
        assert_eq!(
            [of("x.parquet"), of("x.csv.zst"), of("README.md"), of("x")],
            [Some(FileFormat::Parquet), Some(FileFormat::Csv), None, None]
        );
    }
}
