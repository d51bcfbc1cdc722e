//! Opening a file to read it: the one door.
//!
//! A pipe or a device that stands where a file should makes who opens it wait for ever, read without end, or worse: a
//! tape rewinds, a terminal hangs up. So what a path leads to is looked at before it is opened. Files that are read
//! whole say how large they may be, before memory is taken.

#![expect(clippy::disallowed_methods, reason = "this is the door they are kept for")]

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::path::Path;

/// Something else stands where a file or a folder should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is {found}, but {needed} is needed")]
pub struct WrongKind {
    /// With its article: `a folder`, `a pipe`.
    found: &'static str,
    needed: &'static str,
}

impl WrongKind {
    /// Whether this is why something could not be opened.
    #[must_use]
    pub fn is_behind(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }

    fn error(found: &'static str, needed: &'static str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidInput, Self { found, needed })
    }
}

/// Opens the file at `path` to read it.
///
/// # Errors
/// [`WrongKind`] inside, where something else stands there, which is not opened; what the system says.
pub fn open(path: &Path) -> io::Result<File> {
    check(path)?;
    open_seen(path)
}

/// Opens what is at `path`, which was seen to be a file.
///
/// # Errors
/// What the system says.
pub fn open_seen(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Checks that `path` leads to a file, links followed, without opening it.
///
/// # Errors
/// Those of [`open`].
pub fn check(path: &Path) -> io::Result<()> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() { Ok(()) } else { Err(WrongKind::error(name(kind), "a file")) }
}

/// Checks that at `path` is a file of our own, or nothing, before it is opened to be written to. A link is none: what it
/// leads to is somebody else's.
///
/// # Errors
/// [`WrongKind`] inside, where something else stands there; what the system says.
pub fn check_own(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(metadata) => Err(WrongKind::error(name(metadata.file_type()), "a file of mashbill's own")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Checks that at `path` is a folder of our own, or nothing, before something is made or removed in it. A link is none.
///
/// # Errors
/// [`WrongKind`] inside, where something else stands there; what the system says.
pub fn check_own_folder(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(metadata) => Err(WrongKind::error(name(metadata.file_type()), "a folder of mashbill's own")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether an open file is the one that has the name `path`: it may have been removed since, and another one made.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an open file is the one that has the name `path`: elsewhere an open one keeps its name.
///
/// # Errors
/// What the system says.
#[cfg(not(unix))]
pub fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// Reads the file at `path`, which may have up to `most` bytes.
///
/// # Errors
/// Those of [`open`], and [`io::ErrorKind::FileTooLarge`].
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(most)).unwrap_or(0));
    // Some files, those of /proc, are longer than they say.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let what = format!("it is larger than {most} bytes, and no file of this kind is");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(bytes)
}

/// Reads the text at `path`, which may have up to `most` bytes.
///
/// # Errors
/// Those of [`read`], and [`io::ErrorKind::InvalidData`] where it is no UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(unix)]
fn name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        _ if kind.is_file() => "a file",
        _ if kind.is_dir() => "a folder",
        _ if kind.is_symlink() => "a link",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_file() => "a file",
        _ if kind.is_dir() => "a folder",
        _ if kind.is_symlink() => "a link",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "four").expect("a file");
        assert_eq!(read(&file, 4).expect("it is a file"), b"four");
        assert_eq!(read(&file, 3).expect_err("it is larger").kind(), io::ErrorKind::FileTooLarge);
        assert!(WrongKind::is_behind(&open(folder.path()).expect_err("a folder")));
        assert_eq!(open(&folder.path().join("none")).expect_err("none").kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_sockets_and_devices_are_refused_without_being_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let pipe = folder.path().join("pipe");
        // To open it would wait for a writer for ever.
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("it is in every system");
        assert!(made.success());
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).expect("a link");
        let zero = Path::new("/dev/zero");
        for (path, what) in [(&*pipe, "a pipe"), (&socket, "a socket"), (&link, "a pipe"), (zero, "a device")]
        {
            let error = open(path).expect_err(what);
            assert!(WrongKind::is_behind(&error) && error.to_string().contains(what), "{error}");
        }
        let file = folder.path().join("file");
        fs::write(&file, "of somebody's").expect("a file");
        let to_file = folder.path().join("to_file");
        std::os::unix::fs::symlink(&file, &to_file).expect("a link");
        assert!(open(&to_file).is_ok() && check_own(&file).is_ok() && check_own(&to_file).is_err());
        let to_folder = folder.path().join("to_folder");
        std::os::unix::fs::symlink(folder.path(), &to_folder).expect("a link");
        assert!(check_own_folder(folder.path()).is_ok() && check_own_folder(&to_folder).is_err());
        assert!(check_own(&folder.path().join("none")).is_ok());
    }
}
