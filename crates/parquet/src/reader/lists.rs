//! Columns of lists, read as the stock reader gives them.

use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result as ParquetResult};

/// The elements of `rows` lists and the lists' lengths.
///
/// # Errors
/// What the stock reader says, and where a list is empty or there are fewer.
pub fn lists<T: DataType>(column: ColumnReader, rows: usize) -> ParquetResult<(Vec<T::T>, Vec<u32>)> {
    next_lists::<T>(&mut get_typed_column_reader(column), rows)
}

/// The elements of the next `rows` lists and the lists' lengths.
///
/// # Errors
/// As of [`lists`].
pub fn next_lists<T: DataType>(
    column: &mut ColumnReaderImpl<T>,
    rows: usize,
) -> ParquetResult<(Vec<T::T>, Vec<u32>)> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut records, mut elements) = (0, 0);
    while records < rows {
        let (more_records, more_elements, _) = column.read_records(
            rows - records,
            Some(&mut definitions),
            Some(&mut repetitions),
            &mut values,
        )?;
        if more_records == 0 {
            return Err(ParquetError::General(format!("{records} of {rows} rows are there")));
        }
        records += more_records;
        elements += more_elements;
    }
    if elements != repetitions.len() {
        return Err(ParquetError::General("a list is empty".to_owned()));
    }
    let mut lengths = Vec::with_capacity(rows);
    for &repetition in &repetitions {
        match lengths.last_mut() {
            Some(length) if repetition > 0 => *length += 1,
            _ => lengths.push(1),
        }
    }
    Ok((values, lengths))
}
