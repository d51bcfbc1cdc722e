//! What a file is packed in, read as the standard tools read it.
//!
//! Several members follow one another; zeros behind a member are padding. What else stands behind the last member of
//! gzip or bzip2 is passed over, as `gzip` and `bzip2` do, and counted, so that it can be told; behind xz and zstd it
//! is an error, as it is to `xz` and `zstd`.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;

use crate::kind::Container;

/// The largest window of zstd, as a power of two in bytes: 2 GiB, what `zstd --long=31` makes. A file's window is
/// memory while the file is read.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 31;

/// The most memory that xz is given for a file, in KiB: 2 GiB, for its dictionary above all.
pub const XZ_MEMORY_KIB_MAX: u32 = 2 << 20;

/// The unpacked content of `source`, which is packed in `container`. `ignored` counts the bytes behind its end; where
/// nobody counts them they are an error.
///
/// # Errors
/// The decoder cannot be made.
pub fn unpacked(
    source: impl BufRead + Send + 'static,
    container: Container,
    ignored: Option<Arc<AtomicU64>>,
) -> io::Result<Box<dyn Read + Send>> {
    Ok(match container {
        Container::Plain => Box::new(source),
        Container::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(source)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(Zstd(decoder))
        }
        container => {
            Box::new(Members { container, state: UnpackState::Behind(source), first: true, ignored })
        }
    })
}

/// zstd, which reads all frames by itself.
struct Zstd<R: BufRead>(zstd::Decoder<'static, R>);

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            let text = error.to_string();
            if text.contains("too much memory") {
                let what = format!("its zstd window is larger than 2^{ZSTD_WINDOW_LOG_MAX} bytes");
                io::Error::new(io::ErrorKind::InvalidData, what)
            } else if text.contains("Unknown frame descriptor") {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "something that is not zstd is where a frame should begin",
                )
            } else {
                error
            }
        })
    }
}

/// Members one after another.
struct Members<R: BufRead> {
    container: Container,
    state: UnpackState<R>,
    first: bool,
    ignored: Option<Arc<AtomicU64>>,
}

enum UnpackState<R: BufRead> {
    Within(Member<R>),
    /// Behind a member, or at the beginning.
    Behind(R),
    /// At the end, or after an error.
    Ended,
}

enum Member<R: BufRead> {
    Gzip(Box<GzDecoder<R>>),
    Bzip2(BzDecoder<R>),
    Xz(Box<XzReader<R>>),
}

impl<R: BufRead> Member<R> {
    fn new(container: Container, source: R) -> Self {
        match container {
            Container::Bzip2 => Self::Bzip2(BzDecoder::new(source)),
            Container::Xz => Self::Xz(Box::new(XzReader::new_mem_limit(source, false, XZ_MEMORY_KIB_MAX))),
            _ => Self::Gzip(Box::new(GzDecoder::new(source))),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Bzip2(decoder) => decoder.read(buffer),
            Self::Xz(decoder) => decoder.read(buffer).map_err(|error| match error.kind() {
                io::ErrorKind::OutOfMemory => {
                    let what = format!("its xz dictionary takes more than {XZ_MEMORY_KIB_MAX} KiB of memory");
                    io::Error::new(io::ErrorKind::InvalidData, what)
                }
                _ => error,
            }),
        }
    }

    fn into_source(self) -> R {
        match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Bzip2(decoder) => decoder.into_inner(),
            Self::Xz(decoder) => decoder.into_inner(),
        }
    }
}

impl<R: BufRead> Members<R> {
    /// The next member, if there is one.
    fn next(&mut self, mut source: R) -> io::Result<UnpackState<R>> {
        let zeros = if self.first { 0 } else { pass_zeros(&mut source)? };
        if self.container == Container::Xz && !zeros.is_multiple_of(4) {
            return Err(invalid("the padding after xz is not a multiple of 4 bytes"));
        }
        let magic: &[u8] = match self.container {
            Container::Bzip2 => b"BZh",
            Container::Xz => b"\xFD7zXZ",
            _ => b"\x1F\x8B",
        };
        let here = source.fill_buf()?;
        if self.first
            || here.first() == magic.first() && here.iter().zip(magic).all(|(here, magic)| here == magic)
        {
            self.first = false;
            return Ok(UnpackState::Within(Member::new(self.container, source)));
        }
        if here.is_empty() {
            return Ok(UnpackState::Ended);
        }
        match &self.ignored {
            Some(ignored) if self.container != Container::Xz => {
                let rest = io::copy(&mut source, &mut io::sink())?;
                ignored.store(rest, Ordering::Relaxed);
                Ok(UnpackState::Ended)
            }
            _ => {
                let what = format!("something that is not {} follows it", self.container.name());
                Err(invalid(&what))
            }
        }
    }
}

/// Goes behind zeros, and says how many there were.
fn pass_zeros(source: &mut impl BufRead) -> io::Result<u64> {
    let mut passed = 0;
    loop {
        let here = source.fill_buf()?;
        let zeros = here.iter().position(|&byte| byte != 0).unwrap_or(here.len());
        let goes_on = zeros == here.len() && zeros > 0;
        source.consume(zeros);
        passed += zeros as u64;
        if !goes_on {
            return Ok(passed);
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            // What fails is not gone on with: the decoders don't promise anything then.
            match std::mem::replace(&mut self.state, UnpackState::Ended) {
                UnpackState::Within(mut member) => {
                    let read = member.read(buffer)?;
                    if read > 0 {
                        self.state = UnpackState::Within(member);
                        return Ok(read);
                    }
                    self.state = UnpackState::Behind(member.into_source());
                }
                UnpackState::Behind(source) => self.state = self.next(source)?,
                UnpackState::Ended => return Ok(0),
            }
        }
    }
}
