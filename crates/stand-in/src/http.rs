//! HTTP/1.1: a request read, an answer written.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::content::Content;
use crate::fault::Fault;

const HEAD_SIZE_MAX: usize = 64 << 10;
const BODY_SIZE_MAX: usize = 16 << 20;
const HEADERS_MAX: usize = 100;
const PIECE: usize = 64 << 10;

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, quoted as they came.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The parts of the path, unquoted each.
    pub(crate) fn parts(&self) -> Vec<String> {
        let path = self.target.split('?').next().unwrap_or_default();
        path.split('/').filter(|part| !part.is_empty()).map(|part| unquote(part, false)).collect()
    }

    /// A value of the query.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?')?.1;
        form(query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// `bytes=a-b` as `[a, b + 1)`, cut to `size`; `Some(None)`: it lies behind the end.
    pub(crate) fn range(&self, size: u64) -> Option<Option<(u64, u64)>> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        if first.is_empty() {
            let length: u64 = last.parse().ok()?;
            return Some(Some((size.saturating_sub(length), size)));
        }
        let start: u64 = first.parse().ok()?;
        let end = if last.is_empty() { size } else { last.parse::<u64>().ok()?.saturating_add(1).min(size) };
        Some((start < end).then_some((start, end)))
    }
}

/// The keys and values of a query or a form.
pub(crate) fn form(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(key, value)| (unquote(key, true), unquote(value, true))).collect()
}

fn unquote(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = || u8::from_str_radix(std::str::from_utf8(after.get(..2)?).ok()?, 16).ok();
        match (byte, code()) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = &after[2..];
                continue;
            }
            (b'+', _) if plus => bytes.push(b' '),
            _ => bytes.push(byte),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn find<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Content,
    /// The bytes of `body` that are sent.
    pub(crate) bytes: (u64, u64),
}

impl Answer {
    pub(crate) fn new(status: u16, body: Vec<u8>) -> Self {
        let bytes = (0, body.len() as u64);
        Self { status, headers: Vec::new(), body: body.into(), bytes }
    }

    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::new(200, value.to_string().into_bytes()).header("Content-Type", "application/json")
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A file, or the part of it that `request` asks for.
    pub(crate) fn file(request: &Request, content: &Content, size: u64, fault: Option<&Fault>) -> Self {
        let whole = |status| Self { status, headers: Vec::new(), body: content.clone(), bytes: (0, size) };
        let range = if matches!(fault, Some(Fault::IgnoreRange)) { None } else { request.range(size) };
        let answer = match range {
            None => whole(200),
            Some(None) => Self::new(416, Vec::new()).header("Content-Range", format!("bytes */{size}")),
            Some(Some((start, end))) => {
                let start = start + u64::from(matches!(fault, Some(Fault::WrongRange)) && start + 1 < end);
                let range = format!("bytes {start}-{}/{size}", end - 1);
                Self { bytes: (start, end), ..whole(206) }.header("Content-Range", range)
            }
        };
        answer.header("Accept-Ranges", "bytes")
    }
}

/// Reads a request; `None` where the client has no more. `rest` holds what was read beyond one.
pub(crate) fn read_request(stream: &mut TcpStream, rest: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let status = head.parse(rest).map_err(|error| bad(&error.to_string()))?;
        if let httparse::Status::Complete(head_size) = status {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let mut request = Request {
                method: head.method.unwrap_or_default().to_owned(),
                target: head.path.unwrap_or_default().to_owned(),
                headers: head.headers.iter().map(|h| (h.name.to_owned(), text(h.value))).collect(),
                body: Vec::new(),
            };
            let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            if length > BODY_SIZE_MAX {
                return Err(bad("the request is too large"));
            }
            while rest.len() < head_size + length {
                if !read_more(stream, rest)? {
                    return Ok(None);
                }
            }
            request.body = rest[head_size..head_size + length].to_vec();
            rest.drain(..head_size + length);
            return Ok(Some(request));
        }
        if rest.len() > HEAD_SIZE_MAX {
            return Err(bad("the request's head is too large"));
        }
        if !read_more(stream, rest)? {
            return Ok(None);
        }
    }
}

fn read_more(stream: &mut TcpStream, rest: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 8 << 10];
    let length = stream.read(&mut buffer)?;
    rest.extend_from_slice(&buffer[..length]);
    Ok(length > 0)
}

/// Writes an answer; returns whether the connection can be used again. `sent` counts the bytes of content.
pub(crate) fn write_answer(
    stream: &mut TcpStream,
    request: &Request,
    answer: &Answer,
    fault: Option<&Fault>,
    bytes_per_second: u64,
    sent: &AtomicU64,
) -> io::Result<bool> {
    let (start, end) = answer.bytes;
    let chunked = matches!(fault, Some(Fault::NoLength));
    let mut head = format!("HTTP/1.1 {} Stand-in\r\n", answer.status);
    if chunked {
        head += "Transfer-Encoding: chunked\r\n";
    } else if find(&answer.headers, "content-length").is_none() {
        head += &format!("Content-Length: {}\r\n", end - start);
    }
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes())?;
    if request.method == "HEAD" {
        return Ok(true);
    }
    let stop = match fault {
        Some(Fault::CutAfter(bytes) | Fault::StallAfter(bytes)) => (start + bytes).min(end),
        _ => end,
    };
    let mut reader = answer.body.reader(start)?;
    let mut buffer = vec![0; PIECE];
    let mut at = start;
    let (step, pause) = match fault {
        Some(Fault::Drip { bytes, every_ms }) => (
            usize::try_from(*bytes).map_or(PIECE, |bytes| bytes.clamp(1, PIECE)),
            Duration::from_millis(*every_ms),
        ),
        _ => (PIECE, Duration::ZERO),
    };
    let mut pace = Pace { begin: Instant::now(), bytes_per_second };
    while at < stop {
        thread::sleep(pause);
        let length = usize::try_from(stop - at).map_or(step, |left| left.min(step));
        let piece = &mut buffer[..length];
        reader.read_exact(piece)?;
        if let Some(Fault::FlipByte(place)) = fault
            && (at..at + length as u64).contains(place)
        {
            piece[(place - at) as usize] ^= 1;
        }
        if chunked {
            write!(stream, "{length:x}\r\n")?;
        }
        stream.write_all(piece)?;
        if chunked {
            stream.write_all(b"\r\n")?;
        }
        at += length as u64;
        sent.store(at - start, Ordering::Relaxed);
        pace.keep(at - start);
    }
    match fault {
        Some(Fault::StallAfter(_)) => {
            // Until the client hangs up.
            while stream.read(&mut buffer)? > 0 {}
            Ok(false)
        }
        Some(Fault::CutAfter(_)) if stop < end || chunked => Ok(false),
        _ => {
            if chunked {
                stream.write_all(b"0\r\n\r\n")?;
            }
            Ok(true)
        }
    }
}

/// A connection's speed.
struct Pace {
    begin: Instant,
    bytes_per_second: u64,
}

impl Pace {
    fn keep(&mut self, sent: u64) {
        if self.bytes_per_second > 0 {
            let due = Duration::from_secs_f64(sent as f64 / self.bytes_per_second as f64);
            thread::sleep(due.saturating_sub(self.begin.elapsed()));
        }
    }
}
