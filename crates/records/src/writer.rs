//! A file of records that grows, and is gone on with where a checkpoint says.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use mashbill_store::checksum::{Checksum, Hasher};
use mashbill_store::error::{Error, Result};
use mashbill_store::open;

/// Bytes of records that are written at a time.
const WRITE_BYTES: usize = 1 << 20;

/// A file of records, one a line, in the making. What is in it, and how far it is sure to be on the disk, is for a checkpoint
/// to say: whoever finds one opens the file with the bytes it speaks of and writes what a run that was never stopped would.
#[derive(Debug)]
pub struct RecordsWriter {
    file: File,
    path: PathBuf,
    /// Records that are not written yet.
    unwritten: Vec<u8>,
    hasher: Hasher,
}

impl RecordsWriter {
    /// Opens the file at `path` and cuts it behind its first `bytes`; one that is not there is made.
    ///
    /// # Errors
    /// [`Error::Io`], also where something else than a file of mashbill's own stands there; [`Error::Damaged`] where it has
    /// fewer bytes; [`Error::DiskFull`].
    pub fn open(path: &Path, bytes: u64) -> Result<Self> {
        open::check_own(path).map_err(|source| Error::io("open", path, source))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| Error::io("create", path, source))?;
        let found = file.metadata().map_err(|source| Error::io("read", path, source))?.len();
        if found < bytes {
            return Err(Error::damaged(path, format!("it has {found} bytes, and {bytes} were written")));
        }
        file.set_len(bytes).map_err(|source| Error::io("cut", path, source))?;
        let hasher = hash(&mut file).map_err(|source| Error::io("read", path, source))?;
        let unwritten = Vec::with_capacity(WRITE_BYTES + (WRITE_BYTES >> 2));
        Ok(Self { file, path: path.to_owned(), unwritten, hasher })
    }

    /// The records that are not written yet, to put the next one behind them. Whoever finds that it is none takes away
    /// what he has put there.
    pub const fn unwritten(&mut self) -> &mut Vec<u8> {
        &mut self.unwritten
    }

    /// Writes what is there once it is a megabyte.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn write_if_much(&mut self) -> Result<()> {
        if self.unwritten.len() < WRITE_BYTES { Ok(()) } else { self.write() }
    }

    /// Writes all records and waits until they are on the disk.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn sync(&mut self) -> Result<()> {
        self.write()?;
        self.file.sync_data().map_err(|source| Error::io("sync", &self.path, source))
    }

    /// Writes all records and waits until the file is on the disk, whole. Gives its checksum.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn finish(mut self) -> Result<Checksum> {
        self.write()?;
        self.file.sync_all().map_err(|source| Error::io("sync", &self.path, source))?;
        Ok(self.hasher.finish())
    }

    fn write(&mut self) -> Result<()> {
        self.hasher.update(&self.unwritten);
        self.file.write_all(&self.unwritten).map_err(|source| Error::io("write", &self.path, source))?;
        self.unwritten.clear();
        Ok(())
    }
}

/// The checksum of a file's content so far; the file stands at its end then.
fn hash(file: &mut File) -> io::Result<Hasher> {
    let mut hasher = Hasher::new();
    file.seek(SeekFrom::Start(0))?;
    hasher.update_from(file, &mut vec![0; WRITE_BYTES], |_| {})?;
    Ok(hasher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_on_with_is_the_one_of_a_run_that_was_never_stopped() {
        let folder = tempfile::tempdir().expect("a folder");
        let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
        let records: Vec<String> = (0..100).map(|number| format!("{{\"text\": \"{number}\"}}\n")).collect();
        let write = |writer: &mut RecordsWriter, records: &[String]| {
            records.iter().for_each(|record| writer.unwritten().extend_from_slice(record.as_bytes()));
        };
        let mut writer = RecordsWriter::open(&whole, 0).expect("it is made");
        write(&mut writer, &records);
        let checksum = writer.finish().expect("it is written");

        let mut writer = RecordsWriter::open(&stopped, 0).expect("it is made");
        write(&mut writer, &records[..40]);
        writer.sync().expect("it is written");
        let sure = records[..40].concat().len() as u64;
        // What was written after the checkpoint is written again, the same or not.
        write(&mut writer, &records[50..]);
        writer.sync().expect("it is written");
        drop(writer);
        let mut writer = RecordsWriter::open(&stopped, sure).expect("it is there");
        write(&mut writer, &records[40..]);
        assert_eq!(writer.finish().expect("it is written"), checksum);
        let longer = RecordsWriter::open(&stopped, 1 << 20).expect_err("it is shorter");
        assert!(matches!(longer, Error::Damaged { .. }), "{longer}");
        let read = |path: &Path| open::read(path, 1 << 20).expect("it is there");
        assert_eq!(read(&stopped), read(&whole));
        assert_eq!(Checksum::of(&read(&whole)), checksum);
    }
}
