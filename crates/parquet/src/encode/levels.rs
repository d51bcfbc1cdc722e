//! Parquet's run-length / bit-packed hybrid, as far as levels and constant columns need it.

/// Appends an unsigned LEB128 number.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The bytes [`varint`] appends.
pub(super) const fn varint_bytes(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Writes runs of values below 256; neighboring runs of the same value become one.
#[derive(Debug, Default)]
pub struct Runs {
    value: u8,
    count: usize,
}

impl Runs {
    /// Adds `count` times `value`.
    pub fn push(&mut self, out: &mut Vec<u8>, value: u8, count: usize) {
        if value != self.value && count > 0 {
            self.finish(out);
            self.value = value;
        }
        self.count += count;
    }

    /// Appends what is pending.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.count > 0 {
            varint(out, (self.count as u64) << 1);
            out.push(self.value);
            self.count = 0;
        }
    }
}

/// Appends the levels of a page of `lists` lists of `length` required elements each (1 or more).
pub fn levels_of_equal_lists(out: &mut Vec<u8>, lists: usize, length: usize) {
    section(out, |out| {
        let mut runs = Runs::default();
        for _ in 0..lists {
            runs.push(out, 0, 1);
            runs.push(out, 1, length - 1);
        }
        runs.finish(out);
    });
    all_defined(out, lists * length);
}

/// Appends the levels of a page of lists of required elements, given their lengths (1 or more).
pub fn levels_of_lists(out: &mut Vec<u8>, lengths: &[u32]) {
    let elements = lengths.iter().map(|&length| length as usize).sum::<usize>();
    section(out, |out| {
        let bits = bit_packed_run(out, elements);
        bits.fill(0xff);
        let mut first = 0;
        for &length in lengths {
            bits[first / 8] ^= 1 << (first % 8);
            first += length as usize;
        }
    });
    all_defined(out, elements);
}

/// Appends the definition levels of a page of optional values.
pub fn levels_of_options(out: &mut Vec<u8>, are_some: impl Iterator<Item = bool>) {
    section(out, |out| {
        let mut runs = Runs::default();
        are_some.for_each(|is_some| runs.push(out, is_some.into(), 1));
        runs.finish(out);
    });
}

fn all_defined(out: &mut Vec<u8>, values: usize) {
    section(out, |out| {
        let mut runs = Runs::default();
        runs.push(out, 1, values);
        runs.finish(out);
    });
}

/// Appends the header of a bit-packed run of `values` bits and returns its bytes.
fn bit_packed_run(out: &mut Vec<u8>, values: usize) -> &mut [u8] {
    let bytes = values.div_ceil(8);
    varint(out, (bytes as u64) << 1 | 1);
    let start = out.len();
    out.resize(start + bytes, 0);
    &mut out[start..]
}

/// Appends what `write` writes, behind its length in bytes (u32, little endian): how data pages hold levels.
fn section(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 4]);
    write(out);
    let bytes = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&bytes.to_le_bytes());
}
