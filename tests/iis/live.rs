//! Failed requests of a running session.

use crate::logs::*;
use crate::shape::checked;
use etlring::format::Guid;
use etlring::iis::*;
use etlring::provider::Enable;
use etlring::session::Session;
use std::fs;
use std::path::Path;

fn documents(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Requests 1 to `count` from several threads; each third one fails. The events of each come from
/// two threads.
fn run(server: &HttpServer, count: u32) {
    for number in 1..=count {
        let context = server.request_context(Guid::from_u128(number.into()), "m");
        start(&context, &format!("/{number}"));
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(example(&context, 1), HResult::S_OK));
        });
        end(&context, if number % 3 == 0 { 500 } else { 200 }, 0);
    }
}

#[test]
fn only_failed_requests_are_kept() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let session = Session::builder("iis live").real_time().start().unwrap();
    session.enable_provider(guids::WWW_SERVER, &Enable::new().level(5)).unwrap();
    let mut settings = FailedRequestSettings::new(directory.path().join("W3SVC1"));
    settings.rules.status = "500-599".parse().unwrap();
    settings.options.computer = "N2-IIS".to_owned();
    let failed = FailedRequestLog::start(&session, settings).unwrap();
    run(&HttpServer::new(), 10);
    session.stop().unwrap();
    let stats = failed.finish().unwrap();
    assert_eq!((stats.requests, stats.failed, stats.documents, stats.events_missed), (10, 3, 3, 0));
    let written = directory.path().join("W3SVC1");
    assert_eq!(documents(&written), ["fr000001.xml", "fr000002.xml", "fr000003.xml"]);
    for name in documents(&written) {
        let root = checked(&fs::read(written.join(name)).unwrap());
        assert_eq!((root.children.len(), root.attribute("statusCode")), (3, "500"));
        assert_eq!(root.children[0].child("System").child("Computer").text, "N2-IIS");
    }
}

#[test]
fn numbers_go_on_and_the_oldest_documents_go() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("fr000041.xml"), "an older one").unwrap();
    fs::write(directory.path().join("freb.xsl"), "not ours").unwrap();
    let session = Session::builder("iis kept").real_time().start().unwrap();
    session.enable_provider(guids::WWW_SERVER, &Enable::new().level(5)).unwrap();
    let mut settings = FailedRequestSettings::new(directory.path());
    settings.most_files = 2;
    let failed = FailedRequestLog::start(&session, settings).unwrap();
    run(&HttpServer::new(), 4);
    session.stop().unwrap();
    assert_eq!(failed.finish().unwrap().documents, 4);
    assert_eq!(documents(directory.path()), ["fr000044.xml", "fr000045.xml", "freb.xsl"]);
}

#[test]
fn a_ring_has_no_consumers() {
    let directory = tempfile::tempdir().unwrap();
    let session = Session::builder("iis no consumer").memory_ring().start().unwrap();
    let settings = FailedRequestSettings::new(directory.path());
    let error = FailedRequestLog::start(&session, settings).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
}
