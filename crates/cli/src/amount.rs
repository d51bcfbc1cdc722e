//! Amounts as people type them: `5B` of tokens, `20GB` of text.
//!
//! A budget may be tokens or bytes, and `B` is a billion of the ones and one of the others. So bytes have to be spelled
//! with a letter before their `B`, or as a word; what could be either is refused, with what is clear.

use mashbill_download::Budget;

/// Units of tokens, in any case, before `tokens` or alone.
const TOKEN_UNITS: [(&str, f64); 4] = [("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)];

/// Units of bytes, in any case. `B` is one only where nothing else is meant.
const BYTE_UNITS: [(&str, f64); 9] = [
    ("TiB", (1_u64 << 40) as f64),
    ("GiB", (1 << 30) as f64),
    ("MiB", (1 << 20) as f64),
    ("KiB", (1 << 10) as f64),
    ("TB", 1e12),
    ("GB", 1e9),
    ("MB", 1e6),
    ("kB", 1e3),
    ("bytes", 1.0),
];

/// The largest amount; sums of a few stay far below what 64 bits hold.
const AMOUNT_MAX: f64 = 1e18;

/// A number of rows.
pub(crate) fn rows(text: &str) -> Result<u64, String> {
    let given = text.parse().ok().filter(|&rows| rows > 0);
    given.ok_or_else(|| "a number of rows is 1 or more".to_owned())
}

/// A number of bytes, such as `20GB`, `1.5 MiB` or `7B`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is not a size such as 20GB, 500MB, 4GiB or 7B", text.escape_debug());
    let (number, unit) = split(text).ok_or_else(wrong)?;
    let factor = if unit.eq_ignore_ascii_case("B") { Some(1.0) } else { factor_of(unit, &BYTE_UNITS) };
    factor.and_then(|factor| amount(number, factor)).ok_or_else(wrong)
}

/// How much to take in all: tokens such as `5B`, `300M` or `5e9 tokens`, or bytes of text such as `20GB`.
pub(crate) fn budget(text: &str) -> Result<Budget, String> {
    let wrong = || {
        format!(
            "`{}` is not clear: tokens are T, B, M or K (5B, 300M, 5Btokens, 5e9tokens), \
             bytes of text TB, GB, MB, kB, TiB, GiB, MiB or KiB (20GB)",
            text.escape_debug()
        )
    };
    let (number, unit) = split(text).ok_or_else(wrong)?;
    if let Some(factor) = factor_of(unit, &BYTE_UNITS) {
        return amount(number, factor).map(Budget::Bytes).ok_or_else(wrong);
    }
    let lower = unit.to_ascii_lowercase();
    let spelled = lower.strip_suffix("tokens").or_else(|| lower.strip_suffix("token"));
    let factor = match spelled.map(str::trim_end) {
        Some("") => Some(1.0),
        Some("g") => Some(1e9),
        Some(unit) => factor_of(unit, &TOKEN_UNITS),
        None => factor_of(unit, &TOKEN_UNITS),
    };
    factor.and_then(|factor| amount(number, factor)).map(Budget::Tokens).ok_or_else(wrong)
}

/// A number and the unit behind it, white space between them or not.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    // An `e` belongs to the number where digits follow it.
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let (number, unit) = ends
        .rev()
        .find_map(|end| Some((text[..end].trim_end().parse::<f64>().ok()?, text[end..].trim_start())))?;
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    begins.then_some((number, unit))
}

fn factor_of(unit: &str, units: &[(&str, f64)]) -> Option<f64> {
    units.iter().find(|(known, _)| unit.eq_ignore_ascii_case(known)).map(|(_, factor)| *factor)
}

fn amount(number: f64, factor: f64) -> Option<u64> {
    let amount = (number * factor).round();
    (1.0..AMOUNT_MAX).contains(&amount).then_some(amount as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("20GB", 20_000_000_000),
            ("1.5 mb", 1_500_000),
            ("7B", 7),
            ("2GiB", 2 << 30),
            ("3e3 bytes", 3000),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in
            ["", "GB", "-1GB", "0GB", "5", "infGB", "nanGB", "1e300GB", "5Btokens", "5G", "20 GB x", "٣GB"]
        {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rows_are_one_or_more() {
        assert_eq!(rows("12"), Ok(12));
        for text in ["0", "-1", "1.5", "many", ""] {
            assert_eq!(rows(text), Err("a number of rows is 1 or more".into()), "{text}");
        }
    }

    #[test]
    fn a_budget_is_tokens_where_bytes_are_not_spelled() {
        let billions = Budget::Tokens(5_000_000_000);
        for text in [
            "5B",
            "5b",
            "5 B",
            "5Btokens",
            "5 Btokens",
            "5B tokens",
            "5 b tokens",
            "5e9tokens",
            "5e9 tokens",
            "0.005T",
            "5000M",
            "5000000K",
            "5Gtokens",
            "5000000000 tokens",
            " 5B ",
        ] {
            assert_eq!(budget(text), Ok(billions), "{text}");
        }
        assert_eq!(budget("300M"), Ok(Budget::Tokens(300_000_000)));
        assert_eq!(budget("1token"), Ok(Budget::Tokens(1)));
        assert_eq!(budget("5T"), Ok(Budget::Tokens(5_000_000_000_000)));
        for (text, expected) in [
            ("2GB", 2_000_000_000),
            ("5GiB", 5 << 30),
            ("5TB", 5_000_000_000_000),
            ("9 kb", 9000),
            ("5e9bytes", 5_000_000_000),
        ] {
            assert_eq!(budget(text), Ok(Budget::Bytes(expected)), "{text}");
        }
        for text in [
            "",
            "5",
            "5e9",
            "5G",
            "5Gi",
            "B",
            "tokens",
            "-5B",
            "0B",
            "infB",
            "nan tokens",
            "1e300B",
            "5Xtokens",
            "5BB",
            "5 billion",
            "1,000M",
            "5B tokens!",
            "5e",
            "5eB",
            "\u{1b}[2J5B",
            "lots",
        ] {
            let why = budget(text).expect_err(text);
            assert!(why.contains("5Btokens") && why.contains("20GB") && !why.contains('\u{1b}'), "{why}");
        }
    }
}
