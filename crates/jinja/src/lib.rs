//! Jinja as chat templates use it, with Python's meaning of every value.
//!
//! `transformers` renders chats with Jinja 3.1 in a sandbox, so that is what a template means: its white space, its scopes,
//! `str()` of a list, `'a' < 1` an error. Other engines give another text for one in ten templates without a word. This
//! one gives the same text, or refuses: what it does not have is [`ErrorKind::Unsupported`], never a guess.
//!
//! And strings remember where they came from ([`OriginMark`]), through everything that a template does with them: after one
//! rendering it is known where the words of each turn are.
//!
//! A template is written by others. It gets no file, no clock and no network, and only the steps, the memory and the
//! output of its [`RenderLimits`].
//!
//! ```
//! use bumpalo::Bump;
//! use mashbill_jinja::{RenderLimits, Rendering, Template, TemplateValue};
//!
//! let template = Template::new("{% for word in words %}{{ word | upper }}{{ ', ' if not loop.last }}{% endfor %}")?;
//! let arena = Bump::new();
//! let words = TemplateValue::List(arena.alloc_slice_copy(&[TemplateValue::text("one"), TemplateValue::text("two")]));
//! let mut rendered = Rendering::default();
//! template.render(&arena, arena.alloc_slice_copy(&[("words", words)]), None, RenderLimits::default(), &mut rendered)?;
//! assert_eq!(rendered.text.as_str(), "ONE, TWO");
//! # Ok::<(), mashbill_jinja::Error>(())
//! ```

mod error;
mod limits;
mod unicode;
mod lexer;
mod syntax;
mod parser;
mod scope;
mod text;
mod value;
mod order;
mod dict;
mod frame;
mod machine;
mod memory;
mod iterate;
mod items;
mod loop_state;
mod evaluate;
mod arguments;
mod operators;
mod compare;
mod access;
mod padding;
mod call;
mod methods;
mod filters;
mod predicates;
mod show;
mod number;
mod json;
mod letters;
mod percent;
mod format;
mod strftime;

use std::cell::{Cell, RefCell};
use std::ops::Range as Bytes;

use bumpalo::Bump;

pub use self::dict::Dict;
pub use self::error::{Error, ErrorKind, Result};
pub use self::limits::{RenderLimits, TEMPLATE_BYTES_MAX};
pub use self::strftime::Now;
pub use self::text::{MarkedRun, MarkedText, OriginMark, TextBuilder};
pub use self::value::{Object, TemplateValue};

use self::machine::{Machine, Printed};
use self::syntax::{Scope, Statement};

/// A template that can be rendered.
#[derive(Debug)]
pub struct Template {
    body: Vec<Statement>,
    scope: Scope,
    slots: usize,
    literals: String,
}

/// What a rendering gave.
#[derive(Debug, Default)]
pub struct Rendering {
    /// The text, and where its parts came from.
    pub text: TextBuilder,
    /// The bytes that `generation` blocks printed, in the order in which the blocks ended.
    pub generations: Vec<Bytes<usize>>,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`] where Jinja can't read it, either; [`ErrorKind::Unsupported`], [`ErrorKind::Limit`].
    pub fn new(source: &str) -> Result<Self> {
        if source.len() > TEMPLATE_BYTES_MAX {
            let detail = format!("a template of more than {TEMPLATE_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::Limit, detail));
        }
        let tokens = lexer::tokens(source)?;
        let literals = lexer::literals(&tokens);
        let mut body = parser::parse(tokens)?;
        let (scope, slots) = scope::resolve(&mut body)?;
        Ok(Self { body, scope, slots, literals })
    }

    /// What the template spells: its own text and the strings in its expressions, with a null character behind each.
    #[must_use]
    pub fn literals(&self) -> &str {
        &self.literals
    }

    /// Whether it has `generation` blocks.
    #[must_use]
    pub fn has_generations(&self) -> bool {
        self.body.iter().any(Statement::has_generation)
    }

    /// Renders the template with variables, and with the moment that `strftime_now` gives, if one is known.
    ///
    /// All that is made on the way is in `arena` and stays there. `rendered` is emptied first; after an error it holds what
    /// had been printed.
    ///
    /// # Errors
    /// Any [`ErrorKind`] but `Syntax`.
    pub fn render<'a>(
        &'a self,
        arena: &'a Bump,
        variables: &'a [(&'a str, TemplateValue<'a>)],
        now: Option<Now>,
        limits: RenderLimits,
        rendered: &mut Rendering,
    ) -> Result<()> {
        rendered.text.clear();
        let machine = Machine {
            arena,
            globals: variables,
            now,
            limits,
            steps: Cell::new(limits.steps),
            depth: Cell::new(0),
            claimed: Cell::new(0),
            held: Cell::new(0),
            printed: Cell::new(0),
            generations: RefCell::default(),
            groups: RefCell::default(),
        };
        let frame = machine.frame(self.slots, None)?;
        machine.enter(&self.scope, frame)?;
        machine.run(
            &self.body,
            frame,
            &mut Printed { text: &mut rendered.text, is_root: true, before: 0 },
        )?;
        let text = rendered.text.as_str();
        // A block within another one, or in a macro, is counted from where the outermost began.
        let bytes = machine.generations.take().into_iter().map(|(start, characters)| {
            let rest = &text[start..];
            start..start + rest.char_indices().nth(characters).map_or(rest.len(), |(at, _)| at)
        });
        rendered.generations.clear();
        rendered.generations.extend(bytes);
        Ok(())
    }
}
