//! What is found of one thing that was looked at.

use serde::Serialize;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) state: Health,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
}

impl Finding {
    pub(super) fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, state: Health::Ok, text: text.into(), hint: None }
    }

    pub(super) fn warning(what: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what, state: Health::Warning, text: text.into(), hint: Some(hint.into()) }
    }

    pub(super) fn problem(what: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what, state: Health::Problem, text: text.into(), hint: Some(hint.into()) }
    }
}
