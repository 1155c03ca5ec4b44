//! What the encoder writes, the views read back.

use arbitrary::{Arbitrary, Unstructured};
use etlring::codec::{
    BufferView, LogfileView, RecordHeader, RecordView, Records,
    encode::{self, Item, MAX_RECORD, Message},
};
use etlring::error::{Fault, Part};
use etlring::format::{
    BufferFlags, CompactTraceHeader, EventDescriptor, EventFlags, EventHeader,
    EventInstanceGuidHeader, EventTraceHeader, ExtType, Guid, LogfileHeader32, LogfileHeader64,
    MessageFlags, PerfInfoTraceHeader, SystemTraceHeader,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// A record of any kind. Headers are arbitrary bytes: every bit of every field is tried.
#[derive(Arbitrary, Debug)]
struct Any {
    kind: Kind,
    wide: bool,
    payload: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Event([u8; EventHeader::SIZE], Vec<(u16, Vec<u8>)>),
    Classic([u8; EventTraceHeader::SIZE]),
    Instance([u8; EventInstanceGuidHeader::SIZE]),
    System([u8; SystemTraceHeader::SIZE]),
    Compact([u8; CompactTraceHeader::SIZE]),
    PerfInfo([u8; PerfInfoTraceHeader::SIZE], Option<u64>, Vec<u64>),
    Message {
        number: u16,
        sequence: Option<u32>,
        component: Option<u32>,
        guid: Option<[u8; 16]>,
        ticks: Option<u64>,
        ids: Option<(u32, u32)>,
        pointer: bool,
    },
}

/// Bytes of arbitrary input for one buffer of records.
const INPUT: usize = 16 * 1024;
/// Room for any record that is made from it.
const SPACE: usize = 4 * INPUT;

/// Goal: encode, then read: nothing is lost, nothing is added.
/// Method: buffers of arbitrary records from one seed; headers compared byte for byte, but for the
/// size and marker that the encoder fills in.
#[test]
fn of_arbitrary_records() {
    let mut seed = Seed(0x9E37_79B9_7F4A_7C15);
    let mut kinds = [0; 7];
    for _ in 0..300 {
        let bytes = seed.bytes(INPUT);
        let mut source = Unstructured::new(&bytes);
        let mut buffer = vec![0xA5; 72];
        let mut written = Vec::new();
        while source.len() > 512 {
            let any = Any::arbitrary(&mut source).unwrap();
            let mut space = vec![0xA5; SPACE];
            let size = write(&any, &mut space).unwrap();
            assert!(space[size..size.next_multiple_of(8)].iter().all(|b| *b == 0), "padding");
            let behind = &space[size.next_multiple_of(8)..];
            assert!(behind.iter().take(64).all(|b| *b == 0xA5), "behind");
            refuses_less(&any, size);
            buffer.extend_from_slice(&space[..size.next_multiple_of(8)]);
            written.push((any, size));
        }
        let filled = u32::try_from(buffer.len()).unwrap();
        buffer.resize(buffer.len() + 64, 0);
        let header = encode::sealed_header(filled + 64, filled, 3, 9);
        encode::seal(&mut buffer, &header).unwrap();

        let view = BufferView::parse(&buffer).unwrap();
        assert_eq!(*view.header(), header);
        assert_eq!((view.header().lane(), view.header().flags()), (3, BufferFlags::PROC_INDEX));
        assert!(buffer[filled as usize..].iter().all(|b| *b == 0xFF), "filler");
        let read: Vec<_> = view.records().collect::<Result<_, _>>().unwrap();
        assert_eq!(read.len(), written.len());
        for (raw, (any, size)) in read.into_iter().zip(&written) {
            assert_eq!(raw.bytes.len(), *size);
            same(&RecordView::parse(raw).unwrap(), any);
            kinds[any.kind.number()] += 1;
        }
    }
    assert!(kinds.iter().all(|count| *count > 100), "kinds tried: {kinds:?}");
}

/// Every field of a logfile header, which is one type for each width.
macro_rules! said_as_written {
    ($view:expr, $header:expr, $record:expr) => {{
        let (view, header) = (&$view, &$header);
        assert_eq!(view.buffer_size(), header.buffer_size.get());
        let version = [header.major_version, header.minor_version, header.sub_version];
        assert_eq!(view.version()[..3], version);
        assert_eq!(view.version()[3], header.sub_minor_version);
        assert_eq!(view.provider_version(), header.provider_version.get());
        assert_eq!(view.number_of_processors(), header.number_of_processors.get());
        assert_eq!(view.start_time().0, header.start_time.get());
        assert_eq!(view.end_time().map(|time| time.0), Some(header.end_time.get()));
        assert_eq!(view.boot_time().0, header.boot_time.get());
        assert_eq!(view.timer_resolution(), header.timer_resolution.get());
        assert_eq!(view.maximum_file_size(), header.maximum_file_size.get());
        assert_eq!(view.mode().0, header.log_file_mode.get());
        assert_eq!(view.buffers_written(), header.buffers_written.get());
        assert_eq!(view.events_lost(), header.events_lost.get());
        assert_eq!(view.buffers_lost(), header.buffers_lost.get());
        assert_eq!(view.cpu_speed_mhz(), header.cpu_speed_mhz.get());
        assert_eq!(view.pointer_size(), header.pointer_size.get());
        assert_eq!(view.perf_freq(), header.perf_freq.get());
        assert_eq!(view.time_zone(), &header.time_zone);
        assert_eq!(view.clock_type().0, header.reserved_flags.get());
        assert_eq!(view.clock().perf_freq, header.perf_freq.get());
        assert_eq!(view.clock().start_ticks, $record.system_time.get());
    }};
}

/// Goal: the first record of a file reads back, in both widths.
#[test]
fn of_logfile_headers() {
    let mut seed = Seed(7);
    let names = [("", ""), ("session", "C:\\log.etl"), ("ünï", "\u{1F980}")];
    for (session, file) in names.into_iter().cycle().take(60) {
        let record = seed.header::<SystemTraceHeader>();
        let (narrow, wide) = (seed.header::<LogfileHeader32>(), seed.header::<LogfileHeader64>());
        let mut space = [0; 1024];
        let size = encode::logfile64(&mut space, &record, &wide, session, file).unwrap();
        let units = |s: &str| s.encode_utf16().count();
        assert_eq!(size.next_multiple_of(8), LogfileView::record_size(units(session), units(file)));
        let view = first(&space[..size]);
        assert_eq!(view.bits(), 64);
        said_as_written!(view, wide, record);
        assert_eq!(view.session_name().to_string(), session);
        assert_eq!(view.log_file_name().to_string(), file);

        let size = encode::logfile32(&mut space, &record, &narrow, session, file).unwrap();
        let view = first(&space[..size]);
        assert_eq!(view.bits(), 32);
        said_as_written!(view, narrow, record);
        assert_eq!(view.session_name().to_string(), session);
        assert_eq!(view.log_file_name().to_string(), file);
    }
}

/// Goal: what no record can hold is refused, with the numbers.
#[test]
fn of_too_much_is_refused() {
    let mut space = vec![0; MAX_RECORD + 8];
    let header = EventTraceHeader::new_zeroed();
    let most = MAX_RECORD - EventTraceHeader::SIZE;
    assert_eq!(encode::classic(&mut space, &header, 64, &vec![1; most]), Ok(MAX_RECORD));
    let error = encode::classic(&mut space, &header, 64, &vec![1; most + 1]).unwrap_err();
    assert_eq!(error, Fault::Length(65_536, 8, 65_535).at(Part::Record, 0));
    let header = PerfInfoTraceHeader::new_zeroed();
    let error = encode::perfinfo(&mut space, &header, 64, None, &[0; 8], &[]).unwrap_err();
    assert_eq!(error, Fault::Length(8, 0, 7).at(Part::RecordHeader, 0));
}

fn first(bytes: &[u8]) -> LogfileView<'_> {
    LogfileView::parse(Records::new(bytes).next().unwrap().unwrap()).unwrap()
}

/// One byte less than the record is no space for it.
fn refuses_less(any: &Any, size: usize) {
    let mut space = vec![0xA5; size - 1];
    let error = write(any, &mut space).unwrap_err();
    let size32 = u32::try_from(size).unwrap();
    assert_eq!(error, Fault::NoSpace(size32, size32 - 1).at(Part::Record, 0));
    assert!(space.iter().take(64).all(|b| *b == 0xA5), "refused whole");
    assert_eq!(write(any, &mut vec![0; size]), Ok(size), "exact space without padding");
}

fn write(any: &Any, out: &mut [u8]) -> Result<usize, etlring::error::FormatError> {
    let bits = if any.wide { 64 } else { 32 };
    let payload = &any.payload;
    match &any.kind {
        Kind::Event(bytes, items) => {
            let items: Vec<_> = items
                .iter()
                .map(|(ext_type, data)| Item { ext_type: ExtType(*ext_type), data })
                .collect();
            encode::event(out, &header(bytes), bits, &items, payload)
        }
        Kind::Classic(bytes) => encode::classic(out, &header(bytes), bits, payload),
        Kind::Instance(bytes) => encode::instance(out, &header(bytes), bits, payload),
        Kind::System(bytes) => encode::system(out, &header(bytes), bits, payload),
        Kind::Compact(bytes) => encode::compact(out, &header(bytes), bits, payload),
        Kind::PerfInfo(bytes, pebs, pmc) => {
            let pmc = &pmc[..pmc.len().min(7)];
            encode::perfinfo(out, &header(bytes), bits, *pebs, pmc, payload)
        }
        Kind::Message { .. } => encode::message(out, &message(any), payload),
    }
}

fn message(any: &Any) -> Message {
    let Kind::Message { number, sequence, component, guid, ticks, ids, pointer } = any.kind else {
        panic!("not a message");
    };
    Message {
        number,
        sequence,
        component,
        guid: guid.map(Guid),
        ticks,
        thread_and_process: ids,
        flags: if pointer { MessageFlags::POINTER64 } else { MessageFlags(0) },
    }
}

fn same(record: &RecordView<'_>, any: &Any) {
    assert_eq!(record.payload(), any.payload);
    let bits = if any.wide { 64 } else { 32 };
    // Size and marker are the encoder's: four bytes, and two more where the size has its own word.
    match (&any.kind, record.header()) {
        (Kind::Event(bytes, items), RecordHeader::Event(header)) => {
            assert_eq!(record.bits(), Some(bits));
            let flags = u16::from_le_bytes([bytes[4], bytes[5]]) & !EventFlags::EXTENDED_INFO.0;
            assert_eq!(header.flags.get() & !EventFlags::EXTENDED_INFO.0, flags);
            assert_eq!(header.as_bytes()[6..], bytes[6..]);
            let read: Vec<_> = record.items().map(Result::unwrap).collect();
            assert_eq!(read.len(), items.len());
            for (read, (ext_type, data)) in read.iter().zip(items) {
                assert_eq!((read.ext_type.0, read.data), (*ext_type, data.as_slice()));
            }
            assert_eq!(
                header.descriptor,
                EventDescriptor::read_from_bytes(&bytes[40..56]).unwrap()
            );
        }
        (Kind::Classic(bytes), RecordHeader::Classic(header)) => {
            assert_eq!((record.bits(), &header.as_bytes()[4..]), (Some(bits), &bytes[4..]));
        }
        (Kind::Instance(bytes), RecordHeader::Instance(header)) => {
            assert_eq!((record.bits(), &header.as_bytes()[4..]), (Some(bits), &bytes[4..]));
        }
        (Kind::System(bytes), RecordHeader::System(header)) => {
            assert_eq!((record.bits(), &header.as_bytes()[6..]), (Some(bits), &bytes[6..]));
            assert_eq!(header.as_bytes()[..2], bytes[..2]);
        }
        (Kind::Compact(bytes), RecordHeader::Compact(header)) => {
            assert_eq!((record.bits(), &header.as_bytes()[6..]), (Some(bits), &bytes[6..]));
            assert_eq!(header.as_bytes()[..2], bytes[..2]);
        }
        (Kind::PerfInfo(bytes, pebs, pmc), RecordHeader::PerfInfo(header)) => {
            assert_eq!((record.bits(), &header.as_bytes()[6..]), (Some(bits), &bytes[6..]));
            let pmc = &pmc[..pmc.len().min(7)];
            assert_eq!(header.version, bytes[0]);
            assert_eq!(header.has_pebs_index(), pebs.is_some());
            assert_eq!(usize::from(header.pmc_count()), pmc.len());
            let counters: Vec<_> = record.raw().bytes[16..]
                .chunks_exact(8)
                .take(pmc.len() + usize::from(pebs.is_some()))
                .map(|c| u64::from_le_bytes(c.try_into().unwrap()))
                .collect();
            assert_eq!(counters, pebs.iter().chain(pmc).copied().collect::<Vec<_>>());
        }
        (Kind::Message { .. }, RecordHeader::Message(read)) => {
            let wrote = message(any);
            assert_eq!(read.number(), wrote.number);
            assert_eq!(read.flags(), wrote.option_flags());
            assert_eq!(read.sequence(), wrote.sequence);
            assert_eq!(read.component(), wrote.component);
            assert_eq!(read.guid(), wrote.guid.filter(|_| wrote.component.is_none()));
            assert_eq!(read.ticks(), wrote.ticks);
            assert_eq!(read.thread_id().zip(read.process_id()), wrote.thread_and_process);
        }
        (_, header) => panic!("{any:?} came back as {header:?}"),
    }
}

impl Kind {
    fn number(&self) -> usize {
        match self {
            Self::Event(..) => 0,
            Self::Classic(..) => 1,
            Self::Instance(..) => 2,
            Self::System(..) => 3,
            Self::Compact(..) => 4,
            Self::PerfInfo(..) => 5,
            Self::Message { .. } => 6,
        }
    }
}

fn header<H: FromBytes>(bytes: &[u8]) -> H {
    H::read_from_bytes(bytes).unwrap()
}

/// SplitMix64: the same bytes on every machine.
struct Seed(u64);

impl Seed {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(len).collect()
    }

    fn header<H: FromBytes>(&mut self) -> H {
        header(&self.bytes(size_of::<H>()))
    }
}
