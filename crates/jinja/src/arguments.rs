//! What a function, a filter or a test is given.

use crate::error::{Error, Result};
use crate::value::TemplateValue;

/// The values of a call's arguments.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallArguments<'a> {
    pub(crate) positional: Vec<TemplateValue<'a>>,
    pub(crate) named: Vec<(&'a str, TemplateValue<'a>)>,
}

/// A filter or a test by its name, with what it is given beside a value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied<'a> {
    pub(crate) name: &'a str,
    pub(crate) positional: &'a [TemplateValue<'a>],
    pub(crate) named: &'a [(&'a str, TemplateValue<'a>)],
}

impl<'a> Applied<'a> {
    pub(crate) fn arguments(self) -> CallArguments<'a> {
        CallArguments { positional: self.positional.to_vec(), named: self.named.to_vec() }
    }
}

impl<'a> CallArguments<'a> {
    /// How many bytes of text there are in the values: who is given them may look at all of them.
    pub(crate) fn text_bytes(&self) -> usize {
        let named = self.named.iter().map(|(_, value)| value);
        self.positional.iter().chain(named).map(|value| value.text_bytes()).sum()
    }

    /// How much there is to look at for who looks for a name.
    pub(crate) fn name_bytes(&self) -> usize {
        self.named.iter().map(|(name, _)| 8 + name.len()).sum()
    }

    /// The arguments by the names of a function's parameters, of which the first `needed` have no default.
    ///
    /// # Errors
    /// One is missing, given twice, or there is no such parameter.
    pub(crate) fn bind<const N: usize>(
        &self,
        function: &str,
        names: [&str; N],
        needed: usize,
    ) -> Result<[Option<TemplateValue<'a>>; N]> {
        if self.positional.len() > N {
            let given = self.positional.len();
            return Err(Error::operation(format!("`{function}` takes {N} arguments, and {given} are given")));
        }
        let mut bound = [None; N];
        for (slot, value) in bound.iter_mut().zip(&self.positional) {
            *slot = Some(*value);
        }
        for (name, value) in &self.named {
            let Some(at) = names.iter().position(|other| other == name && !other.is_empty()) else {
                return Err(Error::operation(format!("`{function}` has no argument `{name}`")));
            };
            if bound[at].replace(*value).is_some() {
                return Err(Error::operation(format!(
                    "the argument `{name}` of `{function}` is given twice"
                )));
            }
        }
        match bound.iter().take(needed).position(Option::is_none) {
            Some(at) => Err(Error::operation(format!("`{function}` needs {needed} arguments, and has {at}"))),
            None => Ok(bound),
        }
    }

    /// Checks that no argument is named: functions of Python that take none.
    pub(crate) fn no_named(&self, function: &str) -> Result<()> {
        match self.named.first() {
            Some((name, _)) => Err(Error::operation(format!("`{function}` has no argument `{name}`"))),
            None => Ok(()),
        }
    }
}

/// An integer where one is needed: a truth value is one, too.
pub(crate) fn int(value: TemplateValue<'_>) -> Result<i64> {
    match value {
        TemplateValue::Int(value) => Ok(value),
        TemplateValue::Bool(value) => Ok(value.into()),
        TemplateValue::BigInt(_) => Err(Error::unsupported("an integer beyond 2^63 as an argument")),
        TemplateValue::Undefined(name) => Err(TemplateValue::undefined_error(name)),
        _ => Err(Error::operation(format!("{} is given where an integer is needed", value.type_name()))),
    }
}

/// A string where one is needed.
pub(crate) fn text<'a>(value: TemplateValue<'a>) -> Result<crate::text::MarkedText<'a>> {
    match value {
        TemplateValue::Text(text) => Ok(text),
        TemplateValue::Safe(_) => Err(TemplateValue::safe_error()),
        TemplateValue::Undefined(name) => Err(TemplateValue::undefined_error(name)),
        _ => Err(Error::operation(format!("{} is given where a string is needed", value.type_name()))),
    }
}
