//! The page of requests: what is in it, and that no text of an event can become part of it.

use crate::logs::*;
use etlring::export::page::Page;
use etlring::export::requests::FailureRules;
use etlring::iis::*;
use serde_json::Value;

/// The data of a page.
fn data(page: &str) -> Value {
    let (_, behind) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(behind.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn a_page_holds_every_event_as_text() {
    const HOSTILE: &str = "</script><script>alert(1)</script><!--<script>\u{2028}\u{2029}]]>\"\\";
    let recording = record("iis page");
    let server = HttpServer::new();
    let context = server.request_context(ACTIVITY, HOSTILE);
    start(&context, HOSTILE);
    assert_eq!(context.quick_trace(HOSTILE, None, HResult(-2_147_024_891), 2), HResult::S_OK);
    end(&context, 500, 19);
    let (log, _) = recording.stop();
    let request = requests(&log).remove(0);
    let failure = FailureRules::default().judge(&request);
    let mut page = Page::new();
    assert!(page.is_empty());
    page.add(&request, failure.as_ref());
    page.add(&request, None);
    assert_eq!(page.len(), 2);
    let page = String::from_utf8(page.finish(HOSTILE)).unwrap();

    let (_, behind) = page.split_once("id=\"data\">").unwrap();
    let data_text = behind.split_once("</script>").unwrap().0;
    assert!(!data_text.contains(['<', '\u{2028}', '\u{2029}']));
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(page.contains("default-src 'none'"));
    assert!(!page.contains("http://") && !page.contains("https://"), "it loads nothing");

    let data = data(&page);
    assert_eq!(data["source"], HOSTILE);
    let found = &data["requests"][0];
    assert_eq!(found["url"], HOSTILE);
    assert_eq!((&found["status"], &found["trigger"]), (&"500.19".into(), &"500.19".into()));
    assert_eq!(found["reason"], "STATUS_CODE");
    assert_eq!(found["levels"], serde_json::json!([0, 0, 1, 0]));
    assert_eq!(found["events"].as_array().unwrap().len(), 3);
    let string = |number: &Value| {
        data["strings"][usize::try_from(number.as_u64().unwrap()).unwrap()].as_str().unwrap()
    };
    let event = &found["events"][1];
    assert_eq!(string(&event[0]), "MODULE_ERROR");
    let items: Vec<_> = event[8]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (string(&item[0]), item[1].as_str().unwrap(), string(&item[2])))
        .collect();
    assert_eq!(
        items[1..],
        [
            ("ModuleName", HOSTILE, ""),
            ("Data1", HOSTILE, ""),
            ("Data2", "", ""),
            ("ErrorCode", "2147942405", "Access is denied.\r\n (0x80070005)"),
        ]
    );
}
