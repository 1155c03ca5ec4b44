//! A log whose names and texts mean harm, through every output of the command.
//!
//! Each output is read by a parser that is not ours, says what was in the log, and holds no
//! character that does something instead of showing something.

#[path = "../../../tests/common/pcapng.rs"]
mod capture;
#[path = "../../../tests/common/hostile.rs"]
mod hostile;

use hostile::TEXTS;
use quick_xml::events::Event;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Records of the log for each text; with the header and one of another text.
const OF_EACH: usize = 10;

/// Written down apart from what is tested: controls of both sets, what changes the direction, joins
/// or hides, separators of lines, tags.
fn steers(c: char) -> bool {
    matches!(u32::from(c),
        0..0x20 | 0x7F..0xA0 | 0x61C | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F
        | 0xFEFF | 0xFFF9..=0xFFFB | 0xE0000..=0xE007F)
}

/// Text, with nothing in it that steers but these.
fn harmless(bytes: &[u8], but: &[char], what: &str) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (at, line) in text.lines().enumerate() {
        let found = line.chars().find(|c| steers(*c) && !but.contains(c));
        assert_eq!(found, None, "{what}, line {at}: {line:?}");
    }
    let found = text.chars().find(|c| steers(*c) && *c != '\n' && !but.contains(c));
    assert_eq!(found, None, "{what}");
    text
}

struct Hostile {
    directory: tempfile::TempDir,
    log: PathBuf,
}

impl Hostile {
    /// Under a name that means harm as well.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("=x\u{1b}[2J\u{9b}\u{202e}\n,\".etl");
        fs::write(&log, hostile::log()).unwrap();
        Self { directory, log }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs a command on the log; stderr is harmless whatever is asked for.
    fn run(&self, args: &[&str], more: &[&Path]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_etlring"))
            .args(args)
            .args(more)
            .arg(&self.log)
            .output()
            .unwrap();
        harmless(&output.stderr, &[], &format!("stderr of {args:?}"));
        assert_eq!(output.status.code(), Some(0), "{args:?}: {:?}", output.stderr);
        output
    }

    fn text(&self, args: &[&str]) -> String {
        harmless(&self.run(args, &[]).stdout, &[], &format!("{args:?}"))
    }

    fn lines(&self, args: &[&str]) -> Vec<Value> {
        let text = self.text(args);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn records() -> usize {
    OF_EACH * TEXTS.len() + 2
}

fn strings<'v>(values: impl IntoIterator<Item = &'v Value>) -> BTreeSet<&'v str> {
    values.into_iter().filter_map(Value::as_str).collect()
}

#[test]
fn lines_for_people() {
    let hostile = Hostile::new();
    for options in [&[][..], &["--fields"], &["--fields", "--payload"], &["--order", "file"]] {
        let text = hostile.text(&[&["dump"], options].concat());
        assert_eq!(text.lines().count(), records(), "{options:?}");
    }
    for command in ["info", "stats", "verify", "tail"] {
        assert!(hostile.text(&[command]).lines().count() >= 2, "{command}");
    }
    // Two files: the name of the file stands on each line.
    let twice = hostile.run(&["dump"], &[&hostile.log]);
    assert_eq!(harmless(&twice.stdout, &[], "two").lines().count(), 2 * records());
}

#[test]
fn json_says_what_was_written() {
    let hostile = Hostile::new();
    for options in [&[][..], &["--fields"], &["--fields", "--payload"]] {
        let lines = hostile.lines(&[&["dump", "--format", "jsonl"], options].concat());
        assert_eq!(lines.len(), records());
        let names = strings(lines.iter().map(|line| &line["name"]));
        assert!(TEXTS.iter().all(|text| names.contains(text)), "{options:?}");
        let own = lines.iter().filter(|line| line["id"] == 1);
        let providers = strings(own.map(|line| &line["provider_name"]));
        assert_eq!(providers, TEXTS.iter().copied().collect());
    }
    let lines = hostile.lines(&["dump", "--format", "jsonl", "--fields"]);
    let own: Vec<_> = lines.iter().filter(|line| line["id"] == 1).collect();
    for (line, text) in own.iter().zip(TEXTS) {
        let fields = &line["fields"];
        assert_eq!(fields[*text], format!("\u{fffd}x\u{fffd}\u{fffd}{text}"));
        assert_eq!(fields[format!("{text}_2")], *text);
        assert_eq!(fields[format!("{text}_3")], "NaN");
        assert_eq!(fields[format!("{text}_4")], "Infinity");
        assert_eq!(fields[format!("{text}_5")]["in"], "-Infinity");
    }
    let lines = hostile.lines(&["tail", "--format", "jsonl", "--last", "100000"]);
    assert_eq!(lines.len(), records());
    for command in ["info", "stats", "verify"] {
        let text = hostile.text(&[command, "--json"]);
        let value: Value = serde_json::from_str(&text).unwrap();
        if command == "info" {
            assert_eq!(value["session_name"], TEXTS.concat());
        }
        let file = value.get("file").unwrap_or(&value["files"][0]);
        assert_eq!(file, hostile.log.to_str().unwrap());
    }
    let made = hostile.run(&["filter", "--json", "-o"], &[&hostile.path("=new\u{9b}.etl")]);
    let made: Value = serde_json::from_str(&harmless(&made.stdout, &[], "filter")).unwrap();
    assert_eq!(made["records"].as_u64(), Some(records() as u64));
}

/// Rows of RFC 4180.
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(!quoted && cell.is_empty() && row.is_empty());
    rows
}

#[test]
fn no_cell_of_csv_is_a_formula() {
    let hostile = Hostile::new();
    for options in [&[][..], &["--payload"]] {
        let text = hostile.text(&[&["dump", "--format", "csv"], options].concat());
        let rows = rows(&text);
        assert_eq!(rows.len(), 1 + records());
        let mut guarded = 0;
        for row in &rows {
            assert_eq!(row.len(), rows[0].len(), "{row:?}");
            for cell in row {
                let first = cell.trim_start().chars().next();
                let is_formula =
                    first.is_some_and(|c| "=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(c));
                assert!(!is_formula || cell.parse::<i64>().is_ok(), "{cell:?}");
                guarded += usize::from(cell.starts_with('\''));
            }
        }
        assert!(guarded >= 3 * 6, "{guarded}");
        let column = rows[0].iter().position(|name| name == "fields").unwrap();
        for row in rows.iter().skip(1).filter(|row| !row[column].is_empty()) {
            assert!(serde_json::from_str::<Value>(&row[column]).unwrap().is_object());
        }
    }
}

/// Names of elements, how often; every text and value in it is a character of XML 1.0.
fn elements(xml: &str, what: &str) -> Vec<String> {
    let mut reader = quick_xml::Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    let (mut names, mut depth) = (Vec::new(), 0);
    let allowed = |text: &str| {
        let bad = text.chars().find(|c| {
            u32::from(*c) < 0x20 && !"\t\r\n".contains(*c) || matches!(c, '\u{fffe}' | '\u{ffff}')
        });
        assert_eq!(bad, None, "{what}: {text:?}");
    };
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{what}: {error}")) {
            Event::Start(start) | Event::Empty(start) => {
                for attribute in start.attributes() {
                    let value = attribute.unwrap().value.into_owned();
                    allowed(
                        &quick_xml::escape::unescape(std::str::from_utf8(&value).unwrap()).unwrap(),
                    );
                }
                names.push(String::from_utf8(start.name().0.to_vec()).unwrap());
            }
            Event::Text(text) => allowed(std::str::from_utf8(&text).unwrap()),
            Event::CData(_) | Event::Comment(_) | Event::DocType(_) => panic!("{what}: injected"),
            Event::Eof => break,
            _ => {}
        }
        depth += 1;
    }
    assert!(depth > names.len());
    names
}

#[test]
fn xml_has_the_elements_that_it_should() {
    let hostile = Hostile::new();
    let text = hostile.text(&["dump", "--format", "xml"]);
    let names = elements(&text, "xml");
    let count = |name: &str| names.iter().filter(|own| *own == name).count();
    assert_eq!((count("Event"), count("x")), (records(), 0));
    assert_eq!(count("System"), records());

    let out = hostile.path("documents");
    hostile.run(&["export", "--to", "freb", "-o"], &[&out]);
    let mut documents = 0;
    for entry in fs::read_dir(&out).unwrap() {
        let document = fs::read(entry.unwrap().path()).unwrap();
        // Its lines end as those of IIS do, and a tab is a character of a text.
        let text = harmless(&document, &['\r', '\t'], "freb");
        let names = elements(&text, "freb");
        assert_eq!(names.iter().filter(|name| *name == "Event").count(), 2);
        assert_eq!(names.iter().filter(|name| *name == "failedRequest").count(), 1);
        assert!(!names.iter().any(|name| name == "x"));
        documents += 1;
    }
    assert_eq!(documents, TEXTS.len());
}

#[test]
fn exports_are_what_they_say() {
    let hostile = Hostile::new();
    let chrome = hostile.text(&["export", "--to", "chrome", "-o", "-"]);
    let chrome: Value = serde_json::from_str(&chrome).unwrap();
    let names = strings(chrome["traceEvents"].as_array().unwrap().iter().map(|one| &one["name"]));
    assert!(TEXTS.iter().all(|text| names.contains(text)));

    let folded = hostile.text(&["export", "--to", "folded", "-o", "-"]);
    for line in folded.lines() {
        let (stack, count) = line.rsplit_once(' ').unwrap();
        // The process and one frame: a semicolon of a name is none between frames.
        assert_eq!((stack.split(';').count(), count), (2, "1"), "{line}");
    }
    assert_eq!(folded.lines().count(), TEXTS.len());

    let page = hostile.text(&["export", "--to", "html", "-o", "-"]);
    assert_eq!(page.matches("<script").count(), 2, "those of the page itself");
    assert_eq!(page.matches("</script>").count(), 2);
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    let urls = strings(data["requests"].as_array().unwrap().iter().map(|one| &one["url"]));
    assert_eq!(urls, TEXTS.iter().copied().collect());

    let capture = hostile.run(&["export", "--to", "pcapng", "-o", "-"], &[]).stdout;
    let packets = capture::packets(&capture).unwrap();
    assert_eq!(packets.len(), TEXTS.len());
    for packet in packets {
        for text in [packet.interface, packet.description, packet.comment] {
            harmless(text.as_bytes(), &[], "pcapng");
        }
    }
}

#[cfg(feature = "otlp")]
#[test]
fn opentelemetry_has_every_record() {
    let hostile = Hostile::new();
    let lines = hostile.lines(&["export", "--to", "otlp-json", "-o", "-"]);
    let list = |value: &Value, key: &str| value[key].as_array().unwrap().clone();
    let resources = lines.iter().flat_map(|line| list(line, "resourceLogs"));
    let scopes = resources.flat_map(|resource| list(&resource, "scopeLogs"));
    let logs: Vec<_> = scopes.flat_map(|scope| list(&scope, "logRecords")).collect();
    assert_eq!(logs.len(), records());
    let names = strings(logs.iter().map(|log| &log["eventName"]));
    assert!(TEXTS.iter().all(|text| names.contains(text)));
    // Values of protobuf are what was recorded, not what is shown.
    let output = hostile.run(&["export", "--to", "otlp", "-o", "-"], &[]);
    assert!(!output.stdout.is_empty());
}
