//! What a reader of the repository cannot see at a glance, checked on its text.
//!
//! Each check is a function from a file's path and text to complaints, so that the tests at the end
//! can show that it complains.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A top-level module and the others it may name as `crate::x`. Arrows go down only: the session
/// and the reader meet in `codec` and nowhere else.
const IMPORTS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("format", &["error"]),
    ("codec", &["format", "error"]),
    ("sink", &["codec", "format", "error"]),
    ("reader", &["codec", "format", "error"]),
    ("session", &["sink", "codec", "format", "error"]),
    ("schema", &["codec", "format", "error"]),
    ("edit", &["reader", "schema", "codec", "format", "error"]),
    ("export", &["schema", "codec", "format", "error"]),
    ("provider", &["session", "sink", "codec", "format", "error"]),
    ("outside", &["provider", "session", "sink", "codec", "format", "error"]),
    ("tracelogging", &["outside", "provider", "session", "sink", "codec", "format", "error"]),
    ("message", &["provider", "session", "sink", "codec", "format", "error"]),
    (
        "iis",
        &["message", "provider", "session", "sink", "export", "schema", "codec", "format", "error"],
    ),
    (
        "bridge",
        &["tracelogging", "outside", "provider", "session", "sink", "codec", "format", "error"],
    ),
];

/// The only places for `unsafe`: the lane's memory, the clock, the map, the C ABI.
const UNSAFE_DOORS: &[&str] = &[
    "src/session/lane.rs",
    "src/session/lane/",
    "src/session/clock.rs",
    "src/reader/map.rs",
    "capi/src/",
];

const LONGEST_LINE: usize = 100;
const LARGEST_FILE: u64 = 512 * 1024;

#[test]
fn modules_import_only_what_lies_below_them() {
    report(texts(".rs").filter(in_src).flat_map(|(path, text)| imports(&path, &text)));
}

#[test]
fn unsafe_stays_behind_its_doors() {
    let ours = |(path, _): &(String, String)| {
        ["src/", "cli/", "capi/", "examples/"].iter().any(|directory| path.starts_with(directory))
    };
    report(texts(".rs").filter(ours).flat_map(|(path, text)| unsafe_code(&path, &text)));
}

#[test]
fn relative_links_resolve() {
    let exists = |path: &Path| root().join(path).exists();
    report(texts(".md").flat_map(|(path, text)| broken_links(&path, &text, &exists)));
}

#[test]
fn chapters_named_in_sources_exist() {
    let exists = |path: &Path| root().join(path).exists();
    report(texts(".rs").filter(in_src).flat_map(|(path, text)| chapters(&path, &text, &exists)));
}

#[test]
fn nothing_is_left_to_do() {
    report(texts("").flat_map(|(path, text)| leftovers(&path, &text)));
}

#[test]
fn source_files_explain_themselves_in_lines_that_fit() {
    report(texts(".rs").filter(in_src).flat_map(|(path, text)| shape(&path, &text)));
}

#[test]
fn files_are_small_texts() {
    report(files().into_iter().flat_map(|path| {
        let bytes = fs::read(root().join(&path)).unwrap();
        size_and_kind(&path, &bytes)
    }));
}

fn in_src((path, _): &(String, String)) -> bool {
    ["src/", "cli/src/", "capi/src/"].iter().any(|directory| path.starts_with(directory))
}

fn report(complaints: impl Iterator<Item = String>) {
    let complaints: Vec<_> = complaints.collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file that is or would be committed; without git, every file that is not built.
fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"])
        .current_dir(root())
        .output();
    let mut files: Vec<String> = match listed {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
            names.split_terminator('\0').map(str::to_owned).collect()
        }
        _ => walk(root()).into_iter().collect(),
    };
    files.retain(|path| root().join(path).is_file());
    assert!(files.iter().any(|path| path == "src/lib.rs"), "no files found");
    files
}

fn walk(directory: &Path) -> Vec<String> {
    const BUILT: &[&str] = &["target", ".git", "corpus", "artifacts", "coverage"];
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !BUILT.contains(&name.as_str()) {
            found.extend(walk(&path));
        } else if path.is_file() && !name.ends_with(".etl") && !name.ends_with(".ring") {
            let relative = path.strip_prefix(root()).unwrap();
            found.push(relative.to_string_lossy().replace('\\', "/"));
        }
    }
    found
}

/// Path and text of the text files that end in `suffix`.
fn texts(suffix: &str) -> impl Iterator<Item = (String, String)> {
    files().into_iter().filter(move |path| path.ends_with(suffix)).filter_map(|path| {
        let text = fs::read_to_string(root().join(&path)).ok()?;
        Some((path, text))
    })
}

/// `text` without comments and without what stands between double quotes.
fn code(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut in_string = false;
        let mut rest = line.char_indices();
        while let Some((at, c)) = rest.next() {
            match c {
                '\\' if in_string => drop(rest.next()),
                '"' if !line[..at].ends_with('\'') => in_string = !in_string,
                '/' if !in_string && line[at..].starts_with("//") => break,
                _ if in_string => {}
                _ => out.push(c),
            }
        }
        out.push('\n');
    }
    out
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `text` with no letter, digit or underscore beside it.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !text[..at].ends_with(is_word_char) && !text[at + word.len()..].starts_with(is_word_char)
    })
}

fn identifier(text: &str) -> &str {
    let text = text.trim_start();
    &text[..text.find(|c| !is_word_char(c)).unwrap_or(text.len())]
}

/// The first names behind `crate::`, also of `crate::{a, b::{c, d}}`.
fn named_modules(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        if code[..at].ends_with(is_word_char) {
            continue;
        }
        let behind = &code[at + prefix.len()..];
        if !behind.starts_with('{') {
            found.push(identifier(behind));
            continue;
        }
        let mut depth = 0;
        for (at, c) in behind.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && matches!(c, '{' | ',') {
                found.push(identifier(&behind[at + 1..]));
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn imports(path: &str, text: &str) -> Vec<String> {
    let Some(inside) = path.strip_prefix("src/") else { return Vec::new() };
    let module = identifier(inside);
    if module == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{path}: module `{module}` is not in the table of imports")];
    };
    named_modules(&code(text))
        .into_iter()
        .filter(|name| *name != module && !allowed.contains(name))
        .filter(|name| IMPORTS.iter().any(|(known, _)| known == name))
        .map(|name| format!("{path}: `{module}` must not know `crate::{name}`"))
        .collect()
}

fn is_door(path: &str) -> bool {
    UNSAFE_DOORS.iter().any(|door| path == *door || door.ends_with('/') && path.starts_with(door))
}

/// `unsafe` outside a door, and a lifted lint that leads to no door.
fn unsafe_code(path: &str, text: &str) -> Vec<String> {
    if is_door(path) {
        return Vec::new();
    }
    let code = code(text);
    let mut complaints = Vec::new();
    if words(&code, "unsafe").next().is_some() {
        complaints.push(format!("{path}: `unsafe` outside the doors {UNSAFE_DOORS:?}"));
    }
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    for at in words(&code, "unsafe_code") {
        let attribute = code[..at].trim_end();
        if attribute.ends_with("forbid(") || attribute.ends_with("deny(") {
            continue;
        }
        let module = words(&code[at..], "mod").next().map(|m| identifier(&code[at + m + 3..]));
        let opened = module.unwrap_or_default();
        if !is_door(&format!("{directory}/{opened}.rs"))
            && !is_door(&format!("{directory}/{opened}/"))
        {
            complaints.push(format!("{path}: the lint is lifted for `{opened}`, which is no door"));
        }
    }
    complaints
}

/// Links of a Markdown text to files that are not there.
fn broken_links(path: &str, text: &str, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let directory = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut complaints = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Every second part is between backticks.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let definition = prose.starts_with('[').then(|| prose.split_once("]: ")).flatten();
        for target in inline.chain(definition.map(|(_, target)| target.trim())) {
            let file = target.split('#').next().unwrap_or_default();
            // Text that rustdoc includes links to items; rustdoc checks those.
            let is_item = file.contains("::");
            if file.is_empty() || is_item || file.contains("://") || file.starts_with("mailto:") {
                continue;
            }
            if !exists(&directory.join(file)) {
                complaints.push(format!("{path}: no file at `{target}`"));
            }
        }
    }
    complaints
}

/// Chapters of the specification that a source names and that are not there.
fn chapters(path: &str, text: &str, exists: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let named = text.split("spec/").skip(1).filter_map(|rest| rest.split_once(".md"));
    named
        .filter(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || "-/".contains(c)))
        .map(|(name, _)| format!("spec/{name}.md"))
        .filter(|chapter| !exists(Path::new(chapter)))
        .map(|chapter| format!("{path}: there is no {chapter}"))
        .collect()
}

fn is_emoji(c: char) -> bool {
    matches!(u32::from(c), 0x1F000..=0x1FAFF | 0x2600..=0x26FF | 0x2705 | 0x2728 | 0x274C | 0xFE0F)
}

/// Notes to oneself, debug output, emoji.
fn leftovers(path: &str, text: &str) -> Vec<String> {
    let notes = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let calls = [concat!("dbg", "!("), concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let found = notes.iter().find(|note| words(line, note).next().is_some());
        let found = found.or(calls.iter().find(|call| line.contains(**call)));
        let found = found.map(|found| (*found).to_owned());
        let found = found.or(line.chars().find(|&c| is_emoji(c)).map(|c| c.to_string()));
        if let Some(found) = found {
            complaints.push(format!("{path}:{}: `{found}`", number + 1));
        }
    }
    complaints
}

/// A module's document comes first, and the library's lines are no longer than the page; rows of
/// tables may be.
fn shape(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(format!("{path}: does not start with a module document"));
    }
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let is_table = trimmed.starts_with("//! |") || trimmed.starts_with("/// |");
        let columns = line.chars().count();
        if path.starts_with("src/") && columns > LONGEST_LINE && !is_table {
            complaints.push(format!("{path}:{}: {columns} columns", number + 1));
        }
    }
    complaints
}

fn size_and_kind(path: &str, bytes: &[u8]) -> Vec<String> {
    let mut complaints = Vec::new();
    if bytes.len() as u64 > LARGEST_FILE {
        complaints.push(format!("{path}: {} bytes", bytes.len()));
    }
    if bytes.contains(&0) || std::str::from_utf8(bytes).is_err() {
        complaints.push(format!("{path}: is no text"));
    }
    complaints
}

/// Each check complains about what it is there for, and about nothing beside it.
mod checks {
    use super::*;

    #[test]
    fn imports() {
        let of = |path: &str, text: &str| super::imports(path, text).len();
        assert_eq!(of("src/reader/mod.rs", "use crate::codec::Records;"), 0);
        assert_eq!(of("src/reader/mod.rs", "use crate::session::Session;"), 1);
        assert_eq!(of("src/session/lane.rs", "fn f() { crate::reader::open() }"), 1);
        assert_eq!(of("src/session/lane.rs", "use super::pool; // not crate::reader::x"), 0);
        assert_eq!(of("src/codec/mod.rs", "use crate::{error::{A, B}, format::C};"), 0);
        assert_eq!(of("src/codec/mod.rs", "use crate::{\n    error::A,\n    sink::B,\n};"), 1);
        assert_eq!(of("src/error.rs", "use crate::codec;"), 1);
        assert_eq!(of("src/format/a.rs", "//! [`x`]: crate::codec"), 0);
        assert_eq!(of("src/lib.rs", "pub use crate::session::Session;"), 0);
        assert_eq!(of("src/unheard.rs", ""), 1);
    }

    #[test]
    fn unsafe_code() {
        let of = |path: &str, text: &str| super::unsafe_code(path, text).len();
        assert_eq!(of("src/session/lane.rs", "unsafe { x() }"), 0);
        assert_eq!(of("capi/src/log.rs", "unsafe extern {}"), 0);
        assert_eq!(of("src/session/pool.rs", "let x = unsafe { y() };"), 1);
        assert_eq!(of("src/session/pool.rs", "// unsafe\nlet x = \"unsafe\";"), 0);
        let door = "#[expect(unsafe_code, reason = \"memory\")]\nmod lane;";
        assert_eq!(of("src/session/mod.rs", door), 0);
        assert_eq!(of("src/sink/mod.rs", door), 1);
        assert_eq!(of("src/session/mod.rs", &door.replace("lane", "pool")), 1);
        assert_eq!(of("src/lib.rs", "#[allow(unsafe_code)]\npub mod capi;"), 1);
        assert_eq!(of("src/lib.rs", "#![forbid(unsafe_code)]"), 0);
    }

    #[test]
    fn links() {
        let exists = |path: &Path| path == Path::new("spec/02-buffer.md");
        let of = |path: &str, text: &str| super::broken_links(path, text, &exists).len();
        assert_eq!(of("README.md", "[a](spec/02-buffer.md#fields)"), 0);
        assert_eq!(of("spec/README.md", "[a](02-buffer.md)"), 0);
        assert_eq!(of("README.md", "[a](02-buffer.md) and [b](spec/03-none.md)"), 2);
        assert_eq!(of("README.md", "[a]: 02-buffer.md"), 1);
        assert_eq!(of("spec/tables/a.md", "[`HeaderType`](crate::format::HeaderType)"), 0);
        assert_eq!(of("README.md", "[a](https://example.org/x) [b](#here) `[c](d)`"), 0);
        assert_eq!(of("README.md", "```text\n[a](b)\n```"), 0);
    }

    #[test]
    fn chapters() {
        let exists = |path: &Path| path == Path::new("spec/02-buffer.md");
        let of = |text: &str| super::chapters("src/a.rs", text, &exists).len();
        assert_eq!(of("//! Source: spec/02-buffer.md; `spec/02-buffer.md`."), 0);
        assert_eq!(of("//! Source: spec/99-none.md."), 1);
        assert_eq!(of("//! The chapters under spec/ and in spec/README say more.\n//! a.md"), 0);
    }

    #[test]
    fn leftovers() {
        let of = |text: &str| super::leftovers("a.rs", text).len();
        assert_eq!(of(concat!("// TO", "DO: later")), 1);
        assert_eq!(of(concat!("FIX", "ME")), 1);
        assert_eq!(of(concat!("db", "g!(x);")), 1);
        assert_eq!(of("done \u{1F680}"), 1);
        assert_eq!(of("MASTODON, ──► │ µs"), 0);
    }

    #[test]
    fn shape() {
        let of = |text: &str| super::shape("src/a.rs", text).len();
        assert_eq!(of("//! One line.\n"), 0);
        assert_eq!(of("use std::fs;\n"), 1);
        assert_eq!(of(&format!("//! A.\n//! {}\n", "x".repeat(97))), 1);
        assert_eq!(of(&format!("//! A.\n//! | {} |\n", "x".repeat(97))), 0);
    }

    #[test]
    fn size_and_kind() {
        let of = |bytes: &[u8]| super::size_and_kind("a", bytes).len();
        assert_eq!(of("text, also µ".as_bytes()), 0);
        assert_eq!(of(b"\x80\0"), 1);
        assert_eq!(of(&vec![b'x'; 512 * 1024 + 1]), 1);
    }
}
