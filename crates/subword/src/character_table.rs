//! A byte for each code point.

/// How many blocks of 256 code points there are.
const BLOCKS: usize = 0x110000 >> 8;

/// A table in two levels: the numbers of all blocks of 256 code points, then the different blocks.
pub(crate) struct CharacterTable(&'static [u8]);

impl CharacterTable {
    pub(crate) const fn new(bytes: &'static [u8]) -> Self {
        Self(bytes)
    }

    /// The byte of a code point; beyond all code points that of the first block.
    #[inline(always)]
    pub(crate) fn of(&self, code_point: u32) -> u8 {
        let block = self.0[..BLOCKS].get((code_point >> 8) as usize).copied().unwrap_or(0);
        self.0[BLOCKS + (usize::from(block) << 8) + (code_point & 0xff) as usize]
    }

    /// The byte of an ASCII character.
    #[inline(always)]
    pub(crate) fn of_ascii(&self, byte: u8) -> u8 {
        self.0[BLOCKS + usize::from(byte)]
    }
}

/// Fails where the table has another byte for a code point than `derived`; where the variable of the environment names a
/// file, writes the table that has these into it instead.
#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it panics, and can make the table"
)]
pub(crate) fn assert_is(table: &CharacterTable, derived: &[u8], variable: &str) {
    if let Some(path) = std::env::var_os(variable) {
        let (mut index, mut blocks) = (Vec::new(), Vec::<&[u8]>::new());
        for block in derived.chunks(256) {
            let known = blocks.iter().position(|known| *known == block);
            index.push(u8::try_from(known.unwrap_or(blocks.len())).unwrap());
            if known.is_none() {
                blocks.push(block);
            }
        }
        return std::fs::write(path, [index, blocks.concat()].concat()).unwrap();
    }
    for (code_point, &expected) in derived.iter().enumerate() {
        assert_eq!(table.of(code_point as u32), expected, "U+{code_point:04X}");
    }
}
