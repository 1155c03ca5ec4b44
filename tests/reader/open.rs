//! Every file that has a logfile header opens; anything else says why not.

use crate::log::{Log, START_TIME, classic};
use etlring::format::LogFileMode;
use etlring::reader::{MOST_STREAM_BYTES, OpenError, Trace, read_stream};
use std::io::{self, Cursor, Read};

/// Records of a file in file order, by their marks; errors are counted.
fn marks(file: &[u8]) -> (Vec<u8>, usize) {
    let trace = Trace::from_slice(file).unwrap();
    let mut records = trace.records();
    let (mut marks, mut errors) = (Vec::new(), trace.damage().len());
    while let Some(record) = records.next() {
        match record.and_then(|record| record.view()) {
            Ok(view) => marks.push(view.opcode().unwrap()),
            Err(_) => errors += 1,
        }
    }
    (marks, errors)
}

#[test]
fn header_says_what_was_written() {
    let trace = Log::new(4096).bytes;
    let trace = Trace::from_slice(&trace).unwrap();
    let logfile = trace.logfile();
    assert_eq!(logfile.session_name().to_string(), "test");
    assert_eq!(logfile.log_file_name().to_string(), "test.etl");
    assert_eq!(logfile.start_time().0, START_TIME);
    assert!(logfile.end_time().is_none() && logfile.buffers_written() == 0, "unfinished");
    assert_eq!(trace.buffers().len(), 1);
}

#[test]
fn what_is_no_log_file_says_so() {
    let text = b"This is not a log file. ".repeat(40);
    for bytes in [&b""[..], b"etl", &text, &[0; 4096], &[0xFF; 200]] {
        let error = Trace::from_slice(bytes).unwrap_err();
        assert!(matches!(error, OpenError::NotALogfile(_)), "{error}");
        assert!(error.to_string().starts_with("not an .etl log file: "), "{error}");
    }
    let mut log = Log::new(4096);
    log.buffer(0, 1, 0, &[classic(1, 1, 0)]);
    assert!(matches!(Trace::from_slice(&log.bytes[4096..]), Err(OpenError::NotALogfile(_))));
}

#[test]
fn other_compressions_are_refused_by_name() {
    for (state, name) in [(2, "LZNT1"), (4, "Huffman")] {
        let mut log = Log::with_mode(4096, LogFileMode::COMPRESSED.0);
        log.bytes[0x2C] = state;
        let error = Trace::from_slice(&log.bytes).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn an_unused_tail_is_no_damage() {
    let mut log = Log::new(4096);
    log.buffer(0, 1, 9, &[classic(5, 7, 0)]);
    let end = log.bytes.len();
    log.bytes.resize(end + 10 * 4096 + 33, 0);
    assert_eq!(marks(&log.bytes), (vec![0, 7], 0));
    assert_eq!(Trace::from_slice(&log.bytes).unwrap().unused_tail(), 10 * 4096 + 33);
}

#[test]
fn a_hole_of_zeros_is_damage_and_is_crossed() {
    let mut log = Log::new(4096);
    log.bytes.resize(3 * 4096, 0);
    log.buffer(0, 1, 9, &[classic(5, 7, 0)]);
    assert_eq!(marks(&log.bytes), (vec![0, 7], 1));
}

#[test]
fn buffers_of_other_sizes_are_believed_if_they_lead_on() {
    let mut log = Log::new(4096);
    log.buffer(0, 1, 9, &[classic(5, 1, 0)]);
    let mut small = Log::new(1024);
    small.bytes.clear();
    small.buffer(0, 2, 9, &[classic(6, 2, 0)]);
    log.bytes.extend_from_slice(&small.bytes);
    log.buffer(0, 3, 9, &[classic(7, 3, 0)]);
    assert_eq!(marks(&log.bytes), (vec![0, 1, 2, 3], 0));
}

#[test]
fn a_stream_is_read_to_its_end_or_to_the_bound() {
    let log = Log::new(4096).bytes;
    let size = log.len() as u64;
    for most in [size, size + 1, MOST_STREAM_BYTES] {
        let bytes = read_stream(Cursor::new(&log), most).unwrap();
        assert_eq!(bytes, log);
    }
    for most in [size - 1, size, 3 * size, 20 << 20] {
        let refused = read_stream(Cursor::new(&log).chain(io::repeat(0)), most);
        assert!(matches!(refused, Err(OpenError::TooLong(bound)) if bound == most), "{most}");
    }
}

#[test]
fn a_stream_of_something_else_is_not_read_on() {
    /// Counts what is taken from it.
    struct Noise(u64);
    impl Read for Noise {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            out.fill(0x5A);
            self.0 += out.len() as u64;
            Ok(out.len())
        }
    }
    let mut noise = Noise(0);
    let refused = read_stream(&mut noise, MOST_STREAM_BYTES);
    assert!(matches!(refused, Err(OpenError::NotALogfile(_))));
    assert!(noise.0 <= 32 << 20, "{}", noise.0);
    let refused = read_stream(io::empty(), MOST_STREAM_BYTES);
    assert!(matches!(refused, Err(OpenError::NotALogfile(_))));
}
