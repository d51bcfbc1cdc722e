//! The folder for what is cached and can be deleted, if it is one that only its owner writes to.
//!
//! Verdicts on engines, tables and tokenizers are taken from it without a look at what is inside. In a folder that
//! others can write to, they could say which ids a text has; so nothing is read from there and nothing kept.

#![expect(clippy::disallowed_methods, reason = "this, too, reads the environment: where the cache is")]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Why nothing is cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoCache {
    /// No variable says where.
    Unnamed,
    /// Others can write to it.
    Untrusted {
        /// The folder.
        folder: PathBuf,
        /// Who can.
        why: String,
    },
}

impl NoCache {
    /// What to type.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Unnamed => "set HOME or XDG_CACHE_HOME".into(),
            Self::Untrusted { folder, .. } => {
                let folder = folder.display();
                format!(
                    "chmod go-w {folder}, if it is yours, after removing what is in it; or set XDG_CACHE_HOME"
                )
            }
        }
    }
}

impl fmt::Display for NoCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unnamed => f.write_str("there is no folder for a cache"),
            Self::Untrusted { folder, why } => {
                write!(f, "the cache in {} is not used: {why}", folder.display())
            }
        }
    }
}

/// `$XDG_CACHE_HOME/mashbill`, else `~/.cache/mashbill`, made if it isn't there.
pub(crate) fn cache() -> Result<PathBuf, NoCache> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let folder = cache.ok_or(NoCache::Unnamed)?.join("mashbill");
    make(&folder);
    match others_write(&folder) {
        Some(why) => Err(NoCache::Untrusted { folder, why }),
        None => Ok(folder),
    }
}

/// Makes a folder for its owner alone, if that can be done: without it nothing is cached.
fn make(folder: &Path) {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    drop(builder.create(folder));
}

/// Who else can put something into a folder or another folder in its place, in words; `None`: nobody can.
#[cfg(unix)]
pub(crate) fn others_write(folder: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    const GROUP: u32 = 0o020;
    const OTHERS: u32 = 0o002;
    // In such a folder only a file's owner can rename or remove it.
    const STICKY: u32 = 0o1000;
    let whole = fs::canonicalize(folder).ok()?;
    let me = me();
    for (depth, place) in whole.ancestors().enumerate() {
        let found = fs::metadata(place).ok()?;
        let (shown, mode) = (place.display(), found.mode());
        let closed = depth > 0 && mode & STICKY != 0;
        if mode & OTHERS != 0 && !closed {
            return Some(format!("everybody can write to {shown}"));
        }
        if depth == 0 && mode & GROUP != 0 {
            return Some(format!("its group can write to {shown}"));
        }
        let owner = found.uid();
        if owner != 0 && me.is_some_and(|me| me != owner) && depth == 0 {
            return Some(format!("{shown} belongs to another user ({owner})"));
        }
    }
    None
}

/// Elsewhere a home folder is its owner's.
#[cfg(not(unix))]
pub(crate) fn others_write(_: &Path) -> Option<String> {
    None
}

/// The user that this process runs as, where the system tells it.
#[cfg(unix)]
fn me() -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let found = fs::metadata("/proc/self").ok().or_else(|| fs::metadata(std::env::home_dir()?).ok());
    found.map(|found| found.uid())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_that_others_write_to_is_told_by_its_mode_or_that_of_one_above() {
        let above = tempfile::tempdir().expect("a folder");
        let folder = above.path().join("mashbill");
        make(&folder);
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
        };
        assert_eq!(others_write(&folder), None);
        for (of_folder, of_above, is_ours) in [
            (0o755, 0o755, true),
            (0o755, 0o1777, true),
            (0o755, 0o777, false),
            (0o775, 0o755, false),
            (0o757, 0o755, false),
            (0o1777, 0o755, false),
        ] {
            mode(&folder, of_folder);
            mode(above.path(), of_above);
            assert_eq!(others_write(&folder).is_none(), is_ours, "{of_folder:o} in {of_above:o}");
        }
    }
}
