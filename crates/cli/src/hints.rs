//! What to type next, error by error: knowledge of this command line's flags belongs here.

mod download;

use std::io;
use std::path::{Path, PathBuf};

use mashbill_download::Error as DownloadError;
use mashbill_format::Error as FormatError;
use mashbill_format::figures::size;
use mashbill_format::find::is_output;
use mashbill_format::layout::MANIFEST;
use mashbill_format::lock::LOCK;
use mashbill_format::training_run::is_run;
use mashbill_hub::Error as HubError;
use mashbill_load::Error as LoadError;
use mashbill_records::parquet_rows::Column;
use mashbill_records::record::{FieldCounts, Shape};
use mashbill_records::{Container, Foreign, Kind, ReadError};
use mashbill_report::Error as ReportError;
use mashbill_store::Error as StoreError;
use mashbill_store::atomic::folder_of;
use mashbill_store::error::is_file_in_the_way;
use mashbill_store::open::WrongKind;
use mashbill_tokenize::Error as TokenizeError;
use mashbill_tokenizer::{EMBEDDED, Error as TokenizerError};
use mashbill_verify::Remedy;

use crate::out::Unwritten;
use crate::usage::Usage;

pub(crate) use download::{download_hint, may_pass};

/// How the Python package is installed: it is on no index.
pub(crate) const INSTALL_TRAINER: &str =
    "pip install './python[train]' in mashbill's source tree, with the Python environment active";

/// What helps where a file of a folder is missing or damaged.
const DAMAGE_HINT: &str = "`mashbill verify` of its folder says what else is wrong, and what mends it";

/// What helps where something else stands in the place of a file.
const FILE_HINT: &str = "give a file: what comes out of a pipe or a device can be written into one first";
/// Which files are read, by their endings.
pub(crate) const ENDINGS: &str = "read are .jsonl, .ndjson and .json, also with .gz, .bz2, .xz, .zst or .zstd behind it, \
                                  and (by tokenize) .parquet";

/// What mends a name that is not UTF-8.
const RENAME: &str = "give it a name in UTF-8: `mv`, or `convmv` for many";

/// The hint for an error, if there is something to type.
pub(crate) fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<DownloadError>() {
            return download_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<TokenizeError>() {
            return tokenize_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<TokenizerError>() {
            return tokenizer_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<HubError>() {
            return Some(hub_hint(error));
        }
        if let Some(error) = cause.downcast_ref::<LoadError>() {
            return load_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<ReportError>() {
            return report_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<FormatError>() {
            return format_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<StoreError>() {
            return store_hint(error);
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            return WrongKind::is_behind(error).then(|| FILE_HINT.into());
        }
        if let Some(Unwritten::Failed(_)) = cause.downcast_ref::<Unwritten>() {
            return Some("make space where the output goes to, then give the command again".into());
        }
        cause.downcast_ref::<Usage>().map(usage_hint)
    })
}

/// The hints for splits that could not be made while others went on, each once.
pub(crate) fn hints_for_failed_splits<'a>(errors: impl Iterator<Item = &'a TokenizeError>) -> Vec<String> {
    let mut hints = Vec::new();
    for hint in errors.filter_map(tokenize_hint) {
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    hints
}

/// What to do with the `lines` lines of a file that have no text, by what they have instead.
pub(crate) fn hint_for_shape(fields: &FieldCounts, lines: u64, file: &Path) -> Option<String> {
    let made = |program: &str| match with_jq(program, file) {
        Some(command) => format!("; this makes a text of each: {command}"),
        None => "; make a column `text` of them".to_owned(),
    };
    Some(match fields.shape() {
        Shape::Text(first) => {
            let flags: Vec<_> =
                fields.texts(first, lines).iter().map(|field| format!("--text-field {field}")).collect();
            format!("`{}` takes the texts from there", flags.join(" "))
        }
        Shape::Chat(field) => {
            let turn = r#""\(.role // .from): \(.content // .value)""#;
            let made = made(&format!("[.{field}[] | {turn}]"));
            format!("`{field}` is a chat, and chats are not read yet{made}")
        }
        Shape::Pair(asked, answered) => {
            // An instruction may have an input of its own, which is often empty.
            let parts = match asked {
                "instruction" => {
                    format!(r#"[.instruction, .input, .{answered}] | map(select(. != null and . != ""))"#)
                }
                _ => format!("[.{asked}, .{answered}]"),
            };
            format!("pairs of `{asked}` and `{answered}` are not read yet{}", made(&parts))
        }
        Shape::Other => return None,
    })
}

fn column_twice(column: &str) -> String {
    format!("write the file again with another name for one of the columns `{column}`")
}

/// What to do with a Parquet file that has no text column, by the columns that it has.
fn hint_for_columns(columns: &[Column]) -> String {
    let mut fields = FieldCounts::default();
    columns.iter().for_each(|column| fields.count(&column.name, column.kind == "string"));
    hint_for_shape(&fields, 0, Path::new("")).unwrap_or_else(|| "name the column with `--text-field`".into())
}

/// The command that gives each record of a file of JSON the text whose parts `program` lists; none for other files.
fn with_jq(program: &str, file: &Path) -> Option<String> {
    let (stem, kind) = Kind::of(file.file_name()?.to_str()?)?;
    let Kind::Json(container) = kind else { return None };
    let (path, made) = (file.display(), format!("{stem}_text.jsonl"));
    let filter = format!(r#"jq -c '(arrays[], objects) | .text = ({program} | join("\n\n"))'"#);
    let unpack = match container {
        Container::Plain => return Some(format!("{filter} {path} > {made}")),
        Container::Gzip => "gzip -dc",
        Container::Bzip2 => "bzip2 -dc",
        Container::Xz => "xz -dc",
        Container::Zstd => "zstd -dc",
    };
    Some(format!("{unpack} {path} | {filter} > {made}"))
}

fn usage_hint(usage: &Usage) -> String {
    match usage {
        Usage::MaxSeqLength { .. } => "the guide's rows have --max-seq-length 8192".into(),
        Usage::ShardSize { .. } => "the guide's shards have --shard-size 2".into(),
        Usage::MaxDocument { .. } => "the default is --max-document 256000000".into(),
        Usage::ValFraction { .. } => {
            "`--val-fraction 0.01` holds one document in a hundred out; without it none is".into()
        }
        Usage::Sample { .. } => "`--sample 1` encodes all of it with the reference".into(),
        Usage::WarnRejected { .. } => {
            "`--warn-rejected 0.05` warns where more than one line in twenty was refused".into()
        }
        Usage::Threads { .. } => "leave --threads out to use what the machine has".into(),
        Usage::OtherTokenizer { sha256, .. } | Usage::TokenizerNotFoundAgain { sha256, .. } => {
            format!("name it with `--tokenizer PATH`: its tokenizer.json has the SHA-256 {sha256}")
        }
        Usage::NoTokenizerFile { .. } => embedded_hint(),
        Usage::NothingToVerify { path } => folder_hint("verify", path),
        Usage::NothingToInspect { path } => folder_hint("inspect", path),
        Usage::FindNeedsTokenizer => {
            "name it with `--tokenizer`, or look for the text in the .jsonl files".into()
        }
        Usage::NothingFound { path, .. } => {
            format!("`mashbill inspect {} --random` shows what there is", path.display())
        }
        Usage::NotInRun { path, .. } => {
            format!("`mashbill inspect {} --step 0` lists the documents of its first batch", path.display())
        }
        Usage::NoSuchSplit { .. } => "name one of them with `--split`, or none to look at all".into(),
        Usage::NoRecord { path } => {
            format!("`mashbill verify {}` says line by line why", path.display())
        }
        Usage::NoRows { path } => format!(
            "`mashbill verify {}` says why: lines were refused, or a run has not ended",
            path.display()
        ),
        Usage::NoLoader { .. } => {
            "`--batch-size ROWS` (and `--seed`, `--world-size`) say it; with weights give a file with what \
             `DataLoader.recipe()` gives as PATH"
                .into()
        }
        Usage::NoStep { .. } => "`--step 0` lists the documents of its first batch".into(),
        Usage::Rank { .. } => "without `--rank` the rows of all ranks are shown".into(),
        Usage::NoEnd => "`--until STEP` says how far to look".into(),
        Usage::NotThere { .. } => "check the path".into(),
        Usage::NotOurFolder { .. } => "choose an empty or new folder with --output".into(),
        Usage::NoPythonPackage => {
            format!("{INSTALL_TRAINER}; then give the command again")
        }
    }
}

/// What mends a problem that `verify` found in the folder or file at `path`.
pub(crate) fn remedy_hint(remedy: &Remedy, path: &Path) -> String {
    // What places are relative to.
    let folder = if path.is_file() { folder_of(path) } else { path }.display();
    match remedy {
        Remedy::MakeSplitAgain { split } => format!(
            "copy {folder}/{split} again from where it is good, or make it again: remove it and give the \
             `mashbill tokenize` command that made it with `--skip-existing`"
        ),
        Remedy::MakeAllAgain => format!(
            "copy the folder again from where it is good; or move {folder}/{MANIFEST} away and give the \
             `mashbill tokenize` command that made it with `--force`"
        ),
        Remedy::FillInput => "put records into that file, or remove it and give the `mashbill tokenize` command with `--prune`".into(),
        Remedy::NameSource => "say where it is now: `mashbill verify … --deep --source PATH`".into(),
        Remedy::CopyAgain => "copy the folder again".into(),
        Remedy::MoveAway { file } => format!("if nobody needs it: mv {folder}/{file} somewhere else"),
        Remedy::RunAgain => "give the `mashbill tokenize` command that made it again: it goes on".into(),
        Remedy::WriteCard => {
            "give the `mashbill tokenize` command that made the folder again: it makes nothing again but the card".into()
        }
        Remedy::Convert { file, content } => {
            let path = if path.is_file() { path.to_owned() } else { path.join(file) };
            foreign_hint(&path, content)
        }
        Remedy::NotRead => ENDINGS.into(),
        Remedy::Rename => RENAME.into(),
        Remedy::RenameColumn { column } => column_twice(column),
        Remedy::NameTextField { columns } => hint_for_columns(columns),
        Remedy::Prune => "`mashbill tokenize … --prune` removes such splits".into(),
        Remedy::CorrectLine => {
            "correct or remove the line; `mashbill tokenize` sets lines aside that are no records".into()
        }
        Remedy::DownloadAgain { dataset, records } if records.is_empty() => {
            format!("mashbill download --output {} --dataset {dataset}", data_folder(path).display())
        }
        Remedy::DownloadAgain { dataset, records } => format!(
            "rm {folder}/{records}; then `mashbill download --output {} --dataset {dataset}` makes it again",
            data_folder(path).display()
        ),
        Remedy::FetchAgain { dataset, file } => {
            let data = data_folder(path);
            let data = data.display();
            format!(
                "rm {data}/{file}; then `mashbill download --output {data} --dataset {dataset} --keep-raw`"
            )
        }
        Remedy::RestoreLock => {
            "take the lock from where it was committed, or remove it: `mashbill download` makes a new one"
                .into()
        }
        Remedy::CorrectInput { split } if split.is_empty() => {
            "`mashbill tokenize` with the same input and `--skip-existing` says what the lines have instead of a text"
                .into()
        }
        Remedy::CorrectInput { split } => format!(
            "{folder}/{split}/{split}_rejects.jsonl has the first of them; `--text-field` says where texts are"
        ),
        _ => "make it again".into(),
    }
}

/// What mends all of `remedies`, each way said once: where many splits or files need the same, the others are named.
pub(crate) fn remedy_hints(remedies: &[&Remedy], path: &Path) -> Vec<String> {
    let mut told: Vec<(&Remedy, Vec<&str>)> = Vec::new();
    for &remedy in remedies {
        if told.iter().any(|(first, _)| *first == remedy) {
            continue;
        }
        let name = of_what(remedy);
        let alike = |first: &Remedy| std::mem::discriminant(first) == std::mem::discriminant(remedy);
        match (told.iter_mut().find(|(first, _)| alike(first)), name) {
            (Some((_, others)), Some(name)) if others.contains(&name) => {}
            (Some((_, others)), Some(name)) => others.push(name),
            _ => told.push((remedy, Vec::new())),
        }
    }
    told.iter().map(|(first, others)| remedy_hint(first, path) + &and_others(others)).collect()
}

/// The split or file that a remedy is about, where another one may need the same.
fn of_what(remedy: &Remedy) -> Option<&str> {
    match remedy {
        Remedy::MakeSplitAgain { split } => Some(split),
        Remedy::MoveAway { file } => Some(file),
        // Other commands are given whole.
        _ => None,
    }
}

/// The names that a hint holds for, too.
fn and_others(names: &[&str]) -> String {
    const NAMED: usize = 5;
    if names.is_empty() {
        return String::new();
    }
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; the same for {shown}{more}")
}

/// The folder of downloaded datasets that `path` is, or in which it lies as a category or a file; as `path` names it
/// where it does, else from the root of the disk on.
pub(crate) fn folder_with_lock(path: &Path) -> Option<PathBuf> {
    let has_lock = |folder: &&Path| folder.join(LOCK).is_file();
    let named = |folder| if folder == Path::new("") { Path::new(".") } else { folder };
    let found = path.ancestors().take(3).map(named).find(has_lock).map(Path::to_owned);
    let above = || Some(std::path::absolute(path).ok()?.ancestors().take(3).find(has_lock)?.to_owned());
    found.or_else(above)
}

fn data_folder(path: &Path) -> PathBuf {
    folder_with_lock(path).unwrap_or_else(|| path.to_owned())
}

/// What makes a file that can be read of the one at `path`.
pub(crate) fn content_hint(path: &Path, error: &ReadError) -> String {
    match error {
        ReadError::Foreign(content) => foreign_hint(path, content),
        ReadError::NameNotUtf8 => RENAME.into(),
        ReadError::NotRegular { .. } => FILE_HINT.into(),
        ReadError::NoTextColumn { columns, .. } => hint_for_columns(columns),
        ReadError::ColumnTwice { column } => column_twice(column),
        _ => "get the file again where it came from, then give the same command again".into(),
    }
}

fn foreign_hint(path: &Path, content: &Foreign) -> String {
    let file = path.display();
    match content {
        Foreign::OtherThanNamed { found, .. } => match *found {
            "gzip" => format!("mv {file} {file}.gz"),
            "zstd" => format!("mv {file} {file}.zst"),
            "xz" => format!("mv {file} {file}.xz"),
            "bzip2" => format!("mv {file} {file}.bz2"),
            "Parquet" => format!("mv {file} {}", path.with_extension("parquet").display()),
            "plain text" => format!("mv {file} {}", path.with_extension("").display()),
            _ => "unpack or convert it; one JSON object a line is read".into(),
        },
        Foreign::Packed { .. } => "unpack it; one JSON object a line is read".into(),
        Foreign::Encoding { iconv: Some(name), .. } => {
            format!("iconv -f {name} -t UTF-8 {file} > FILE.jsonl makes UTF-8 of it, if that is what it is")
        }
        Foreign::Encoding { iconv: None, .. } => {
            format!("iconv -f ENCODING -t UTF-8 {file} > FILE.jsonl makes UTF-8 of it")
        }
        Foreign::CarriageReturns => format!("tr '\\r' '\\n' < {file} > FILE.jsonl"),
        Foreign::OverManyLines { rows: Some(key) } => format!("jq -c '.[{key:?}][]' {file} > FILE.jsonl"),
        Foreign::OverManyLines { rows: None } | Foreign::SeveralALine => {
            format!("jq -c . {file} > FILE.jsonl")
        }
        Foreign::ArrayOf { .. } => {
            format!("jq -c '.[] | {{text: .}}' {file} > FILE.jsonl, if they are the texts")
        }
        Foreign::LfsPointer => "git lfs pull".into(),
        _ => "get the file again where it came from".into(),
    }
}

fn embedded_hint() -> String {
    format!("these tokenizers need no file and no network: {} (`--tokenizer gpt2`)", EMBEDDED.join(", "))
}

fn tokenize_hint(error: &TokenizeError) -> Option<String> {
    Some(match error {
        TokenizeError::InputMissing { .. } => "`--input` takes a file or a folder that exists".into(),
        TokenizeError::InputUnknown { .. } => ENDINGS.into(),
        TokenizeError::Content { path, source } => content_hint(Path::new(path), source),
        TokenizeError::OutputIsFile { .. } | TokenizeError::OutputIsInput { .. } => "give another folder as `--output`".into(),
        TokenizeError::InputIsOutput { .. } => "give the folder with the JSONL files as `--input`".into(),
        TokenizeError::NoInput { deeper: 0, .. } => {
            ENDINGS.into()
        }
        TokenizeError::NoInput { deeper, .. } => {
            let files = if *deeper == 1 { "1 file" } else { &format!("{deeper} files") };
            format!("`--recursive` finds {files} in the folders below")
        }
        TokenizeError::MixedFolder { .. } => "`--split-names parts` makes them splits of their own".into(),
        TokenizeError::SplitTwice { first, second, .. } if first.parent() == second.parent() => {
            "give one of them another name".into()
        }
        TokenizeError::SplitTwice { .. } => "`--split-names path` names splits after their folders, too".into(),
        TokenizeError::SplitName { .. } => "give the file another name".into(),
        TokenizeError::NameTooLong { .. } => {
            "give the file a shorter name (mv), or the output folder with `--output`".into()
        }
        TokenizeError::SplitDiffers { .. } => {
            "`--skip-existing` makes those again that differ, `--force` makes all again, another `--output` keeps both"
                .into()
        }
        TokenizeError::OthersDiffer { gone: true, .. } => "`--prune` removes splits whose input is gone".into(),
        TokenizeError::OthersDiffer { .. } => {
            "give another `--output`, or give the input of all splits with `--force`".into()
        }
        TokenizeError::ForeignFiles { .. } => "give another `--output`, or move that folder away".into(),
        TokenizeError::TooLittleSpace { needed, free, .. } => {
            format!("{} are missing: make space, or give an `--output` elsewhere", size(needed - free))
        }
        TokenizeError::Read { source, .. } if WrongKind::is_behind(source) => FILE_HINT.into(),
        TokenizeError::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            "make the file readable (chmod u+r), then give the same command again".into()
        }
        TokenizeError::Read { .. } | TokenizeError::InputDamaged { .. } => {
            "get the file again where it came from, then give the same command again".into()
        }
        TokenizeError::NoTextColumn { columns, .. } => hint_for_columns(columns),
        TokenizeError::OtherTokenizer { planned, .. } => format!("`--tokenizer {planned}` is the plan's"),
        TokenizeError::NoTask { .. } | TokenizeError::PlanDamaged { .. } => "make the plan again".into(),
        TokenizeError::ShardsMissing { .. } => "make the tasks that are left, then give the same command again".into(),
        TokenizeError::OutputChanged { .. } => "give the same command again".into(),
        TokenizeError::Changed { .. } => "when nobody writes to it any more, give the same command again".into(),
        TokenizeError::Strict { .. } => "without `--strict` bad lines are set aside and the rest goes on".into(),
        TokenizeError::Interrupted => "the same command goes on".into(),
        TokenizeError::Tokenizer(error) => return tokenizer_hint(error),
        TokenizeError::Format(error) => return format_hint(error),
    })
}

/// The folder that was meant where a path has nothing for a command.
fn folder_hint(command: &str, path: &Path) -> String {
    let parents = path.ancestors().skip(1).take(2);
    let outputs = parents.map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    if is_run(path) {
        format!("it is a run of `mashbill train`: `mashbill report {}` shows it", path.display())
    } else if let Some(output) = outputs.into_iter().find(|output| is_output(output)) {
        format!("it is a part of what `mashbill {command} {}` looks at", output.display())
    } else {
        "give the folder that `mashbill tokenize` wrote (its `--output`), or one with .jsonl files".into()
    }
}

fn tokenizer_hint(error: &TokenizerError) -> Option<String> {
    Some(match error {
        TokenizerError::NotFound { .. } => embedded_hint(),
        TokenizerError::NoEos { .. } => {
            "name it with `--eos-token TOKEN`, or put none after documents with `--no-eos`".into()
        }
        TokenizerError::NoPad { .. } => {
            "name any token of the vocabulary with `--pad-token TOKEN`: it stands where rows are not full".into()
        }
        TokenizerError::NotInVocabulary { found_in, .. } if found_in == "--pad-token" => {
            "`--pad-token` takes a token of the vocabulary as it is spelled".into()
        }
        TokenizerError::TooSlow { .. }
        | TokenizerError::BreaksLibrary
        | TokenizerError::IdTooLarge { .. }
        | TokenizerError::TooLarge { .. }
        | TokenizerError::Grows { .. }
        | TokenizerError::Charsmap { .. }
        | TokenizerError::Template => {
            "get the tokenizer's files again, from whom you trust; if they are as published, say so in an issue".into()
        }
        TokenizerError::Json { file, .. } if *file != "tokenizer.json" => {
            format!("correct `{file}`, or say what it says with `--eos-token TOKEN` or `--no-eos`")
        }
        TokenizerError::LfsPointer { .. } => "git lfs pull".into(),
        TokenizerError::NotAdded { .. } => {
            "write a whole `tokenizer.json` with Python's `AutoTokenizer.from_pretrained(NAME).save_pretrained(\"FOLDER\")`, and \
             give `--tokenizer FOLDER`"
                .into()
        }
        TokenizerError::NotInVocabulary { .. } => {
            "`--eos-token` takes a token of the vocabulary as it is spelled".into()
        }
        TokenizerError::Read { source, .. } if WrongKind::is_behind(source) => FILE_HINT.into(),
        TokenizerError::Read { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            "make the file readable (chmod u+r), then give the same command again".into()
        }
        TokenizerError::Read { .. } => "get the tokenizer's files again; they are JSON in UTF-8".into(),
        TokenizerError::Json { .. } | TokenizerError::Refused { .. } => {
            "get the tokenizer's files again; Hugging Face tokenizers 0.23 must be able to load them".into()
        }
        _ => return None,
    })
}

fn hub_hint(error: &HubError) -> String {
    let embedded = embedded_hint();
    match error {
        HubError::Gated { ask_at, token: None, .. } => {
            format!("ask for access at {ask_at}, then set HF_TOKEN or run `hf auth login`; {embedded}")
        }
        HubError::Gated { ask_at, .. } => format!("ask for access at {ask_at} with that account; {embedded}"),
        HubError::RepoNotFound { token: None, .. } => {
            format!("check the name; if it is private, set HF_TOKEN or run `hf auth login`; {embedded}")
        }
        HubError::RepoNotFound { .. } => {
            format!("check the name, and that the token's account may see it; {embedded}")
        }
        HubError::InvalidToken { .. } => "make a new token and set HF_TOKEN or run `hf auth login`".into(),
        HubError::BadToken { .. } => {
            format!("make a new token and set HF_TOKEN or run `hf auth login`; {embedded}")
        }
        HubError::NotCached { .. } => {
            format!("unset HF_HUB_OFFLINE to fetch it, or give a tokenizer.json; {embedded}")
        }
        HubError::Unreachable { .. } | HubError::NotAHub { .. } => {
            format!("check the network, HTTPS_PROXY and HF_ENDPOINT, or give a tokenizer.json; {embedded}")
        }
        HubError::EntryNotFound { repo, .. } => {
            format!("`{repo}` has no tokenizer.json: give one that has, or a file; {embedded}")
        }
        HubError::RateLimited { .. } => format!("wait a little, or send a token with HF_TOKEN; {embedded}"),
        HubError::DamagedCache { path, .. } => format!("remove it: rm {}", path.display()),
        _ => embedded,
    }
}

fn load_hint(error: &LoadError) -> Option<String> {
    Some(match error {
        LoadError::NoManifest { .. } => {
            "give the folder that `mashbill tokenize` wrote; where it was moved, correct `folder` in loader.json".into()
        }
        LoadError::State { .. } => {
            "the folder was tokenized anew since: its rows are not those that were trained on".into()
        }
        LoadError::TooFewRows { .. } => "give the loader's own `--batch-size`".into(),
        LoadError::Shard { .. } | LoadError::Table { .. } => "`mashbill verify` says what else is damaged, and what mends it".into(),
        LoadError::File(error) => return format_hint(error),
        LoadError::NoRows => "`mashbill report` of the folder shows what became of its lines".into(),
        LoadError::IgnoreIndex { .. } => {
            "update mashbill, or tokenize again what the folder was made of".into()
        }
        LoadError::Again(error) => return load_hint(error),
        LoadError::NoValidation { .. }
        | LoadError::UnknownSplit { .. }
        | LoadError::Distrusted { .. }
        | LoadError::Interrupted
        | LoadError::UnknownSource { .. }
        | LoadError::SplitWeight { .. }
        | LoadError::Weights { .. }
        | LoadError::TooManyEpochs { .. }
        | LoadError::Option { .. }
        | LoadError::Thread { .. }
        | LoadError::UnknownDocument { .. } => return None,
    })
}

fn report_hint(error: &ReportError) -> Option<String> {
    match error {
        ReportError::File(error) => format_hint(error),
        ReportError::Nothing { .. } => Some(
            "give a folder of `mashbill tokenize` or `mashbill download`, one with .jsonl files, or the `output_path` \
             of `mashbill train`"
                .into(),
        ),
    }
}

fn format_hint(error: &FormatError) -> Option<String> {
    Some(match error {
        FormatError::Store(error) => return store_hint(error),
        FormatError::Columns { .. } => DAMAGE_HINT.into(),
        FormatError::Records { path, source } => content_hint(Path::new(path), source),
        FormatError::Recipe { .. } => "give a file with what `DataLoader.recipe()` gives".into(),
        FormatError::TooNew { .. } | FormatError::Requires { .. } => "update mashbill".into(),
        FormatError::TooOld { path, .. } if path.ends_with(MANIFEST) => format!(
            "mv {} somewhere else, then give the `mashbill tokenize` command that made it: it makes the folder again",
            folder_of(path).display()
        ),
        FormatError::TooOld { path, .. } => {
            format!(
                "mv {} somewhere else, then give the command that made it: it makes it again",
                path.display()
            )
        }
    })
}

fn store_hint(error: &StoreError) -> Option<String> {
    Some(match error {
        StoreError::DiskFull { .. } => {
            "make space, then give the same command again: it goes on where it was".into()
        }
        StoreError::InUse { pid, host, .. } => {
            format!("wait for process {pid} on {host}, or give another `--output`")
        }
        StoreError::Io { action: "read" | "open", path, source }
            if source.kind() == io::ErrorKind::PermissionDenied =>
        {
            format!("make `{}` readable (chmod u+r), then give the same command again", path.display())
        }
        StoreError::Io { path, source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            format!("choose an `--output` that you may write to; `{}` is not", path.display())
        }
        StoreError::Io { source, .. } if is_file_in_the_way(source) => {
            "a file is in the way: choose a folder with `--output`".into()
        }
        StoreError::Io { path, source, .. } if WrongKind::is_behind(source) => {
            format!("remove `{}`, or put there what is needed", path.display())
        }
        StoreError::Damaged { path, .. } if path.ends_with(MANIFEST) => format!(
            "copy the folder again from where it is good; or move `{}` away and give the `mashbill tokenize` command that \
             made it with `--force`",
            path.display()
        ),
        StoreError::Damaged { path, .. } if path.ends_with(LOCK) => {
            "take the lock from where it was committed, or remove it: `mashbill download` makes a new one"
                .into()
        }
        StoreError::Damaged { .. } => DAMAGE_HINT.into(),
        StoreError::Io { action: "read" | "open", source, .. }
            if source.kind() == io::ErrorKind::NotFound =>
        {
            DAMAGE_HINT.into()
        }
        StoreError::Io { .. } | StoreError::AlreadyExists { .. } => return None,
    })
}
