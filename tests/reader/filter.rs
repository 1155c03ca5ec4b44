//! Filters against the fields that records were made of.

use etlring::codec::{RecordView, Records, encode};
use etlring::format::{
    EventDescriptor, EventHeader, EventTraceHeader, FileTime, Guid, PerfInfoTraceHeader,
};
use etlring::reader::{Filter, Unwanted};
use zerocopy::{FromZeros, little_endian::U16};

/// What a record was made of; `None` where it has no such field.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    provider: Option<Guid>,
    id: Option<u16>,
    opcode: Option<u8>,
    task: Option<u16>,
    level: Option<u8>,
    keyword: Option<u64>,
    process_id: Option<u32>,
    thread_id: Option<u32>,
    activity: Option<Guid>,
    time: i64,
}

const fn guid(number: u128) -> Guid {
    Guid::from_u128(number)
}

fn event(fields: &Fields) -> Vec<u8> {
    let mut header = EventHeader::new_zeroed();
    header.provider_id = fields.provider.unwrap();
    header.process_id = fields.process_id.unwrap().into();
    header.thread_id = fields.thread_id.unwrap().into();
    header.activity_id = fields.activity.unwrap();
    header.descriptor = EventDescriptor {
        id: U16::new(fields.id.unwrap()),
        level: fields.level.unwrap(),
        opcode: fields.opcode.unwrap(),
        task: U16::new(fields.task.unwrap()),
        keyword: fields.keyword.unwrap().into(),
        ..EventDescriptor::new_zeroed()
    };
    let mut out = vec![0; 128];
    let size = encode::event(&mut out, &header, 64, &[], b"payload").unwrap();
    out.truncate(size);
    out
}

/// Events that differ in one thing each, and a record of every header that lacks some.
fn records() -> Vec<(Fields, Vec<u8>)> {
    let usual = Fields {
        provider: Some(guid(1)),
        id: Some(7),
        opcode: Some(1),
        task: Some(5),
        level: Some(4),
        keyword: Some(0b0110),
        process_id: Some(40),
        thread_id: Some(41),
        activity: Some(guid(2)),
        time: 100,
    };
    let mut records: Vec<_> = [
        usual,
        Fields { provider: Some(guid(3)), ..usual },
        Fields { id: Some(8), ..usual },
        Fields { opcode: Some(2), ..usual },
        Fields { task: Some(6), ..usual },
        Fields { level: Some(3), ..usual },
        Fields { level: Some(0), ..usual },
        Fields { keyword: Some(0b1000), ..usual },
        Fields { keyword: Some(0), ..usual },
        Fields { process_id: Some(0), ..usual },
        Fields { thread_id: Some(42), ..usual },
        Fields { activity: Some(guid(0)), ..usual },
        Fields { time: 99, ..usual },
        Fields { time: 101, ..usual },
    ]
    .iter()
    .map(|fields| (*fields, event(fields)))
    .collect();

    let mut classic = EventTraceHeader::new_zeroed();
    classic.guid = guid(1);
    classic.process_id = 40.into();
    classic.thread_id = 41.into();
    let mut out = vec![0; EventTraceHeader::SIZE];
    encode::classic(&mut out, &classic, 64, &[]).unwrap();
    let fields = Fields {
        id: Some(0),
        opcode: Some(0),
        task: None,
        level: Some(0),
        keyword: None,
        activity: None,
        ..usual
    };
    records.push((fields, out));

    let mut out = vec![0; 64];
    let message = encode::Message { number: 7, guid: Some(guid(3)), ..Default::default() };
    let size = encode::message(&mut out, &message, b"").unwrap();
    out.truncate(size);
    let (provider, id) = (Some(guid(3)), Some(7));
    records.push((Fields { provider, id, time: 100, ..Fields::default() }, out));

    let mut perf = PerfInfoTraceHeader::new_zeroed();
    perf.hook_type = 8;
    // A group that is nobody's.
    perf.group = 0xFF;
    let mut out = vec![0; PerfInfoTraceHeader::SIZE];
    encode::perfinfo(&mut out, &perf, 64, None, &[], &[]).unwrap();
    records.push((
        Fields { id: Some(8), opcode: Some(8), level: Some(0), time: 100, ..Fields::default() },
        out,
    ));
    records
}

/// A condition, and what it says of a record.
type Condition = (Filter, fn(&Fields) -> bool);

fn not(not: Unwanted) -> Filter {
    Filter { not, ..Filter::default() }
}

fn none() -> Unwanted {
    Unwanted::default()
}

/// The conditions one by one.
fn conditions() -> Vec<Condition> {
    let any = Filter::default();
    vec![
        (any.clone(), |_| true),
        (Filter { providers: vec![guid(1)], ..any.clone() }, |r| r.provider == Some(guid(1))),
        (Filter { providers: vec![guid(9), guid(3)], ..any.clone() }, |r| {
            r.provider == Some(guid(3))
        }),
        (Filter { ids: vec![0], ..any.clone() }, |r| r.id == Some(0)),
        (Filter { ids: vec![8, 7], ..any.clone() }, |r| matches!(r.id, Some(7 | 8))),
        (Filter { level: Some(0), ..any.clone() }, |r| r.level == Some(0)),
        (Filter { level: Some(3), ..any.clone() }, |r| matches!(r.level, Some(0..=3))),
        (Filter { level: Some(255), ..any.clone() }, |r| r.level.is_some()),
        (Filter { keyword: Some(0b0011), ..any.clone() }, |r| matches!(r.keyword, Some(0b0110))),
        (Filter { keyword: Some(0b1100), ..any.clone() }, |r| {
            matches!(r.keyword, Some(0b0110 | 0b1000))
        }),
        (Filter { keyword: Some(0), ..any.clone() }, |_| false),
        (Filter { opcodes: vec![1], ..any.clone() }, |r| r.opcode == Some(1)),
        (Filter { opcodes: vec![0, 8], ..any.clone() }, |r| matches!(r.opcode, Some(0 | 8))),
        (Filter { tasks: vec![5, 9], ..any.clone() }, |r| r.task == Some(5)),
        (Filter { process_ids: vec![40], ..any.clone() }, |r| r.process_id == Some(40)),
        (Filter { process_ids: vec![7, 0], ..any.clone() }, |r| r.process_id == Some(0)),
        (Filter { thread_ids: vec![41], ..any.clone() }, |r| r.thread_id == Some(41)),
        (Filter { activities: vec![guid(2)], ..any.clone() }, |r| r.activity == Some(guid(2))),
        (Filter { activities: vec![guid(0)], ..any.clone() }, |r| r.activity == Some(guid(0))),
        (Filter { from: Some(FileTime(100)), ..any.clone() }, |r| r.time >= 100),
        (Filter { to: Some(FileTime(100)), ..any }, |r| r.time <= 100),
        (not(Unwanted { providers: vec![guid(9), guid(1)], ..none() }), |r| {
            r.provider != Some(guid(1))
        }),
        (not(Unwanted { ids: vec![0, 8], ..none() }), |r| !matches!(r.id, Some(0 | 8))),
        (not(Unwanted { opcodes: vec![1], ..none() }), |r| r.opcode != Some(1)),
        (not(Unwanted { tasks: vec![5], ..none() }), |r| r.task != Some(5)),
        (not(Unwanted { levels: vec![0, 3], ..none() }), |r| !matches!(r.level, Some(0 | 3))),
        (not(Unwanted { process_ids: vec![40], ..none() }), |r| r.process_id != Some(40)),
        (not(Unwanted { thread_ids: vec![41], ..none() }), |r| r.thread_id != Some(41)),
        (not(Unwanted { activities: vec![guid(2)], ..none() }), |r| r.activity != Some(guid(2))),
    ]
}

/// The filter that has the conditions of both; `None` if both ask for the same thing.
fn both(a: &Filter, b: &Filter) -> Option<Filter> {
    fn one<T: Clone>(a: &Option<T>, b: &Option<T>) -> Option<Option<T>> {
        (a.is_none() || b.is_none()).then(|| a.clone().or(b.clone()))
    }
    fn all<T: Clone>(a: &[T], b: &[T]) -> Option<Vec<T>> {
        (a.is_empty() || b.is_empty()).then(|| [a, b].concat())
    }
    Some(Filter {
        providers: all(&a.providers, &b.providers)?,
        ids: all(&a.ids, &b.ids)?,
        level: one(&a.level, &b.level)?,
        keyword: one(&a.keyword, &b.keyword)?,
        opcodes: all(&a.opcodes, &b.opcodes)?,
        tasks: all(&a.tasks, &b.tasks)?,
        process_ids: all(&a.process_ids, &b.process_ids)?,
        thread_ids: all(&a.thread_ids, &b.thread_ids)?,
        activities: all(&a.activities, &b.activities)?,
        from: one(&a.from, &b.from)?,
        to: one(&a.to, &b.to)?,
        // Nothing that is listed may be there, so two lists are one.
        not: Unwanted {
            providers: [&a.not.providers[..], &b.not.providers].concat(),
            ids: [&a.not.ids[..], &b.not.ids].concat(),
            opcodes: [&a.not.opcodes[..], &b.not.opcodes].concat(),
            tasks: [&a.not.tasks[..], &b.not.tasks].concat(),
            levels: [&a.not.levels[..], &b.not.levels].concat(),
            process_ids: [&a.not.process_ids[..], &b.not.process_ids].concat(),
            thread_ids: [&a.not.thread_ids[..], &b.not.thread_ids].concat(),
            activities: [&a.not.activities[..], &b.not.activities].concat(),
        },
    })
}

#[test]
fn every_condition_must_hold() {
    let (records, conditions) = (records(), conditions());
    let (mut tried, mut matched) = (0, 0);
    for (first, says) in &conditions {
        for (second, says_too) in &conditions {
            let Some(filter) = both(first, second) else { continue };
            for (fields, bytes) in &records {
                let raw = Records::new(bytes).next().unwrap().unwrap();
                let view = RecordView::parse(raw).unwrap();
                let found = filter.matches(&view, FileTime(fields.time));
                assert_eq!(found, says(fields) && says_too(fields), "{filter:?} {fields:?}");
                tried += 1;
                matched += usize::from(found);
            }
        }
    }
    assert!(matched > 500 && tried - matched > 500, "{matched} of {tried}: a weak test");
}

#[test]
fn a_filter_without_conditions_is_empty() {
    let (empty, rest) = conditions().split_first().map(|(e, r)| (e.0.clone(), r.to_vec())).unwrap();
    assert!(empty.is_empty());
    assert!(rest.iter().all(|(filter, _)| !filter.is_empty()));
}
