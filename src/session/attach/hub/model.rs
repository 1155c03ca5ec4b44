//! One process that is attached, for `tests/shuttle`: what comes of it, on the real hub and ledger,
//! and what a flusher makes of that.

use super::{Arrived, Hub, Item, Member, News, Process};
use crate::session::attach::{check::Checked, ledger::Ledger};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// The session, with its one process.
pub struct Attached {
    hub: Hub,
    process: Arc<Process>,
}

/// A buffer as the process has it: its number, and how many events are in it.
pub type Buffer = (i64, u64);

impl Attached {
    pub fn new() -> Arc<Self> {
        let (stream, _) = UnixStream::pair().expect("a pair of sockets");
        let process = Arc::new(Process::new(1, Vec::new(), stream));
        let hub = Hub::default();
        let member = Member { ready: true, ..Member::new(&process, 0) };
        hub.state().members.push(member);
        Arc::new(Self { hub, process })
    }

    /// The thread that listens: buffers as they come, `true` behind one that does not come again;
    /// then what lies in the ring of the process, which has died.
    pub fn listen(&self, buffers: u32, comes: &[(Buffer, bool)], ring: &[Buffer]) {
        let mut ledger = Ledger::new(buffers);
        let mut open = comes.iter().all(|(buffer, last)| self.put(&mut ledger, *buffer, *last));
        for buffer in ring {
            open = open && (ledger.is_done(buffer.0) || self.put(&mut ledger, *buffer, true));
        }
        let settled = self.hub.settle(&self.process, &std::thread::current());
        assert!(open && settled, "the flusher went first");
        self.hub.leave(&self.process, true);
    }

    fn put(&self, ledger: &mut Ledger, (sequence, events): Buffer, last: bool) -> bool {
        let filled = 72 + 8 * u32::try_from(events).expect("few events");
        let holds = News { events, lost: 0 };
        let news = ledger.take(sequence, filled, holds, last).expect("it keeps the rules");
        let checked = Checked {
            sequence,
            lane: 0,
            filled,
            events,
            events_lost: 0,
            lost_before: 0,
            first: 0,
            last: 0,
            cut: None,
        };
        self.hub.put(Item::Buffer(Arrived {
            process: Arc::clone(&self.process),
            checked,
            bytes: Vec::new(),
            // Two of them fill the inbox.
            takes: u32::try_from(super::INBOX_BYTES / 2).expect("a few bytes"),
            news,
            last,
            awaited: false,
        }))
    }

    /// A turn of the flusher: numbers of the buffers that it took, and what was new in each.
    pub fn turn(&self) -> Vec<Buffer> {
        let mut log = Vec::new();
        for item in self.hub.take() {
            match item {
                Item::Buffer(arrived) => log.push((arrived.checked.sequence, arrived.news.events)),
                Item::Damaged(process) => process.taken(),
                Item::Gone(process) => self.hub.settled(&process),
            }
        }
        log
    }

    /// Ends the session: when this returns no process is waited for any more.
    pub fn end(&self) {
        self.hub.end(Duration::from_secs(10));
        assert!(self.hub.state().members.is_empty(), "a process was left behind");
    }

    /// The flusher stops. How much it leaves lying.
    pub fn close(&self) -> usize {
        self.hub.close().len()
    }
}
