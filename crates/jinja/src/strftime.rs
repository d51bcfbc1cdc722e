//! Dates as `strftime` writes them.

use std::fmt::Write;

use crate::error::{Error, Result};

/// A moment, which templates get instead of the clock: the same text today and tomorrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The year, 1 to 9999.
    pub year: u16,
    /// The month, 1 to 12.
    pub month: u8,
    /// The day, 1 to 31.
    pub day: u8,
    /// Seconds since midnight.
    pub second: u32,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Now {
    /// The midnight at which a day begins; none if there is no such day.
    #[must_use]
    pub fn midnight(year: u16, month: u8, day: u8) -> Option<Self> {
        let is_day = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
        ((1..=9999).contains(&year) && is_day).then_some(Self { year, month, day, second: 0 })
    }

    /// The day of the year, from 1.
    fn day_of_year(self) -> u16 {
        (1..self.month).map(|month| u16::from(days_in(self.year, month))).sum::<u16>() + u16::from(self.day)
    }

    /// The day of the week, from Sunday: Gauss' formula.
    fn day_of_week(self) -> usize {
        let year = u32::from(self.year) - 1;
        let first = 1 + 5 * (year % 4) + 4 * (year % 100) + 6 * (year % 400);
        (first + u32::from(self.day_of_year()) - 1) as usize % 7
    }

    /// The moment by a format, in English.
    pub(crate) fn format(self, format: &str) -> Result<String> {
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(character) = chars.next() {
            if character != '%' {
                out.push(character);
                continue;
            }
            let mut letter = chars.next();
            let is_bare = letter == Some('-');
            if is_bare {
                letter = chars.next();
            }
            self.part(letter, is_bare, &mut out)?;
        }
        Ok(out)
    }

    fn part(self, letter: Option<char>, is_bare: bool, out: &mut String) -> Result<()> {
        let month = usize::from(self.month) - 1;
        let (hour, minute, second) = (self.second / 3600, self.second / 60 % 60, self.second % 60);
        let half = if hour % 12 == 0 { 12 } else { hour % 12 };
        let width = if is_bare { 0 } else { 2 };
        // A string takes all that is written to it.
        let _ = match letter {
            Some('Y') => write!(out, "{}", self.year),
            Some('y') => write!(out, "{:0width$}", self.year % 100),
            Some('m') => write!(out, "{:0width$}", self.month),
            Some('d') => write!(out, "{:0width$}", self.day),
            Some('e') => write!(out, "{:width$}", self.day),
            Some('H') => write!(out, "{hour:0width$}"),
            Some('I') => write!(out, "{half:0width$}"),
            Some('M') => write!(out, "{minute:0width$}"),
            Some('S') => write!(out, "{second:0width$}"),
            Some('j') => write!(out, "{:0width$}", self.day_of_year(), width = if is_bare { 0 } else { 3 }),
            Some('B') => write!(out, "{}", MONTHS[month]),
            Some('b' | 'h') => write!(out, "{}", &MONTHS[month][..3]),
            Some('A') => write!(out, "{}", DAYS[self.day_of_week()]),
            Some('a') => write!(out, "{}", &DAYS[self.day_of_week()][..3]),
            Some('p') => write!(out, "{}", if hour < 12 { "AM" } else { "PM" }),
            Some('F') => write!(out, "{}-{:02}-{:02}", self.year, self.month, self.day),
            Some('T') => write!(out, "{hour:02}:{minute:02}:{second:02}"),
            Some('%') => write!(out, "%"),
            Some(letter) => {
                return Err(Error::unsupported(format!("`%{}` in a date", letter.escape_debug())));
            }
            None => return Err(Error::unsupported("a single `%` at the end of a date's format")),
        };
        Ok(())
    }
}

fn days_in(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_strftime_writes_it() {
        let Some(day) = Now::midnight(2024, 7, 26) else { panic!("it is a day") };
        let format = "%d %b %Y, %A %B %-m %e %j %y %F %T %I%p";
        assert_eq!(
            day.format(format),
            Ok("26 Jul 2024, Friday July 7 26 208 24 2024-07-26 00:00:00 12AM".into())
        );
        let Some(leap) = Now::midnight(2000, 3, 1) else { panic!("it is a day") };
        assert_eq!(leap.format("%a %-d %j"), Ok("Wed 1 061".into()));
        assert_eq!(Now::midnight(2023, 2, 29), None);
        assert!(day.format("%Q").is_err());
    }
}
