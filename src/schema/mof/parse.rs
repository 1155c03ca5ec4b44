//! Tokens to classes.

use super::lex::{Lexer, Token, number_of, unescaped};
use crate::schema::SchemaError;

/// A class of the file.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) parent: Option<String>,
    pub(super) qualifiers: Qualifiers,
    pub(super) properties: Vec<Property>,
    position: usize,
}

/// A property of a class.
#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    /// Lower case.
    pub(super) kind: String,
    pub(super) qualifiers: Qualifiers,
    /// `None` if it is no array; `Some(None)` if its size is not stated.
    pub(super) array: Option<Option<u64>>,
    pub(super) position: usize,
}

/// What stands in brackets before a class or a property: names in lower case, and values.
#[derive(Debug, Default)]
pub(super) struct Qualifiers(Vec<(String, Vec<Item>)>);

#[derive(Debug)]
enum Item {
    Text(String),
    Number(u64),
}

impl Class {
    /// `DisplayName`, or the name.
    pub(super) fn display_name(&self) -> &str {
        self.qualifiers.text("displayname").filter(|name| !name.is_empty()).unwrap_or(&self.name)
    }

    #[cold]
    pub(super) fn wrong(&self, reason: &str) -> SchemaError {
        let reason = format!("class {} {reason}", self.name).into();
        SchemaError { position: self.position as u64, reason }
    }
}

impl Qualifiers {
    /// The values of a qualifier; the last one of its name holds.
    fn items(&self, name: &str) -> Option<&[Item]> {
        let mut found = self.0.iter().rev().filter(|(own, _)| own == name);
        found.next().map(|(_, items)| &**items)
    }

    /// How many values all of them have.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(_, items)| items.len()).sum()
    }

    /// Whether it is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.items(name).is_some()
    }

    /// The first value as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.items(name)?.first()? {
            Item::Text(text) => Some(text),
            Item::Number(_) => None,
        }
    }

    /// The first value as a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.items(name)?.first()?.number()
    }

    /// All values that are text.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let texts = self.items(name).unwrap_or_default().iter().map(|item| match item {
            Item::Text(text) => text.clone(),
            Item::Number(number) => number.to_string(),
        });
        texts.collect()
    }

    /// All values that are numbers or texts of numbers.
    pub(super) fn numbers(&self, name: &str) -> Vec<u64> {
        self.items(name).unwrap_or_default().iter().filter_map(Item::number).collect()
    }
}

impl Item {
    fn number(&self) -> Option<u64> {
        match self {
            Self::Text(text) => number_of(text),
            Self::Number(number) => Some(*number),
        }
    }
}

/// All classes of a text, in their order.
pub(super) fn classes(text: &str) -> Result<Vec<Class>, SchemaError> {
    let mut tokens = Lexer::new(text)?;
    let mut classes = Vec::new();
    loop {
        let position = tokens.position();
        let qualifiers = qualifiers(&mut tokens)?;
        match tokens.peek() {
            Token::End => return Ok(classes),
            Token::Sign('#') => directive(&mut tokens)?,
            Token::Sign(';') => drop(tokens.take()?),
            Token::Word(_) if tokens.at_word("class") => {
                classes.push(class(&mut tokens, qualifiers, position)?);
            }
            Token::Word(_) if tokens.at_word("instance") => statement(&mut tokens)?,
            _ => return Err(tokens.wrong("neither a class nor an instance")),
        }
    }
}

/// `#pragma name(...)`.
fn directive(tokens: &mut Lexer<'_>) -> Result<(), SchemaError> {
    tokens.expect('#')?;
    tokens.word()?;
    tokens.word()?;
    if tokens.accept('(')? {
        while !tokens.accept(')')? {
            if tokens.take()? == Token::End {
                return Err(tokens.wrong("a directive without end"));
            }
        }
    }
    Ok(())
}

/// Steps over a statement with all its braces.
fn statement(tokens: &mut Lexer<'_>) -> Result<(), SchemaError> {
    let mut depth = 0usize;
    loop {
        match tokens.take()? {
            Token::Sign('{' | '(') => depth = depth.saturating_add(1),
            Token::Sign('}' | ')') => depth = depth.saturating_sub(1),
            Token::Sign(';') if depth == 0 => return Ok(()),
            Token::End => return Err(tokens.wrong("a statement without end")),
            _ => {}
        }
    }
}

fn class(tokens: &mut Lexer<'_>, own: Qualifiers, position: usize) -> Result<Class, SchemaError> {
    tokens.word()?;
    let name = tokens.word()?.to_owned();
    let mut class = Class { name, parent: None, qualifiers: own, properties: Vec::new(), position };
    if tokens.at_word("as") {
        tokens.word()?;
        tokens.word()?;
    }
    if tokens.accept(':')? {
        class.parent = Some(tokens.word()?.to_owned());
    }
    if tokens.accept('{')? {
        while !tokens.accept('}')? {
            let qualifiers = qualifiers(tokens)?;
            class.properties.extend(property(tokens, qualifiers)?);
        }
    }
    tokens.expect(';')?;
    Ok(class)
}

/// A property, or `None` for a method.
fn property(
    tokens: &mut Lexer<'_>,
    qualifiers: Qualifiers,
) -> Result<Option<Property>, SchemaError> {
    let position = tokens.position();
    let kind = tokens.word()?.to_ascii_lowercase();
    let mut name = tokens.word()?;
    if name.eq_ignore_ascii_case("ref") {
        name = tokens.word()?;
    }
    let name = name.to_owned();
    let array = match tokens.accept('[')? {
        false => None,
        true => match tokens.peek() {
            Token::Number(size) => {
                tokens.take()?;
                Some(Some(size))
            }
            _ => Some(None),
        },
    };
    if array.is_some() {
        tokens.expect(']')?;
    }
    let method = tokens.peek() == Token::Sign('(');
    if method || tokens.peek() == Token::Sign('=') {
        statement(tokens)?;
    } else {
        tokens.expect(';')?;
    }
    let property = Property { name, kind, qualifiers, array, position };
    Ok(Some(property).filter(|_| !method))
}

/// `[name, name(value), name{value, value} : flavor, ...]`, or nothing.
fn qualifiers(tokens: &mut Lexer<'_>) -> Result<Qualifiers, SchemaError> {
    let mut all = Vec::new();
    if !tokens.accept('[')? {
        return Ok(Qualifiers(all));
    }
    loop {
        let name = tokens.word()?.to_ascii_lowercase();
        let mut items = Vec::new();
        if tokens.accept('(')? {
            values(tokens, ')', &mut items)?;
        } else if tokens.accept('{')? {
            values(tokens, '}', &mut items)?;
        }
        all.push((name, items));
        if tokens.accept(':')? {
            while let Token::Word(_) = tokens.peek() {
                tokens.take()?;
            }
        }
        if tokens.accept(']')? {
            return Ok(Qualifiers(all));
        }
        tokens.expect(',')?;
    }
}

/// Values up to the sign that ends them; strings that follow each other are one.
fn values(tokens: &mut Lexer<'_>, end: char, items: &mut Vec<Item>) -> Result<(), SchemaError> {
    // A list may also stand in parentheses.
    let braces = end == ')' && tokens.accept('{')?;
    let inner = if braces { '}' } else { end };
    while !tokens.accept(inner)? {
        match tokens.take()? {
            Token::Text(text) => {
                let mut text = unescaped(text);
                while let Token::Text(more) = tokens.peek() {
                    tokens.take()?;
                    text.push_str(&unescaped(more));
                }
                items.push(Item::Text(text));
            }
            Token::Number(number) => items.push(Item::Number(number)),
            Token::Word(word) => items.push(Item::Text(word.to_owned())),
            Token::Sign(',') => {}
            Token::Sign(_) | Token::End => return Err(tokens.wrong("no value of a qualifier")),
        }
    }
    if braces {
        tokens.expect(end)?;
    }
    Ok(())
}
