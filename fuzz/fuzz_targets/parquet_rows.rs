#![no_main]
//! The reader of foreign Parquet files against any bytes: each is rows or an error, with no panic.

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mashbill_parquet::reader::ParquetReader;
use mashbill_records::parquet_rows::ParquetRows;

/// Rows after which a file is left: nulls take no bytes, and a short file may have a billion.
const ROWS_MAX: usize = 10_000;

fuzz_target!(|bytes: &[u8]| {
    let file = ParquetReader::of(Path::new("fuzzed"), Arc::new(bytes.to_vec()));
    let Ok(mut rows) = file.and_then(|file| ParquetRows::of(file, &|_| true, 0)) else { return };
    let mut count = 0;
    while count < ROWS_MAX && rows.advance().is_ok_and(|more| more) {
        let mut out = Vec::new();
        rows.value_of_all().write(&mut out);
        assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        count += 1;
    }
});
