//! GUIDs that follow from names.

use etlring::tracelogging::{guid_of_ascii_name, guid_of_name};

/// Providers of Microsoft's own that are named so, with the GUIDs that are published for them.
const KNOWN: &[(&str, &str)] = &[
    ("MyCompany.MyComponent", "ce5fa4ea-ab00-5402-8b76-9f76ac858fb5"),
    ("System.Threading.Tasks.TplEventSource", "2e5dba47-a3d2-4d16-8ee0-6671ffdcd7b5"),
];

#[test]
fn guids_are_those_that_others_compute() {
    // The second one was given its GUID by hand: the hash must not be taken for any name.
    assert_eq!(guid_of_name(KNOWN[0].0).to_string(), KNOWN[0].1);
    assert_ne!(guid_of_name(KNOWN[1].0).to_string(), KNOWN[1].1);
}

#[test]
fn the_compiler_computes_the_same() {
    // Lengths around the end of a block: 16 bytes of the namespace, two for each letter.
    for length in 0..80 {
        let name: String = ('A'..='z').cycle().take(length).collect();
        assert_eq!(guid_of_ascii_name(&name), guid_of_name(&name), "{name}");
        assert_eq!(guid_of_name(&name.to_uppercase()), guid_of_name(&name), "{name}");
    }
    assert_eq!(guid_of_name("stra\u{df}e"), guid_of_name("STRA\u{df}E"), "one letter stays one");
    assert_ne!(guid_of_name("\u{e9}t\u{e9}"), guid_of_name("ete"));
    assert_eq!(guid_of_name("\u{e9}t\u{e9}"), guid_of_name("\u{c9}T\u{c9}"));
}
