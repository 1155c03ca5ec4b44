//! The header and the code say the same.
//!
//! Prototypes are compared with the functions in `capi/src`, read as text, and with the symbols of
//! the shared library; constants and structures with what the compiler knows, by a C program of
//! static assertions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The header without its comments.
fn header() -> String {
    let text = fs::read_to_string(root().join("include/etlring.h")).unwrap();
    let mut code = String::new();
    let mut rest = &text[..];
    while let Some((before, behind)) = rest.split_once("/*") {
        code += before;
        rest = behind.split_once("*/").expect("comments end").1;
    }
    code + rest
}

/// `name` and "result(argument, argument)" of each prototype of the header.
fn prototypes(header: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for statement in header.split(';') {
        let Some(text) = statement.strip_suffix(" ETLRING_NOEXCEPT") else { continue };
        let start = text.rfind("\n\n").into_iter().chain(text.rfind("#endif")).max();
        let text = text[start.map_or(0, |at| at + 1)..].lines();
        let text = text.filter(|line| !line.starts_with('#') && *line != "endif");
        let text = text.collect::<Vec<_>>().join(" ");
        let (head, arguments) = text.split_once('(').expect("a prototype");
        let arguments = arguments.trim_end().strip_suffix(')').expect("a prototype");
        let (result, name) = split_name(head);
        let arguments: Vec<_> = arguments.split(',').map(|one| split_name(one).0).collect();
        let arguments = arguments.join(", ");
        let arguments = if arguments.is_empty() { "void".to_owned() } else { arguments };
        let before = found.insert(name.clone(), format!("{result}({arguments})"));
        assert!(before.is_none(), "{name} is declared twice");
    }
    found
}

/// A declaration taken apart into type and name.
fn split_name(text: &str) -> (String, String) {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let at = text.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    (text[..at].trim().replace(" *", "*"), text[at..].to_owned())
}

/// The same of the functions that Rust exports.
fn functions() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root().join("capi/src")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for function in text.split("#[unsafe(no_mangle)]\n").skip(1) {
            let (_, function) = function.split_once("extern \"C\" fn ").expect("a C function");
            let (signature, _) = function.split_once('{').unwrap();
            let (name, arguments) = signature.split_once('(').unwrap();
            let (arguments, result) = arguments.rsplit_once(')').unwrap();
            let name = name.split('<').next().unwrap();
            let mut types = Vec::new();
            let mut rest = arguments.trim();
            while let Some((_, behind)) = rest.split_once(": ") {
                let mut depth = 0;
                let end = behind.find(|c| {
                    match c {
                        '<' => depth += 1,
                        '>' => depth -= 1,
                        _ => {}
                    }
                    c == ',' && depth == 0
                });
                let end = end.unwrap_or(behind.len());
                types.push(c_type(&behind[..end]));
                rest = behind[end..].trim_start_matches(',').trim();
            }
            let result = match result.trim().strip_prefix("->") {
                None => "void".to_owned(),
                Some(result) => c_type(result),
            };
            let types = if types.is_empty() { "void".to_owned() } else { types.join(", ") };
            found.insert(name.to_owned(), format!("{result}({types})"));
        }
    }
    found
}

/// What C calls a type of a function's signature.
fn c_type(rust: &str) -> String {
    let rust = rust.trim().replace("&'a ", "&");
    let inside = |prefix: &str, suffix: &str| {
        rust.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix)).map(str::to_owned)
    };
    let plain = match &rust[..] {
        "Status" => "etlring_status",
        "u8" => "uint8_t",
        "u16" => "uint16_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "i32" => "int32_t",
        "c_int" => "int",
        "Text<'_>" | "*const c_char" => "const char*",
        "*mut c_void" => "void*",
        "Wide<'_>" => "const uint16_t*",
        "Id" => "const void*",
        "Event" => "const etlring_event_trace_header*",
        "Option<Callback>" => "etlring_callback",
        "Option<FoundCallback>" => "etlring_found_callback",
        "Option<Release>" => "etlring_release",
        _ => "",
    };
    if !plain.is_empty() {
        return plain.to_owned();
    }
    let named = |name: &str| {
        let name = name.trim_start_matches("'_, ").trim_start_matches("'a, ");
        let name = name.split('<').next().unwrap();
        let name = match name {
            "Options" => "session_options",
            "Statistics" => "session_statistics",
            "CRecord" => "record",
            "CChange" => "change",
            "Changes" => "session_update",
            "Properties" => "session_properties",
            "Descriptor" => "event_descriptor",
            "HttpServerObject" => "http_server",
            other => &snake(other),
        };
        format!("etlring_{name}")
    };
    if let Some(name) = inside("Option<&mut ", ">") {
        return format!("{}*", named(&name));
    }
    if let Some(name) = inside("Option<&", ">").or_else(|| inside("Given<", ">")) {
        return format!("const {}*", named(&name));
    }
    if let Some(name) = inside("Array<", ">") {
        return format!("const {}*", named(&name));
    }
    if let Some(name) = inside("Option<Box<", ">>").or_else(|| inside("Wanted<", ">")) {
        return format!("{}*", named(&name));
    }
    if let Some(name) = inside("Place<", ">") {
        return format!("{}**", named(&name));
    }
    panic!("{rust} is no type that a C function may have")
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if at > 0 && c.is_uppercase() {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

#[test]
fn prototypes_are_those_of_the_code() {
    let (header, code) = (prototypes(&header()), functions());
    assert!(header.len() > 25, "{header:#?}");
    assert_eq!(header, code);
}

/// The compiler driver that Rust itself links with; where there is none nothing can be compared.
fn compile(args: &[&str], source: &str) -> Option<(bool, String)> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("check.c");
    fs::write(&file, source).unwrap();
    let include = root().join("include");
    let output = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"])
        .arg(include)
        .args(args)
        .arg(file)
        .output();
    match output {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            Some((output.status.success(), errors))
        }
        Err(error) => {
            let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!in_ci, "no C compiler: {error}");
            println!("skipped, no C compiler: {error}");
            None
        }
    }
}

/// A C program that compiles only if the header has these constants and structures.
fn assertions(wrong: u32) -> String {
    let mut source = "#include <etlring.h>\n".to_owned();
    for (name, value) in etlring_capi::CONSTANTS.iter().copied().flatten() {
        let value = value ^ wrong;
        writeln!(source, "_Static_assert(ETLRING_{name} == {value:#x}u, \"{name}\");").unwrap();
    }
    for (name, value) in etlring_capi::status::ALL {
        writeln!(source, "_Static_assert(ETLRING_ERROR_{name} == {value}u, \"{name}\");").unwrap();
    }
    for (name, size, members) in etlring_capi::LAYOUTS.iter().copied().flatten() {
        writeln!(source, "_Static_assert(sizeof({name}) == {size}, \"{name}\");").unwrap();
        for (member, offset) in *members {
            let member = member.trim_start_matches("r#");
            let place = format!("offsetof({name}, {member})");
            writeln!(source, "_Static_assert({place} == {offset}, \"{name}.{member}\");").unwrap();
        }
    }
    source
}

#[test]
fn constants_and_structures_are_those_of_the_code() {
    let Some((fits, errors)) = compile(&[], &assertions(0)) else { return };
    assert!(fits, "{errors}");
    // It can fail.
    let (fits, errors) = compile(&[], &assertions(1)).unwrap();
    assert!(!fits && errors.contains("static assertion failed"), "{errors}");
}

/// Each number that the header defines is in a table of the code, each structure too.
#[test]
fn nothing_of_the_header_is_left_out() {
    /// Parts of the version, and what the preprocessor needs.
    const OWN: &[&str] = &["H", "NOEXCEPT", "VERSION_MAJOR", "VERSION_MINOR", "VERSION_PATCH"];
    let header = header();
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define ETLRING_"));
    let defined = defined.filter_map(|rest| rest.split_whitespace().next());
    let defined = defined.filter(|name| !name.contains('(') && !OWN.contains(name));
    let defined: BTreeSet<String> = defined.map(str::to_owned).collect();
    let known = etlring_capi::CONSTANTS.iter().copied().flatten().map(|(name, _)| *name);
    let errors = etlring_capi::status::ALL.iter().map(|(name, _)| format!("ERROR_{name}"));
    let known: BTreeSet<String> = known.map(str::to_owned).chain(errors).collect();
    assert_eq!(defined, known);

    let structures = header.split("typedef struct ").skip(1);
    let structures = structures.filter_map(|rest| rest.split_once(" {"));
    let structures = structures.filter(|(name, _)| !name.contains([';', ' ']));
    let structures: BTreeSet<&str> = structures.map(|(name, _)| name).collect();
    let layouts = etlring_capi::LAYOUTS.iter().copied().flatten().map(|(name, ..)| *name);
    assert_eq!(structures, layouts.collect());
}

#[test]
fn the_version_is_that_of_the_package() {
    let parts = ["MAJOR", "MINOR", "PATCH"].map(|part| {
        let define = format!("#define ETLRING_VERSION_{part} ");
        let header = header();
        let line = header.lines().find_map(|line| line.strip_prefix(&define)).unwrap();
        line.trim().to_owned()
    });
    assert_eq!(parts.join("."), env!("CARGO_PKG_VERSION"));
}

/// What the shared library exports is what the header declares.
#[test]
fn symbols_are_those_of_the_header() {
    if !cfg!(target_os = "linux") {
        return;
    }
    // Built with the library that this test is linked with, beside it.
    let library = std::env::current_exe().unwrap().with_file_name("libetlring_capi.so");
    let output = match Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "no nm: {error}");
            return println!("skipped, no nm: {error}");
        }
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let symbols = String::from_utf8(output.stdout).unwrap();
    let symbols = symbols.lines().filter_map(|line| line.split_whitespace().next_back());
    let symbols = symbols.filter(|name| name.starts_with("etlring_"));
    let symbols: BTreeSet<String> = symbols.map(str::to_owned).collect();
    let declared: BTreeSet<String> = prototypes(&header()).into_keys().collect();
    assert_eq!(symbols, declared);
}
