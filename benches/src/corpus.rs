//! The records of the input file.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use mashbill_records::record::RecordParser;

/// Calls `each` with every record's byte offset and text. Blank lines are passed over; a bad line is an error,
/// because a benchmark should not measure how fast lines are refused.
pub(crate) fn each_record(bytes: &[u8], mut each: impl FnMut(u64, &str)) -> Result<()> {
    let lines = std::str::from_utf8(bytes).context("the input is not UTF-8")?;
    let mut parser = RecordParser::new(&["text"]);
    let mut at = 0;
    for line in lines.split_inclusive('\n') {
        if !line.trim_ascii().is_empty() {
            let record = parser.parse(line.trim_end_matches('\n'));
            each(at, record.map_err(|refusal| anyhow!("at byte {at}: {}", refusal.detail))?.text);
        }
        at += line.len() as u64;
    }
    Ok(())
}

/// The records' byte offsets and texts, in memory.
pub(crate) fn texts(path: &Path) -> Result<Vec<(u64, String)>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let mut texts = Vec::new();
    each_record(&bytes, |key, text| texts.push((key, text.to_owned())))?;
    Ok(texts)
}
