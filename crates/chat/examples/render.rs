//! Renders templates for tests that hold this crate to `transformers`.
//!
//! Each line of standard input is a JSON object: `template` with `variables` that it gets as they are, or with a `record` and
//! `special` and `ends` tokens. Each line of standard output is one with `text`, `generations` and `learned` (ranges of bytes), or
//! with `error` and `detail`. The tests are in `tests/python/test_chat.py`.

use std::io::{BufRead, BufWriter, Write};
use std::ops::Range;
use std::process::ExitCode;

use bumpalo::Bump;
use mashbill_chat::{ChatError, ChatOptions, ChatScratch, ChatTemplate, LossOn, NoLossOn, value};
use mashbill_jinja::{Error, Now, RenderLimits, Rendering, Template};
use mashbill_records::conversation::{Conversation, ConversationOptions};
use mashbill_records::json;
use mashbill_records::value::{Text, Value, write_quoted};

/// A reason, and what it is about.
type Refused = (String, String);

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "an example prints by itself")]
    let mut output = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let written = line.and_then(|line| {
            let answer = answer(&line).unwrap_or_else(|(error, detail)| {
                format!("{{\"error\":\"{error}\",\"detail\":{}}}", quoted(&detail))
            });
            writeln!(output, "{answer}")
        });
        if written.is_err() {
            return ExitCode::FAILURE;
        }
    }
    if output.flush().is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn answer(line: &str) -> Result<String, Refused> {
    let request = json::parse(line, &|_| true).map_err(|invalid| ("Json".into(), invalid.what.into()))?;
    let source =
        request.field("template").and_then(Value::text).ok_or(("Json".into(), "no template".into()))?;
    match request.field("record") {
        Some(record) => answer_record(&request, &source.plain(), record),
        None => answer_variables(&request, &source.plain()).map_err(refused),
    }
}

fn answer_variables(request: &Value<'_>, source: &str) -> Result<String, Error> {
    let template = Template::new(source)?;
    let (arena, mut rendered) = (Bump::new(), Rendering::default());
    let mut variables = Vec::new();
    if let Some(Value::Map(fields)) = request.field("variables") {
        for (name, given) in fields {
            variables.push((&*arena.alloc_str(name), value(&arena, &given.clone().into_owned())?));
        }
    }
    let variables = arena.alloc_slice_copy(&variables);
    template.render(&arena, variables, Now::midnight(2024, 7, 26), RenderLimits::default(), &mut rendered)?;
    let text = quoted(rendered.text.as_str());
    Ok(format!("{{\"text\":{text},\"generations\":{}}}", ranges(&rendered.generations)))
}

fn answer_record(request: &Value<'_>, source: &str, record: &Value<'_>) -> Result<String, Refused> {
    let conversation = Conversation::of(record, ConversationOptions::default());
    let conversation = conversation.map_err(|refusal| (refusal.reason.name().into(), refusal.detail))?;
    let conversation = conversation.ok_or(("NoConversation".into(), String::new()))?;
    let strings = |name: &str| match request.field(name) {
        Some(Value::List(items)) => {
            items.iter().filter_map(Value::text).map(|text: Text<'_>| text.plain().into_owned()).collect()
        }
        _ => Vec::new(),
    };
    let options = ChatOptions {
        special_tokens: [("bos_token", "<s>"), ("eos_token", "</s>"), ("pad_token", "<pad>")]
            .map(|(name, token)| (name.to_owned(), token.to_owned()))
            .to_vec(),
        special: strings("special"),
        ends: strings("ends"),
        template_args: Vec::new(),
        now: Now::midnight(2024, 7, 26),
        loss_on: LossOn::Assistant,
        no_loss_on: NoLossOn::default(),
    };
    let template = ChatTemplate::new(source, options).map_err(refused)?;
    let mut scratch = ChatScratch::default();
    let chat = template.render(&conversation, 1 << 26, &mut scratch).map_err(|error| match error {
        ChatError::Template(error) => refused(error),
        ChatError::NoSpans(detail) => ("NoSpans".into(), detail),
        ChatError::NothingToLearn(detail) => ("NothingToLearn".into(), detail.into()),
    })?;
    Ok(format!("{{\"text\":{},\"learned\":{}}}", quoted(chat.text), ranges(chat.learned)))
}

fn refused(error: Error) -> Refused {
    (format!("{:?}", error.kind), error.to_string())
}

fn ranges(ranges: &[Range<usize>]) -> String {
    let ranges: Vec<String> = ranges.iter().map(|range| format!("[{},{}]", range.start, range.end)).collect();
    format!("[{}]", ranges.join(","))
}

fn quoted(text: &str) -> String {
    let mut quoted = Vec::new();
    write_quoted(text, &mut quoted);
    String::from_utf8_lossy(&quoted).into_owned()
}
