//! Links between the specification and everything that names it.

use crate::common::spec;
use std::{fs, path::Path, path::PathBuf};

/// Goal: no reader of the specification is sent to a place that is not there.
/// Method: every relative link of every markdown file under spec, headings included.
#[test]
fn of_the_specification_resolve() {
    let mut links = 0;
    for file in files(&spec(""), "md") {
        let text = fs::read_to_string(&file).unwrap();
        for target in targets(&text) {
            links += 1;
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match path {
                "" => file.clone(),
                path => file.parent().unwrap().join(path),
            };
            assert!(path.exists(), "{}: {target}", file.display());
            if !heading.is_empty() {
                let there = headings(&fs::read_to_string(&path).unwrap());
                assert!(there.iter().any(|h| h == heading), "{}: {target}", file.display());
            }
        }
    }
    assert!(links > 20, "{links} links");
}

/// Goal: a source file that names a chapter names one that exists.
#[test]
fn of_the_sources_resolve() {
    let mut named = 0;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in files(&root.join("src"), "rs") {
        let text = fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("spec/") {
            let name: String = text[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "/-_.".contains(*c))
                .collect();
            let name = name.trim_end_matches(['.', '/']);
            named += 1;
            assert!(root.join(name).exists(), "{}: {name}", file.display());
        }
    }
    assert!(named > 20, "{named} names");
}

/// Goal: the index of the specification is complete.
#[test]
fn of_the_index_reach_every_chapter() {
    let index = fs::read_to_string(spec("README.md")).unwrap();
    let linked: Vec<_> = targets(&index).collect();
    for file in files(&spec(""), "md") {
        let name = file.strip_prefix(spec("")).unwrap().to_string_lossy().replace('\\', "/");
        let chapter = !name.contains('/') && name != "README.md";
        assert!(!chapter || linked.contains(&name.as_str()), "{name} is not in the index");
    }
}

/// What `](target)` names, web addresses and rustdoc paths left out.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("](")
        .filter_map(|(at, _)| text[at + 2..].split_once(')'))
        .map(|(target, _)| target)
        .filter(|target| !target.contains("://") && !target.contains("::"))
}

/// The names under which headings can be linked.
fn headings(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// Every file below `dir` with this extension.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}
