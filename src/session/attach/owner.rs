//! The owner's side of one attached process: a thread that reads what it sends, and one that sends.
//!
//! ```text
//!   welcome ──► ready ──► told what the session wants ──► buffers, counts ──► goodbye ──► bye
//!                │                                              │
//!                └── no answer in time: let go                  └── the connection ends without a
//!                                                                   goodbye: its ring is read
//! ```
//!
//! Every byte that comes is looked at before anything is done with it: see `wire`, `check` and
//! `ledger`. What is wrong is counted by what it is. A buffer that is wrong is left out and the
//! next one is looked at; behind a frame that is none nothing can be found any more, so the
//! connection ends, and the process is one that died.

use crate::session::attach::{
    check::{Checked, Rules},
    hub::{Arrived, Damaged, Item, NoRoom, Place, Process},
    ledger::{Ledger, News, Unfit},
    orphan::Orphan,
    wire::{self, BUFFER_PREFIX, Frames, Refusal, Welcome, kind},
};
use crate::session::setting::Counts;
use crate::session::{clock, clock::Source};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long a process may take to make its ring.
const SETUP: Duration = Duration::from_secs(30);
/// Most bytes of a ring: what an owner lets another process take of the place for rings.
const MOST_RING_BYTES: u64 = 1 << 30;

/// What a process that asks to be attached is told, but for what is its own.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) place: Place,
    pub(crate) welcome: Welcome,
    pub(crate) clock: Source,
    /// Whether the session has a log that buffers can be given to.
    pub(crate) takes_buffers: bool,
    /// What the name of a ring file starts with.
    pub(crate) ring_base: PathBuf,
}

impl Terms {
    /// Looks after a process on a thread of its own, until it has gone.
    pub(crate) fn serve(self, stream: UnixStream) -> io::Result<()> {
        let thread = thread::Builder::new().name("etlring-attached".to_owned());
        thread.spawn(move || self.run(stream)).map(drop)
    }

    fn run(self, stream: UnixStream) {
        // Nobody is there to be told: the process sees its connection end.
        let _ = self.look_after(stream);
    }

    fn look_after(self, stream: UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(SETUP))?;
        if !self.takes_buffers {
            return refuse(&stream, Refusal::RING);
        }
        let mut frames = Frames::new(stream.try_clone()?);
        let hub = self.place.hub();
        let lanes = self.welcome.lanes.min(self.welcome.most_buffers);
        let id = self.free_number();
        let process = match hub.admit(stream.try_clone()?, id, lanes, &self.place.ring) {
            Ok(process) => process,
            Err(NoRoom::Full) => return refuse(&stream, Refusal::FULL),
            Err(NoRoom::Ending) => return refuse(&stream, Refusal::ENDING),
        };
        // None of its events is older, and its lanes were its own by then.
        let start_ticks = self.clock.now();
        let path = self.ring_path(id);
        let (orphan, buffers) = match self.set_up(&process, &stream, &mut frames, &path) {
            Ok(made) => made,
            Err(error) => {
                process.lanes.iter().for_each(|lane| self.place.ring.give_lane_number(*lane));
                hub.leave(&process, true);
                // It may have made a ring before it died. Nothing is in there yet.
                Orphan::open(path, self.welcome.buffer_size, 0)?.remove(frames.peer());
                return Err(error);
            }
        };

        // Fails, on some systems, where the other side has gone: that is seen below.
        let _ = stream.set_write_timeout(None);
        let sender = {
            let (process, stream) = (Arc::clone(&process), stream);
            thread::Builder::new().name("etlring-attached".to_owned()).spawn(move || {
                while let Some(frame) = process.next_frame() {
                    // A connection that ended is seen by the other thread.
                    if wire::send(&stream, &frame, || false).is_err() {
                        process.cut_off();
                    }
                }
            })
        };
        let mut visit = Visit {
            rules: self.rules(&process, buffers, start_ticks),
            ledger: Ledger::new(buffers),
            place: &self.place,
            process: &process,
        };
        hub.join(&process);
        let orderly = sender.is_ok() && visit.listen(&mut frames);
        if !orderly {
            // So that nobody waits to send it something; a child of it may have it open still.
            process.cut_off();
            visit.take_left(&orphan);
        }
        let settled = hub.settle(&process, &self.place.flusher);
        if orderly && settled {
            // Before the process knows: it may be killed at any moment behind that.
            orphan.discard();
            process.send(wire::number_frame(kind::BYE, 0));
        }
        process.close();
        if let Ok(sender) = sender {
            // It ends: the connection is closed by the other side, or was cut off.
            let _ = sender.join();
        }
        if !orderly && settled {
            orphan.remove(frames.peer());
        }
        hub.leave(&process, !orderly);
        Ok(())
    }

    /// A number for a process under which no ring file lies: one that a former session of this
    /// name left stays, for `recover`.
    fn free_number(&self) -> u64 {
        loop {
            let number = self.place.hub().next_number();
            if self.ring_path(number).symlink_metadata().is_err() {
                return number;
            }
        }
    }

    /// Where the process of this number is to make its ring.
    fn ring_path(&self, number: u64) -> PathBuf {
        let mut path = self.ring_base.clone().into_os_string();
        path.push(format!(".{}.{number}.ring", std::process::id()));
        path.into()
    }

    /// Tells the process what it needs to know, and waits until its ring is there.
    fn set_up(
        &self,
        process: &Process,
        stream: &UnixStream,
        frames: &mut Frames,
        path: &Path,
    ) -> io::Result<(Orphan, u32)> {
        let hub = self.place.hub();
        let most = MOST_RING_BYTES / u64::from(self.welcome.buffer_size);
        let most = u32::try_from(most).unwrap_or(u32::MAX).min(self.welcome.most_buffers).max(2);
        let welcome = Welcome {
            most_buffers: most,
            lanes: u32::try_from(process.lanes.len()).unwrap_or(u32::MAX),
            ticks: self.clock.now(),
            ring: path.as_os_str().as_bytes().to_vec(),
            ..self.welcome.clone()
        };
        wire::send(stream, &welcome.frame(), || false)?;
        frames.set_timeout(Some(SETUP))?;
        let answer = frames.next().inspect_err(|error| {
            if error.kind() == io::ErrorKind::InvalidData {
                hub.damaged(Damaged::Message);
            }
        })?;
        let buffers = match answer {
            Some((kind::READY, payload)) => wire::number(payload).ok(),
            // It found that it cannot, and has gone.
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
            Some(_) => None,
        };
        let buffers =
            buffers.and_then(|n| u32::try_from(n).ok()).filter(|n| (2..=most).contains(n));
        let Some(buffers) = buffers else {
            hub.damaged(Damaged::Message);
            refuse(stream, Refusal::VERSION)?;
            return Err(wire::damaged("no ring was told"));
        };
        let orphan =
            Orphan::open(path.to_owned(), welcome.buffer_size, buffers).inspect_err(|_| {
                hub.damaged(Damaged::Ring);
                let _ = refuse(stream, Refusal::FILE);
            })?;
        frames.set_timeout(None)?;
        frames.let_buffers_come(welcome.buffer_size);
        Ok((orphan, buffers))
    }

    fn rules(&self, process: &Process, buffers: u32, start_ticks: u64) -> Rules {
        let lanes = u32::try_from(process.lanes.len()).unwrap_or(u32::MAX);
        Rules {
            buffer_size: self.welcome.buffer_size,
            lanes: lanes.min(buffers),
            clock: self.clock,
            start_ticks,
            slack: clock::frequency(self.clock) / 10,
        }
    }
}

fn refuse(stream: &UnixStream, why: Refusal) -> io::Result<()> {
    let frame = wire::number_frame(kind::REFUSED, why.0.into());
    wire::send(stream, &frame, || false)
}

/// A process that is attached, as the thread that listens to it sees it.
struct Visit<'a> {
    rules: Rules,
    ledger: Ledger,
    place: &'a Place,
    process: &'a Arc<Process>,
}

impl Visit<'_> {
    /// Takes what comes until the process says goodbye; `false` if it does not.
    fn listen(&mut self, frames: &mut Frames) -> bool {
        let hub = self.place.hub();
        loop {
            let understood = match frames.next() {
                Ok(None) => return false,
                Ok(Some((kind::GOODBYE, []))) => return true,
                Ok(Some((kind::BUFFER, payload))) if payload.len() > BUFFER_PREFIX => {
                    if !self.buffer(payload) {
                        return false;
                    }
                    Ok(())
                }
                Ok(Some((kind::COUNTS, payload))) => {
                    Counts::parse(payload).map(|counts| hub.told(self.process, counts))
                }
                Ok(Some((kind::FLUSHED, payload))) => {
                    wire::number(payload).map(|number| hub.flushed(self.process, number))
                }
                Ok(Some(_)) => Err(wire::damaged("a message of an unknown kind")),
                Err(error) => Err(error),
            };
            if let Err(error) = understood {
                if error.kind() == io::ErrorKind::InvalidData {
                    hub.damaged(Damaged::Message);
                }
                return false;
            }
        }
    }

    /// Takes a buffer; `false` if the session takes none any more.
    fn buffer(&mut self, payload: &[u8]) -> bool {
        let (prefix, bytes) = payload.split_at(BUFFER_PREFIX);
        let last = prefix.first() == Some(&1);
        let checked = match self.rules.check(bytes) {
            Ok(checked) => checked,
            Err(wrong) => return self.leave_out(Damaged::Buffer(wrong), last),
        };
        match self.ledger.take(checked.sequence, checked.filled, checked.holds(), last) {
            Ok(news) => self.put(checked, bytes, news, last, true),
            Err(Unfit::Done | Unfit::Wrong) => self.leave_out(Damaged::Sequence, last),
        }
    }

    /// Counts a buffer that is damaged. If it is the last of it its process is told like of any
    /// other, in its turn: by how many were taken it knows which.
    fn leave_out(&self, damage: Damaged, last: bool) -> bool {
        self.place.hub().damaged(damage);
        !last || self.place.hub().put(Item::Damaged(Arc::clone(self.process)))
    }

    /// Takes what a process that died has left in its ring and had not sent.
    fn take_left(&mut self, orphan: &Orphan) {
        let hub = self.place.hub();
        let Ok(mut left) = orphan.numbers() else { return hub.damaged(Damaged::Ring) };
        left.retain(|(sequence, _)| !self.ledger.is_done(*sequence));
        // The order of numbers is that of each lane.
        left.sort_unstable();
        for (_, place) in left {
            // One that is gone by now was the work of somebody who is not dead.
            let Ok(Some(mut bytes)) = orphan.buffer(place) else {
                hub.damaged(Damaged::Ring);
                continue;
            };
            let checked = match self.rules.check_left(&bytes) {
                Ok(checked) => checked,
                Err(wrong) => {
                    hub.damaged(Damaged::Buffer(wrong));
                    continue;
                }
            };
            if let Some(wrong) = checked.cut {
                hub.damaged(Damaged::Buffer(wrong));
                bytes.truncate(checked.filled as usize);
            }
            let holds = checked.holds();
            match self.ledger.take(checked.sequence, checked.filled, holds, true) {
                Ok(news) => {
                    if !self.put(checked, &bytes, news, true, false) {
                        return;
                    }
                }
                Err(Unfit::Done | Unfit::Wrong) => hub.damaged(Damaged::Sequence),
            }
        }
    }

    fn put(&self, checked: Checked, bytes: &[u8], news: News, last: bool, awaited: bool) -> bool {
        let process = Arc::clone(self.process);
        let arrived = Arrived {
            process,
            checked,
            bytes: bytes.to_vec(),
            takes: self.rules.buffer_size,
            news,
            last,
            awaited: last && awaited,
        };
        let put = self.place.hub().put(Item::Buffer(arrived));
        self.place.flusher.unpark();
        put
    }
}

impl Checked {
    fn holds(&self) -> News {
        News { events: self.events, lost: self.events_lost }
    }
}
