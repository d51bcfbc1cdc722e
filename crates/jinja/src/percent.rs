//! `format % values`.

use crate::access::characters;
use crate::error::{Error, Result};
use crate::format::DIGITS_MAX;
use crate::machine::Machine;
use crate::text::{MarkedText, TextBuilder};
use crate::value::{Object, TemplateValue};

/// What stands between `%` and the letter that says what a value becomes.
#[derive(Default)]
struct Conversion<'t> {
    key: Option<&'t str>,
    left: bool,
    zeros: bool,
    plus: bool,
    blank: bool,
    width: usize,
    precision: Option<usize>,
    letter: char,
}

/// The text of `format % values`.
pub(crate) fn format<'a>(
    machine: &Machine<'a>,
    format: MarkedText<'a>,
    values: TemplateValue<'a>,
) -> Result<MarkedText<'a>> {
    let string = format.as_str();
    machine.spend_bytes(string.len())?;
    let one = [values];
    let positional: &[TemplateValue<'a>] =
        if let TemplateValue::Tuple(values) = values { values } else { &one };
    let is_mapping = matches!(
        values,
        TemplateValue::Dict(_)
            | TemplateValue::List(_)
            | TemplateValue::Undefined(_)
            | TemplateValue::Object(Object::Range(_))
    );
    let mut next = positional.iter();
    let mut out = TextBuilder::default();
    let mut at = 0;
    while let Some(percent) = string[at..].find('%').map(|found| at + found) {
        out.push(machine.cut(format, at, percent)?);
        let (conversion, length) = read(&string[percent + 1..])?;
        at = percent + 1 + length;
        if conversion.letter == '%' {
            if length > 1 {
                return Err(Error::operation("a format with something between `%` and `%`"));
            }
            out.push_str("%");
            continue;
        }
        let value = match (conversion.key, values) {
            (None, _) => next.next().copied(),
            (Some(key), TemplateValue::Dict(dict)) => dict.get_str(key),
            (Some(_), _) => return Err(Error::operation("a format with names, and values without")),
        };
        let value = value.ok_or_else(|| Error::operation("a format with too few values"))?;
        let text = converted(machine, value, &conversion)?;
        pad(machine, text, &conversion, &mut out)?;
    }
    out.push(machine.cut(format, at, string.len())?);
    if next.next().is_some() && !is_mapping {
        return Err(Error::operation("a format with too many values"));
    }
    machine.finish(&mut out)
}

/// The conversion that `text` begins with, and its length.
fn read(text: &str) -> Result<(Conversion<'_>, usize)> {
    let mut conversion = Conversion::default();
    let incomplete = || Error::operation("an incomplete format");
    let mut rest = text;
    if let Some(after) = rest.strip_prefix('(') {
        let end = after.find(')').ok_or_else(incomplete)?;
        if after[..end].contains('(') {
            return Err(Error::unsupported("brackets within a name of a format"));
        }
        conversion.key = Some(&after[..end]);
        rest = &after[end + 1..];
    }
    loop {
        match rest.chars().next().ok_or_else(incomplete)? {
            '-' => conversion.left = true,
            '0' => conversion.zeros = true,
            '+' => conversion.plus = true,
            ' ' => conversion.blank = true,
            '#' | '*' => return Err(Error::unsupported("a format with `#` or `*`")),
            _ => break,
        }
        rest = &rest[1..];
    }
    (conversion.width, rest) = digits(rest)?;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after)?;
        (conversion.precision, rest) = (Some(precision), after);
    }
    conversion.letter = rest.chars().next().ok_or_else(incomplete)?;
    let length = text.len() - rest.len() + conversion.letter.len_utf8();
    Ok((conversion, length))
}

fn digits(text: &str) -> Result<(usize, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Ok((0, text));
    }
    let value = text[..end].parse().map_err(|_| Error::unsupported("a format with a number beyond 2^64"))?;
    Ok((value, &text[end..]))
}

fn converted<'a>(
    machine: &Machine<'a>,
    value: TemplateValue<'a>,
    conversion: &Conversion<'_>,
) -> Result<MarkedText<'a>> {
    match conversion.letter {
        's' | 'r' => {
            let mut out = TextBuilder::default();
            if conversion.letter == 's' {
                machine.show(value, &mut out)?;
            } else {
                machine.repr(value, &mut out)?;
            }
            let text = machine.finish(&mut out)?;
            let shown = conversion.precision.map_or(usize::MAX, |most| most).min(characters(text));
            machine.characters(text, 0, shown)
        }
        'd' | 'i' | 'u' if conversion.precision.is_none() => {
            let number = match value {
                TemplateValue::Bool(value) => i64::from(value),
                TemplateValue::Int(value) => value,
                #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
                TemplateValue::Float(value) if value.trunc().abs() < 9e18 => value.trunc() as i64,
                _ => return Err(Error::operation(format!("`%d` of {}", value.type_name()))),
            };
            signed(machine, &number.unsigned_abs().to_string(), number < 0, conversion)
        }
        'f' | 'F' => {
            #[expect(clippy::cast_precision_loss, reason = "Python makes it a float, too")]
            let number = match value {
                TemplateValue::Bool(value) => f64::from(u8::from(value)),
                TemplateValue::Int(value) => value as f64,
                TemplateValue::Float(value) if value.is_finite() => value,
                _ => return Err(Error::operation(format!("`%f` of {}", value.type_name()))),
            };
            let precision = conversion.precision.unwrap_or(6);
            if precision > DIGITS_MAX {
                return Err(Error::unsupported(format!("`%f` with more than {DIGITS_MAX} digits")));
            }
            let digits = format!("{:.precision$}", number.abs());
            signed(machine, &digits, number.is_sign_negative(), conversion)
        }
        letter => Err(Error::unsupported(format!("the format `%{}`", letter.escape_debug()))),
    }
}

fn signed<'a>(
    machine: &Machine<'a>,
    digits: &str,
    is_negative: bool,
    conversion: &Conversion<'_>,
) -> Result<MarkedText<'a>> {
    let sign = match (is_negative, conversion.plus, conversion.blank) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    let width = if conversion.zeros && !conversion.left { conversion.width } else { 0 };
    let zeros = width.saturating_sub(sign.len() + digits.len());
    let text = |text: &str| machine.alloc_str(text).map(MarkedText::new);
    machine.joined(&[text(sign)?, machine.repeated(MarkedText::new("0"), zeros)?, text(digits)?])
}

fn pad(
    machine: &Machine<'_>,
    text: MarkedText<'_>,
    conversion: &Conversion<'_>,
    out: &mut TextBuilder,
) -> Result<()> {
    let blanks = conversion.width.saturating_sub(characters(text));
    machine.check_growth(out, text.size().saturating_add(blanks))?;
    let blanks = " ".repeat(blanks);
    if conversion.left {
        out.push(text);
        out.push_str(&blanks);
    } else {
        out.push_str(&blanks);
        out.push(text);
    }
    Ok(())
}
