//! Callers that mean no good, or do not know what they say.

use super::{Ending, again, alone};
use etlring::outside::message::{Answer, HEAD, MOST_REQUEST, Request};
use etlring::outside::{self, OutsideError};
use etlring::provider::Enable;
use etlring::session::{Session, Update};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

fn session() -> Session {
    let session = Session::builder("hostile").memory_ring().buffer_size(4096).maximum_buffers(4);
    session.controllable().start().unwrap()
}

fn socket(directory: &Path) -> UnixStream {
    let stream = UnixStream::connect(directory.join("run/hostile.sock")).unwrap();
    // A test that hangs says less than one that fails.
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream
}

/// Says something and hears what the session answers until it hangs up; a session that hangs up
/// while it is being talked to has said all it wants to.
fn say(directory: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = socket(directory);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

fn still_answers() {
    let status = outside::connect("hostile").unwrap().query().unwrap();
    assert_eq!(status.properties.name, "hostile");
}

/// Numbers without any order (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
}

fn requests(directory: &Path) -> Vec<Request> {
    let provider = etlring::provider::guid_of_name("Example-Hostile");
    vec![
        Request::Query,
        Request::Flush,
        Request::Snapshot(directory.join("never.etl")),
        Request::Enable(provider, Enable::new().level(4).filter(vec![7; 1024])),
        Request::Disable(provider),
        Request::Update(Update::new().flush_interval(Duration::from_millis(77))),
        Request::Consume(0),
        Request::Stop,
    ]
}

#[test]
fn garbage_is_refused_by_name() {
    alone("hostile::garbage_is_refused_by_name", |directory| {
        let _session = session();
        let mut random = Random(1);
        for round in 0..200 {
            let mut bytes = vec![0; (random.next() % 300) as usize + HEAD];
            for byte in &mut bytes {
                *byte = random.next().to_le_bytes()[0];
            }
            match round % 4 {
                // Of the right version, and then also of a length that is there.
                1 => bytes[..2].copy_from_slice(&1u16.to_le_bytes()),
                2 | 3 => {
                    let body = u32::try_from(bytes.len() - HEAD).unwrap();
                    bytes[..2].copy_from_slice(&1u16.to_le_bytes());
                    bytes[4..8].copy_from_slice(&body.to_le_bytes());
                }
                _ => bytes[..2].copy_from_slice(&0xFFFFu16.to_le_bytes()),
            }
            let answer = say(directory, &bytes);
            if round % 4 == 1 && answer.is_empty() {
                continue; // It waited for the rest.
            }
            let answer = Answer::decode(&answer);
            assert!(matches!(answer, Ok(Answer::Refused(87, _))), "{round}: {answer:?}");
        }
        still_answers();
    });
}

#[test]
fn half_a_request_does_nothing() {
    alone("hostile::half_a_request_does_nothing", |directory| {
        let session = session();
        let before = session.properties();
        for request in requests(directory) {
            let whole = request.encode();
            for cut in (0..whole.len()).filter(|cut| cut % 64 == 63 || *cut < 64) {
                assert_eq!(say(directory, &whole[..cut]), b"", "{request:?} cut at {cut}");
            }
        }
        let after = session.properties();
        assert_eq!(after.flush_interval, before.flush_interval);
        assert!(!directory.join("never.etl").exists());
        still_answers();
    });
}

#[test]
fn a_length_is_refused_before_anything_is_read() {
    alone("hostile::a_length_is_refused_before_anything_is_read", |directory| {
        let _session = session();
        for len in [MOST_REQUEST + 1, u32::MAX] {
            let mut head = Request::Query.encode();
            head[4..8].copy_from_slice(&len.to_le_bytes());
            // The connection stays open: it is the head alone that is answered.
            let mut stream = socket(directory);
            stream.write_all(&head).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let Ok(Answer::Refused(87, why)) = Answer::decode(&answer) else { panic!("{len}") };
            assert!(why.contains("must be 0 to 8192"), "{why}");
        }
        still_answers();
    });
}

#[test]
fn requests_may_come_in_pieces_and_in_rows() {
    alone("hostile::requests_may_come_in_pieces_and_in_rows", |directory| {
        let _session = session();
        let mut stream = socket(directory);
        let (query, flush) = (Request::Query.encode(), Request::Flush.encode());
        for byte in &query {
            stream.write_all(&[*byte]).unwrap();
        }
        let status = read_answer(&mut stream);
        assert!(matches!(Answer::decode(&status), Ok(Answer::Status(_))));
        stream.write_all(&[&flush[..], &query, &flush].concat()).unwrap();
        assert_eq!(Answer::decode(&read_answer(&mut stream)), Ok(Answer::Done));
        assert!(matches!(Answer::decode(&read_answer(&mut stream)), Ok(Answer::Status(_))));
        assert_eq!(Answer::decode(&read_answer(&mut stream)), Ok(Answer::Done));
    });
}

fn read_answer(stream: &mut UnixStream) -> Vec<u8> {
    let mut answer = vec![0; HEAD];
    stream.read_exact(&mut answer).unwrap();
    let body = u32::from_le_bytes(*answer[4..].first_chunk().unwrap());
    answer.resize(HEAD + body as usize, 0);
    stream.read_exact(&mut answer[HEAD..]).unwrap();
    answer
}

#[test]
fn who_says_half_a_word_or_does_not_listen_is_dropped() {
    alone("hostile::who_says_half_a_word_or_does_not_listen_is_dropped", |directory| {
        let _session = session();
        let mut half = socket(directory);
        half.write_all(&Request::Query.encode()[..5]).unwrap();

        // Asks without end and reads nothing, until it is hung up on.
        let mut deaf = socket(directory);
        let flood = std::thread::spawn(move || {
            let many = Request::Query.encode().repeat(1000);
            while deaf.write_all(&many).is_ok() {}
        });
        for _ in 0..100 {
            still_answers();
        }
        flood.join().unwrap();
        assert_eq!(half.read(&mut [0; 16]).unwrap(), 0);
        still_answers();
    });
}

#[test]
fn a_thousand_idle_callers_keep_nobody_out() {
    alone("hostile::a_thousand_idle_callers_keep_nobody_out", |directory| {
        let _holder = held(directory);
        // Few of them are let in at a time, the others replace one another.
        let idle: Vec<UnixStream> = (0..1000).map(|_| socket(directory)).collect();
        for _ in 0..20 {
            still_answers();
        }
        drop(idle);
        still_answers();
    });
}

/// A session in a process of its own, which has as many files as it may have for itself.
fn held(directory: &Path) -> Ending {
    let mut command = again("hostile::role_holder", directory);
    let mut child = Ending(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready")));
    child
}

#[test]
#[ignore = "a part of other tests"]
fn role_holder() {
    if std::env::var(super::INSIDE).as_deref() != Ok("hostile::role_holder") {
        return;
    }
    let _session = session();
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn a_session_that_is_stopped_for_a_while_is_told_as_silent() {
    alone("hostile::a_session_that_is_stopped_for_a_while_is_told_as_silent", |directory| {
        let holder = held(directory);
        let client = outside::connect("hostile").unwrap();
        let pid = rustix::process::Pid::from_child(&holder.0);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let stops = rustix::process::WaitOptions::UNTRACED;
        let (_, status) = rustix::process::waitpid(Some(pid), stops).unwrap().unwrap();
        assert!(status.stopped());
        let silent = client.clone().patience(Duration::from_millis(50)).query().unwrap_err();
        assert!(matches!(silent, OutsideError::NoAnswer(_)), "{silent:?}");
        let listed = outside::list().unwrap();
        assert!(matches!(&listed[..], [outside::Found::Silent(name)] if name == "hostile"));
        // Nor can its name be had.
        let taken = Session::builder("Hostile").memory_ring().controllable().start().unwrap_err();
        assert!(matches!(taken, etlring::session::SessionError::NameInUse(_)), "{taken:?}");
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        client.query().unwrap();
    });
}

#[test]
fn a_byte_now_and_then_is_no_request() {
    alone("hostile::a_byte_now_and_then_is_no_request", |directory| {
        let _session = session();
        let mut stream = socket(directory);
        // A query, whose body is to be as long as one may be.
        stream.write_all(&[1, 0, 1, 0, 0, 0x20, 0, 0]).unwrap();
        let mut sent = 0;
        while stream.write_all(&[0]).is_ok() {
            sent += 1;
            assert!(sent < 6_000, "still listened to");
            std::thread::sleep(Duration::from_millis(20));
        }
        still_answers();
    });
}
