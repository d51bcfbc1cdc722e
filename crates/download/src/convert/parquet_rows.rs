//! Rows out of Parquet, nested columns and all.
//!
//! Only wanted columns are read, a few rows at a time, so that a row group of a gigabyte costs
//! no more memory than its pages. The Arrow schema that some writers embed is left aside: it
//! only offers more types for the same values.

use std::borrow::Cow;
use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::value::{Text, Value};

/// Rows that are decoded at a time.
const BATCH_ROWS: usize = 64;

/// The rows of a file.
pub(crate) struct ParquetRows {
    reader: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    /// The row in the batch that was advanced to.
    row: usize,
    position: u64,
}

impl std::fmt::Debug for ParquetRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetRows").field("position", &self.position).finish_non_exhaustive()
    }
}

impl ParquetRows {
    /// The rows of `file` from row `position` on, in columns for which `wanted` is true.
    pub(crate) fn open(
        file: File,
        wanted: &dyn Fn(&str) -> bool,
        position: u64,
    ) -> Result<Self, ParquetError> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
        let fields = builder.schema().fields().iter().enumerate();
        let roots = fields.filter(|(_, field)| wanted(field.name())).map(|(index, _)| index);
        let projection = ProjectionMask::roots(builder.parquet_schema(), roots.collect::<Vec<_>>());
        // Row groups that are behind are not decoded again.
        let mut behind = position;
        let mut first = 0;
        for group in builder.metadata().row_groups() {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            if rows > behind {
                break;
            }
            behind -= rows;
            first += 1;
        }
        let groups = (first..builder.metadata().num_row_groups()).collect();
        let builder = builder.with_projection(projection).with_batch_size(BATCH_ROWS).with_row_groups(groups);
        let builder = builder.with_offset(usize::try_from(behind).unwrap_or(usize::MAX));
        Ok(Self { reader: builder.build()?, batch: None, row: 0, position })
    }

    /// Goes to the next row; false at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, ParquetError> {
        self.row += 1;
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.num_rows()) {
            let Some(batch) = self.reader.next() else { return Ok(false) };
            self.batch = Some(batch?);
            self.row = 0;
        }
        self.position += 1;
        Ok(true)
    }

    /// Rows up to the one that was advanced to, it included.
    pub(crate) const fn position(&self) -> u64 {
        self.position
    }

    /// The row that was advanced to.
    pub(crate) fn row(&self) -> Value<'_> {
        let Some(batch) = &self.batch else { return Value::Null };
        let schema = batch.schema_ref();
        let fields = schema.fields().iter().zip(batch.columns());
        Value::Map(
            fields
                .map(|(field, column)| {
                    // Names are few and short, and the schema does not live as long as the batch's columns.
                    (Cow::Owned(field.name().clone()), value_at(column.as_ref(), self.row))
                })
                .collect(),
        )
    }
}

/// The value at a row of a column; null where the type is none of text, numbers, truth values, lists and structs.
fn value_at(column: &dyn Array, row: usize) -> Value<'_> {
    if column.is_null(row) {
        return Value::Null;
    }
    macro_rules! number {
        ($type:ty) => {
            Value::Number(Cow::Owned(column.as_primitive::<$type>().value(row).to_string()))
        };
    }
    let text = |text| Value::Text(Text::Plain(Cow::Borrowed(text)));
    match column.data_type() {
        DataType::Utf8 => text(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(column.as_string::<i64>().value(row)),
        // Old writers mark text as bytes.
        DataType::Binary => {
            std::str::from_utf8(column.as_binary::<i32>().value(row)).map_or(Value::Null, text)
        }
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => float(column.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let offsets = list.value_offsets();
            let range = offsets[row] as usize..offsets[row + 1] as usize;
            Value::List(range.map(|item| value_at(list.values().as_ref(), item)).collect())
        }
        DataType::LargeList(_) => {
            let list = column.as_list::<i64>();
            let offsets = list.value_offsets();
            let range = offsets[row] as usize..offsets[row + 1] as usize;
            Value::List(range.map(|item| value_at(list.values().as_ref(), item)).collect())
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(column.as_struct().columns());
            Value::Map(
                columns
                    .map(|(field, column)| {
                        (Cow::Borrowed(field.name().as_str()), value_at(column.as_ref(), row))
                    })
                    .collect(),
            )
        }
        _ => Value::Null,
    }
}

/// A number that JSON has; not a number and infinities are null.
fn float(number: f64) -> Value<'static> {
    serde_json::Number::from_f64(number).map_or(Value::Null, |n| Value::Number(Cow::Owned(n.to_string())))
}
