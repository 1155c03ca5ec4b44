//! A log of every way a file can grow, each wrapped up or gone on with several times.
//!
//! `cargo run --release --example file_modes -- DIRECTORY`
//!
//! Prints a line for each log: its files' names begin with the first word; they must hold exactly
//! the events `thread * 1000000 + n`, for so many threads and every `n` of a range.

use etlring::format::Guid;
use etlring::session::{ClassicEvent, FileMode, Session, SessionBuilder, SessionHandle, SyncMode};
use std::path::{Path, PathBuf};
use std::time::Duration;

type Error = Box<dyn std::error::Error>;

const CLASS: Guid = Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701);
/// What fits a buffer of 4,096 bytes beside its header: records of 152 bytes.
const PER_BUFFER: u64 = 26;

fn main() -> Result<(), Error> {
    let directory: PathBuf =
        std::env::args_os().nth(1).ok_or("usage: file_modes DIRECTORY")?.into();
    let at = |name: &str| directory.join(name);

    full(&at("full.etl"))?;
    append(&at("append.etl"))?;
    series(&at("series-%d.etl"))?;
    timed(&at("timed-%d.etl"))?;

    let builder = builder(&at("allocated.etl")).maximum_file_size_mb(1).preallocate(true);
    let session = builder.sync(SyncMode::Flush).start()?;
    write(&session, 0..1000)?;
    session.stop()?;
    println!("allocated 1 0 1000");

    let session = self::builder(&at("delayed.etl")).delay_open(true).start()?;
    write(&session, 0..100)?;
    session.stop()?;
    println!("delayed 1 0 100");
    circular(&at("circular.etl"))
}

fn builder(path: &Path) -> SessionBuilder {
    Session::builder("file modes")
        .log_file(path)
        .buffer_size(4096)
        .flush_interval(Duration::from_millis(1))
}

/// Writes events, none of which is to be lost for want of a buffer.
fn write(session: &SessionHandle, numbers: std::ops::Range<u64>) -> Result<(), Error> {
    let event = ClassicEvent::new(CLASS, 10, 4);
    for n in numbers {
        while session.query().buffers_free < 8 {
            std::thread::yield_now();
        }
        let mut payload = [0x5A; 100];
        payload[..8].copy_from_slice(&n.to_le_bytes());
        session.write_classic(&event, &payload)?;
    }
    Ok(())
}

/// A file that reaches its maximum size: the header, seven buffers, and one that tells the rest.
fn full(path: &Path) -> Result<(), Error> {
    let session = builder(path).maximum_file_size_kb(36).flush_interval(Duration::ZERO).start()?;
    write(&session, 0..20 * PER_BUFFER)?;
    let stats = session.stop()?;
    if stats.lost.file_full != 13 * PER_BUFFER {
        return Err(format!("{stats:?}").into());
    }
    println!("full 1 0 {}", stats.events_accepted);
    Ok(())
}

/// A file of a header and fifteen buffers, filled ten times over. What the last buffer's events
/// pushed out is gone, and nothing else.
fn circular(path: &Path) -> Result<(), Error> {
    let session = builder(path).file_mode(FileMode::Circular).maximum_file_size_kb(64).start()?;
    let event = ClassicEvent::new(CLASS, 10, 4);
    for n in 0..150 * PER_BUFFER + 5 {
        let mut payload = [0x5A; 100];
        payload[..8].copy_from_slice(&n.to_le_bytes());
        session.write_classic(&event, &payload)?;
    }
    session.stop()?;
    println!("circular 1 {} {}", 136 * PER_BUFFER, 150 * PER_BUFFER + 5);
    Ok(())
}

/// Five sessions that go on with one file.
fn append(path: &Path) -> Result<(), Error> {
    for round in 0..5 {
        let session = builder(path).file_mode(FileMode::Append).start()?;
        write(&session, round * 100..(round + 1) * 100)?;
        session.stop()?;
    }
    println!("append 1 0 500");
    Ok(())
}

/// Files of four buffers, written by four threads in two sessions.
fn series(pattern: &Path) -> Result<(), Error> {
    for half in 0..2 {
        let session =
            builder(pattern).file_mode(FileMode::NewFile).maximum_file_size_kb(20).start()?;
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let session = session.handle();
                let first = thread * 1_000_000 + half * 300;
                scope.spawn(move || write(&session, first..first + 300).is_ok());
            }
        });
        let stats = session.stop()?;
        if stats.events_accepted != 4 * 300 {
            return Err(format!("{stats:?}").into());
        }
    }
    println!("series 4 0 600");
    Ok(())
}

/// A file for each second.
fn timed(pattern: &Path) -> Result<(), Error> {
    let session = builder(pattern)
        .file_mode(FileMode::NewFile)
        .new_file_interval(Duration::from_secs(1))
        .start()?;
    for round in 0..24 {
        write(&session, round * 10..(round + 1) * 10)?;
        std::thread::sleep(Duration::from_millis(100));
    }
    session.stop()?;
    println!("timed 1 0 240");
    Ok(())
}
