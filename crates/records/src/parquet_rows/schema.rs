//! A file's columns, and how the stock reader is asked for them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::{
    FieldLevels, PARQUET_FIELD_ID_META_KEY, ProjectionMask, parquet_to_arrow_field_levels,
    parquet_to_arrow_schema,
};
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::errors::Result as ParquetResult;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::column::Column;

/// What a column's field id says of its values, since the reader's own types have no room for it. The file's ids mean
/// nothing to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Uuid = 1,
    Interval = 2,
}

impl Mark {
    /// The mark of a field.
    pub(super) fn of(field: &Field) -> Option<Self> {
        match field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.as_str() {
            "1" => Some(Self::Uuid),
            "2" => Some(Self::Interval),
            _ => None,
        }
    }
}

/// The columns at the top of a schema.
pub(super) fn columns(schema: &SchemaDescriptor) -> Vec<Column> {
    let fields = schema.root_schema().get_fields().iter();
    let each = fields.map(|field| Column {
        name: field.name().to_owned(),
        kind: kind(field),
        is_text: is_text(field),
    });
    each.collect()
}

/// How the columns for which `wanted` is true are read, and the places of their leaves in the file. The reader sees a
/// schema of these columns only: what others say of themselves does not matter.
pub(super) fn plan(
    schema: &SchemaDescriptor,
    wanted: &dyn Fn(&str) -> bool,
) -> ParquetResult<(FieldLevels, Vec<usize>)> {
    let root = schema.root_schema();
    let wanted_fields = root.get_fields().iter().filter(|field| wanted(field.name()));
    let fields = wanted_fields.map(plain).collect::<ParquetResult<Vec<_>>>()?;
    let plain = Type::group_type_builder(root.name()).with_fields(fields).build()?;
    let plain = SchemaDescriptor::new(Arc::new(plain));
    let is_wanted = |leaf: &usize| wanted(schema.get_column_root(*leaf).name());
    let leaves = (0..schema.num_columns()).filter(is_wanted).collect();
    let hint = parquet_to_arrow_schema(&plain, None)?;
    let hint: Fields = hint.fields().iter().map(|field| Arc::new(as_views(field))).collect();
    Ok((parquet_to_arrow_field_levels(&plain, ProjectionMask::all(), Some(&hint))?, leaves))
}

/// The column with its texts as bytes: the reader would check them page by page, and trust a file that says so oddly.
fn plain(field: &TypePtr) -> ParquetResult<TypePtr> {
    let info = field.get_basic_info();
    if field.is_group() {
        let fields = field.get_fields().iter().map(plain).collect::<ParquetResult<Vec<_>>>()?;
        let group = Type::group_type_builder(field.name())
            .with_repetition(info.repetition())
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_fields(fields);
        return Ok(Arc::new(group.build()?));
    }
    let physical = field.get_physical_type();
    let builder = Type::primitive_type_builder(field.name(), physical).with_repetition(info.repetition());
    let Type::PrimitiveType { type_length, scale, precision, .. } = **field else { return Ok(field.clone()) };
    let builder = match mark(field) {
        Some(mark) => builder.with_length(type_length).with_id(Some(mark as i32)),
        None if is_text(field) && info.logical_type_ref() != Some(&LogicalType::Unknown) => {
            builder.with_length(type_length)
        }
        None => builder
            .with_converted_type(info.converted_type())
            .with_logical_type(info.logical_type_ref().cloned())
            .with_length(type_length)
            .with_scale(scale)
            .with_precision(precision),
    };
    Ok(Arc::new(builder.build()?))
}

fn mark(field: &Type) -> Option<Mark> {
    let info = field.get_basic_info();
    match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Uuid), _) => Some(Mark::Uuid),
        (_, ConvertedType::INTERVAL) => Some(Mark::Interval),
        _ => None,
    }
}

/// Whether a column's values are bytes that stand for themselves, or all null.
fn is_text(field: &Type) -> bool {
    if field.is_group() || field.get_basic_info().repetition() == parquet::basic::Repetition::REPEATED {
        return false;
    }
    let info = field.get_basic_info();
    let logical = info.logical_type_ref();
    let is_decimal =
        matches!(logical, Some(LogicalType::Decimal(_))) || info.converted_type() == ConvertedType::DECIMAL;
    match field.get_physical_type() {
        _ if logical == Some(&LogicalType::Unknown) => true,
        PhysicalType::BYTE_ARRAY => !is_decimal,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => {
            !is_decimal && mark(field).is_none() && logical != Some(&LogicalType::Float16)
        }
        _ => false,
    }
}

/// The field with views of bytes in place of bytes: they are not copied out of their pages.
fn as_views(field: &Field) -> Field {
    let inner = |field: &Arc<Field>| Arc::new(as_views(field));
    let kind = match field.data_type() {
        DataType::Binary => DataType::BinaryView,
        DataType::List(item) => DataType::List(inner(item)),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    };
    Field::new(field.name(), kind, field.is_nullable()).with_metadata(field.metadata().clone())
}

/// A column's type for people.
fn kind(field: &Type) -> String {
    let info = field.get_basic_info();
    let (logical, converted) = (info.logical_type_ref(), info.converted_type());
    if field.is_group() {
        let is_list = matches!(logical, Some(LogicalType::List)) || converted == ConvertedType::LIST;
        let is_map = matches!(logical, Some(LogicalType::Map)) || converted == ConvertedType::MAP;
        return if is_list {
            "list"
        } else if is_map {
            "map"
        } else {
            "struct"
        }
        .to_owned();
    }
    let name = match (logical, converted) {
        (Some(LogicalType::Unknown), _) => "null",
        (Some(LogicalType::String), _) | (None, ConvertedType::UTF8) => "string",
        (Some(LogicalType::Json), _) | (None, ConvertedType::JSON) => "json",
        (Some(LogicalType::Uuid), _) => "uuid",
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => "decimal",
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => "date",
        (Some(LogicalType::Time(_)), _) | (None, ConvertedType::TIME_MILLIS | ConvertedType::TIME_MICROS) => {
            "time"
        }
        (Some(LogicalType::Timestamp(_)), _)
        | (None, ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS) => "timestamp",
        _ => match field.get_physical_type() {
            PhysicalType::BOOLEAN => "boolean",
            PhysicalType::INT32 => "int32",
            PhysicalType::INT64 => "int64",
            PhysicalType::INT96 => "timestamp",
            PhysicalType::FLOAT => "float",
            PhysicalType::DOUBLE => "double",
            PhysicalType::BYTE_ARRAY | PhysicalType::FIXED_LEN_BYTE_ARRAY => "binary",
        },
    };
    name.to_owned()
}
