//! Conversations to text by a chat template, and which bytes of it are learned.
//!
//! ```text
//! values    a conversation as the template sees it, each string with the mark of its message
//! template  the text of a conversation: what apply_chat_template gives
//! spans     the bytes that are learned, by the marks or by the template's generation blocks
//! ```

mod values;
mod template;
mod spans;
mod built_in;

pub use mashbill_format::chat::{LossOn, NoLossOn, SpanRule};
pub use mashbill_jinja::{Error as TemplateError, ErrorKind as TemplateErrorKind, Now};

pub use self::built_in::built_in;
pub use self::template::{ChatError, ChatOptions, ChatScratch, ChatTemplate, ExampleChat, RenderedChat};
pub use self::values::value;
