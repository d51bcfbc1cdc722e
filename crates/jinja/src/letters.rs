//! Upper, lower and title case, as Python maps them.

use crate::error::{Error, Result};
use crate::machine::Machine;
use crate::text::{MarkedText, OriginMark, TextBuilder};
use crate::unicode::is_white_space;
use crate::value::TemplateValue;

/// A text with `map` for each character.
pub(crate) fn mapped<'a>(
    machine: &Machine<'a>,
    text: MarkedText<'a>,
    mut map: impl FnMut(char, &mut TextBuilder, OriginMark),
) -> Result<MarkedText<'a>> {
    machine.check_room(text.size())?;
    let mut out = TextBuilder::default();
    text.chars().for_each(|(character, mark)| map(character, &mut out, mark));
    machine.finish(&mut out)
}

/// Whether a text has characters, all of which are of a class that is known here for ASCII.
pub(crate) fn all_ascii<'a>(
    text: MarkedText<'a>,
    name: &str,
    is: fn(char) -> bool,
) -> Result<TemplateValue<'a>> {
    let text = text.as_str();
    if !text.is_ascii() {
        return Err(Error::unsupported(format!("`{name}` of characters that are no ASCII")));
    }
    Ok(TemplateValue::Bool(!text.is_empty() && text.chars().all(is)))
}

/// Letters whose title case is not their upper case alone.
fn check_title(character: char) -> Result<()> {
    let is_special = matches!(character, 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | '\u{10D0}'..='\u{10FF}')
        || (!character.is_ascii() && character.to_uppercase().len() > 1);
    if is_special {
        return Err(Error::unsupported(format!("the title case of {character:?}")));
    }
    Ok(())
}

/// Letters that are a capital and a small one at once.
const fn is_title_case(character: char) -> bool {
    matches!(character, 'ǅ' | 'ǈ' | 'ǋ' | 'ǲ' | 'ᾈ'..='ᾏ' | 'ᾘ'..='ᾟ' | 'ᾨ'..='ᾯ' | 'ᾼ' | 'ῌ' | 'ῼ')
}

fn is_cased(character: char) -> bool {
    character.is_lowercase() || character.is_uppercase() || is_title_case(character)
}

/// `str.capitalize`.
pub(crate) fn capitalized<'a>(machine: &Machine<'a>, text: MarkedText<'a>) -> Result<MarkedText<'a>> {
    let Some(first) = text.as_str().chars().next() else { return Ok(text) };
    check_title(first)?;
    first_upper(machine, text, first)
}

/// The first letter in upper case, the others in lower case.
fn first_upper<'a>(machine: &Machine<'a>, text: MarkedText<'a>, first: char) -> Result<MarkedText<'a>> {
    let cut = first.len_utf8();
    let rest = machine.cut(text, cut, text.as_str().len())?;
    // Whether a sigma ends a word depends on what is before it.
    if rest.as_str().contains('Σ') {
        return Err(Error::unsupported("the case of a sigma behind a first letter"));
    }
    machine.joined(&[machine.upper(machine.cut(text, 0, cut)?)?, machine.lower(rest)?])
}

/// `str.title`.
pub(crate) fn title<'a>(machine: &Machine<'a>, text: MarkedText<'a>) -> Result<MarkedText<'a>> {
    let mut out = TextBuilder::default();
    let mut was_cased = false;
    for (character, mark) in text.chars() {
        check_title(character)?;
        if character == 'Σ' {
            return Err(Error::unsupported("the title case of a sigma"));
        }
        if was_cased {
            character.to_lowercase().for_each(|c| out.push_char(c, mark));
        } else {
            character.to_uppercase().for_each(|c| out.push_char(c, mark));
        }
        was_cased = is_cased(character);
    }
    machine.finish(&mut out)
}

/// The filter `title`: words begin behind white space, `-`, and brackets that open.
pub(crate) fn title_filter<'a>(machine: &Machine<'a>, text: MarkedText<'a>) -> Result<MarkedText<'a>> {
    let parts = |c: char| is_white_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
    let string = text.as_str();
    let mut words = Vec::new();
    let mut start = 0;
    while start < string.len() {
        let is_word = !string[start..].starts_with(parts);
        let end = string[start..].find(|c| parts(c) == is_word).map_or(string.len(), |at| start + at);
        let word = machine.cut(text, start, end)?;
        let first = string[start..].chars().next().unwrap_or_default();
        machine.spend(4)?;
        machine.push_to(&mut words, first_upper(machine, word, first)?)?;
        start = end;
    }
    machine.joined(&words)
}

/// `str.swapcase`.
pub(crate) fn swapped<'a>(machine: &Machine<'a>, text: MarkedText<'a>) -> Result<MarkedText<'a>> {
    let lowered = text.as_str().to_lowercase();
    let mut rest = lowered.chars();
    mapped(machine, text, |c, out, mark| {
        // What a sigma becomes depends on what is beside it, so it is taken from the whole text's lower case.
        let lower = c.to_lowercase().zip(rest.by_ref()).map(|(_, c)| c);
        if c.is_uppercase() {
            lower.for_each(|c| out.push_char(c, mark));
        } else {
            lower.for_each(drop);
            if is_title_case(c) {
                out.push_char(c, mark);
            } else {
                c.to_uppercase().for_each(|c| out.push_char(c, mark));
            }
        }
    })
}

/// `str.casefold`.
pub(crate) fn folded<'a>(machine: &Machine<'a>, text: MarkedText<'a>) -> Result<MarkedText<'a>> {
    if !text.as_str().is_ascii() {
        return Err(Error::unsupported("`casefold` of characters that are no ASCII"));
    }
    machine.lower(text)
}

/// `str.islower`.
pub(crate) fn is_lower(text: &str) -> bool {
    text.chars().any(char::is_lowercase) && !text.chars().any(|c| c.is_uppercase() || is_title_case(c))
}

/// `str.isupper`.
pub(crate) fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && !text.chars().any(|c| c.is_lowercase() || is_title_case(c))
}

/// `str.istitle`.
pub(crate) fn is_title(text: &str) -> bool {
    let (mut was_cased, mut any) = (false, false);
    for character in text.chars() {
        let begins = character.is_uppercase() || is_title_case(character);
        if begins && was_cased || character.is_lowercase() && !was_cased {
            return false;
        }
        was_cased = is_cased(character);
        any |= was_cased;
    }
    any
}
