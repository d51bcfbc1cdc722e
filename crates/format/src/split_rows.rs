//! A finished split's rows by their number, wherever they stand.
//!
//! Rows are asked for one at a time and mostly near one another, so the row group read last is kept. Decoding a
//! group of a million tokens for one row takes some ten milliseconds; who reads all rows reads shards instead.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::manifest::{ShardFile, Split};
use crate::shard::{ShardReader, ShardRow, ShardRows};

/// The rows of a split.
#[derive(Debug)]
pub struct SplitRows<'a> {
    folder: PathBuf,
    shards: Vec<&'a ShardFile>,
    reader: Option<(usize, ShardReader)>,
    group: Option<OpenRowGroup>,
}

/// Where a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPlace {
    /// The shard's name.
    pub shard: String,
    /// The row group in the shard, from 0.
    pub row_group: usize,
    /// The row in the shard, from 0.
    pub row: u64,
}

#[derive(Debug)]
struct OpenRowGroup {
    shard: usize,
    index: usize,
    /// The group's first row in the split and in its shard.
    first_row: u64,
    first_in_shard: u64,
    rows: ShardRows,
}

impl<'a> SplitRows<'a> {
    /// The rows of `split`, whose files are in `folder`.
    #[must_use]
    pub fn new(folder: &Path, split: &'a Split) -> Self {
        Self { folder: folder.to_owned(), shards: split.shard_files().collect(), reader: None, group: None }
    }

    /// Row `row` of the split and where it stands; none behind the last.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`Damaged`](mashbill_store::Error::Damaged).
    pub fn row(&mut self, row: u64) -> Result<Option<(RowPlace, ShardRow<'_>)>> {
        if !self.group.as_ref().is_some_and(|group| group.has(row)) {
            self.group = self.read(row)?;
        }
        let Some(group) = &self.group else { return Ok(None) };
        let at = row - group.first_row;
        let place = RowPlace {
            shard: self.shards[group.shard].name.clone(),
            row_group: group.index,
            row: group.first_in_shard + at,
        };
        let row = group.rows.iter().nth(at as usize).expect("the group has this row");
        Ok(Some((place, row)))
    }

    /// The ids of row `row` of the split; none behind the last.
    ///
    /// # Errors
    /// [`Io`](mashbill_store::Error::Io), [`Damaged`](mashbill_store::Error::Damaged).
    pub fn input_ids(&mut self, row: u64) -> Result<Option<&[i32]>> {
        if !self.group.as_ref().is_some_and(|group| group.has(row)) {
            self.group = self.read(row)?;
        }
        let Some(group) = &self.group else { return Ok(None) };
        let (at, length) = ((row - group.first_row) as usize, group.rows.row_length);
        Ok(Some(&group.rows.input_ids[at * length..(at + 1) * length]))
    }

    /// The group with row `row`.
    fn read(&mut self, row: u64) -> Result<Option<OpenRowGroup>> {
        let mut shard_begin = 0;
        for (shard, file) in self.shards.iter().enumerate() {
            if row - shard_begin < file.rows {
                return self.read_from(shard, row, shard_begin).map(Some);
            }
            shard_begin += file.rows;
        }
        Ok(None)
    }

    fn read_from(&mut self, shard: usize, row: u64, shard_begin: u64) -> Result<OpenRowGroup> {
        let path = self.folder.join(&self.shards[shard].name);
        let reader = match self.reader.take() {
            Some((open, reader)) if open == shard => reader,
            _ => ShardReader::open(&path)?,
        };
        let mut first_in_shard = 0;
        for index in 0..reader.row_group_count() {
            let rows = reader.rows_in_group(index);
            if row - shard_begin - first_in_shard < rows {
                let rows = reader.row_group(index)?;
                self.reader = Some((shard, reader));
                return Ok(OpenRowGroup {
                    shard,
                    index,
                    first_row: shard_begin + first_in_shard,
                    first_in_shard,
                    rows,
                });
            }
            first_in_shard += rows;
        }
        Err(Error::damaged(&path, format!("it has {first_in_shard} rows, fewer than the manifest says")))
    }
}

impl OpenRowGroup {
    fn has(&self, row: u64) -> bool {
        row.checked_sub(self.first_row).is_some_and(|at| (at as usize) < self.rows.pieces_in_row.len())
    }
}
