//! What a dataset has and its records have not, in lines for people.

use std::collections::BTreeMap;

use mashbill_download::plan::DatasetPlan;
use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::figures::{count, counted};
use mashbill_format::lock::PinnedFile;
use mashbill_format::untaken::{UntakenColumns, UntakenFiles, WhyUntaken};

/// Names of columns that are shown.
const COLUMNS_SHOWN: usize = 8;

/// Pairs of files with the same bytes that are shown.
const SAME_SHOWN: usize = 3;

/// The files of a dataset's repository that are not taken, by reason; none where all are.
pub(crate) fn files_line(untaken: &[UntakenFiles]) -> Option<String> {
    files_by_reason(untaken).map(|files| format!("not taken: {files}"))
}

/// Files that are not taken, by reason.
pub(crate) fn files_by_reason(untaken: &[UntakenFiles]) -> Option<String> {
    let of_reason = |untaken: &UntakenFiles| {
        let examples = untaken.examples.iter().map(|path| path.escape_debug().to_string());
        let more = if untaken.files > untaken.examples.len() as u64 { ", …" } else { "" };
        format!(
            "{} {} ({}{more})",
            counted(untaken.files, "file"),
            reason(untaken.why),
            examples.collect::<Vec<_>>().join(", ")
        )
    };
    let parts: Vec<_> = untaken.iter().map(of_reason).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Files of a dataset that hold the same bytes, whose rows are there twice then; none where all differ.
pub(super) fn same_line(files: &[PinnedFile]) -> Option<String> {
    let mut known = BTreeMap::new();
    let mut same = Vec::new();
    for file in files.iter().filter(|file| file.size > 0) {
        if let Some(first) = known.insert(&file.hash, file) {
            same.push(format!("{} as {}", file.path.escape_debug(), first.path.escape_debug()));
        }
    }
    let shown = same.iter().take(SAME_SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = if same.len() > SAME_SHOWN { ", …" } else { "" };
    (!same.is_empty()).then(|| {
        format!(
            "the same bytes in {}, so the same rows twice: {shown}{more}",
            counted(same.len() as u64, "file")
        )
    })
}

const fn reason(why: WhyUntaken) -> &'static str {
    match why {
        WhyUntaken::OtherFormat => "in another format",
        WhyUntaken::BeyondLimit => "beyond the limit or budget",
        WhyUntaken::NotChosen => "not chosen by `files`",
        WhyUntaken::OtherConfig => "of another configuration",
        WhyUntaken::OtherSplit => "of a split other than `train`",
        WhyUntaken::ForTesting => "for testing",
        WhyUntaken::UnreadEnding => "with an ending that is not read",
        WhyUntaken::Script => "of code",
        WhyUntaken::Hidden => "hidden by a dot",
        WhyUntaken::Description => "about the dataset",
    }
}

/// Of a dataset whose repository has more rows than are taken: that one format or configuration was chosen, and how
/// the others are.
pub(super) fn choices(dataset: &DatasetPlan) -> impl Iterator<Item = (String, String)> {
    [other_format(dataset), other_config(dataset)].into_iter().flatten()
}

fn other_format(dataset: &DatasetPlan) -> Option<(String, String)> {
    let others = dataset.untaken.iter().find(|untaken| untaken.why == WhyUntaken::OtherFormat)?;
    let ending = |path: &str| path.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    let taken = dataset.files.first().map_or_else(String::new, |file| ending(&file.path));
    let example = others.examples.first().map_or("", String::as_str);
    let warning = format!(
        "{} has rows in several formats: its {} of .{taken} {} taken, {} in another format {} not ({})",
        dataset.name,
        counted(dataset.files.len() as u64, "file"),
        if dataset.files.len() == 1 { "is" } else { "are" },
        counted(others.files, "file"),
        if others.files == 1 { "is" } else { "are" },
        example.escape_debug(),
    );
    Some((warning, files_hint(&dataset.repo, &format!("**.{}", ending(example)))))
}

fn other_config(dataset: &DatasetPlan) -> Option<(String, String)> {
    let others = dataset.untaken.iter().find(|untaken| untaken.why == WhyUntaken::OtherConfig)?;
    let example = others.examples.first().map_or("", String::as_str);
    let warning = format!(
        "{} has several configurations: {} taken from its default one, {} of others {} not ({})",
        dataset.name,
        match dataset.files.len() {
            1 => "1 file is".to_owned(),
            files => format!("{} are", counted(files as u64, "file")),
        },
        counted(others.files, "file"),
        if others.files == 1 { "is" } else { "are" },
        example.escape_debug(),
    );
    Some((warning, files_hint(&dataset.repo, example)))
}

/// What to type to have other files of a repository.
pub(crate) fn files_hint(repo: &str, glob: &str) -> String {
    format!(
        "choose with `files`: give `--catalog own.toml` with `[[dataset]]`, `repo = {repo:?}` and \
         `files = [\"{}\"]`, each on a line of its own",
        glob.escape_debug(),
    )
}

/// The columns of a dataset's rows that stand in no record; none where all do.
pub(super) fn columns_line(stats: &DatasetStats) -> Option<String> {
    let columns: &UntakenColumns = &stats.untaken_columns;
    let shown = columns.names().take(COLUMNS_SHOWN).map(|name| name.escape_debug().to_string());
    let more = match columns.len().saturating_sub(COLUMNS_SHOWN) {
        0 => String::new(),
        more => format!(" and {} more", count(more as u64)),
    };
    let names = shown.collect::<Vec<_>>().join(", ");
    (!columns.is_empty())
        .then(|| format!("{} of its rows not taken: {names}{more}", counted(columns.len() as u64, "column")))
}
