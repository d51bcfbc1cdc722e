//! A row becomes a text, and messages where somebody speaks to somebody.
//!
//! `text` is a plain rendering that any tokenizer takes; `messages` keep who said what, for those
//! who apply a chat template. Nothing is added to a source's words but `User:`, `Assistant:`,
//! `System:`, `Tool:`, `Context:`, `Question:` and `Answer:`, and nothing is left out but white
//! space around a rewritten answer.

use std::borrow::Cow;
use std::sync::LazyLock;

use mashbill_format::catalog::{Dialogue, Exchange, Question, Render, Rewrite, TextField};
use mashbill_format::untaken::UntakenColumns;
use mashbill_records::value::{Text, Value};

use super::json;
use super::refused::RefusedRow;

type Result<T> = std::result::Result<T, RefusedRow>;

/// What a row becomes. Both buffers are the caller's, who uses them again for the next one.
#[derive(Debug)]
pub(crate) struct Rendered<'o> {
    /// Where the text goes, as it stands between the quotes of JSON, behind what is there.
    text: &'o mut Vec<u8>,
    /// Characters of the text.
    pub(crate) chars: u64,
    /// Bytes of the text as UTF-8.
    pub(crate) bytes: u64,
    /// Where the messages go, as a JSON array without its brackets; nothing where there are none.
    messages: &'o mut Vec<u8>,
    /// How many messages there are.
    pub(crate) turns: u64,
    /// The usual columns that the row has, where these were looked for.
    pub(crate) rule: Option<&'static Usual>,
    /// Where fields of turns go that are not taken.
    untaken: &'o mut UntakenColumns,
    blank: bool,
}

/// The reason for which a row is refused that has none of the usual columns.
pub(crate) const NO_USUAL_COLUMNS: &str = "no_usual_columns";

/// A rendering of usual columns.
#[derive(Debug)]
pub(crate) struct Usual {
    render: Render,
    /// The names of the fields that it looks at.
    pub(crate) fields: Vec<String>,
}

impl<'o> Rendered<'o> {
    /// Renders `row` behind what is in the buffers. Where it is refused, part of it may stand there.
    pub(crate) fn of(
        row: &Value<'_>,
        render: &Render,
        text: &'o mut Vec<u8>,
        messages: &'o mut Vec<u8>,
        untaken: &'o mut UntakenColumns,
    ) -> Result<Self> {
        let mut rendered =
            Self { text, messages, chars: 0, bytes: 0, turns: 0, rule: None, untaken, blank: true };
        rendered.by(render, row)?;
        if rendered.blank {
            Err(RefusedRow::new("empty_text", "there is no text in it"))
        } else {
            Ok(rendered)
        }
    }

    fn by(&mut self, render: &Render, row: &Value<'_>) -> Result<()> {
        match render {
            Render::Auto => {
                let is_of = |usual: &&Usual| required(&usual.render).iter().all(|path| is_there(row, path));
                let Some(found) = USUAL.iter().find(is_of) else {
                    return Err(RefusedRow::new(NO_USUAL_COLUMNS, names(row)));
                };
                self.rule = Some(found);
                self.by(&found.render, row)
            }
            Render::Text(TextField { field }) => {
                let text = text_at(row, field)?;
                self.push(&text);
                Ok(())
            }
            Render::Dialogue(dialogue) => self.dialogue(dialogue, row),
            Render::Exchange(exchange) => self.exchange(exchange, row),
            Render::Question(question) => self.question(question, row),
        }
    }

    fn dialogue(&mut self, dialogue: &Dialogue, row: &Value<'_>) -> Result<()> {
        let turns = row.at(&dialogue.turns).ok_or_else(|| missing(&dialogue.turns, row))?;
        let Value::List(turns) = turns.as_ref() else {
            return Err(wrong(&dialogue.turns, &turns, "a list"));
        };
        if let Some(system) = dialogue.system.as_ref().and_then(|path| row.at(path)?.text())
            && !system.is_blank()
        {
            self.turn(Role::System, &system);
        }
        for (index, turn) in turns.iter().enumerate() {
            if let Value::Text(text) = turn {
                self.turn(if index % 2 == 0 { Role::User } else { Role::Assistant }, text);
                continue;
            }
            self.note_untaken(turn, dialogue);
            let speaker = text_at(turn, &dialogue.role)?;
            let role = Role::of(&speaker.plain())
                .ok_or_else(|| RefusedRow::new("unknown_role", speaker.plain().into_owned()))?;
            match turn.at(&dialogue.content).as_deref() {
                // A turn that only calls a function says nothing.
                Some(Value::Null) => {}
                _ => self.turn(role, &text_at(turn, &dialogue.content)?),
            }
        }
        Ok(())
    }

    /// Notes what a turn has besides who speaks and what is said.
    fn note_untaken(&mut self, turn: &Value<'_>, dialogue: &Dialogue) {
        let Value::Map(fields) = turn else { return };
        let taken = [first_name(&dialogue.role), first_name(&dialogue.content)];
        for (name, _) in fields.iter().filter(|(name, _)| !taken.contains(&&**name)) {
            self.untaken.add(&format!("{}.{name}", dialogue.turns));
        }
    }

    fn exchange(&mut self, exchange: &Exchange, row: &Value<'_>) -> Result<()> {
        if let Some(system) = exchange.system.as_ref().and_then(|path| row.at(path)?.text())
            && !system.is_blank()
        {
            self.turn(Role::System, &system);
        }
        let mut parts = Vec::new();
        for (index, path) in exchange.user.iter().enumerate() {
            let text = match row.at(path).and_then(|value| value.text()) {
                Some(text) => text,
                // What stands first is what is asked; the others are often left out.
                None if index == 0 => return Err(missing(path, row)),
                None => continue,
            };
            if !text.is_blank() {
                parts.push(text);
            }
        }
        let answer = row.at(&exchange.assistant).ok_or_else(|| missing(&exchange.assistant, row))?;
        if exchange.assistant_is_json {
            let text =
                answer.text().ok_or_else(|| wrong(&exchange.assistant, &answer, "JSON in a string"))?;
            let plain = text.plain();
            let inner = json::parse(&plain, &|_| true).map_err(|invalid| {
                RefusedRow::new("no_answer", format!("{} in `{}`", invalid.what, exchange.assistant))
            })?;
            let answer = first_text(&inner).ok_or_else(|| no_answer(&exchange.assistant))?;
            return self.user_and_assistant(&parts, &answer);
        }
        let answer = first_text(&answer).ok_or_else(|| no_answer(&exchange.assistant))?;
        self.user_and_assistant(&parts, &answer)
    }

    fn user_and_assistant(&mut self, user: &[Text<'_>], assistant: &Text<'_>) -> Result<()> {
        let user = match user {
            [] => return Err(RefusedRow::new("empty_text", "there is nothing that the user says")),
            [one] => one.clone(),
            parts => {
                let parts: Vec<_> = parts.iter().map(Text::plain).collect();
                Text::Plain(Cow::Owned(parts.join("\n\n")))
            }
        };
        self.turn(Role::User, &user);
        self.turn(Role::Assistant, assistant);
        Ok(())
    }

    fn question(&mut self, question: &Question, row: &Value<'_>) -> Result<()> {
        let asked = text_at(row, &question.question)?;
        if asked.is_blank() {
            return Err(RefusedRow::new("empty_text", format!("`{}` is empty", question.question)));
        }
        let answers = row.at(&question.answer).ok_or_else(|| missing(&question.answer, row))?;
        let answer = match first_text(&answers) {
            Some(answer) => rewritten(&answer, &question.rewrite),
            None => match &question.no_answer {
                Some(instead) => Text::Plain(Cow::Borrowed(instead.as_str())),
                None => return Err(no_answer(&question.answer)),
            },
        };
        let context = match &question.context {
            Some(path) => paragraphs(row.at(path).ok_or_else(|| missing(path, row))?.as_ref(), "\n\n"),
            None => String::new(),
        };
        let user = if context.trim().is_empty() {
            asked.clone()
        } else {
            self.literal("Context: ");
            self.push(&Text::Plain(Cow::Borrowed(&context)));
            self.literal("\n\n");
            Text::Plain(Cow::Owned(format!("{context}\n\n{}", asked.plain())))
        };
        self.literal("Question: ");
        self.push(&asked);
        self.literal("\nAnswer: ");
        self.push(&answer);
        self.message(Role::User, &user);
        self.message(Role::Assistant, &answer);
        Ok(())
    }

    /// Somebody says something.
    fn turn(&mut self, role: Role, text: &Text<'_>) {
        if self.turns > 0 {
            self.literal("\n\n");
        }
        self.literal(role.label());
        self.push(text);
        self.message(role, text);
    }

    fn message(&mut self, role: Role, text: &Text<'_>) {
        let before = if self.turns == 0 { "{\"role\": \"" } else { ", {\"role\": \"" };
        self.messages.extend_from_slice(before.as_bytes());
        self.messages.extend_from_slice(role.name().as_bytes());
        self.messages.extend_from_slice(b"\", \"content\": \"");
        text.write_escaped(self.messages);
        self.messages.extend_from_slice(b"\"}");
        self.turns += 1;
    }

    fn push(&mut self, text: &Text<'_>) {
        let (chars, bytes) = text.lengths();
        self.chars += chars;
        self.bytes += bytes;
        self.blank = self.blank && text.is_blank();
        text.write_escaped(self.text);
    }

    /// Words that are not the source's.
    fn literal(&mut self, text: &str) {
        self.chars += text.len() as u64;
        self.bytes += text.len() as u64;
        mashbill_records::value::write_escaped(text, self.text);
    }
}

/// The names of the fields, at the top of a row, that `render` looks at.
pub(crate) fn top_fields(render: &Render) -> Vec<String> {
    let mut paths: Vec<&str> = Vec::new();
    match render {
        Render::Auto => {
            return USUAL.iter().flat_map(|usual| usual.fields.iter().cloned()).collect();
        }
        Render::Text(TextField { field }) => paths.push(field),
        Render::Dialogue(dialogue) => {
            paths.push(&dialogue.turns);
            paths.extend(dialogue.system.as_deref());
        }
        Render::Exchange(exchange) => {
            paths.extend(exchange.user.iter().map(String::as_str));
            paths.push(&exchange.assistant);
            paths.extend(exchange.system.as_deref());
        }
        Render::Question(question) => {
            paths.extend([question.question.as_str(), &question.answer]);
            paths.extend(question.context.as_deref());
        }
    }
    paths.iter().map(|path| first_name(path).to_owned()).collect()
}

/// The field at the top of a row that a path goes through.
pub(crate) fn first_name(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// A rendering's name in the catalogue.
pub(crate) const fn name(render: &Render) -> &'static str {
    match render {
        Render::Auto => "auto",
        Render::Text(_) => "text",
        Render::Dialogue(_) => "dialogue",
        Render::Exchange(_) => "exchange",
        Render::Question(_) => "question",
    }
}

/// The usual columns, in the order in which they are looked for.
static USUAL: LazyLock<Vec<Usual>> = LazyLock::new(|| {
    let dialogue = |turns: &str, role: &str, content: &str| {
        let [turns, role, content] = [turns, role, content].map(str::to_owned);
        Render::Dialogue(Dialogue { turns, role, content, system: Some("system".into()) })
    };
    let exchange = |user: &[&str], assistant: &str| {
        let user = user.iter().map(|&name| name.to_owned()).collect();
        Render::Exchange(Exchange {
            user,
            assistant: assistant.into(),
            assistant_is_json: false,
            system: Some("system".into()),
        })
    };
    let question = |answer: &str| {
        Render::Question(Question {
            question: "question".into(),
            answer: answer.into(),
            context: None,
            no_answer: None,
            rewrite: Vec::new(),
        })
    };
    let text = |field: &str| Render::Text(TextField { field: field.into() });
    let renders = vec![
        dialogue("messages", "role", "content"),
        dialogue("conversations", "from", "value"),
        text("text"),
        exchange(&["prompt"], "response"),
        exchange(&["prompt"], "completion"),
        exchange(&["instruction", "input"], "output"),
        exchange(&["instruction", "input"], "response"),
        question("answer"),
        question("answers.text"),
        question("answers"),
        exchange(&["problem"], "solution"),
        exchange(&["query"], "response"),
        text("content"),
    ];
    renders.into_iter().map(|render| Usual { fields: top_fields(&render), render }).collect()
});

/// The fields without which a usual rendering does not apply.
fn required(render: &Render) -> Vec<&str> {
    match render {
        Render::Auto => Vec::new(),
        Render::Text(TextField { field }) => vec![field],
        Render::Dialogue(dialogue) => vec![&dialogue.turns],
        Render::Exchange(exchange) => vec![&exchange.user[0], &exchange.assistant],
        Render::Question(question) => vec![&question.question, &question.answer],
    }
}

fn is_there(row: &Value<'_>, path: &str) -> bool {
    row.at(path).is_some_and(|value| *value != Value::Null)
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
    Tool,
}

impl Role {
    fn of(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "system" | "developer" => Self::System,
            "user" | "human" | "prompter" => Self::User,
            "assistant" | "gpt" | "chatgpt" | "bing" | "bard" | "model" | "bot" => Self::Assistant,
            "tool" | "function" | "observation" | "environment" | "ipython" => Self::Tool,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::System => "System: ",
            Self::User => "User: ",
            Self::Assistant => "Assistant: ",
            Self::Tool => "Tool: ",
        }
    }
}

/// The text of a value, or the first one in a list that is not blank.
fn first_text<'a>(value: &Value<'a>) -> Option<Text<'a>> {
    match value {
        Value::List(items) => items.iter().find_map(first_text),
        other => other.text().filter(|text| !text.is_blank()),
    }
}

/// All text of a value; what stands in an inner list belongs together.
fn paragraphs(value: &Value<'_>, between: &str) -> String {
    match value {
        Value::List(items) => items.iter().map(|item| paragraphs(item, "")).collect::<Vec<_>>().join(between),
        other => other.text().map(|text| text.plain().into_owned()).unwrap_or_default(),
    }
}

fn rewritten<'a>(answer: &Text<'a>, rewrites: &[Rewrite]) -> Text<'a> {
    if rewrites.is_empty() {
        return answer.clone();
    }
    let mut text = answer.plain().into_owned();
    for rewrite in rewrites {
        text = match rewrite {
            Rewrite::StripCalculatorMarks => without_marks(&text),
            Rewrite::FinalAnswer => {
                let line = |line: &str| match line.strip_prefix("####") {
                    Some(answer) => format!("The answer is {}", answer.trim()),
                    None => line.to_owned(),
                };
                text.lines().map(line).collect::<Vec<_>>().join("\n")
            }
        };
    }
    Text::Plain(Cow::Owned(text))
}

/// A text without what stands in double angle brackets.
fn without_marks(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, mark)) = rest.split_once("<<") {
        let Some((_, after)) = mark.split_once(">>") else { break };
        clean.push_str(before);
        rest = after;
    }
    clean + rest
}

fn text_at<'a>(row: &Value<'a>, path: &str) -> Result<Text<'a>> {
    let value = row.at(path).ok_or_else(|| missing(path, row))?;
    value.text().ok_or_else(|| wrong(path, &value, "a string"))
}

fn missing(path: &str, row: &Value<'_>) -> RefusedRow {
    RefusedRow::new("no_field", format!("no `{path}` among {}", names(row)))
}

fn wrong(path: &str, found: &Value<'_>, expected: &str) -> RefusedRow {
    RefusedRow::new("wrong_type", format!("`{path}` is {}, not {expected}", found.kind()))
}

fn no_answer(path: &str) -> RefusedRow {
    RefusedRow::new("no_answer", format!("`{path}` holds none"))
}

/// The names of a row's fields, as far as they were kept.
fn names(row: &Value<'_>) -> String {
    let Value::Map(fields) = row else { return row.kind().to_owned() };
    if fields.is_empty() {
        return "no field that is looked for".into();
    }
    fields.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
