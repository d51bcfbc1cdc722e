//! The records that ship with the command, as lines for tests that need real text.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::Value;

fn hub(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/hub").join(file)
}

fn lines<'a>(texts: impl Iterator<Item = String> + 'a, source: &'a str, category: &'a str) -> String {
    let line = |(number, text): (usize, String)| {
        let text = Value::from(text);
        format!(
            "{{\"text\": {text}, \"id\": \"{source}/{number}\", \"source\": \"{source}\", \"category\": \"{category}\"}}\n"
        )
    };
    texts.enumerate().map(line).collect()
}

/// 200 questions of GSM8K with their answers.
pub(crate) fn gsm8k() -> String {
    let file = File::open(hub("openai/gsm8k/main/train-00000-of-00001.parquet")).expect("it ships");
    let reader = SerializedFileReader::new(file).expect("Parquet");
    let texts = reader.get_row_iter(None).expect("rows").map(|row| {
        let row = row.expect("a row");
        let text = |column| row.get_string(column).expect("a text");
        format!("Question: {}\nAnswer: {}", text(0), text(1))
    });
    lines(texts, "gsm8k", "math_reasoning")
}

/// 164 functions of HumanEval with their bodies.
pub(crate) fn human_eval() -> String {
    let file = File::open(hub("openai/human-eval/data/HumanEval.jsonl.gz")).expect("it ships");
    let mut rows = String::new();
    GzDecoder::new(file).read_to_string(&mut rows).expect("gzip");
    let texts = rows.lines().map(|row| {
        let row: Value = serde_json::from_str(row).expect("JSON");
        [&row["prompt"], &row["canonical_solution"]].map(|part| part.as_str().expect("a text")).concat()
    });
    lines(texts, "human_eval", "code")
}

/// 300 questions of NQ-open with their first answers.
pub(crate) fn nq_open() -> String {
    let file = hub("google-research-datasets/natural-questions/nq_open/NQ-open.dev.jsonl");
    let rows = fs::read_to_string(file).expect("it ships");
    let texts = rows.lines().map(|row| {
        let row: Value = serde_json::from_str(row).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        format!("Question: {}?\nAnswer: {}", text(&row["question"]), text(&row["answer"][0]))
    });
    lines(texts, "nq_open", "factual_qa")
}
