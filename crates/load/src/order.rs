//! Which row stands at which place of an epoch.
//!
//! A keyed permutation instead of a shuffled list: no memory, any place computed by itself, and
//! an inverse that says where a row stands. The network is a Feistel one over the smallest power of two that
//! holds the rows; what falls outside is sent through again (cycle walking), less than twice on average. It is
//! no cipher and need not be: it has to look random to statistics, which the tests hold it to.
//! On a few elements such a network prefers some permutations, so up to [`FEW`] are shuffled as a list, in
//! which all permutations are equally likely.
//! Source: Black and Rogaway, "Ciphers with Arbitrary Finite Domains", 2002; Durstenfeld, "Algorithm 235: Random
//! permutation", 1964.

use mashbill_format::recipe::Shuffle;

/// The version of everything that decides on the order; a state carries it.
pub(crate) const ALGORITHM: u32 = 1;

/// Rounds of the network. The tests of chance pass with a margin.
const ROUNDS: usize = 8;

/// Tokens among which rows are shuffled freely with [`Shuffle::Blocks`]: 64 MiB of them are in memory.
const WINDOW_TOKENS: u64 = 1 << 24;

/// Up to so many elements are shuffled as a list: it costs no more than the keys of a network with enough rounds.
pub(crate) const FEW: usize = 64;

/// A permutation of `0..count`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permutation {
    count: u64,
    way: Way,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// The elements by their places.
    List([u8; FEW]),
    Network(Network),
}

/// A permutation of a power of two.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Network {
    /// Bits of the left and of the right half.
    bits: [u32; 2],
    keys: [u64; ROUNDS],
}

/// The order of the rows of one source in every epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    shuffle: Shuffle,
    seed: u64,
    stream: u64,
    rows: u64,
    block_rows: u64,
    window_rows: u64,
}

impl Permutation {
    /// The permutation of `0..count` (1 or more) with the given key.
    #[must_use]
    pub fn new(count: u64, key: u64) -> Self {
        let mut state = key;
        let random = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        };
        let few = usize::try_from(count).ok().filter(|count| *count <= FEW);
        let way = match few {
            Some(count) => Way::List(shuffled(count, random)),
            None => Way::Network(Network::new(count, random)),
        };
        Self { count, way }
    }

    /// The element at place `index`, which is below `count`.
    #[must_use]
    pub fn at(&self, index: u64) -> u64 {
        debug_assert!(index < self.count);
        let network = match &self.way {
            Way::List(elements) => return elements[index as usize].into(),
            Way::Network(network) => network,
        };
        let mut value = index;
        loop {
            value = network.forward(value);
            if value < self.count {
                return value;
            }
        }
    }

    /// The place of `element`, which is below `count`.
    #[must_use]
    pub fn index_of(&self, element: u64) -> u64 {
        debug_assert!(element < self.count);
        let network = match &self.way {
            Way::List(elements) => {
                let mut places = elements[..self.count as usize].iter();
                let place = places.position(|&found| u64::from(found) == element);
                return place.expect("a permutation has every element") as u64;
            }
            Way::Network(network) => network,
        };
        let mut value = element;
        loop {
            value = network.backward(value);
            if value < self.count {
                return value;
            }
        }
    }
}

/// The elements `0..count` in an order that `random` decides on: each is as likely as any other, but for less than
/// 2^-57.
fn shuffled(count: usize, mut random: impl FnMut() -> u64) -> [u8; FEW] {
    let mut elements = std::array::from_fn(|element| element as u8);
    for last in (1..count).rev() {
        let other = (u128::from(random()) * (last as u128 + 1)) >> u64::BITS;
        elements.swap(last, other as usize);
    }
    elements
}

impl Network {
    /// A permutation of the smallest power of two that holds `count` elements.
    fn new(count: u64, mut random: impl FnMut() -> u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Self { bits: [bits / 2, bits - bits / 2], keys: std::array::from_fn(|_| random()) }
    }

    fn forward(&self, value: u64) -> u64 {
        let mut halves = self.split(value);
        for (round, key) in self.keys.iter().enumerate() {
            self.turn(&mut halves, round, *key);
        }
        halves[0] << self.bits[1] | halves[1]
    }

    fn backward(&self, value: u64) -> u64 {
        let mut halves = self.split(value);
        for (round, key) in self.keys.iter().enumerate().rev() {
            self.turn(&mut halves, round, *key);
        }
        halves[0] << self.bits[1] | halves[1]
    }

    fn split(&self, value: u64) -> [u64; 2] {
        [value >> self.bits[1], value & ((1 << self.bits[1]) - 1)]
    }

    /// One round: changes one half by a function of the other. It undoes itself.
    fn turn(&self, halves: &mut [u64; 2], round: usize, key: u64) {
        let (changed, other) = (round % 2, 1 - round % 2);
        halves[changed] ^= mix(halves[other] ^ key) & ((1 << self.bits[changed]) - 1);
    }
}

impl Order {
    /// The order of `rows` rows (1 or more) that belongs to `seed` and the source's own number `stream`;
    /// a block is `block_rows` rows, of `row_length` tokens each.
    #[must_use]
    pub fn new(
        shuffle: Shuffle,
        seed: u64,
        stream: u64,
        rows: u64,
        block_rows: usize,
        row_length: usize,
    ) -> Self {
        let block_rows = block_rows.max(1) as u64;
        let block_tokens = (block_rows * row_length as u64).max(1);
        let blocks = (WINDOW_TOKENS / block_tokens).max(1);
        Self { shuffle, seed, stream, rows, block_rows, window_rows: blocks * block_rows }
    }

    /// Whether one of its permutations is of a few elements only; [`Order::new`] with the same numbers.
    pub(crate) fn has_few(&self) -> bool {
        let is_few = |count: u64| count > 1 && count <= FEW as u64;
        match self.shuffle {
            Shuffle::Off => false,
            Shuffle::Full => is_few(self.rows),
            Shuffle::Blocks => {
                is_few(self.rows / self.block_rows + 1)
                    || is_few(self.window_rows.min(self.rows))
                    || is_few(self.rows % self.window_rows)
            }
        }
    }

    /// Rows in an epoch.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// The row at place `index` of epoch `epoch`; below [`Order::rows`] both.
    #[must_use]
    pub fn row(&self, epoch: u64, index: u64) -> u64 {
        self.in_epoch(epoch).row(index)
    }

    /// The order of epoch `epoch`, for several rows.
    pub(crate) const fn in_epoch(&self, epoch: u64) -> EpochOrder<'_> {
        EpochOrder { order: self, epoch, whole: None, window: None }
    }

    /// The place of row `row` in epoch `epoch`.
    #[must_use]
    pub fn index(&self, epoch: u64, row: u64) -> u64 {
        match self.shuffle {
            Shuffle::Off => row,
            Shuffle::Full => self.permutation(epoch, 0, self.rows).index_of(row),
            Shuffle::Blocks => {
                let place = self.block_index(epoch, row);
                let (window, start, count) = self.window(place);
                start + self.permutation(epoch, window + 1, count).index_of(place - start)
            }
        }
    }

    fn permutation(&self, epoch: u64, number: u64, count: u64) -> Permutation {
        let key = [self.seed, self.stream, epoch, number];
        Permutation::new(count, key.into_iter().fold(u64::from(ALGORITHM), |key, part| mix(mix(key) ^ part)))
    }

    /// The window around a place: its number, its first place and its places.
    fn window(&self, place: u64) -> (u64, u64, u64) {
        let window = place / self.window_rows;
        let start = window * self.window_rows;
        (window, start, self.window_rows.min(self.rows - start))
    }

    fn block_index(&self, epoch: u64, row: u64) -> u64 {
        let (blocks, rest, rest_start) = self.blocks(epoch);
        let block = row / self.block_rows;
        if block == blocks {
            return rest_start + row % self.block_rows;
        }
        let place =
            self.permutation(epoch, 0, blocks).index_of(block) * self.block_rows + row % self.block_rows;
        if place < rest_start { place } else { place + rest }
    }

    /// Full blocks, the rows of the short one, and the place of its first row.
    fn blocks(&self, epoch: u64) -> (u64, u64, u64) {
        let blocks = self.rows / self.block_rows;
        let slot = self.permutation(epoch, u64::MAX, blocks + 1).at(0);
        (blocks, self.rows % self.block_rows, slot * self.block_rows)
    }
}

/// One epoch of an order. What its rows have in common is computed once.
#[derive(Debug, Clone)]
pub(crate) struct EpochOrder<'a> {
    order: &'a Order,
    epoch: u64,
    /// The permutation of all rows, or of the blocks; with the number of full blocks, the rows of the short one, and
    /// the place of its first row.
    whole: Option<(Permutation, (u64, u64, u64))>,
    /// The last window: its number and its permutation.
    window: Option<(u64, Permutation)>,
}

impl EpochOrder<'_> {
    /// The row at place `index`, below [`Order::rows`].
    pub(crate) fn row(&mut self, index: u64) -> u64 {
        let (order, epoch) = (self.order, self.epoch);
        match order.shuffle {
            Shuffle::Off => index,
            Shuffle::Full => {
                let all = || (order.permutation(epoch, 0, order.rows), (0, 0, 0));
                self.whole.get_or_insert_with(all).0.at(index)
            }
            Shuffle::Blocks => {
                let (window, start, count) = order.window(index);
                if self.window.as_ref().is_none_or(|(known, _)| *known != window) {
                    self.window = Some((window, order.permutation(epoch, window + 1, count)));
                }
                let (_, rows) = self.window.as_ref().expect("it was just set");
                let place = start + rows.at(index - start);
                self.block_row(place)
            }
        }
    }

    /// The row at a place where only the blocks are shuffled. The last block, which may be short, stands
    /// anywhere among the others.
    fn block_row(&mut self, place: u64) -> u64 {
        let (order, epoch) = (self.order, self.epoch);
        let (permutation, (blocks, rest, rest_start)) = self.whole.get_or_insert_with(|| {
            let blocks = order.blocks(epoch);
            (order.permutation(epoch, 0, blocks.0), blocks)
        });
        let place = match place.checked_sub(*rest_start) {
            Some(in_rest) if in_rest < *rest => return *blocks * order.block_rows + in_rest,
            Some(after) => *rest_start + after - *rest,
            None => place,
        };
        let block = permutation.at(place / order.block_rows);
        block * order.block_rows + place % order.block_rows
    }
}

/// The finalizer of SplitMix64: every bit of the result depends on every bit of `value`.
const fn mix(mut value: u64) -> u64 {
    value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}
