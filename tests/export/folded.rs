//! Stacks joined to their events, and counted.

use crate::records::{Event, perfinfo, process, show, system, thread, words};
use etlring::codec::{RawRecord, RecordView, Records};
use etlring::export::folded::Folded;
use etlring::schema::Decoder;
use etlring::schema::images::Images;
use etlring::schema::stacks::{MOST_PENDING, StackKeys, Stacks};

const STACK: u8 = 32;
const KEY_CREATE: u8 = 34;
const KEY_DELETE: u8 = 35;
const KEY_RUNDOWN: u8 = 36;
const KEY_KERNEL: u8 = 37;
const KEY_USER: u8 = 38;

fn walk(kind: u8, ticks: u64, of: u64, thread: u32, rest: &[u64]) -> Vec<u8> {
    let mut payload = of.to_le_bytes().to_vec();
    payload.extend(8_u32.to_le_bytes());
    payload.extend(thread.to_le_bytes());
    payload.extend(words(rest));
    perfinfo(0x18, kind, 2, ticks, &payload)
}

fn key(kind: u8, ticks: u64, key_and_stack: &[u64]) -> Vec<u8> {
    perfinfo(0x18, kind, 2, ticks, &words(key_and_stack))
}

fn sample(ticks: u64, address: u64, thread: u32) -> Vec<u8> {
    let rest = [thread.to_le_bytes(), [1, 0, 0, 0]].concat();
    perfinfo(0xF, 46, 2, ticks, &[words(&[address]), rest].concat())
}

fn raw(record: &[u8]) -> RawRecord<'_> {
    Records::new(record).next().unwrap().unwrap()
}

fn keys(records: &[Vec<u8>]) -> StackKeys {
    let mut keys = StackKeys::new();
    records.iter().for_each(|record| keys.learn(raw(record)));
    keys.finish();
    keys
}

/// The stack of each record, all of them shown ahead; `None` for those without.
fn stacks(records: &[Vec<u8>]) -> Vec<Option<Vec<u64>>> {
    let keys = keys(records);
    let (mut stacks, decoder) = (Stacks::new(&keys), Decoder::new());
    records.iter().for_each(|record| stacks.look_ahead(raw(record)));
    let of = |record: &Vec<u8>| {
        let view = RecordView::parse(raw(record)).unwrap();
        stacks.of(&view, &decoder).map(|stack| stack.addresses.to_vec())
    };
    records.iter().map(of).collect()
}

#[test]
fn stacks_find_their_events_by_stamp_and_thread() {
    let found = stacks(&[
        sample(100, 0x10, 70),
        // The same stamp on another processor, and a record of a merge tool with that stamp.
        sample(100, 0x20, 71),
        system((1, 10, 3), (8, 72), 100, &[]),
        system((5, 50, 2), (8, 73), 100, &[]),
        walk(STACK, 101, 100, 71, &[0x21, 0x22]),
        walk(STACK, 102, 100, 70, &[0x11]),
        walk(STACK, 103, 100, 72, &[0x31]),
        sample(200, 0x40, 70),
    ]);
    let expected = [Some(vec![0x11]), Some(vec![0x21, 0x22]), Some(vec![0x31])];
    assert_eq!(found[..3], expected);
    assert!(found[3..].iter().all(Option::is_none), "{found:?}");
}

#[test]
fn halves_are_one_stack_and_keys_mean_what_is_said_next() {
    let found = stacks(&[
        sample(100, 0x10, 70),
        walk(KEY_USER, 105, 100, 70, &[0xE]),
        walk(KEY_KERNEL, 101, 100, 70, &[0xD]),
        key(KEY_DELETE, 110, &[0xD, 1, 2]),
        sample(120, 0x10, 70),
        walk(KEY_KERNEL, 121, 120, 70, &[0xD]),
        key(KEY_RUNDOWN, 900, &[0xD, 7]),
        key(KEY_RUNDOWN, 901, &[0xE, 3, 4]),
    ]);
    assert_eq!(found[0], Some(vec![1, 2, 3, 4]), "the kernel's half first");
    assert_eq!(found[4], Some(vec![7]), "the key was used again");
}

/// Where a log broke off before a key was given up, what was said when it was made holds.
#[test]
fn a_key_that_is_never_given_up_means_what_it_was_made_for() {
    let found = stacks(&[
        key(KEY_CREATE, 90, &[0xD, 1, 2]),
        sample(100, 0x10, 70),
        walk(KEY_KERNEL, 101, 100, 70, &[0xD]),
        key(KEY_DELETE, 110, &[0xD, 3]),
        key(KEY_CREATE, 115, &[0xD, 4, 5]),
        sample(120, 0x10, 70),
        walk(KEY_KERNEL, 121, 120, 70, &[0xD]),
    ]);
    assert_eq!(found[1], Some(vec![3]), "what is said next goes before");
    assert_eq!(found[5], Some(vec![4, 5]));
}

#[test]
fn events_carry_their_own_stacks() {
    // An item with a match id and addresses, and one with a key.
    let with_item = |item_type: u8, data: &[u64]| {
        let mut record = Event { ticks: 50, ..Event::default() }.bytes();
        record[4] = 1;
        let data = words(data);
        let size = u16::try_from(data.len()).unwrap();
        for word in [size + 8, u16::from(item_type), 0, size] {
            record.extend(word.to_le_bytes());
        }
        record.extend(data);
        let size = u16::try_from(record.len()).unwrap();
        record[..2].copy_from_slice(&size.to_le_bytes());
        record
    };
    let found = stacks(&[
        with_item(6, &[1, 0xA, 0xB]),
        with_item(18, &[1, 0xE]),
        with_item(18, &[1, 0xF]),
        key(KEY_RUNDOWN, 901, &[0xE, 3, 4]),
    ]);
    assert_eq!(found[..3], [Some(vec![0xA, 0xB]), Some(vec![3, 4]), None]);
}

#[test]
fn the_walk_ahead_has_an_end() {
    let record = walk(STACK, 7, 1000, 70, &[1]);
    let keys = keys(std::slice::from_ref(&record));
    let mut stacks = Stacks::new(&keys);
    let mut count = 0;
    while stacks.has_room() {
        stacks.look_ahead(raw(&record));
        count += 1;
    }
    assert_eq!(count, MOST_PENDING);
    stacks.pass(1001);
    assert!(stacks.has_room());
    // Stacks of what lies behind are not kept, and without any there is nothing to look for.
    stacks.look_ahead(raw(&record));
    assert!(!Stacks::new(&StackKeys::new()).has_room());
}

/// A load, unload or rundown of an image of 0x1000 bytes.
fn image(kind: u8, ticks: u64, process: u32, base: u64, name: &str) -> Vec<u8> {
    let mut payload = words(&[base, 0x1000]);
    payload.extend(process.to_le_bytes());
    payload.extend(crate::records::wide(name));
    perfinfo(if kind == 10 { 3 } else { 0x14 }, kind, 1, ticks, &payload)
}

#[test]
fn addresses_are_places_in_modules() {
    let mut images = Images::new();
    for record in [
        image(10, 100, 8, 0x1000, "C:\\x\\a.dll"),
        image(2, 200, 8, 0x1000, "C:\\x\\a.dll"),
        image(10, 300, 8, 0x1000, "b.dll"),
        // Told at the end of the log, and that of the kernel.
        image(4, 900, 8, 0x9000, "old.dll"),
        image(4, 900, 8, 0x1000, "b.dll"),
        image(3, 0, 0, 0xFFFF_8000_0000_0000, "nt.exe"),
    ] {
        images.learn(raw(&record));
    }
    images.finish();
    let find = |process, address, ticks| {
        let place = images.find(process, address, ticks)?;
        Some(format!("{}+{:#x}", place.module, place.offset))
    };
    assert_eq!(find(8, 0x1234, 150).as_deref(), Some("a.dll+0x234"));
    assert_eq!(find(8, 0x1234, 350).as_deref(), Some("b.dll+0x234"));
    assert_eq!(find(8, 0x1234, 250), None);
    assert_eq!(find(9, 0x1234, 150), None);
    assert_eq!(find(8, 0x9FFF, 1).as_deref(), Some("old.dll+0xfff"));
    assert_eq!((find(8, 0xA000, 1), find(8, 0xFFF, 150)), (None, None));
    assert_eq!(find(8, 0xFFFF_8000_0000_0010, 1).as_deref(), Some("nt.exe+0x10"));
}

#[test]
fn samples_are_counted() {
    let mut log = vec![
        process(8, "a;b\n.exe"),
        thread(8, 70),
        image(10, 0, 8, 0x1000, "m;.dll"),
        sample(100, 0x1010, 70),
        walk(STACK, 101, 100, 70, &[0x1010, 0x1020, 0x77]),
        sample(200, 0x1010, 70),
        walk(STACK, 201, 200, 70, &[0x1010, 0x1020, 0x77]),
        // Without a stack the sample itself is one.
        sample(300, 0x1030, 70),
        sample(400, 0x55, 99),
        system((1, 10, 3), (8, 70), 500, &[]),
        walk(STACK, 501, 500, 70, &[0x1011]),
    ];
    log.push(perfinfo(0x18, 1, 2, 600, &[]));
    let fold = |chosen| {
        let keys = keys(&log);
        let (mut stacks, mut images, mut folded) =
            (Stacks::new(&keys), Images::new(), Folded::new());
        for record in &log {
            stacks.look_ahead(raw(record));
            images.learn(raw(record));
        }
        images.finish();
        let mut out = Vec::new();
        let records: Vec<_> = log.iter().map(|record| (0, record.clone())).collect();
        show(&records, |entry, _, decoder| {
            let stack = stacks.of(entry.view, decoder);
            folded.event(&mut out, entry, stack, (decoder, &images), chosen);
        });
        folded.finish(&mut out);
        String::from_utf8(out).unwrap()
    };
    let name = "a\\u{3b}b\\u{a}.exe (8)";
    let samples = format!(
        "{name};0x77;m\\u{{3b}}.dll+0x20;m\\u{{3b}}.dll+0x10 2\n\
         {name};m\\u{{3b}}.dll+0x30 1\n\
         unknown process;0x55 1\n"
    );
    assert_eq!(fold(false), samples);
    let chosen = format!("{name};m\\u{{3b}}.dll+0x11;Read 1\n");
    assert!(fold(true).contains(&chosen), "{}", fold(true));
    assert_eq!(fold(true).lines().count(), 4);
}
