//! Decoded events as scripts meet them.

use crate::{etlring, sample};
use serde_json::{Value, json};

fn lines(args: &[&str]) -> Vec<Value> {
    let output = etlring(args);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn jsonl_has_names_and_typed_fields() {
    let Some(file) = sample("perfview_primitive-types.etl") else { return };
    let events =
        lines(&["dump", "--format", "jsonl", "--fields", "--provider", "solar_system", &file]);
    assert_eq!(events.len(), 5);
    let first = &events[0];
    assert_eq!(first["provider_name"], "solar_system");
    assert_eq!(first["name"], "PrimitiveTypesTest");
    let expected = json!({
        "string_type": "Mercury", "boolean_type": false, "char_type": "M", "int16_type": -51,
        "int32_type": -102, "uint16_type": 51, "uint32_type": 102, "uint64_type": 204,
        "guid_type": "0ad614c4-0ef4-4225-8013-f44f37cb0397",
        "file_time_type": "2021-09-09T14:59:35.7990000Z",
        "system_time_type": "2021-09-09T14:59:35.799",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(first["fields"][name], *value, "{name}");
    }
    // Text in a field chooses, too.
    let venus = lines(&["dump", "--format", "jsonl", "--fields", "--match", "vEnUs", &file]);
    assert_eq!(venus.len(), 1);
    assert_eq!(venus[0]["fields"]["string_type"], "Venus");
}

#[test]
fn what_has_no_schema_is_shown_as_bytes() {
    let Some(file) = sample("s4_CldFlt0-2025-12-21-121418.etl") else { return };
    let events = lines(&["dump", "--format", "jsonl", "--fields", "--payload", &file]);
    let messages: Vec<_> = events.iter().filter(|event| event["header"] == "message").collect();
    assert_eq!(messages.len(), 13);
    for message in messages {
        assert_eq!(message["fields"], Value::Null);
        assert_eq!(message["rest"], message["payload"]);
    }
}

#[test]
fn processes_are_named_where_the_kernel_named_them() {
    let Some(file) = sample("airbus_ShutdownPerfDiagLogger.etl") else { return };
    let args = ["dump", "--format", "jsonl", "--fields", "--provider", "Process", &file];
    let events = lines(&args);
    let named = |event: &&Value| event["process_name"].is_string();
    assert!(events.iter().filter(named).count() > 10);
    for event in events.iter().filter(|event| event["name"] == "DCStart") {
        assert!(event["fields"]["ImageFileName"].is_string());
        assert!(event["fields"]["UserSID"].as_str().is_none_or(|sid| sid.starts_with("S-1-")));
    }
}

#[test]
fn stats_say_how_much_was_decoded() {
    let Some(file) = sample("perfview_net.4.5.2.x64.etl") else { return };
    let output = etlring(&["stats", "--decode", "--json", &file]);
    let stats: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sources = stats["decoded"]["sources"].as_array().unwrap();
    let of = |name: &str| {
        let row = sources.iter().find(|row| row["source"] == name).unwrap();
        (row["events"].as_u64().unwrap(), row["whole"].as_u64().unwrap())
    };
    // Where schemas are from is said without a look at payloads, too.
    let plain = etlring(&["stats", "--json", &file]);
    let plain: Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert!(plain["decoded"].is_null());
    assert_eq!(plain["schemas"], stats["schemas"]);
    for row in plain["schemas"].as_array().unwrap() {
        assert_eq!(of(row["source"].as_str().unwrap()).0, row["events"].as_u64().unwrap());
    }
    assert_eq!(of("kernel"), (111_331, 111_331));
    assert_eq!(of("metadata"), (66_394, 66_394));
    let total: u64 = sources.iter().map(|row| row["events"].as_u64().unwrap()).sum();
    assert_eq!(total, stats["events"].as_u64().unwrap());
}

#[test]
fn csv_and_xml_have_a_row_for_each_record() {
    let Some(file) = sample("demikernel_PktMon.etl") else { return };
    let rows = String::from_utf8(etlring(&["dump", "--format", "csv", &file]).stdout).unwrap();
    assert_eq!(rows.lines().count(), 468);
    let xml = String::from_utf8(etlring(&["dump", "--format", "xml", &file]).stdout).unwrap();
    assert!(xml.starts_with("<?xml") && xml.ends_with("</Events>\n"));
    assert_eq!(xml.matches("<Event xmlns").count(), 467);
    assert_eq!(xml.matches("</Event>").count(), 467);
}

#[test]
fn manifests_of_the_user_are_read_or_refused_with_a_reason() {
    let Some(file) = sample("perfview_gcevents.etl") else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    // Of the .NET runtime's event 29 only the first field, so that the rest is left.
    std::fs::write(
        path("clr.man"),
        "<provider name='Runtime' guid='{e13c0d23-ccbc-4e12-931b-d9cc2eee27e4}'><templates>\
         <template tid='t'><data name='First' inType='win:UInt16'/></template></templates>\
         <events><event value='29' version='0' symbol='Finalize' template='t'/></events></provider>",
    )
    .unwrap();
    std::fs::write(path("bad.txt"), "<a>").unwrap();
    for given in [path("clr.man"), directory.path().to_str().unwrap().to_owned()] {
        let args = ["dump", "--format", "jsonl", "--id", "29", "--manifest", &given, &file];
        let events = lines(&args);
        assert_eq!(events.len(), 6);
        assert_eq!(events[0]["name"], "Finalize");
        assert!(events[0]["fields"]["First"].is_u64() && events[0]["rest"].is_string());
    }
    for wrong in [path("bad.txt"), path("none.man"), path("")] {
        if wrong.ends_with('/') {
            std::fs::remove_file(path("clr.man")).unwrap();
        }
        let output = etlring(&["dump", "--manifest", &wrong, &file]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{wrong}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn mof_and_binary_files_are_read_or_refused_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let log = path("demo.etl");
    let demo = etlring(&["demo", "--threads", "1", "--events", "5", "--out", &log]);
    assert_eq!(demo.status.code(), Some(0));
    let mof = "[Guid(\"{b4a15c0e-7d2f-4f6b-9a51-0c3e6d58e7d1}\"), EventVersion(0),\n\
               DisplayName(\"Demo\"), EventType(10), EventTypeName(\"Numbered\")]\n\
               class Demo : EventTrace { [WmiDataId(1)] uint64 Number;\n\
               [WmiDataId(2)] uint8 Filler[20]; };";
    std::fs::write(path("demo.mof"), mof).unwrap();
    for given in [path("demo.mof"), path("")] {
        let args = ["dump", "--format", "jsonl", "--provider", "demo", "--mof", &given, &log];
        let events = lines(&args);
        assert_eq!(events.len(), 5);
        for (number, event) in events.iter().enumerate() {
            assert_eq!(
                (&event["provider_name"], &event["name"]),
                (&json!("Demo"), &json!("Numbered"))
            );
            assert_eq!(event["fields"]["Number"], number);
            assert_eq!(event["fields"]["Filler"].as_array().unwrap().len(), 20);
        }
    }
    let stats = |args: &[&str]| -> Value {
        serde_json::from_slice(
            &etlring(&[&["stats", "--decode", "--json", &log], args].concat()).stdout,
        )
        .unwrap()
    };
    let expected = json!([{"reason": "classic events of an unknown class", "events": 5}]);
    assert_eq!(stats(&[])["decoded"]["rest"], expected);
    assert_eq!(stats(&["--mof", &path("demo.mof")])["decoded"]["rest"], json!([]));

    std::fs::write(path("bad.mof"), "\nclass A {").unwrap();
    std::fs::write(path("bad.dll"), "MZ").unwrap();
    for (option, wrong, says) in [
        ("--mof", "bad.mof", "bad.mof: at byte 10: line 2: "),
        ("--mof", "none.mof", "none.mof: "),
        ("--binary", "bad.dll", "bad.dll: at byte 60: breaks off; "),
        ("--binary", "demo.mof", "demo.mof: at byte 0: is no DLL or program; "),
    ] {
        let output = etlring(&["dump", option, &path(wrong), &log]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), errors.lines().count()), (Some(2), 1), "{errors}");
        assert!(errors.contains(says) && output.stdout.is_empty(), "{errors}");
    }
    // One file of many that is damaged is named and passed over.
    let output = etlring(&["dump", "--binary", &path(""), &log]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), errors.lines().count()), (Some(0), 2), "{errors}");
}
