//! A log whose names and texts mean harm to whoever shows them.
#![allow(dead_code)] // each user needs its own part

#[path = "../reader/log.rs"]
mod log;

use etlring::codec::encode::{self, Item};
use etlring::format::{EventHeader, ExtType, Guid};
use log::Log;
use zerocopy::FromZeros;

/// What terminals, spreadsheets, XML and pages of the web might act on.
pub(crate) const TEXTS: &[&str] = &[
    "\u{1b}[31mred",
    "\u{1b}]52;c;QUFB\u{7}",
    "\u{9b}31m",
    "\u{9d}0;title\u{9c}",
    "\u{7f}\u{8}\u{85}",
    "\u{202e}gnp.exe\u{2066}\u{200f}",
    "a\nb\r\nc\rd",
    "\ttab",
    "=cmd|'/c calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    " =1+1",
    "\r=1+1",
    "\u{ff1d}1",
    "'\"`,;|",
    "\u{fffe}\u{ffff}\u{fdd0}",
    "]]><x/>",
    "</Data><Data Name=\"x\">",
    "</script><script>alert(1)</script><!--",
    "&#27;&amp;%00${x}",
    "\u{2028}\u{2029}\u{feff}",
    "\u{e0041}\u{e007f}",
    "\\u001b\\n\\",
];

/// The same with a character that ends names, where a text may have it.
const NUL: &str = "a\0\u{1b}b";

pub(crate) const PROVIDER: Guid = Guid::from_u128(0x7a11c0de_0000_4000_8000_000000000bad);
const PKTMON: Guid = Guid::from_u128(0x4d4f80d9_c8bd_4d73_bb5b_19c90402c5ac);
/// The area of requests' events in general.
const GENERAL: Guid = Guid::from_u128(0xd42cf7ef_de92_473e_8b6c_621ea663113a);

/// Where the logfile header has them.
const END_TIME: usize = 72 + 32 + 16;
const BUFFERS_WRITTEN: usize = 72 + 32 + 36;

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// Two halves of pairs that are alone.
fn wide_and_torn(text: &str) -> Vec<u8> {
    let torn = [0xD800, u16::from(b'x'), 0xDC00, 0xDFFF];
    torn.into_iter().chain(text.encode_utf16()).chain([0]).flat_map(u16::to_le_bytes).collect()
}

fn sized(mut bytes: Vec<u8>) -> Vec<u8> {
    let size = u16::try_from(bytes.len()).unwrap();
    bytes[..2].copy_from_slice(&size.to_le_bytes());
    bytes
}

/// A manifest event of a provider.
fn event(provider: Guid, id: u16, flags: u16, items: &[Item<'_>], payload: &[u8]) -> Vec<u8> {
    let mut header = EventHeader::new_zeroed();
    header.provider_id = provider;
    header.descriptor.id = id.into();
    header.descriptor.level = 4;
    header.flags = flags.into();
    header.process_id = 8.into();
    header.thread_id = 70.into();
    header.time_stamp = 2_000.into();
    let mut out = vec![0; 0xFFFF];
    let size = encode::event(&mut out, &header, 64, items, payload).unwrap();
    out.truncate(size);
    out
}

/// An event that names its provider, itself and its fields with the text, which its fields hold.
fn self_describing(text: &str) -> Vec<u8> {
    let name = [text.as_bytes(), b"\0"].concat();
    let traits = sized([&[0, 0][..], &name].concat());
    let fields: [&[u8]; 10] = [
        &name,
        b"\x01", // UTF-16
        &name,
        b"\x02", // bytes
        &name,
        b"\x0b", // float
        &name,
        b"\x0c", // double
        &name,
        b"\x98\x01", // a structure of the next field
    ];
    let schema = sized([&[0, 0, 0][..], &name, &fields.concat(), b"in\0\x0c"].concat());
    let payload = [
        &wide_and_torn(text)[..],
        text.as_bytes(),
        b"\0",
        &f32::NAN.to_le_bytes(),
        &f64::INFINITY.to_le_bytes(),
        &f64::NEG_INFINITY.to_le_bytes(),
    ];
    let items = [
        Item { ext_type: ExtType::PROV_TRAITS, data: &traits },
        Item { ext_type: ExtType::EVENT_SCHEMA_TL, data: &schema },
    ];
    event(PROVIDER, 1, 0, &items, &payload.concat())
}

/// A record of the kernel with a stamp alone.
fn perfinfo(group: u8, kind: u8, version: u8, payload: &[u8]) -> Vec<u8> {
    let mut record = vec![version, 0, 17, 0xC0, 0, 0, kind, group];
    record.extend(2_000_u64.to_le_bytes());
    record.extend_from_slice(payload);
    let size = u16::try_from(record.len()).unwrap();
    record[4..6].copy_from_slice(&size.to_le_bytes());
    record
}

/// A process of this name that was there before the log, an image of its, and a sample in that.
fn profiled(process: u32, text: &str) -> [Vec<u8>; 4] {
    let mut named = vec![0; 8];
    named.extend(process.to_le_bytes());
    named.extend([0; 16]);
    named.extend([text.as_bytes(), b"\0"].concat());
    let thread = process + 1_000;
    let base = 0x1_0000_u64 * u64::from(process);
    let words = [base.to_le_bytes(), 0x1000_u64.to_le_bytes()].concat();
    let image = [&words[..], &process.to_le_bytes(), &wide(text)].concat();
    let at = (base + 16).to_le_bytes();
    let sample = [&at[..], &thread.to_le_bytes(), &[1, 0, 0, 0]].concat();
    [
        perfinfo(3, 3, 1, &named),
        perfinfo(5, 3, 0, &[thread.to_le_bytes(), process.to_le_bytes()].concat()),
        perfinfo(0x14, 4, 0, &image),
        perfinfo(15, 46, 2, &sample),
    ]
}

/// A component of Pktmon of this name, and a packet that it saw.
fn packet(component: u16, text: &str) -> [Vec<u8>; 2] {
    let names = [&component.to_le_bytes()[..], &[3, 0], &wide(text), &wide(text)].concat();
    let words = [1u16, 1, 3, 1, component, 2, 0];
    let mut seen = 7u64.to_le_bytes().to_vec();
    seen.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    seen.extend([5u32, 9].iter().flat_map(|word| word.to_le_bytes()));
    seen.extend([60u16, 16].iter().flat_map(|word| word.to_le_bytes()));
    seen.extend([0; 16]);
    [event(PKTMON, 20, 0, &[], &names), event(PKTMON, 160, 0, &[], &seen)]
}

/// The first and the last event of a request for this address.
fn request(number: u8, text: &str) -> [Vec<u8>; 2] {
    let classic = |kind: u8, items: &[u8]| {
        let mut record = vec![0, 0, 20, 0xC0, kind, 0, 1, 2, 70, 0, 0, 0, 8, 0, 0, 0];
        record.extend(2_000_u64.to_le_bytes());
        record.extend(GENERAL.0);
        record.extend([0; 16]);
        record.extend([0x98, 0, 0, 0x80, 0, 0, 0, number]);
        record.extend_from_slice(items);
        sized(record)
    };
    let verb = [text.as_bytes(), b"\0"].concat();
    let items = [&1u32.to_le_bytes()[..], &wide(text), &[0; 16], &wide(text), &verb].concat();
    let end = [&1u32.to_le_bytes()[..], &[1, 0, 0, 0], &404u32.to_le_bytes(), &[7, 0]].concat();
    [classic(1, &items), classic(2, &end)]
}

/// The whole log.
pub(crate) fn log() -> Vec<u8> {
    let all = TEXTS.concat();
    let mut log = Log::named(64 * 1024, 1, &all, &all);
    let mut records = Vec::new();
    for (number, text) in (1u8..).zip(TEXTS) {
        records.push(self_describing(text));
        records.push(event(PROVIDER, 9, 4, &[], &wide_and_torn(text)));
        records.extend(profiled(number.into(), text));
        records.extend(packet(number.into(), text));
        records.extend(request(number, text));
    }
    records.push(event(PROVIDER, 9, 4, &[], &wide(NUL)));
    log.buffer(0, 1, 2_000, &records);
    // Finished: the header says when, and how many buffers there are.
    log.bytes[END_TIME..END_TIME + 8].copy_from_slice(&(log::START_TIME + 2_000).to_le_bytes());
    log.bytes[BUFFERS_WRITTEN..BUFFERS_WRITTEN + 4].copy_from_slice(&2u32.to_le_bytes());
    log.bytes
}
