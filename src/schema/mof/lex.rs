//! MOF text as words, strings, numbers and signs.

use crate::schema::SchemaError;

/// Tokens of a file; Windows' own classes of the kernel have about a hundred thousand.
const MOST_TOKENS: u32 = 1 << 21;

/// Bytes of a name.
const MOST_NAME: usize = 1 << 10;

/// One token. A string keeps its escapes until somebody wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Word(&'t str),
    /// What lies between the quotes.
    Text(&'t str),
    Number(u64),
    Sign(char),
    End,
}

/// Reads tokens, one ahead.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    at: usize,
    /// The next token and where it starts.
    next: Token<'t>,
    next_at: usize,
    left: u32,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Result<Self, SchemaError> {
        let mut lexer = Self { text, at: 0, next: Token::End, next_at: 0, left: MOST_TOKENS };
        lexer.take()?;
        Ok(lexer)
    }

    /// The next token, which stays.
    pub(super) fn peek(&self) -> Token<'t> {
        self.next
    }

    /// The next token.
    pub(super) fn take(&mut self) -> Result<Token<'t>, SchemaError> {
        let taken = self.next;
        self.skip_blanks()?;
        self.next_at = self.at;
        self.left = self.left.checked_sub(1).ok_or_else(|| self.wrong("is too long"))?;
        self.next = self.read()?;
        Ok(taken)
    }

    /// Steps over this sign if it is the next token.
    pub(super) fn accept(&mut self, sign: char) -> Result<bool, SchemaError> {
        let found = self.next == Token::Sign(sign);
        if found {
            self.take()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, sign: char) -> Result<(), SchemaError> {
        match self.accept(sign)? {
            true => Ok(()),
            false => Err(self.wrong(&format!("a {sign} should stand here"))),
        }
    }

    /// The next token, which must be a word.
    pub(super) fn word(&mut self) -> Result<&'t str, SchemaError> {
        match self.next {
            Token::Word(word) => self.take().map(|_| word),
            _ => Err(self.wrong("a name should stand here")),
        }
    }

    /// Whether the next token is this word, in any case of letters.
    pub(super) fn at_word(&self, word: &str) -> bool {
        matches!(self.next, Token::Word(own) if own.eq_ignore_ascii_case(word))
    }

    /// Where the next token starts.
    pub(super) fn position(&self) -> usize {
        self.next_at
    }

    /// What is wrong with the next token.
    #[cold]
    pub(super) fn wrong(&self, reason: &str) -> SchemaError {
        let before = self.text.get(..self.next_at).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let position = self.next_at as u64;
        SchemaError { position, reason: format!("line {line}: {reason}").into() }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Takes `bytes` bytes, or all that are left.
    fn advance(&mut self, bytes: usize) -> &'t str {
        let taken = self.rest().get(..bytes).unwrap_or(self.rest());
        self.at = self.at.saturating_add(taken.len());
        taken
    }

    fn advance_while(&mut self, holds: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        self.advance(rest.find(|c| !holds(c)).unwrap_or(rest.len()))
    }

    /// Blanks and comments.
    fn skip_blanks(&mut self) -> Result<(), SchemaError> {
        loop {
            self.advance_while(char::is_whitespace);
            if self.rest().starts_with("//") {
                self.advance_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.next_at = self.at;
                let Some(end) = self.rest().find("*/") else {
                    return Err(self.wrong("a comment without end"));
                };
                self.advance(end.saturating_add(2));
            } else {
                return Ok(());
            }
        }
    }

    fn read(&mut self) -> Result<Token<'t>, SchemaError> {
        let Some(first) = self.rest().chars().next() else { return Ok(Token::End) };
        match first {
            '"' | '\'' => self.quoted(first),
            '-' | '+' | '0'..='9' => self.number(),
            c if is_name(c) => {
                let name = self.advance_while(is_name);
                if name.len() > MOST_NAME {
                    return Err(self.wrong("a name that is too long"));
                }
                Ok(Token::Word(name))
            }
            c => {
                self.advance(c.len_utf8());
                Ok(Token::Sign(c))
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token<'t>, SchemaError> {
        self.advance(1);
        let mut escaped = false;
        let end = self.rest().find(|c| {
            let ends = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let Some(end) = end else { return Err(self.wrong("a string without end")) };
        let text = self.advance(end);
        self.advance(1);
        Ok(Token::Text(text))
    }

    /// A whole number; of a fraction only what lies before the point.
    fn number(&mut self) -> Result<Token<'t>, SchemaError> {
        let negative = self.rest().starts_with('-');
        self.advance_while(|c| matches!(c, '-' | '+'));
        let digits = self.advance_while(|c| c.is_ascii_alphanumeric() || c == '.');
        let whole = digits.split_once('.').map_or(digits, |(whole, _)| whole);
        match number_of(whole) {
            Some(number) if negative => Ok(Token::Number(number.wrapping_neg())),
            Some(number) => Ok(Token::Number(number)),
            None => Err(self.wrong("no number that can be read")),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// Decimal, or hexadecimal with `0x`; binary digits with a `b` behind them.
pub(super) fn number_of(text: &str) -> Option<u64> {
    let text = text.trim();
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok();
    }
    match text.strip_suffix(['b', 'B']) {
        Some(digits) => u64::from_str_radix(digits, 2).ok(),
        None => text.parse().ok(),
    }
}

/// A string without its escapes.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        let mut characters = behind.chars();
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('x' | 'X') => {
                let hex = |c: &char| c.is_ascii_hexdigit();
                let digits = characters.clone().take(4).take_while(hex).count();
                let (code, after) = characters.as_str().split_at(digits);
                let code = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
                out.extend(code);
                characters = after.chars();
            }
            Some(c) => out.push(c),
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out
}
