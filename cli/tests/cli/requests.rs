//! `export` of requests: documents and a page.

use crate::{etlring, names, sample};
use etlring::format::Guid;
use etlring::iis::*;
use etlring::provider::Enable;
use etlring::session::Session;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// A log of two requests, one of which has an error.
pub(crate) fn record(path: &Path) {
    // A name is one session's, and tests run side by side.
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("cli requests {}", NEXT.fetch_add(1, Ordering::Relaxed));
    let session = Session::builder(&name).log_file(path).start().unwrap();
    session.enable_provider(guids::WWW_SERVER, &Enable::new()).unwrap();
    let server = HttpServer::new();
    for (number, level) in [(1, 2), (2, 4)] {
        let context = server.request_context(Guid::from_u128(number), "cart");
        let text = "</script><b>&";
        assert_eq!(context.quick_trace(text, None, HResult::E_FAIL, level), HResult::S_OK);
    }
    session.stop().unwrap();
}

#[test]
fn requests_become_documents_and_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let log = path("iis.etl");
    record(Path::new(&log));
    let before = fs::read(&log).unwrap();

    let output = etlring(&["export", &log, "--to", "freb", "-o", &path("all")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(names(Path::new(&path("all"))), ["fr000001.xml", "fr000002.xml"]);
    let rules = ["--verbosity", "2", "--computer", "N2-IIS"];
    let failed = path("failed");
    let arguments = [&["export", &log, "--to", "freb", "-o", &failed][..], &rules].concat();
    assert_eq!(etlring(&arguments).status.code(), Some(0));
    assert_eq!(names(Path::new(&failed)), ["fr000001.xml"]);
    let document = fs::read_to_string(Path::new(&failed).join("fr000001.xml")).unwrap();
    assert!(document.contains("<Computer>N2-IIS</Computer>"));
    assert!(document.contains("failureReason=\"VERBOSITY\""));
    assert!(document.contains(">&lt;/script&gt;&lt;b&gt;&amp;</Data>"));

    let page = path("page.html");
    let output = etlring(&["export", "--to", "html", "--output", &page, &log]);
    assert_eq!(output.status.code(), Some(0));
    let page = fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("</script>").count(), 2, "those of the page itself");
    assert!(page.contains("\\u003c/script>\\u003cb>&"));
    let output = etlring(&["export", "--to", "html", "--output", "-", &log]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), page);
    assert_eq!(fs::read(&log).unwrap(), before);
}

#[test]
fn what_cannot_be_exported_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let log = path("iis.etl");
    record(Path::new(&log));
    let before = fs::read(&log).unwrap();
    let refused = |arguments: &[&str]| {
        let output = etlring(&[&["export"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    // The log itself is no output, under whatever name.
    fs::hard_link(&log, path("link.etl")).unwrap();
    for output in [&log, &path("link.etl"), &path("./iis.etl")] {
        let line = refused(&[&log, "--to", "html", "-o", output]);
        assert!(line.contains("it is an input") && line.lines().count() == 1, "{line}");
    }
    assert_eq!(fs::read(&log).unwrap(), before);
    // Documents that are there stay.
    assert!(etlring(&["export", &log, "--to", "freb", "-o", &path("out")]).status.success());
    let line = refused(&[&log, "--to", "freb", "-o", &path("out")]);
    assert!(line.contains("is there already"), "{line}");
    assert!(refused(&[&log, "--to", "freb", "-o", "-"]).contains("directory"));
    assert!(refused(&[&log, "--to", "freb", "-o", &log]).contains("iis.etl"));
    assert!(refused(&[&log, "--to", "paper", "-o", "x"]).contains("paper"));
    refused(&[&log, "--to", "freb", "-o", "x", "--status", "404,teapot"]);
    refused(&[&path("missing.etl"), "--to", "html", "-o", &path("x.html")]);
    assert!(!Path::new(&path("x.html")).exists());
}

#[test]
fn a_log_without_requests_gives_none() {
    let Some(file) = sample("perfview_primitive-types.etl") else { return };
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let output = etlring(&["export", &file, "--to", "freb", "-o", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no events of requests"));
    assert!(names(&out).is_empty());
}
