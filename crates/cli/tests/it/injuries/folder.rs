//! A copy of a dataset that is injured: its files, its manifest, and its rows as plain lists.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mashbill_format::documents::{self, Document, DocumentsEncoder};
use mashbill_format::loss_spans::Loss;
use mashbill_format::shard::{Piece, ShardReader, ShardRows};
use mashbill_parquet::encode::Compression;
use mashbill_parquet::file::{ParquetAppender, Tail};
use mashbill_store::checksum::Checksum;
use mashbill_verify::{Options, Report, verify};
use parquet::data_type::{DataType, Int32Type, Int64Type};
use parquet::file::metadata::ParquetMetaDataReader;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{FIRST, LAST, ROW_LENGTH, TABLE};

/// A copy of a dataset that may be injured.
pub(super) struct Folder {
    pub(super) root: PathBuf,
    _folder: TempDir,
}

/// What stands behind the last row group of a Parquet file, whoever wrote it.
fn tail(file: &[u8]) -> Option<&[u8]> {
    let read = || {
        // A footer is at the end, and its length before the last four bytes.
        let (before, end) = file.split_last_chunk::<8>()?;
        let length = u32::from_le_bytes([end[0], end[1], end[2], end[3]]) as usize;
        ParquetMetaDataReader::decode_metadata(&before[before.len().checked_sub(length)?..]).ok()
    };
    let metadata = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).ok()??;
    let columns = metadata.row_groups().last()?.columns();
    let first = columns.first()?;
    let start = first.dictionary_page_offset().unwrap_or_else(|| first.data_page_offset());
    let bytes: i64 = columns.iter().map(|column| column.compressed_size()).fold(0, i64::saturating_add);
    file.get(usize::try_from(start.saturating_add(bytes)).ok()?..)
}

impl Folder {
    pub(super) fn copy_of(good: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("out");
        for (name, bytes) in crate::project::files_below(good) {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        Self { root, _folder: folder }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn verify(&self) -> Report {
        self.verify_with(1)
    }

    pub(super) fn verify_with(&self, threads: usize) -> Report {
        let mut report =
            verify(&self.root, Options { threads }, &AtomicBool::new(false), &mut |_| {}).unwrap().unwrap();
        report.path = PathBuf::new();
        report
    }

    /// Writes sizes and checksums as the files have them now.
    pub(super) fn seal(&self) {
        let Ok(text) = fs::read(self.path("manifest.json")) else { return };
        let Ok(mut manifest) = serde_json::from_slice::<Value>(&text) else { return };
        for (name, split) in manifest["splits"].as_object_mut().unwrap() {
            let mut shard_bytes = 0;
            for shard in split["shard_list"].as_array_mut().unwrap() {
                for (part, folder) in [("file", name.clone()), ("table", format!("{name}/_documents"))] {
                    let Some(part) = shard.get_mut(part) else { continue };
                    let path = self.path(&folder).join(part["name"].as_str().unwrap());
                    let Ok(bytes) = fs::read(path) else { continue };
                    part["bytes"] = json!(bytes.len());
                    part["checksum"] = json!(Checksum::of(&bytes));
                    if let Some(tail) = tail(&bytes).filter(|_| part.get("tail").is_some()) {
                        part["tail"] = json!(Tail::of(tail));
                    }
                }
                shard_bytes += shard.get("file").map_or(0, |file| file["bytes"].as_u64().unwrap());
            }
            self.seal_stats(name, shard_bytes);
        }
        fs::write(self.path("manifest.json"), manifest.to_string()).unwrap();
    }

    fn seal_stats(&self, split: &str, shard_bytes: u64) {
        let path = self.path(split).join(format!("{split}_stats.json"));
        let Ok(text) = fs::read(&path) else { return };
        let mut stats: Value = serde_json::from_slice(&text).unwrap();
        stats["shard_bytes"] = json!(shard_bytes);
        fs::write(path, stats.to_string()).unwrap();
    }

    pub(super) fn bytes(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap_or_default();
        change(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(super) fn json(&self, name: &str, change: impl FnOnce(&mut Value)) {
        self.bytes(name, |bytes| {
            let mut value = serde_json::from_slice(bytes).unwrap();
            change(&mut value);
            *bytes = format!("{value}\n").into_bytes();
        });
    }

    pub(super) fn manifest(&self, change: impl FnOnce(&mut Value)) {
        self.json("manifest.json", change);
    }

    pub(super) fn split(&self, change: impl FnOnce(&mut Value)) {
        self.manifest(|manifest| change(&mut manifest["splits"]["a"]));
    }

    pub(super) fn shards(&self, change: impl FnOnce(&mut Vec<Value>)) {
        self.split(|split| change(split["shard_list"].as_array_mut().unwrap()));
    }

    pub(super) fn tokenizer(&self, change: impl FnOnce(&mut Value)) {
        self.manifest(|manifest| change(&mut manifest["tokenizer_identity"]));
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(super) fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    pub(super) fn swap(&self, one: &str, other: &str) {
        let bytes = fs::read(self.path(one)).unwrap();
        self.copy(other, one);
        fs::write(self.path(other), bytes).unwrap();
    }

    pub(super) fn rename_shard(&self, name: &str) {
        fs::rename(self.path(FIRST), self.path("a").join(name)).unwrap();
        self.shards(|shards| shards[0]["file"]["name"] = json!(name));
    }

    /// Changes the first row group of a shard.
    pub(super) fn rows(&self, shard: &str, change: impl FnOnce(&mut Group)) {
        self.groups(shard, |groups| change(&mut groups[0]));
    }

    /// Changes the row group with the padded row.
    pub(super) fn last_rows(&self, change: impl FnOnce(&mut Group)) {
        self.groups(LAST, |groups| change(groups.last_mut().unwrap()));
    }

    /// Changes a shard's row groups; the stock writer writes them.
    pub(super) fn groups(&self, shard: &str, change: impl FnOnce(&mut Vec<Group>)) {
        let mut groups = groups_of(&self.path(shard));
        change(&mut groups);
        let has_spans = groups.first().is_some_and(|group| group.0.len() > 6);
        let without_end = MESSAGE.strip_suffix('}').unwrap();
        let message = if has_spans { format!("{without_end}{LOSS_SPANS}") } else { MESSAGE.into() };
        write(&self.path(shard), &message, &groups);
    }

    /// Writes the first shard with a column of another name or type.
    pub(super) fn columns(&self, name: &str, other: &str, element: &str) {
        let groups = groups_of(&self.path(FIRST));
        let message = MESSAGE.replacen(name, other, 1);
        let at = message.find(other).unwrap();
        let (before, after) = message.split_at(at);
        write(&self.path(FIRST), &format!("{before}{}", after.replacen("int32", element, 1)), &groups);
    }

    /// Changes the first shard's document table; our own writer writes it.
    pub(super) fn documents(&self, change: impl FnOnce(&mut Vec<Document<String>>)) {
        let path = self.path(TABLE);
        let mut rows = documents::read(&path).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
        change(&mut rows);
        let rows: Vec<Document<&str>> = rows.iter().map(Document::as_deref).collect();
        let has_spans = rows.iter().any(|row| !row.loss_spans.is_empty());
        let loss = if has_spans { Loss::Spans } else { Loss::All };
        let mut file = ParquetAppender::create(&path, documents::schema(Compression::Snappy, loss)).unwrap();
        file.append(&DocumentsEncoder::new(Compression::Snappy).encode(&rows)).unwrap();
        file.finish().unwrap();
        let rows = rows.len();
        // A table of another length that says so is told by the shard's number of documents.
        self.shards(|shards| shards[0]["table"]["rows"] = json!(rows));
    }
}

/// The columns of a row group in the order of the schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group(pub(super) Vec<Lists>);

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lists {
    pub(super) values: Vec<i64>,
    pub(super) lengths: Vec<usize>,
}

impl Lists {
    /// Removes a value of the first row.
    pub(super) fn remove(&mut self, at: usize) {
        self.values.remove(at);
        self.lengths[0] -= 1;
    }

    /// Inserts a value into the first row.
    pub(super) fn insert(&mut self, at: usize, value: i64) {
        self.values.insert(at, value);
        self.lengths[0] += 1;
    }

    pub(super) fn pop_row(&mut self) {
        let length = self.lengths.pop().unwrap();
        self.values.truncate(self.values.len() - length);
    }

    pub(super) fn rows(&self) -> Vec<Vec<i64>> {
        let mut values = self.values.as_slice();
        self.lengths.iter().map(|&length| values.split_off(..length).unwrap().to_vec()).collect()
    }

    pub(super) fn of(rows: &[Vec<i64>]) -> Self {
        Self { values: rows.concat(), lengths: rows.iter().map(Vec::len).collect() }
    }
}

impl Group {
    pub(super) fn ids(&mut self) -> &mut Lists {
        &mut self.0[0]
    }

    pub(super) fn mask(&mut self) -> &mut Lists {
        &mut self.0[1]
    }

    pub(super) fn labels(&mut self) -> &mut Lists {
        &mut self.0[2]
    }

    /// Changes a token and the label that names it.
    pub(super) fn set_token(&mut self, at: usize, token: i64) {
        self.ids().values[at] = token;
        self.labels().values[at - 1] = token;
    }

    /// Changes the token with which the first document ends that ends within a row.
    pub(super) fn replace_end(&mut self, token: i64) {
        let at = (1..).find(|at| self.0[0].values[*at] == 50_256 && at % ROW_LENGTH > 0).unwrap();
        self.set_token(at, token);
    }

    /// Makes the labels those of another shift.
    pub(super) fn shift_labels(&mut self, by: usize) {
        let rows = self.0[0].rows().into_iter().map(|row| {
            (0..row.len()).map(|at| row.get(at + by).copied().unwrap_or(-100)).collect::<Vec<_>>()
        });
        self.0[2] = Lists::of(&rows.collect::<Vec<_>>());
    }

    /// Sets the first label of a row's last position that is a token, or is none.
    pub(super) fn last_label(&mut self, token: bool, label: i64) {
        let labels = &mut self.0[2].values;
        let at = (ROW_LENGTH - 1..labels.len()).step_by(ROW_LENGTH).find(|&at| (labels[at] >= 0) == token);
        labels[at.expect("there is such a row")] = label;
    }

    /// Sets the label of the last position of a row where a document ends.
    pub(super) fn end_label(&mut self, label: i64) {
        // The padded row ends so, too; it is the last one.
        let rows = self.0[2].lengths.len();
        let at = (0..rows - 1).map(|row| (row + 1) * ROW_LENGTH - 1).find(|&at| self.0[2].values[at] < 0);
        self.0[2].values[at.expect("a document ends with a row")] = label;
    }

    /// Gives a token of a row's second piece to its first.
    pub(super) fn move_border(&mut self) {
        let row = self.0[3].lengths.iter().position(|&pieces| pieces > 1).expect("a row with two pieces");
        let at: usize = self.0[3].lengths[..row].iter().sum();
        self.0[3].values[at] += 1;
        self.0[3].values[at + 1] -= 1;
    }

    /// Makes one piece of the first two of a row.
    pub(super) fn join_pieces(&mut self) {
        let row = self.0[3].lengths.iter().position(|&pieces| pieces > 1).expect("a row with two pieces");
        let at: usize = self.0[3].lengths[..row].iter().sum();
        let second = self.0[3].values[at + 1];
        self.0[3].values[at] += second;
        for column in &mut self.0[3..] {
            column.values.remove(at + 1);
            column.lengths[row] -= 1;
        }
    }

    pub(super) fn swap_rows(&mut self, one: usize, other: usize) {
        for column in &mut self.0 {
            let mut rows = column.rows();
            rows.swap(one, other);
            *column = Lists::of(&rows);
        }
    }

    pub(super) fn copy_row(&mut self, from: usize, to: usize) {
        for column in &mut self.0 {
            let mut rows = column.rows();
            rows[to] = rows[from].clone();
            *column = Lists::of(&rows);
        }
    }
}

pub(super) fn groups_of(path: &Path) -> Vec<Group> {
    let reader = ShardReader::open(path).unwrap();
    let group = |rows: ShardRows| {
        let row_count = rows.pieces_in_row.len();
        let wide = |values: &[i32]| Lists {
            values: values.iter().map(|&value| value.into()).collect(),
            lengths: vec![rows.row_length; row_count],
        };
        let pieces = |value: fn(&Piece) -> i64| Lists {
            values: rows.pieces.iter().map(value).collect(),
            lengths: rows.pieces_in_row.iter().map(|&count| count as usize).collect(),
        };
        let mut columns = vec![
            wide(&rows.input_ids),
            wide(&rows.attention_mask),
            wide(&rows.labels),
            pieces(|piece| piece.len.into()),
            pieces(|piece| piece.doc_id),
            pieces(|piece| piece.doc_offset.into()),
        ];
        if let Some(spans) = &rows.loss_spans {
            let row = |row: &[i32]| row.iter().map(|&length| length.into()).collect();
            columns.push(Lists::of(&spans.iter().map(row).collect::<Vec<Vec<i64>>>()));
        }
        Group(columns)
    };
    reader.row_groups().map(|rows| group(rows.unwrap())).collect()
}

const MESSAGE: &str = "message shard {
    required group input_ids (LIST) { repeated group list { required int32 element; } }
    required group attention_mask (LIST) { repeated group list { required int32 element; } }
    required group labels (LIST) { repeated group list { required int32 element; } }
    required group seq_lens (LIST) { repeated group list { required int32 element; } }
    required group doc_ids (LIST) { repeated group list { required int64 element; } }
    required group doc_offsets (LIST) { repeated group list { required int32 element; } }
}";
/// What stands in the place of the last brace where there are spans.
const LOSS_SPANS: &str =
    "    required group loss_spans (LIST) { repeated group list { required int32 element; } }\n}";

/// Writes row groups with the stock writer.
fn write(path: &Path, message: &str, groups: &[Group]) {
    let schema = Arc::new(parse_message_type(message).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(fs::File::create(path).unwrap(), schema, properties).unwrap();
    let descriptors = writer.schema_descr().columns().to_vec();
    for group in groups {
        let mut row_group = writer.next_row_group().unwrap();
        for (lists, descriptor) in group.0.iter().zip(&descriptors) {
            let mut writer = row_group.next_column().unwrap().unwrap();
            let defined = descriptor.max_def_level();
            if descriptor.physical_type() == parquet::basic::Type::INT64 {
                write_lists::<Int64Type>(&mut writer, lists, defined, |value| value);
            } else {
                write_lists::<Int32Type>(&mut writer, lists, defined, |value| value as i32);
            }
            writer.close().unwrap();
        }
        row_group.close().unwrap();
    }
    writer.close().unwrap();
}

fn write_lists<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    lists: &Lists,
    defined: i16,
    value: fn(i64) -> T::T,
) {
    let values: Vec<_> = lists.values.iter().map(|&v| value(v)).collect();
    // A list without elements has levels all the same.
    let levels = lists.lengths.iter().flat_map(|&length| (0..length.max(1)).map(move |at| (length, at)));
    let repetitions: Vec<i16> = levels.clone().map(|(_, at)| i16::from(at > 0)).collect();
    let definitions: Vec<i16> =
        levels.map(|(length, _)| if length == 0 { defined - 1 } else { defined }).collect();
    writer.typed::<T>().write_batch(&values, Some(&definitions), Some(&repetitions)).unwrap();
}
