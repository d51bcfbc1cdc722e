//! What an answer other than success means.
//!
//! The Hub says it in `X-Error-Code` and, where that is missing, in
//! `X-Error-Message`; the status alone is misleading, because a missing repository
//! answers 401 to a stranger. The order of the tests is that of the official client.

use ureq::http::StatusCode;

use crate::client::FinalAnswer;
use crate::error::Error;
use crate::limits::retry_after;
use crate::repo::{RepoId, Revision};
use crate::settings::Settings;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) repo: &'a RepoId,
    pub(crate) revision: &'a Revision,
    pub(crate) file: &'a str,
}

/// The error that an unsuccessful answer stands for.
pub(crate) fn refusal(answer: &FinalAnswer, asked: &Asked<'_>, settings: &Settings) -> Error {
    let repo = asked.repo.clone();
    let endpoint = settings.endpoint.clone();
    let token = settings.token.as_ref().map(|token| token.source().clone());
    let status = answer.status;
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Error::RateLimited {
            origin: answer.origin.clone(),
            retry_after: retry_after(&answer.headers),
        };
    }
    // A store that a redirect leads to knows nothing of repositories.
    if answer.origin != *endpoint.origin() {
        return unnamed(answer, settings);
    }
    let message = answer.header("x-error-message");
    match (answer.header("x-error-code"), message) {
        (Some("RevisionNotFound"), _) => Error::RevisionNotFound { repo, revision: asked.revision.clone() },
        (Some("EntryNotFound"), _) => entry_not_found(answer, asked),
        (Some("GatedRepo"), _) => Error::Gated { ask_at: endpoint.page(&repo), repo, token },
        (_, Some("Access to this resource is disabled.")) => Error::Disabled { repo, endpoint },
        (Some("RepoNotFound"), _) => Error::RepoNotFound { repo, endpoint, token },
        (_, Some("Invalid credentials in Authorization header")) => match token {
            Some(source_of_token) => Error::BadToken { endpoint, source_of_token },
            None => unnamed(answer, settings),
        },
        _ if status == StatusCode::UNAUTHORIZED => Error::RepoNotFound { repo, endpoint, token },
        // Mirrors leave the code out; an answer that names the commit has found the repository.
        _ if status == StatusCode::NOT_FOUND && answer.commit.is_some() => entry_not_found(answer, asked),
        _ if status == StatusCode::NOT_FOUND => Error::RepoNotFound { repo, endpoint, token },
        _ => unnamed(answer, settings),
    }
}

fn entry_not_found(answer: &FinalAnswer, asked: &Asked<'_>) -> Error {
    let revision = answer.commit.as_ref().map_or_else(|| asked.revision.clone(), Revision::from);
    Error::EntryNotFound { repo: asked.repo.clone(), revision, file: asked.file.to_owned() }
}

fn unnamed(answer: &FinalAnswer, settings: &Settings) -> Error {
    // A server may quote what it was sent, the token included.
    let text = |name| answer.header(name).map(|text| settings.shown(text));
    Error::Status {
        origin: answer.origin.clone(),
        status: answer.status.as_u16(),
        message: text("x-error-message"),
        request_id: text("x-request-id").or_else(|| text("x-amzn-trace-id")).or_else(|| text("x-amz-cf-id")),
        retry_after: retry_after(&answer.headers),
    }
}
