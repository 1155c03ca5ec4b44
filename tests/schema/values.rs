//! Values and their text.

use etlring::codec::Utf16;
use etlring::schema::{InType, OutType, Sid, Text, Value};

#[test]
fn text_of_any_bytes_is_text() {
    let lone = Text::Wide(Utf16(b"a\0\x00\xd8b\0"));
    assert_eq!(lone.to_string(), "a\u{fffd}b");
    let pair = Text::Wide(Utf16(b"\x3d\xd8\x00\xde"));
    assert_eq!(pair.to_string(), "\u{1f600}");
    assert_eq!(Text::of(b"\x80\x81\xff"), Text::Narrow(b"\x80\x81\xff"));
    // No two bytes look alike.
    let all: Vec<u8> = (0..=255).collect();
    let mut characters: Vec<char> = Text::Narrow(&all).to_string().chars().collect();
    characters.sort_unstable();
    characters.dedup();
    assert_eq!(characters.len(), 256);
}

#[test]
fn numbers_and_addresses_as_text() {
    assert_eq!(Value::Float(f32::NAN).to_string(), "NaN");
    assert_eq!(Value::Double(1e300).to_string(), "1e300");
    assert_eq!(Value::Hex(0).to_string(), "0x0");
    assert_eq!(Value::Ipv6([0; 16]).to_string(), "::");
    assert_eq!(Value::Signed(-1).to_count(), None);
}

#[test]
fn security_identifiers_are_checked() {
    let long = [1, 1, 0xAA, 0xBB, 0, 0, 0, 1, 7, 0, 0, 0];
    assert_eq!(Sid::parse(&long).unwrap().to_string(), "S-1-0xaabb00000001-7");
    assert_eq!(Sid::parse(&[1, 0, 0, 0, 0, 0, 0, 16]).unwrap().to_string(), "S-1-16");
    for wrong in [&[2, 0, 0, 0, 0, 0, 0, 1][..], &[1, 16], &[1, 1, 0, 0, 0, 0, 0, 1], &[]] {
        assert_eq!(Sid::parse(wrong), None);
    }
}

#[test]
fn type_names_lead_back() {
    for number in 0..400 {
        if let Some(name) = InType(number).name() {
            assert_eq!(InType::named(&format!("win:{name}")), Some(InType(number)));
        }
    }
    assert_eq!(InType::named("win:Nothing"), None);
    assert_eq!(OutType::named("win:HexInt32"), OutType::Hex);
    assert_eq!(OutType::named("xs:string"), OutType::String);
    assert_eq!(OutType::named("xs:unsignedInt"), OutType::Default);
}
