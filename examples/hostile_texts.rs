//! Writes a log whose names and texts mean harm to what shows them: `hostile_texts FILE`. Terminal
//! escapes, formulas of spreadsheets, ends of elements, halves of characters.

#[path = "../tests/common/hostile.rs"]
mod hostile;

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: hostile_texts FILE")?;
    std::fs::write(path, hostile::log())?;
    println!("{} texts", hostile::TEXTS.len());
    Ok(())
}
