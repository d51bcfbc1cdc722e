//! What a file holds, and the names it goes by.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

const BUFFER_SIZE: usize = 1 << 20;

/// A file's bytes.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Memory(Arc<[u8]>),
    /// In a file, which must stay as it is.
    Disk(PathBuf),
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Memory(bytes.into())
    }
}

impl From<&'static [u8]> for Content {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Memory(bytes.into())
    }
}

impl From<&'static str> for Content {
    fn from(text: &'static str) -> Self {
        Self::Memory(text.as_bytes().into())
    }
}

/// A file's bytes with their size and hashes.
#[derive(Debug, Clone)]
pub(crate) struct HashedContent {
    pub(crate) content: Content,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    /// Git's name for it: of the content, or of the pointer that stands in git for a large file.
    pub(crate) oid: String,
    /// Whether it is kept outside git.
    pub(crate) large: bool,
}

impl HashedContent {
    pub(crate) fn new(path: &str, content: Content) -> io::Result<Self> {
        let (size, sha256, git) = hashes(&content)?;
        let large =
            size >= 1 << 20 || [".parquet", ".gz", ".zst"].iter().any(|suffix| path.ends_with(suffix));
        let oid = if large { git_sha1(pointer(&sha256, size).as_bytes()) } else { git };
        Ok(Self { content, size, sha256, oid, large })
    }

    /// The size of the pointer in git.
    pub(crate) fn pointer_size(&self) -> usize {
        pointer(&self.sha256, self.size).len()
    }
}

impl Content {
    /// A reader of the bytes from `start` on.
    #[expect(
        clippy::disallowed_methods,
        reason = "it knows no other crate, and serves what a test or a user named"
    )]
    pub(crate) fn reader(&self, start: u64) -> io::Result<Box<dyn io::Read + '_>> {
        Ok(match self {
            Self::Memory(bytes) => {
                Box::new(&bytes[usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len())..])
            }
            Self::Disk(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(start))?;
                Box::new(file)
            }
        })
    }

    fn size(&self) -> io::Result<u64> {
        Ok(match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(path) => std::fs::metadata(path)?.len(),
        })
    }
}

/// Size, SHA-256 and git's SHA-1.
fn hashes(content: &Content) -> io::Result<(u64, String, String)> {
    let size = content.size()?;
    let mut sha256 = Sha256::new();
    let mut git = Sha1::new().chain_update(format!("blob {size}\0"));
    let mut reader = content.reader(0)?;
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        let length = reader.read(&mut buffer)?;
        if length == 0 {
            return Ok((size, hexadecimal(&sha256.finalize()), hexadecimal(&git.finalize())));
        }
        sha256.update(&buffer[..length]);
        git.update(&buffer[..length]);
    }
}

fn pointer(sha256: &str, size: u64) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n")
}

fn git_sha1(bytes: &[u8]) -> String {
    hexadecimal(&Sha1::new().chain_update(format!("blob {}\0", bytes.len())).chain_update(bytes).finalize())
}

/// The SHA-1 of a text, as an id.
pub(crate) fn id_of(text: &str) -> String {
    hexadecimal(&Sha1::digest(text))
}

/// The SHA-256 of a text, as a signature.
pub(crate) fn signature_of(text: &str) -> String {
    hexadecimal(&Sha256::digest(text))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
