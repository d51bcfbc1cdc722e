//! A YAML document as a JSON value, of which serde makes what is wanted.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Values in values: deeper is no configuration.
const DEPTH_MAX: usize = 64;

/// The first document of a text; none where it is no YAML. Keys are texts; what an alias stands for is left out.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let events = Parser::new_from_str(text).map_while(Result::ok).map(|(event, _)| event);
    let mut events = events.filter(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(_)));
    let first = events.next()?;
    value(first, &mut events, 0)
}

fn value<'a>(event: Event<'a>, events: &mut dyn Iterator<Item = Event<'a>>, depth: usize) -> Option<Value> {
    match event {
        _ if depth > DEPTH_MAX => None,
        Event::Scalar(text, ScalarStyle::Plain, _, _) => Some(plain(&text)),
        Event::Scalar(text, ..) => Some(Value::String(text.into_owned())),
        Event::Alias(_) => Some(Value::Null),
        Event::SequenceStart(..) => {
            let mut list = Vec::new();
            loop {
                match events.next()? {
                    Event::SequenceEnd => return Some(Value::Array(list)),
                    event => list.push(value(event, events, depth + 1)?),
                }
            }
        }
        Event::MappingStart(..) => {
            let mut map = Map::new();
            loop {
                let key = match events.next()? {
                    Event::MappingEnd => return Some(Value::Object(map)),
                    Event::Scalar(text, ..) => text.into_owned(),
                    _ => return None,
                };
                let event = events.next()?;
                map.insert(key, value(event, events, depth + 1)?);
            }
        }
        _ => None,
    }
}

/// A scalar without quotes, by the core schema of YAML 1.2.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let looks_like_a_number = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    let number = looks_like_a_number.then(|| {
        let whole = text.parse::<i64>().map(Value::from);
        whole.or_else(|_| text.parse::<f64>().map(Value::from))
    });
    number.and_then(Result::ok).unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_python_writes_is_read() {
        let text = "train_data_path: data/tokenized\nsteps: null\nuse: true\nrate: 1.0e-05\nname: '7'\nbetas:\n- 0.9\n\
                    - 0.95\nmix:\n- weights:\n    a: 1\n    b-c: 0.5\n  from_step: 0\nempty: {}\n";
        let expected = json!({
            "train_data_path": "data/tokenized", "steps": null, "use": true, "rate": 1e-5, "name": "7",
            "betas": [0.9, 0.95], "mix": [{"weights": {"a": 1, "b-c": 0.5}, "from_step": 0}], "empty": {},
        });
        assert_eq!(parse(text), Some(expected));
    }

    #[test]
    fn what_is_no_yaml_is_none() {
        assert_eq!(parse("a: [1, 2"), None);
        assert_eq!(parse(""), None);
        assert_eq!(parse(&"[".repeat(1000)), None);
    }
}
