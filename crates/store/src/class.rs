//! What an error means for whoever gave the command, said beside each error, so that a new one has to say it, too.

/// What an error means for whoever gave the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It cannot be done as it was asked for, or with what was given.
    Usage,
    /// Part may be done; the same command resumes once what is in its way is gone.
    Incomplete,
    /// Somebody interrupted it.
    Interrupted,
    /// It should not happen.
    Unexpected,
}
