//! `str.format`.

use crate::access::characters;
use crate::arguments::CallArguments;
use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::padding::End;
use crate::text::{MarkedText, TextBuilder};
use crate::value::TemplateValue;

/// How many digits behind its point a number may be asked for.
pub(crate) const DIGITS_MAX: usize = 400;

/// How fields without a number count.
enum Numbering {
    Unknown,
    Automatic(usize),
    Manual,
}

/// The text of `format.format(…)`.
pub(crate) fn format<'a>(
    machine: &Machine<'a>,
    format: MarkedText<'a>,
    arguments: &CallArguments<'a>,
) -> Result<MarkedText<'a>> {
    let string = format.as_str();
    let mut out = TextBuilder::default();
    let mut numbering = Numbering::Unknown;
    let mut at = 0;
    while let Some(brace) = string[at..].find(['{', '}']).map(|found| at + found) {
        out.push(machine.cut(format, at, brace)?);
        let spelled = &string[brace..=brace];
        if string[brace + 1..].starts_with(spelled) {
            out.push(machine.cut(format, brace, brace + 1)?);
            at = brace + 2;
            continue;
        }
        let end = string[brace..].find('}').filter(|_| spelled == "{");
        let Some(end) = end.map(|found| brace + found) else {
            return Err(Error::operation("a single brace in a format"));
        };
        let field = &string[brace + 1..end];
        if field.contains('{') {
            return Err(Error::unsupported("a field of a format in another"));
        }
        out.push(field_text(machine, field, arguments, &mut numbering)?);
        machine.check_growth(&out, 0)?;
        at = end + 1;
    }
    out.push(machine.cut(format, at, string.len())?);
    machine.finish(&mut out)
}

fn field_text<'a>(
    machine: &Machine<'a>,
    field: &'a str,
    arguments: &CallArguments<'a>,
    numbering: &mut Numbering,
) -> Result<MarkedText<'a>> {
    let (field, spec) = field.split_once(':').unwrap_or((field, ""));
    let (name, conversion) =
        field.split_once('!').map_or((field, None), |(name, letter)| (name, Some(letter)));
    let end = name.find(['.', '[']).unwrap_or(name.len());
    if end == 0 && !name.is_empty() {
        return Err(Error::operation("a field of a format with a part of no value"));
    }
    let mut value = first(&name[..end], arguments, numbering)?;
    let mut rest = &name[end..];
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            value = machine.attribute(value, &after[..end])?;
            rest = &after[end..];
            continue;
        }
        let inside = rest.strip_prefix('[').and_then(|after| Some((after, after.find(']')?)));
        let (after, end) =
            inside.ok_or_else(|| Error::operation("a field of a format with a broken index"))?;
        let index = &after[..end];
        let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        let number = index.parse().ok().filter(|_| is_number);
        value = machine.item(value, number.map_or(TemplateValue::text(index), TemplateValue::Int))?;
        rest = &after[end + 1..];
    }
    let value = match conversion {
        None => value,
        Some("s") => TemplateValue::Text(machine.string(value)?),
        Some("r") => {
            let mut out = TextBuilder::default();
            machine.repr(value, &mut out)?;
            TemplateValue::Text(machine.finish(&mut out)?)
        }
        Some(other) => return Err(Error::unsupported(format!("the conversion `!{}`", other.escape_debug()))),
    };
    specified(machine, value, spec)
}

/// The argument that a field names or counts.
fn first<'a>(
    name: &'a str,
    arguments: &CallArguments<'a>,
    numbering: &mut Numbering,
) -> Result<TemplateValue<'a>> {
    let mixed = || Err(Error::operation("a format with numbered and unnumbered fields"));
    let missing = || Error::operation(format!("a format without the value `{}`", name.escape_debug()));
    let number = if name.is_empty() {
        let number = match numbering {
            Numbering::Manual => return mixed(),
            Numbering::Unknown => 0,
            Numbering::Automatic(next) => *next,
        };
        *numbering = Numbering::Automatic(number + 1);
        number
    } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
        if matches!(numbering, Numbering::Automatic(_)) {
            return mixed();
        }
        *numbering = Numbering::Manual;
        name.parse().map_err(|_| missing())?
    } else {
        let found = arguments.named.iter().find(|(other, _)| *other == name);
        return found.map(|(_, value)| *value).ok_or_else(missing);
    };
    arguments.positional.get(number).copied().ok_or_else(missing)
}

/// A value by a format's specification: alignment, width, and digits behind the point.
fn specified<'a>(machine: &Machine<'a>, value: TemplateValue<'a>, spec: &'a str) -> Result<MarkedText<'a>> {
    if spec.is_empty() {
        return machine.string(value);
    }
    let unsupported = || Error::unsupported(format!("the format `{}`", spec.escape_debug()));
    let align = |c: char| match c {
        '<' => Some(End::Right),
        '>' => Some(End::Left),
        '^' => Some(End::Both),
        _ => None,
    };
    let mut chars = spec.chars();
    let (first, second) = (chars.next(), chars.next());
    let (fill, end, rest) = match (first, first.and_then(align), second.and_then(align)) {
        (Some(fill), _, Some(end)) => (fill, Some(end), &spec[fill.len_utf8() + 1..]),
        (_, Some(end), None) => (' ', Some(end), &spec[1..]),
        _ => (' ', None, spec),
    };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    if rest.starts_with('0') {
        return Err(unsupported());
    }
    let width: i64 = if digits == 0 { 0 } else { rest[..digits].parse().map_err(|_| unsupported())? };
    let (text, default) = match (value, &rest[digits..]) {
        (TemplateValue::Text(text), "" | "s") => (text, End::Right),
        (TemplateValue::Int(_) | TemplateValue::BigInt(_), "" | "d") => (machine.string(value)?, End::Left),
        (TemplateValue::Int(_) | TemplateValue::Float(_), precision) => {
            let places = precision.strip_prefix('.').and_then(|rest| rest.strip_suffix('f'));
            let places: usize = places
                .and_then(|places| places.parse().ok())
                .filter(|places| *places <= DIGITS_MAX)
                .ok_or_else(unsupported)?;
            #[expect(clippy::cast_precision_loss, reason = "Python makes it a float, too")]
            let number = match value {
                TemplateValue::Int(value) => value as f64,
                TemplateValue::Float(value) if value.is_finite() => value,
                _ => return Err(unsupported()),
            };
            (MarkedText::new(machine.alloc_str(&format!("{number:.places$}"))?), End::Left)
        }
        _ => return Err(unsupported()),
    };
    let mut buffer = [0; 4];
    let fill = machine.alloc_str(fill.encode_utf8(&mut buffer))?;
    centered_as_format_does(machine, text, width, MarkedText::new(fill), end.unwrap_or(default))
}

/// `format` gives the odd one of what fills up to the right, other than `center`.
fn centered_as_format_does<'a>(
    machine: &Machine<'a>,
    text: MarkedText<'a>,
    width: i64,
    fill: MarkedText<'a>,
    end: End,
) -> Result<MarkedText<'a>> {
    if end != End::Both {
        return machine.padded(text, width, fill, end);
    }
    let length = characters(text) as i64;
    let left = (width - length).max(0) / 2;
    let text = machine.padded(text, length + left, fill, End::Left)?;
    machine.padded(text, width, fill, End::Right)
}
