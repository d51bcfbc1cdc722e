//! Tools, their calls, documents, and arguments of the template.

use std::borrow::Cow;

use super::{Reader, Result, bad, check_names, one_of, there};
use crate::record::{Reason, Refusal};
use crate::value::Value;

/// The field with arguments of the template.
const TEMPLATE_ARGS: &str = "chat_template_kwargs";

/// Names that no argument of a template may have: what it is given besides, and what says how it is used.
pub const RESERVED_ARGS: [&str; 6] =
    ["messages", "tools", "documents", "chat_template", "add_generation_prompt", "continue_final_message"];

impl Reader {
    /// The calls of a message, each `{"type": "function", "function": {"name", "arguments"}}` with what else it has.
    pub(super) fn calls<'a>(&mut self, value: &Value<'a>) -> Result<Vec<Value<'a>>> {
        let parsed = self.parsed("tool_calls", value)?;
        let Value::List(calls) = parsed.as_ref().unwrap_or(value) else {
            return Err(bad("tool_calls", value, "a list"));
        };
        calls.iter().map(|call| self.call(call)).collect()
    }

    pub(super) fn call<'a>(&mut self, call: &Value<'a>) -> Result<Value<'a>> {
        let Value::Map(fields) = call else { return Err(bad("tool_calls", call, "a list of objects")) };
        check_names(call)?;
        if let Some(function) = there(call, "function") {
            if !matches!(function, Value::Map(_)) {
                let detail = format!("the `function` of a call is {}, not an object", function.kind());
                return Err(Refusal::new(Reason::BadTools, detail));
            }
            let fields = self.not_null(fields);
            let fields = fields.map(|(name, value)| match (&**name, value) {
                ("function", Value::Map(function)) => {
                    Ok((name.clone(), Value::Map(self.function(function)?)))
                }
                _ => Ok((name.clone(), value.clone())),
            });
            return Ok(Value::Map(fields.collect::<Result<_>>()?));
        }
        self.changes.calls_wrapped += 1;
        let (function, mut outer): (Vec<_>, Vec<_>) = self
            .not_null(fields)
            .cloned()
            .partition(|(name, _)| matches!(&**name, "name" | "arguments" | "parameters"));
        if !outer.iter().any(|(name, _)| name == "type") {
            let kind = crate::value::Text::Plain(Cow::Borrowed("function"));
            outer.push((Cow::Borrowed("type"), Value::Text(kind)));
        }
        let has_arguments = function.iter().any(|(name, _)| name == "arguments");
        let function: Vec<_> = function
            .into_iter()
            .map(|(name, value)| match &*name {
                "parameters" if !has_arguments => (Cow::Borrowed("arguments"), value),
                _ => (name, value),
            })
            .collect();
        outer.push((Cow::Borrowed("function"), Value::Map(self.function(&function)?)));
        Ok(Value::Map(outer))
    }

    fn function<'a>(
        &mut self,
        fields: &[(Cow<'a, str>, Value<'a>)],
    ) -> Result<Vec<(Cow<'a, str>, Value<'a>)>> {
        self.not_null(fields)
            .map(|(name, value)| match &**name {
                "arguments" => Ok((name.clone(), self.arguments(value)?)),
                _ => Ok((name.clone(), value.clone())),
            })
            .collect()
    }

    /// The arguments of a call: an object, also as JSON in a string.
    fn arguments<'a>(&mut self, value: &Value<'a>) -> Result<Value<'a>> {
        let text = match value {
            Value::Map(_) => return Ok(self.without_nulls(value)),
            Value::Text(_) if self.options.keep_tool_arguments => return Ok(value.clone()),
            Value::Text(text) if text.is_blank() => {
                self.changes.arguments_parsed += 1;
                return Ok(Value::Map(Vec::new()));
            }
            Value::Text(text) => text,
            _ => return Err(no_object(value)),
        };
        let parsed = self.parsed_text(text).map_err(|invalid| {
            Refusal::new(Reason::BadTools, format!("arguments of a call that are no JSON: {invalid}"))
        })?;
        check_names(&parsed)?;
        if !matches!(parsed, Value::Map(_)) {
            return Err(no_object(&parsed));
        }
        self.changes.arguments_parsed += 1;
        // What is in a string was not padded: its nulls are what was meant.
        Ok(parsed)
    }

    /// The tools of a record.
    pub(super) fn tools<'a>(&mut self, record: &Value<'a>) -> Result<Option<Vec<Value<'a>>>> {
        let Some((field, value)) = one_of(record, ["tools", "functions"])? else { return Ok(None) };
        let bad_tools = |refusal| Refusal { reason: Reason::BadTools, ..refusal };
        let parsed = self.parsed(field, value).map_err(bad_tools)?;
        let Value::List(tools) = parsed.as_ref().unwrap_or(value) else {
            return Err(bad_tools(bad(field, value, "a list of objects")));
        };
        let was_string = parsed.is_some();
        let mut normal = Vec::with_capacity(tools.len());
        for tool in tools {
            let parsed = self.parsed(&format!("an item of {field}"), tool).map_err(bad_tools)?;
            let was_string = was_string || parsed.is_some();
            let tool = parsed.as_ref().unwrap_or(tool);
            if !matches!(tool, Value::Map(_)) {
                return Err(bad_tools(bad(field, tool, "a list of objects")));
            }
            check_names(tool)?;
            normal.push(if was_string { tool.clone() } else { self.without_nulls(tool) });
        }
        Ok(Some(normal))
    }

    pub(super) fn documents<'a>(&mut self, record: &Value<'a>) -> Result<Option<Vec<Value<'a>>>> {
        let Some(value) = there(record, "documents") else { return Ok(None) };
        if matches!(value, Value::Text(text) if text.is_blank()) {
            return Ok(None);
        }
        let parsed = self.parsed("documents", value)?;
        let Value::List(documents) = parsed.as_ref().unwrap_or(value) else {
            return Err(bad("documents", value, "a list of objects"));
        };
        if let Some(other) = documents.iter().find(|document| !matches!(document, Value::Map(_))) {
            return Err(bad("documents", other, "a list of objects"));
        }
        documents.iter().try_for_each(check_names)?;
        let drop_nulls = self.options.drop_nulls && parsed.is_none();
        let normal = documents.iter().map(|document| match drop_nulls {
            true => self.without_nulls(document),
            false => document.clone(),
        });
        Ok(Some(normal.collect()))
    }

    /// Arguments of the template by name.
    pub(super) fn template_args<'a>(&mut self, record: &Value<'a>) -> Result<Vec<(Cow<'a, str>, Value<'a>)>> {
        let Some(value) = there(record, TEMPLATE_ARGS) else { return Ok(Vec::new()) };
        let parsed = match value {
            Value::Text(text) if text.is_blank() => return Ok(Vec::new()),
            _ => self.parsed(TEMPLATE_ARGS, value)?,
        };
        let value = parsed.as_ref().unwrap_or(value);
        check_names(value)?;
        let args = match if parsed.is_some() { value.clone() } else { self.without_nulls(value) } {
            Value::Map(args) => args,
            other => return Err(bad(TEMPLATE_ARGS, &other, "an object")),
        };
        // With such a name the conversation would be another one, or none.
        if let Some((name, _)) = args.iter().find(|(name, _)| RESERVED_ARGS.contains(&&**name)) {
            let detail = format!("`{TEMPLATE_ARGS}` has `{name}`, which is no argument of a template");
            return Err(Refusal::new(Reason::BadConversation, detail));
        }
        Ok(args)
    }

    /// The fields that are not null; the others are counted.
    fn not_null<'f, 'a>(
        &mut self,
        fields: &'f [(Cow<'a, str>, Value<'a>)],
    ) -> impl Iterator<Item = &'f (Cow<'a, str>, Value<'a>)> + use<'f, 'a> {
        let is_null = |(_, value): &&(Cow<'a, str>, Value<'a>)| *value == Value::Null;
        self.changes.nulls_dropped += fields.iter().filter(is_null).count() as u64;
        fields.iter().filter(|(_, value)| *value != Value::Null)
    }

    /// A value without the nulls in its objects, where that is asked for.
    pub(super) fn without_nulls<'a>(&mut self, value: &Value<'a>) -> Value<'a> {
        if !self.options.drop_nulls {
            return value.clone();
        }
        match value {
            Value::List(items) => Value::List(items.iter().map(|item| self.without_nulls(item)).collect()),
            Value::Map(fields) => {
                let kept: Vec<_> = fields
                    .iter()
                    .filter(|(_, value)| *value != Value::Null)
                    .map(|(name, value)| (name.clone(), self.without_nulls(value)))
                    .collect();
                self.changes.nulls_dropped += (fields.len() - kept.len()) as u64;
                Value::Map(kept)
            }
            _ => value.clone(),
        }
    }
}

fn no_object(arguments: &Value<'_>) -> Refusal {
    Refusal::new(
        Reason::BadTools,
        format!("arguments of a call that are {}, not an object", arguments.kind()),
    )
}
