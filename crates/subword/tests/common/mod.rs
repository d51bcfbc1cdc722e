//! Strings made to go wrong: all planes of Unicode, long runs, mixed newlines, contractions,
//! added tokens whole and cut.

mod models;
mod tokenizers;

pub(crate) use models::others;
pub(crate) use tokenizers::{gpt2, tokenizers, with_unknown_characters};

/// A small random generator, the same every time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }

    fn pick<'a>(&mut self, of: &'a [&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

const WORDS: &[&str] = &[
    "the",
    "The",
    " world",
    "hello",
    "Straße",
    "naïve",
    "Überprüfung",
    " данные",
    "привет",
    "Ελληνικά",
    "مرحبا",
    "שלום",
    "नमस्ते",
    "สวัสดี",
    "你好世界",
    "機械学習",
    "日本語のテキスト",
    "한국어",
    "viec",
    " việc",
    "tiếng Việt",
    "getElementById",
    "HTTPServer",
    "snake_case_name",
    "x1y2z3",
    "unbelievableness",
    "antidisestablishmentarianism",
    "0x7fff",
    "3.14159",
    "1,000,000",
    "e\u{301}",
    "A\u{30a}",
    "\u{1100}\u{1161}\u{11a8}",
    "\u{212b}",
    "ﬁ",
    "ǅungla",
    "ʼn",
    "İstanbul",
    "ΌΣΟΣ",
    "中A",
    "aB",
    "ABc",
    "ʰx",
    "\u{301}a",
    "\u{18d0b}",
    "\u{1e900}\u{1e922}",
    "𝔘𝔫𝔦",
    "𐐀𐐨",
];
const MARKS: &[&str] = &[
    "'s",
    "'S",
    "'t",
    "'RE",
    "'re",
    "'vE",
    "'ll",
    "'Ll",
    "'d",
    "'m",
    "'ſ",
    "'K",
    "’s",
    "'",
    "''",
    "'x",
    "'l",
    "'r",
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    " \n",
    "\n ",
    "\u{b}",
    "\u{c}",
    "\u{85}",
    "\u{a0}",
    "\u{2003}",
    "\u{2028}",
    "\u{3000}",
    "\u{feff}",
    "\u{200b}",
    "\u{1f}",
    "\0",
    "!",
    "?!",
    "...",
    "--",
    "----",
    "====",
    "//",
    "/",
    "/*",
    "*/",
    "#",
    "(",
    ")",
    "{}",
    "_",
    "½",
    "²",
    "٣٤",
    "Ⅷ",
    "〇",
    "123",
    "1234567",
    "😀",
    "👨\u{200d}👩\u{200d}👧",
    "🇩🇪",
    "\u{fe0f}",
    "\u{e000}",
    "\u{fffd}",
    "\u{10ffff}",
    "\u{e0001}",
    "▁",
    "▁▁ ",
    "~\t~",
    "a b",
    "世界",
];
const ADDED: &[&str] = &[
    "<|endoftext|>",
    "<|begin_of_text|>",
    "<|eot_id|>",
    "<|reserved_special_token_1|>",
    "<|reserved_special_token_10|>",
    "<|extra_id_0|>",
    "|||IP_ADDRESS|||",
    "|||EMAIL_ADDRESS|||",
    "<|fim_prefix|>",
    "<|endofprompt|>",
    "<s>",
    "</s>",
    "<unk>",
    "<0x0A>",
    "<L>",
    "<R>",
    "<LR>",
    "word",
    "\u{e9}t\u{e9}",
];

/// A string of some hundred bytes, seldom of thousands.
pub(crate) fn string(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(40) {
        match random.below(14) {
            0..=3 => text.push_str(random.pick(WORDS)),
            4..=7 => text.push_str(random.pick(MARKS)),
            8 => {
                let added = random.pick(ADDED);
                let (from, to) = (random.below(added.len()), random.below(added.len() + 1));
                let [from, to] = [from, to].map(|at| added.floor_char_boundary(at));
                let whole = random.below(2) == 0;
                text.push_str(if whole { added } else { &added[from.min(to)..to.max(from)] });
            }
            9 => {
                let unit = if random.below(2) == 0 { random.pick(WORDS) } else { random.pick(MARKS) };
                let most = if random.below(60) == 0 { 3000 } else { 60 };
                text.push_str(&unit.repeat(1 + random.below(most)));
            }
            10 => text.extend((0..random.below(12)).map(|_| char::from(b' ' + random.below(95) as u8))),
            11 => text.extend((0..random.below(30)).map(|_| char::from(b'a' + random.below(26) as u8))),
            12 => {
                let start = random.below(0x11_0000) as u32;
                text.extend((0..random.below(9)).filter_map(|i| char::from_u32(start + i as u32)));
            }
            _ => {
                let block =
                    [0x80, 0x300, 0x370, 0x400, 0x600, 0x900, 0xe00, 0x1100, 0x3040, 0x4e00, 0xac00, 0x1f300]
                        [random.below(12)];
                text.extend(
                    (0..random.below(90)).filter_map(|_| char::from_u32(block + random.below(0x100) as u32)),
                );
            }
        }
    }
    text
}
