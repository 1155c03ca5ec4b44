//! Every answer that spec/16-calls.md lists has the test that it names, and every call is listed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The calls by the names of Microsoft and of this crate.
const CALLS: &[(&str, &str)] = &[
    ("TraceMessage", "trace_message"),
    ("TraceMessageVa", "trace_message_va"),
    ("TraceEvent", "trace_event"),
    ("TraceEventInstance", "trace_event_instance"),
    ("CreateTraceInstanceId", "create_trace_instance_id"),
    ("EventWrite", "event_write"),
    ("EventWriteTransfer", "event_write_transfer"),
    ("EventWriteEx", "event_write_ex"),
    ("EventWriteString", "event_write_string"),
    ("EventActivityIdControl", "event_activity_id_control"),
];
const WITH_A_SESSION: &str = "every call with a session";

struct Row {
    call: String,
    answer: u32,
    test: String,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn rows() -> Vec<Row> {
    let chapter = read("spec/16-calls.md");
    let (_, table) = chapter.split_once("## Answers").unwrap();
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, call, condition, answer, test, _] = cells[..] else { panic!("{line}") };
        assert!(!condition.is_empty(), "{line}");
        Row {
            call: call.into(),
            answer: answer.parse().unwrap_or_else(|_| panic!("{line}")),
            test: test.trim_matches('`').into(),
        }
    })
    .collect()
}

/// A test as its file has it.
struct Test {
    /// What stands between the imports and the first test: helpers.
    helpers: String,
    /// The comment in front of it, and itself.
    text: String,
}

fn test_of(name: &str) -> Result<Test, String> {
    let (module, function) = name.split_once("::").ok_or(format!("`{name}` is no test"))?;
    let file = read(&format!("tests/message/{module}.rs"));
    let head = format!("#[test]\nfn {function}() {{\n");
    let at = file.find(&head).ok_or(format!("there is no test `{name}`"))?;
    let end = file[at..].find("\n}\n").map_or(file.len(), |end| at + end);
    let comment = file[..at].rfind("\n}\n").map_or(0, |end| end + 3);
    let first = file.find("#[test]").unwrap_or_default();
    let imports = file[..first].rfind("\nuse ").unwrap_or_default();
    let imports = file[imports..first].find(';').map_or(first, |end| imports + end);
    Ok(Test { helpers: file[imports..first].into(), text: file[comment..end].into() })
}

fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// What is wrong with a row. The test it names must exist and expect the answer; and it, its comment
/// or a helper must name the call.
fn complaint(row: &Row) -> Option<String> {
    let Test { helpers, text } = match test_of(&row.test) {
        Ok(test) => test,
        Err(error) => return Some(error),
    };
    let calls = CALLS.iter().filter(|(call, _)| match row.call.as_str() {
        WITH_A_SESSION => call.starts_with("Trace"),
        call_of_row => *call == call_of_row,
    });
    let calls: Vec<_> = calls.collect();
    if calls.is_empty() {
        return Some(format!("there is no call {}", row.call));
    }
    let is_called = |function| has_word(&text, function) || has_word(&helpers, function);
    if let Some((_, function)) = calls.iter().find(|(_, function)| !is_called(function)) {
        return Some(format!("`{}` does not call `{function}`", row.test));
    }
    (!has_word(&text, &row.answer.to_string()))
        .then(|| format!("`{}` does not expect {}", row.test, row.answer))
}

#[test]
fn every_row_has_its_test() {
    let rows = rows();
    assert!(rows.len() > 50, "{}", rows.len());
    let complaints: Vec<_> = rows.iter().filter_map(complaint).collect();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_call_and_every_error_is_listed() {
    let mut answers = BTreeMap::<String, BTreeSet<u32>>::new();
    for row in rows() {
        answers.entry(row.call).or_default().insert(row.answer);
    }
    let with_a_session = answers.remove(WITH_A_SESSION).unwrap();
    assert!(answers.keys().map(String::as_str).eq({
        let mut calls: Vec<_> = CALLS.iter().map(|(call, _)| *call).collect();
        calls.sort_unstable();
        calls
    }));
    // What is documented for each, of which nothing may be missing.
    let documented: [(&str, &[u32]); 4] = [
        ("TraceMessage", &[6, 8, 14, 87, 234]),
        ("TraceEvent", &[6, 8, 14, 87, 186, 234]),
        ("TraceEventInstance", &[6, 8, 14, 87, 234, 1004]),
        ("EventWrite", &[0, 6, 8, 87, 234, 534]),
    ];
    for (call, expected) in documented {
        assert!(answers[call].iter().eq(expected), "{call}: {:?}", answers[call]);
    }
    let listed: BTreeSet<_> = answers.into_values().flatten().chain(with_a_session).collect();
    // All that `TraceError` has.
    assert!(listed.into_iter().eq([0, 6, 8, 14, 87, 186, 234, 534, 1004]));
    // Every public call of the module.
    let module = read("src/message/mod.rs");
    for (_, function) in CALLS {
        assert!(has_word(&module, function), "{function}");
    }
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/message")).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for (at, head) in text.match_indices("\npub fn ") {
            let name = text[at + head.len()..].split(['<', '(']).next().unwrap();
            let known = CALLS.iter().any(|(_, function)| *function == name);
            assert!(known || name == "get_trace_logger_handle", "{name} is not listed");
        }
    }
}

/// The check complains about what it is there for.
#[test]
fn a_row_without_its_test_is_found() {
    let row = |call: &str, answer, test: &str| {
        complaint(&Row { call: call.into(), answer, test: test.into() })
    };
    assert_eq!(row("TraceEvent", 186, "trace_event::without_traced_guid"), None);
    assert!(row("TraceEvent", 186, "trace_event::of_nothing").is_some());
    assert!(row("TraceEvent", 187, "trace_event::without_traced_guid").is_some());
    assert!(row("EventWrite", 186, "trace_event::without_traced_guid").is_some());
    assert!(row("TraceNothing", 186, "trace_event::without_traced_guid").is_some());
    assert!(row("TraceEvent", 186, "without_traced_guid").is_some());
}
