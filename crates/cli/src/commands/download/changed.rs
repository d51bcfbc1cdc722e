//! What was changed in a dataset's conversations, in a line for people.

use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::figures::counted;

/// What was changed to make the conversations of one form; none where they were.
pub(super) fn changes_line(stats: &DatasetStats) -> Option<String> {
    let changes = &stats.changes;
    let kinds = [
        (changes.roles_renamed, "role", "renamed"),
        (changes.parts_joined, "list", "of texts joined"),
        (changes.arguments_parsed, "string", "of arguments read as JSON"),
        (changes.calls_wrapped, "call", "put into `function`"),
        (changes.strings_parsed, "string", "of messages or tools read as JSON"),
        (changes.nulls_dropped, "null", "taken out of tools and arguments"),
        (changes.made_of_columns, "conversation", "made of columns"),
    ];
    let changed = kinds.iter().filter(|(times, ..)| *times > 0);
    let words: Vec<_> =
        changed.map(|(times, what, how)| format!("{} {how}", counted(*times, what))).collect();
    (!words.is_empty()).then(|| format!("changed: {}", words.join(", ")))
}
