//! Messages of manifest events: text with places for fields.
//!
//! `%1` and `%1!x!` are the first top-level field, `%n` a line end, `%t` a tab, `%%` a percent
//! sign, `%b` a blank, `%.` a full stop, `%!` an exclamation mark, `%r` and `%0` nothing. Digits
//! win: `%1` is a field, and `%n` before a letter is a line end.

use crate::schema::{Shape, Value, Visitor};
use std::fmt::Write;

/// Bytes that a message may have; the same field can be named any number of times.
const MOST_BYTES: usize = 1 << 16;

/// Puts the texts of the fields into `message`. A place without a field stays as it is.
pub(super) fn format(message: &str, fields: &[String]) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        if out.len() > MOST_BYTES {
            break;
        }
        let digits = behind.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let (number, after) = behind.split_at(digits);
        if let Ok(number @ 1..) = number.parse::<usize>() {
            rest = after;
            match fields.get(number.saturating_sub(1)) {
                Some(field) => {
                    out.push_str(field);
                    rest = without_spec(after);
                }
                None => drop(write!(out, "%{number}")),
            }
            continue;
        }
        let mut characters = behind.chars();
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('b') => out.push(' '),
            Some('r' | '0') => {}
            Some(c @ ('%' | '.' | '!')) => out.push(c),
            Some(c) => {
                out.push('%');
                out.push(c);
            }
            None => out.push('%'),
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    if out.len() > MOST_BYTES {
        let end = (0..=MOST_BYTES).rev().find(|at| out.is_char_boundary(*at));
        out.truncate(end.unwrap_or(0));
    }
    out
}

/// Steps over `!s!`: how to print is known from the field's type.
fn without_spec(text: &str) -> &str {
    let behind = text.strip_prefix('!').and_then(|inner| inner.split_once('!'));
    match behind {
        Some((spec, behind)) if spec.len() <= 16 => behind,
        _ => text,
    }
}

/// The texts of the top-level fields; a structure or array is one.
#[derive(Debug, Default)]
pub(super) struct TopLevel {
    pub(super) texts: Vec<String>,
    depth: usize,
}

impl Visitor for TopLevel {
    fn value(&mut self, _: &str, value: &Value<'_>) {
        if self.depth == 0 {
            self.texts.push(value.to_string());
        } else if let Some(text) = self.texts.last_mut() {
            if !text.is_empty() {
                text.push_str(", ");
            }
            let _ = write!(text, "{value}");
        }
    }

    fn begin(&mut self, _: &str, _: Shape) {
        if self.depth == 0 {
            self.texts.push(String::new());
        }
        self.depth = self.depth.saturating_add(1);
    }

    fn end(&mut self, _: Shape) {
        self.depth = self.depth.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::format;

    #[test]
    fn places_and_escapes() {
        let fields = ["12".to_owned(), "a.txt".to_owned()];
        let text = |message| format(message, &fields);
        assert_eq!(text("Count=%1;%nReason=%2"), "Count=12;\nReason=a.txt");
        assert_eq!(text("%1!x!%2!-10s!|"), "12a.txt|");
        assert_eq!(text("100%% %t%b%.%!%r%0done%"), "100% \t .!done%");
        assert_eq!(text("%3 %12 %q"), "%3 %12 %q");
        assert_eq!(text("wow!%1!"), "wow!12!");
    }

    #[test]
    fn a_field_named_again_and_again_stays_bounded() {
        let fields = ["x".repeat(60_000)];
        assert!(format(&"%1".repeat(30_000), &fields).len() <= super::MOST_BYTES);
    }
}
