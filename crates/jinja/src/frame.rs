//! Where the variables of a template are while it runs.

use std::cell::Cell;

use bumpalo::Bump;

use crate::syntax::Slot;
use crate::value::TemplateValue;

/// The variables of a call of a function, and those around it.
#[derive(Debug)]
pub struct Frame<'a> {
    slots: &'a [Cell<Option<TemplateValue<'a>>>],
    around: Option<&'a Self>,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(arena: &'a Bump, slots: usize, around: Option<&'a Self>) -> &'a Self {
        let slots = arena.alloc_slice_fill_with(slots, |_| Cell::new(None));
        arena.alloc(Self { slots, around })
    }

    #[inline]
    fn slot(&self, slot: Slot) -> &Cell<Option<TemplateValue<'a>>> {
        let mut frame = self;
        for _ in 0..slot.out {
            frame = frame.around.expect("a variable is of a function around this one");
        }
        &frame.slots[slot.index as usize]
    }

    #[inline]
    pub(crate) fn get(&self, slot: Slot) -> Option<TemplateValue<'a>> {
        self.slot(slot).get()
    }

    pub(crate) fn set(&self, slot: Slot, value: Option<TemplateValue<'a>>) {
        self.slot(slot).set(value);
    }

    pub(crate) fn set_own(&self, index: u32, value: Option<TemplateValue<'a>>) {
        self.slots[index as usize].set(value);
    }
}
