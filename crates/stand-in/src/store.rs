//! The store: large files at signed addresses that expire.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::content::signature_of;
use crate::fault::Fault;
use crate::http::{Answer, Request};
use crate::shared::Shared;

/// The signed address of a large file.
pub(crate) fn sign(shared: &Shared, sha256: &str) -> String {
    let expires = now() + shared.site.signed_for.as_millis() as u64;
    let signature = signature(sha256, expires);
    format!("{}/{sha256}?Expires={expires}&Signature={signature}", shared.store_address())
}

pub(crate) fn answer(shared: &Shared, request: &Request, fault: Option<&Fault>) -> Answer {
    let parts = request.parts();
    let [sha256] = &parts[..] else { return refused("NoSuchKey", 404) };
    let expires = request.query("Expires").and_then(|text| text.parse().ok()).unwrap_or(0);
    if request.query("Signature").as_deref() != Some(&signature(sha256, expires)) || expires <= now() {
        return refused("AccessDenied", 403);
    }
    let Some(entry) = shared.large(sha256) else { return refused("NoSuchKey", 404) };
    // As the real one's, this ETag is the hash of something else.
    Answer::file(request, &entry.content, entry.size, fault)
        .header("ETag", format!("\"{}\"", signature_of(sha256)))
        .header("Content-Type", "application/octet-stream")
}

fn refused(code: &str, status: u16) -> Answer {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    Answer::new(status, body.into_bytes()).header("Content-Type", "application/xml")
}

fn signature(sha256: &str, expires: u64) -> String {
    signature_of(&format!("stand-in {sha256} {expires}"))
}

/// Milliseconds, so that tests need not wait for a second.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
