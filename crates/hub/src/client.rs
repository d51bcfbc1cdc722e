//! One GET, its redirects followed by hand.
//!
//! The HTTP library can follow redirects too, but not tell where it may send a
//! token, nor show what the Hub says on the way: the commit and the hash of a large
//! file stand on the redirect, not on the answer of the store that it leads to.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ureq::http::header::{AUTHORIZATION, CONTENT_ENCODING, ETAG, LOCATION, RANGE};
use ureq::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri};
use ureq::{Agent, Body};

use crate::digest::Digest;
use crate::error::{Error, Result, Unreachable};
use crate::limits::Limits;
use crate::repo::Commit;
use crate::settings::Settings;
use crate::url::{Endpoint, Origin, follow};

const REDIRECTS_MAX: usize = 10;
/// Bytes of an answer that are read at a time.
const READ_BYTES: usize = 64 << 10;
/// Connections that are kept for the next request, to each server.
const IDLE_CONNECTIONS_MAX: usize = 32;
/// A body that comes more slowly than this many bytes a second is given up, so that a server cannot hold us for days.
pub(crate) const RATE_MIN: u64 = 1 << 10;
/// The time over which that is measured, in stall timeouts.
const RATE_STALLS: u32 = 3;
/// How long the body of an answer that is no file may take, in stall timeouts.
pub(crate) const BODY_STALLS: u32 = 6;
/// The most bytes of an answer's head; the HTTP library takes no more than 128 headers.
const HEAD_BYTES_MAX: usize = 64 << 10;
const USER_AGENT: &str = concat!("mashbill/", env!("CARGO_PKG_VERSION"), "; rust");

/// Connections to the endpoint and to where it sends us, shared by all threads.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    settings: Settings,
    limits: Limits,
    requests: AtomicU64,
}

/// The last answer of a chain of redirects, whatever its status, and what was said on the way.
#[derive(Debug)]
pub(crate) struct FinalAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Where it was given.
    pub(crate) address: Uri,
    /// The server that gave it.
    pub(crate) origin: Origin,
    /// The proxy it came through, masked.
    proxy: Option<String>,
    /// The commit that the Hub named first.
    pub(crate) commit: Option<Commit>,
    /// The content's hash according to the Hub.
    pub(crate) digest: Option<Digest>,
    /// The content's size according to the Hub, where it redirects.
    pub(crate) linked_size: Option<u64>,
    body: Body,
    rate: Rate,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WantedBytes {
    /// The bytes from the first up to and without the second, which the server may disregard; none: all of them.
    pub(crate) bytes: Option<(u64, u64)>,
    /// How long the body may take, whatever comes: what frames it may go on without end, too.
    pub(crate) body_max: Duration,
}

/// How fast a body comes, measured over the time that was waited for it.
#[derive(Debug)]
struct Rate {
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Rate {
    /// Counts what came after a wait; false where it is too little.
    fn keeps_up(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes as u64;
        if self.waited < self.window {
            return true;
        }
        let enough = self.bytes as f64 >= RATE_MIN as f64 * self.waited.as_secs_f64();
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        enough
    }
}

impl Client {
    pub(crate) fn new(settings: Settings) -> Self {
        let agent = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(USER_AGENT)
            // A compressed answer has no length and no ranges, and its hash is that of the plain file.
            .accept_encoding("identity")
            .timeout_resolve(Some(settings.answer_timeout))
            .timeout_connect(Some(settings.answer_timeout))
            .timeout_recv_response(Some(settings.answer_timeout))
            .timeout_per_read(Some(settings.stall_timeout))
            .timeout_per_write(Some(settings.stall_timeout))
            .max_response_header_size(HEAD_BYTES_MAX)
            .max_idle_connections(IDLE_CONNECTIONS_MAX)
            .max_idle_connections_per_host(IDLE_CONNECTIONS_MAX)
            .build()
            .new_agent();
        Self { agent, settings, limits: Limits::default(), requests: AtomicU64::new(0) }
    }

    pub(crate) fn requests_sent(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Books a request to `address`; returns how long the server's rate limits ask to wait before it is sent.
    pub(crate) fn book(&self, address: &Uri) -> Duration {
        self.limits.book(address)
    }

    /// Asks for something that is no file: `address`, and where it leads. Any status but a redirect is an answer.
    pub(crate) fn get(&self, address: &Uri) -> Result<FinalAnswer> {
        let body_max = BODY_STALLS * self.settings.stall_timeout;
        self.get_wanted(address, WantedBytes { bytes: None, body_max })
    }

    /// The same for a file or a part of one.
    pub(crate) fn get_wanted(&self, address: &Uri, wanted: WantedBytes) -> Result<FinalAnswer> {
        let mut address = address.clone();
        let mut commit = None;
        let mut digest = None;
        let mut linked_size = None;
        for _ in 0..=REDIRECTS_MAX {
            let origin = Origin::of(&address).expect("addresses are checked where they are made");
            let (response, proxy) = self.send(&address, &origin, wanted)?;
            let (parts, body) = response.into_parts();
            let headers = parts.headers;
            self.limits.learn(&address, parts.status, &headers);
            commit = commit.or_else(|| header(&headers, "x-repo-commit").and_then(Commit::parse));
            digest = digest.or_else(|| header(&headers, "x-linked-etag").and_then(Digest::parse));
            linked_size = linked_size.or_else(|| header(&headers, "x-linked-size")?.trim().parse().ok());
            if !is_redirect(parts.status) {
                // Only the endpoint's ETag is the content's hash: a store may put any other hash there.
                if digest.is_none() && parts.status.is_success() && origin == *self.settings.endpoint.origin()
                {
                    digest = header(&headers, ETAG.as_str()).and_then(Digest::parse);
                }
                let status = parts.status;
                let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
                if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
                    let why = "it sends compressed content, which was not requested".to_owned();
                    let source = Unreachable::Broken(why);
                    return Err(Error::Unreachable { origin, proxy, source });
                }
                let window = RATE_STALLS * self.settings.stall_timeout;
                return Ok(FinalAnswer {
                    rate: Rate { window, waited: Duration::ZERO, bytes: 0 },
                    status,
                    headers,
                    address,
                    origin,
                    proxy,
                    commit,
                    digest,
                    linked_size,
                    body,
                });
            }
            let target = header(&headers, LOCATION.as_str()).and_then(|location| follow(&address, location));
            address = self.checked_target(target, origin)?;
        }
        let origin = Origin::of(&address).expect("addresses are checked where they are made");
        Err(Error::NotAHub { origin, why: format!("it redirects more than {REDIRECTS_MAX} times") })
    }

    /// Where a redirect of `from` leads, if it may be followed.
    fn checked_target(&self, target: Option<Uri>, from: Origin) -> Result<Uri> {
        let refused = |why: &str| Err(Error::NotAHub { origin: from.clone(), why: why.to_owned() });
        let Some(target) = target else { return refused("it redirects to an invalid address") };
        if from.is_https() && Origin::of(&target).is_none_or(|origin| !origin.is_https()) {
            return refused("it redirects from https to http, where anyone could change the content");
        }
        // Whoever keeps a log of addresses must not have it.
        if self.settings.token.as_ref().is_some_and(|token| token.occurs_in(&target.to_string())) {
            return refused("it redirects to an address that holds the token");
        }
        Ok(target)
    }

    /// One request. The token goes to the endpoint's own origin only.
    fn send(
        &self,
        address: &Uri,
        origin: &Origin,
        wanted: WantedBytes,
    ) -> Result<(Response<Body>, Option<String>)> {
        let proxy = self.settings.proxies.on_the_way_to(origin);
        let config = self.agent.get(address).config().timeout_recv_body(Some(wanted.body_max));
        let mut request = config.proxy(proxy.map(|proxy| proxy.inner().clone())).build();
        if let Some(token) = &self.settings.token
            && origin == self.settings.endpoint.origin()
        {
            request = request.header(AUTHORIZATION, token.header());
        }
        if let Some((start, end)) = wanted.bytes {
            request = request.header(RANGE, format!("bytes={start}-{}", end - 1));
        }
        let proxy = proxy.map(ToString::to_string);
        self.requests.fetch_add(1, Ordering::Relaxed);
        match request.call() {
            Ok(response) => Ok((response, proxy)),
            Err(error) => {
                let source = self.settings.shown_in(unreachable(error, proxy.is_some()));
                Err(Error::Unreachable { origin: origin.clone(), proxy, source })
            }
        }
    }
}

impl FinalAnswer {
    /// The value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// Whether this answer came from the endpoint and not from where it led.
    pub(crate) fn is_of(&self, endpoint: &Endpoint) -> bool {
        self.origin == *endpoint.origin()
    }

    /// How many bytes of content are announced.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.body.content_length()
    }

    /// Hands the content over piece by piece, until it ends or `take` returns false.
    pub(crate) fn read(self, buffer: &mut [u8], mut take: impl FnMut(&[u8]) -> Result<bool>) -> Result<()> {
        let Self { origin, proxy, body, mut rate, .. } = self;
        let mut reader = body.into_reader();
        loop {
            let asked = Instant::now();
            let source = match reader.read(buffer) {
                Ok(0) => return Ok(()),
                Ok(length) if !take(&buffer[..length])? => return Ok(()),
                Ok(length) if rate.keeps_up(asked.elapsed(), length) => continue,
                Ok(_) => Unreachable::Slow,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => unreachable(error.into(), false),
            };
            return Err(Error::Unreachable { origin, proxy, source });
        }
    }

    /// The whole content, `None` if it is larger than `limit` bytes.
    pub(crate) fn contents(self, limit: u64) -> Result<Option<Vec<u8>>> {
        if self.body.content_length().is_some_and(|length| length > limit) {
            return Ok(None);
        }
        let mut contents = Vec::new();
        let mut buffer = vec![0; READ_BYTES];
        self.read(&mut buffer, |piece| {
            contents.extend_from_slice(piece);
            Ok(contents.len() as u64 <= limit)
        })?;
        Ok((contents.len() as u64 <= limit).then_some(contents))
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The situation behind an error of the HTTP library. While a proxy is connected to, a failure is the proxy's.
fn unreachable(error: ureq::Error, through_proxy: bool) -> Unreachable {
    let cause = match error {
        ureq::Error::HostNotFound => Unreachable::Dns,
        ureq::Error::Timeout(ureq::Timeout::RecvBody) => Unreachable::Slow,
        ureq::Error::Timeout(_) => Unreachable::TimedOut,
        ureq::Error::ConnectProxyFailed(why) => Unreachable::Proxy(why),
        ureq::Error::Tls(why) => Unreachable::Tls(why.to_owned()),
        ureq::Error::Rustls(why) => Unreachable::Tls(why.to_string()),
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Unreachable::Refused,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Unreachable::TimedOut,
            // rustls hands its errors through the reader and the writer.
            io::ErrorKind::InvalidData => Unreachable::Tls(error.to_string()),
            // The standard library has no kind for this one.
            _ if error.to_string().starts_with("failed to lookup address") => Unreachable::Dns,
            _ => Unreachable::Broken(error.to_string()),
        },
        other => Unreachable::Broken(other.to_string()),
    };
    match cause {
        Unreachable::Dns | Unreachable::Refused if through_proxy => Unreachable::Proxy(cause.to_string()),
        cause => cause,
    }
}
