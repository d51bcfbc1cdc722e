//! The only place that publishes files.
//!
//! Two ways exist, because they are the two that object stores know as well:
//! [`create`] puts a file if its name is free, [`replace`] puts a whole file in
//! the place of another. Either way a reader sees the old bytes or the new ones,
//! never half of them, and after a crash the same holds: the bytes reach the disk
//! before their name does. Large files are written under a temporary name by their
//! own writers and published by [`publish`].

#![expect(clippy::disallowed_methods, reason = "this is the place they are kept for")]

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::open;

/// Puts `bytes` at `path`, going through the file `temporary` of the same file system.
///
/// # Errors
/// [`Error::AlreadyExists`] where `path` is taken (it stays as it is), [`Error::DiskFull`], [`Error::Io`].
pub fn create(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<()> {
    create_by(|from, to| fs::hard_link(from, to), path, temporary, bytes)
}

fn create_by(
    link: impl Fn(&Path, &Path) -> io::Result<()>,
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
) -> Result<()> {
    write_synced(temporary, bytes).map_err(|source| failed(path, temporary, source))?;
    // A hard link fails where the name is taken; a rename would replace it.
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
    let taken = match link(temporary, path) {
        Err(error) if !is_taken(&error) => match File::create_new(path) {
            // The file system has no second names (exFAT): the name is taken by an empty file, which the whole one
            // replaces. Where a kill comes between, an empty file stays, which readers of records take for none.
            Ok(_) => return publish(temporary, path),
            Err(error) if is_taken(&error) => true,
            Err(source) => return Err(Error::io("create", path, source)),
        },
        linked => linked.is_err(),
    };
    fs::remove_file(temporary).map_err(|source| Error::io("remove", temporary, source))?;
    if taken {
        return Err(Error::AlreadyExists { path: path.to_owned() });
    }
    sync_folder_of(path)
}

/// Puts `bytes` at `path`, whole, in the place of what was there, going through `temporary`.
///
/// # Errors
/// [`Error::DiskFull`], [`Error::Io`]; what was at `path` is untouched then, and nothing is left at `temporary`.
pub fn replace(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<()> {
    let written = write_synced(temporary, bytes).and_then(|()| fs::rename(temporary, path));
    written.map_err(|source| failed(path, temporary, source))?;
    sync_folder_of(path)
}

/// The error of a file that could not get its name, by that name: the other one means nothing to anybody.
fn failed(path: &Path, temporary: &Path, source: io::Error) -> Error {
    // Where it cannot be removed it could not be made either.
    drop(fs::remove_file(temporary));
    Error::io("write", path, source)
}

/// Gives the finished and synced file or folder `temporary` its final name, replacing a file there.
///
/// # Errors
/// [`Error::Io`].
pub fn publish(temporary: &Path, path: &Path) -> Result<()> {
    fs::rename(temporary, path).map_err(|source| Error::io("write", path, source))?;
    sync_folder_of(path)
}

/// The folder in which a file lies: `.` where its path names none, since an empty path is no folder to anybody.
#[must_use]
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Files and names that reach the disk together, so that many of them are waited for once.
#[derive(Debug, Default)]
pub struct SyncBatch {
    files: Vec<PathBuf>,
    folders: HashSet<PathBuf>,
}

/// Files that are waited for one by one; of more the whole file system is.
const FILES_SYNCED_ALONE: usize = 16;

impl SyncBatch {
    /// Writes `bytes` to a file that means nothing yet.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<()> {
        fs::write(path, bytes).map_err(|source| Error::io("write", path, source))?;
        self.add(path);
        Ok(())
    }

    /// Takes in a file that was written.
    pub fn add(&mut self, path: &Path) {
        self.name_in(folder_of(path));
        self.files.push(path.to_owned());
    }

    /// Gives a file or folder another name; nothing may be there, but for a file in the place of a file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).map_err(|source| Error::io("write", to, source))?;
        self.name_in(folder_of(to));
        Ok(())
    }

    fn name_in(&mut self, folder: &Path) {
        if !self.folders.contains(folder) {
            self.folders.insert(folder.to_owned());
        }
    }

    /// Gives a file a second name, so that it takes no second room; where the file system has no such names it is copied.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn link(&mut self, from: &Path, to: &Path) -> Result<()> {
        match fs::remove_file(to) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove", to, source));
            }
            _ => {}
        }
        if fs::hard_link(from, to).is_err() {
            fs::copy(from, to).map_err(|source| Error::io("copy to", to, source))?;
        }
        self.add(to);
        Ok(())
    }

    /// Waits until all of it is on the disk.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Io`].
    pub fn sync(self) -> Result<()> {
        if self.files.len() + self.folders.len() > FILES_SYNCED_ALONE
            && let Some(synced) =
                self.files.first().or(self.folders.iter().next()).and_then(|path| sync_file_system(path))
        {
            return synced;
        }
        for path in &self.files {
            let synced = File::open(path).and_then(|file| file.sync_all());
            synced.map_err(|source| Error::io("sync", path, source))?;
        }
        self.folders.iter().try_for_each(|folder| sync_folder(folder))
    }
}

/// Waits for all of a file system; none where the system has no such call.
#[cfg(target_os = "linux")]
fn sync_file_system(path: &Path) -> Option<Result<()>> {
    let synced = File::open(path).and_then(|file| Ok(rustix::fs::syncfs(file)?));
    Some(synced.map_err(|source| Error::io("sync", path, source)))
}

/// Waits for all of a file system; none where the system has no such call.
#[cfg(not(target_os = "linux"))]
fn sync_file_system(_: &Path) -> Option<Result<()>> {
    None
}

/// Creates a folder and those above it.
///
/// # Errors
/// [`Error::Io`].
pub fn create_folder(path: &Path) -> Result<()> {
    let missing = first_missing(path);
    fs::create_dir_all(path).map_err(|source| Error::io("create the folder", missing, source))
}

/// The folder that has to be created first for `path` to be there: where it cannot be, it is the one to name.
fn first_missing(path: &Path) -> &Path {
    let is_missing = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    path.ancestors().take_while(is_missing).last().unwrap_or(path)
}

/// Creates a folder in which things of our own are made and removed, and those above it.
///
/// # Errors
/// [`Error::Io`], also where a link stands there: what is removed would be gone elsewhere.
pub fn create_own_folder(path: &Path) -> Result<()> {
    if fs::create_dir(path).is_ok() {
        return Ok(());
    }
    open::check_own_folder(path).map_err(|source| Error::io("use", path, source))?;
    create_folder(path)
}

/// Removes a folder with everything in it; one that is not there is no error. Of a link only the link goes.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Ok(()) => sync_folder_of(path),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::io("remove", path, source)),
    }
}

/// Removes the files in a folder whose names are not to be kept; folders in it stay.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_files_but(folder: &Path, keeps: impl Fn(&str) -> bool) -> Result<()> {
    let failed = |source| Error::io("read", folder, source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !keeps(&name) && !path.is_dir() {
            fs::remove_file(&path).map_err(|source| Error::io("remove", &path, source))?;
        }
    }
    Ok(())
}

/// Writes a new file at `path`. One that is there goes first instead of being written over: where [`create`] was killed
/// between its two names, it is a name of the file that was created, whose bytes must stay.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the name of a file as durable as the bytes it stands for.
fn sync_folder_of(path: &Path) -> Result<()> {
    sync_folder(folder_of(path))
}

/// Makes the names in a folder as durable as the bytes they stand for.
fn sync_folder(folder: &Path) -> Result<()> {
    // Windows has no such call; there a rename is durable with its file.
    if cfg!(unix) {
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| Error::io("sync", folder, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_never_replaces_and_replace_always_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, temporary) = (folder.path().join("a"), folder.path().join("a.tmp"));
        create(&path, &temporary, b"one").expect("the name is free");
        assert!(matches!(create(&path, &temporary, b"two"), Err(Error::AlreadyExists { .. })));
        assert_eq!(fs::read(&path).expect("it is there"), b"one");
        replace(&path, &temporary, b"three").expect("replacing works");
        assert_eq!(fs::read(&path).expect("it is there"), b"three");
        assert!(!temporary.exists());
    }

    #[test]
    fn where_files_have_one_name_create_never_replaces_either() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, temporary) = (folder.path().join("a"), folder.path().join("a.tmp"));
        let link = |_: &Path, _: &Path| Err(io::ErrorKind::Unsupported.into());
        create_by(link, &path, &temporary, b"one").expect("the name is free");
        assert!(matches!(create_by(link, &path, &temporary, b"two"), Err(Error::AlreadyExists { .. })));
        assert_eq!(fs::read(&path).expect("it is there"), b"one");
        assert!(!temporary.exists());
    }

    #[test]
    fn what_cannot_be_written_is_named_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, temporary) = (folder.path().join("a"), folder.path().join("a.tmp"));
        fs::create_dir(&path).expect("a folder in the way");
        let error = replace(&path, &temporary, b"one").expect_err("a folder is no file").to_string();
        assert_eq!(error, format!("cannot write `{}`", path.display()));
        assert!(!temporary.exists());
        // Of folders below one another the first that cannot be there is to blame.
        fs::write(folder.path().join("file"), "").expect("a file");
        let error =
            create_folder(&folder.path().join("file/b/c")).expect_err("a file is no folder").to_string();
        assert_eq!(error, format!("cannot create the folder `{}`", folder.path().join("file/b").display()));
        let nowhere = folder.path().join("none/a");
        let error = replace(&nowhere, &folder.path().join("none/a.tmp"), b"one").expect_err("no folder");
        assert_eq!(error.to_string(), format!("cannot write `{}`", nowhere.display()));
    }

    #[test]
    fn what_was_created_stays_where_a_kill_left_its_temporary_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let [first, second, temporary] = ["a", "b", "tmp"].map(|name| folder.path().join(name));
        create(&first, &temporary, b"one").expect("the name is free");
        fs::hard_link(&first, &temporary).expect("as it is between the two steps");
        create(&second, &temporary, b"two").expect("the name is free");
        assert_eq!(fs::read(&first).expect("it is there"), b"one");
        assert_eq!(fs::read(&second).expect("it is there"), b"two");
        fs::hard_link(&first, &temporary).expect("as it is between the two steps");
        replace(&second, &temporary, b"three").expect("replacing works");
        assert_eq!(fs::read(&first).expect("it is there"), b"one");
    }
}
