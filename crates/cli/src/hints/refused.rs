//! What to do about conversations that a run with a chat template refused.

use mashbill_format::chat::LossOn;
use mashbill_records::record::Reason;

/// What makes documents of conversations that were refused for `reason`, where turns are learned by `loss_on`; none where
/// only the record can be corrected, and why is said line by line.
pub(crate) const fn refused_hint(reason: Reason, loss_on: LossOn) -> Option<&'static str> {
    Some(match (reason, loss_on) {
        (Reason::NoMessages, _) => "`--mixed` takes records without messages, too, as their text",
        (Reason::Template, _) => {
            "another template may take what this one refuses: `--chat-template NAME|FILE`"
        }
        (Reason::NoSpans, _) => {
            "`--loss-on all` asks for no borders of turns; `{% generation %}` blocks in the template say where they are"
        }
        (Reason::NothingToLearn, LossOn::Completion) => {
            "`--loss-on completion` learns only what a record has as `completion`, or behind its `prompt_messages`: \
             `--loss-on assistant` learns all answers"
        }
        (Reason::NothingToLearn, _) => {
            "something is learned of records in which an assistant speaks, unless its `weight` is 0; `--loss-on all` learns \
             all that is said"
        }
        (Reason::SpecialTokens, _) => {
            "`--special-tokens-in-text encode` makes tokens of control tokens in what is said, `split` leaves them text"
        }
        (Reason::TooLarge, _) => "`--max-document BYTES` takes longer ones",
        (Reason::BadConversation | Reason::BadTools | Reason::BadWeight | Reason::NotText, _) => {
            "docs/chat.md has the forms of records that are read"
        }
        _ => return None,
    })
}
