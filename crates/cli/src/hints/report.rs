//! What to type next when there is no page.

use mashbill_report::Error;

use super::format::format_hint;

pub(crate) fn report_hint(error: &Error) -> Option<String> {
    match error {
        Error::File(error) => format_hint(error),
        Error::Nothing { .. } => Some(
            "give a folder of `mashbill tokenize` or `mashbill download`, one with .jsonl files, or the `output_path` \
             of `mashbill train`"
                .into(),
        ),
    }
}
