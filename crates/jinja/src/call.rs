//! Calls: of macros, and of the functions that every template has.

use crate::arguments::{CallArguments, int};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Frame;
use crate::machine::{Machine, check_attribute};
use crate::syntax::Macro;
use crate::text::MarkedText;
use crate::value::{Function, Namespace, Object, Range, TemplateValue};

/// The longest range, as in Jinja's sandbox.
const RANGE_MAX: i64 = 100_000;

/// The names of the functions that every template has.
const FUNCTIONS: [(&str, Function); 8] = [
    ("lipsum", Function::Lipsum),
    ("range", Function::Range),
    ("dict", Function::Dict),
    ("namespace", Function::Namespace),
    ("cycler", Function::Cycler),
    ("joiner", Function::Joiner),
    ("raise_exception", Function::RaiseException),
    ("strftime_now", Function::StrftimeNow),
];

impl<'a> Machine<'a> {
    /// What a name means that no scope knows.
    pub(crate) fn global(&self, name: &str) -> Option<TemplateValue<'a>> {
        let given = self.globals.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        given.or_else(|| {
            let function = FUNCTIONS.iter().find(|(other, _)| *other == name);
            function.map(|(_, function)| TemplateValue::Object(Object::Function(*function)))
        })
    }

    /// Calls a value.
    pub(crate) fn call(
        &self,
        function: TemplateValue<'a>,
        arguments: CallArguments<'a>,
    ) -> Result<TemplateValue<'a>> {
        match function {
            TemplateValue::Undefined(name) => Err(TemplateValue::undefined_error(name)),
            TemplateValue::Object(Object::Macro(called, frame)) => {
                self.deeper(|| self.call_macro(called, frame, arguments)).map(TemplateValue::Text)
            }
            TemplateValue::Object(Object::Method(receiver, name)) => {
                self.call_method(*receiver, name, &arguments)
            }
            TemplateValue::Object(Object::Function(function)) => self.call_function(function, &arguments),
            TemplateValue::Object(Object::Loop(state)) => {
                if !state.looping.is_recursive {
                    return Err(Error::operation("`loop` is called, and its loop is not recursive"));
                }
                let [iterated] = arguments.bind("loop", ["iterable"], 1)?;
                let iterated = iterated.unwrap_or(TemplateValue::None);
                self.recurse(state.looping, state.frame, iterated, state.depth + 1).map(TemplateValue::Text)
            }
            TemplateValue::Object(Object::Joiner(separator, used)) => {
                let [] = arguments.bind("joiner", [], 0)?;
                Ok(TemplateValue::Text(if used.replace(true) { separator } else { MarkedText::new("") }))
            }
            _ => Err(Error::operation(format!("{} is called, and is no function", function.type_name()))),
        }
    }

    /// What a macro prints.
    fn call_macro(
        &self,
        called: &'a Macro,
        around: &'a Frame<'a>,
        arguments: CallArguments<'a>,
    ) -> Result<MarkedText<'a>> {
        let frame = self.frame(called.slots, Some(around))?;
        let parameters = called.parameters.len() as u64;
        self.spend(parameters * (1 + arguments.name_bytes() as u64 / 64))?;
        let CallArguments { positional, mut named } = arguments;
        let name = &called.name;
        for (number, parameter) in called.parameters.iter().enumerate() {
            let given = positional.get(number).copied().or_else(|| {
                let at = named.iter().position(|(other, _)| **other == *parameter.name)?;
                Some(named.remove(at).1)
            });
            frame.set_own(parameter.slot, given);
        }
        if let Some(slot) = called.caller {
            let at = named.iter().position(|(other, _)| *other == "caller");
            let caller = at.map(|at| named.remove(at).1);
            let caller = caller.filter(|caller| !matches!(caller, TemplateValue::None));
            frame.set_own(slot, Some(caller.unwrap_or(TemplateValue::Undefined("caller"))));
        }
        match called.kwargs {
            Some(slot) => {
                let entries = named.iter().map(|(name, value)| (TemplateValue::text(name), *value));
                frame.set_own(slot, Some(self.dict(entries.collect())?));
            }
            None => {
                if let Some((argument, _)) = named.first() {
                    return Err(Error::operation(format!("the macro `{name}` has no argument `{argument}`")));
                }
            }
        }
        let rest = positional.get(called.parameters.len()..).unwrap_or_default();
        match called.varargs {
            Some(slot) => frame.set_own(slot, Some(TemplateValue::Tuple(self.alloc_values(rest)?))),
            None if rest.is_empty() => {}
            None => return Err(Error::operation(format!("the macro `{name}` has too many arguments"))),
        }
        self.enter(&called.scope, frame)?;
        for parameter in &called.parameters {
            let slot = crate::syntax::Slot { out: 0, index: parameter.slot };
            if frame.get(slot).is_none() {
                let value = match &parameter.default {
                    Some(default) => self.evaluate(default, frame)?,
                    None => TemplateValue::Undefined(&parameter.name),
                };
                frame.set_own(parameter.slot, Some(value));
            }
        }
        self.capture(&called.body, frame).map(|(text, _)| text)
    }

    fn call_function(&self, function: Function, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        match function {
            Function::Lipsum => Err(Error::unsupported("`lipsum`, which prints words at random")),
            Function::Range => self.range(arguments),
            Function::Dict => {
                let entries = self.entries("dict", arguments)?;
                self.dict(entries)
            }
            Function::Namespace => {
                let namespace: &'a Namespace<'a> = self.alloc(Namespace::default())?;
                for (name, value) in self.entries("namespace", arguments)? {
                    let TemplateValue::Text(name) = name else {
                        return Err(Error::unsupported("a namespace whose names are no strings"));
                    };
                    check_attribute(name.as_str())?;
                    self.set_attribute(namespace, name.as_str(), value)?;
                }
                Ok(TemplateValue::Object(Object::Namespace(namespace)))
            }
            Function::Cycler => {
                arguments.no_named("cycler")?;
                if arguments.positional.is_empty() {
                    return Err(Error::operation("`cycler` has no items"));
                }
                let items = self.alloc_values(&arguments.positional)?;
                Ok(TemplateValue::Object(Object::Cycler(items, self.alloc(std::cell::Cell::new(0))?)))
            }
            Function::Joiner => {
                let [separator] = arguments.bind("joiner", ["sep"], 0)?;
                let separator = separator.map_or(Ok(MarkedText::new(", ")), crate::arguments::text)?;
                Ok(TemplateValue::Object(Object::Joiner(separator, self.alloc(std::cell::Cell::new(false))?)))
            }
            Function::RaiseException => {
                let [message] = arguments.bind("raise_exception", ["message"], 1)?;
                let message = self.string(message.unwrap_or(TemplateValue::None))?;
                Err(Error::new(ErrorKind::Raised, message.as_str()))
            }
            Function::StrftimeNow => {
                let [format] = arguments.bind("strftime_now", ["format"], 1)?;
                let format = crate::arguments::text(format.unwrap_or(TemplateValue::None))?;
                let now = self.now.ok_or_else(|| {
                    Error::new(
                        ErrorKind::NoDate,
                        "it asks for the date with `strftime_now`, and none is given",
                    )
                })?;
                let text = now.format(format.as_str())?;
                self.alloc_str(&text).map(TemplateValue::text)
            }
        }
    }

    fn range(&self, arguments: &CallArguments<'a>) -> Result<TemplateValue<'a>> {
        let [first, second, step] = arguments.bind("range", ["", "", ""], 1)?;
        let first = int(first.unwrap_or(TemplateValue::None))?;
        let (start, stop) = match second {
            Some(stop) => (first, int(stop)?),
            None => (0, first),
        };
        let step = step.map_or(Ok(1), int)?;
        if step == 0 {
            return Err(Error::operation("the step of a range is 0"));
        }
        let range = Range { start, stop, step };
        if range.len() > RANGE_MAX {
            return Err(Error::new(ErrorKind::Limit, format!("a range of more than {RANGE_MAX} items")));
        }
        Ok(TemplateValue::Object(Object::Range(range)))
    }

    /// The entries that `dict(…)` and `namespace(…)` are given.
    fn entries(
        &self,
        function: &str,
        arguments: &CallArguments<'a>,
    ) -> Result<Vec<(TemplateValue<'a>, TemplateValue<'a>)>> {
        let mut entries = match arguments.positional[..] {
            [] => Vec::new(),
            [TemplateValue::Dict(dict)] => {
                self.check_values(2 * dict.len())?;
                dict.entries().to_vec()
            }
            [pairs] => {
                let mut entries = Vec::new();
                for pair in self.collect(pairs)? {
                    let [key, value] = self.collect(*pair)? else {
                        return Err(Error::operation(format!(
                            "`{function}` is given items that are no pairs"
                        )));
                    };
                    self.push_to(&mut entries, (*key, *value))?;
                }
                entries
            }
            _ => return Err(Error::operation(format!("`{function}` takes one argument without a name"))),
        };
        entries.extend(arguments.named.iter().map(|(name, value)| (TemplateValue::text(name), *value)));
        Ok(entries)
    }
}
