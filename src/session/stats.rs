//! What became of every event: counters, and why an event was not recorded.

use std::fmt;

/// An event was not recorded. Returned at once, unless the session has writers wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Discarded {
    /// All buffers are in use: the flusher or the disk is behind.
    NoFreeBuffer,
    /// The record does not fit an empty buffer, or the 65,535 bytes a record can have.
    TooLarge,
    /// All lanes are taken by other threads, or the one lane is in use.
    NoLane,
    /// Logged from within another event of the thread, with no lane left for such.
    Reentered,
    /// The session is paused.
    Disabled,
    /// The session has been stopped.
    Stopped,
    /// The session belongs to the process that this one was forked from. Start one of its own.
    Forked,
}

impl fmt::Display for Discarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFreeBuffer => "no free buffer, event discarded",
            Self::TooLarge => "record larger than a buffer or than 65535 bytes, event discarded",
            Self::NoLane => "no free lane, event discarded",
            Self::Reentered => "no free lane within another event, event discarded",
            Self::Disabled => "session is paused, event not recorded",
            Self::Stopped => "session is stopped, event not recorded",
            Self::Forked => "session is the parent process's, event not recorded",
        })
    }
}

impl std::error::Error for Discarded {}

/// Why events were lost, as loss records number it (spec/12-loss.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LossCause(pub u32);

impl LossCause {
    /// [`Discarded::NoFreeBuffer`], or the event gave way to a newer one
    /// ([`WhenFull::Overwrite`](crate::session::WhenFull::Overwrite)).
    pub const NO_FREE_BUFFER: Self = Self(1);
    /// [`Discarded::TooLarge`].
    pub const TOO_LARGE: Self = Self(2);
    /// [`Discarded::NoLane`].
    pub const NO_LANE: Self = Self(3);
    /// [`Discarded::Reentered`].
    pub const REENTERED: Self = Self(4);
    /// The log file has its maximum size.
    pub const FILE_FULL: Self = Self(5);
    /// The sink failed to write a buffer.
    pub const IO: Self = Self(6);
}

/// Events lost, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventsLost {
    /// All buffers were in use: discarded, or recorded and overwritten by newer ones
    /// ([`WhenFull::Overwrite`](crate::session::WhenFull::Overwrite)).
    pub no_free_buffer: u64,
    /// Larger than a buffer.
    pub too_large: u64,
    /// All lanes were taken.
    pub no_lane: u64,
    /// Logged from within another event, with no lane left for such.
    pub reentered: u64,
    /// In buffers for which a log file of maximum size had no room.
    pub file_full: u64,
    /// In buffers that the sink failed to write.
    pub io: u64,
}

impl EventsLost {
    /// All of them: the `EventsLost` of the log file.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_cause().iter().sum()
    }

    /// By cause, numbered as in spec/12-loss.md, from 1.
    pub(crate) fn by_cause(&self) -> [u64; 6] {
        let Self { no_free_buffer, too_large, no_lane, reentered, file_full, io } = *self;
        [no_free_buffer, too_large, no_lane, reentered, file_full, io]
    }

    /// The same back.
    pub(crate) fn of_causes(counts: [u64; 6]) -> Self {
        let [no_free_buffer, too_large, no_lane, reentered, file_full, io] = counts;
        Self { no_free_buffer, too_large, no_lane, reentered, file_full, io }
    }

    /// Adds those of others.
    pub(crate) fn add(&mut self, other: &Self) {
        let mut sums = self.by_cause();
        for (sum, more) in sums.iter_mut().zip(other.by_cause()) {
            *sum = sum.saturating_add(more);
        }
        *self = Self::of_causes(sums);
    }
}

/// Counters of a session at one moment.
///
/// Once the writers are quiet the sums are exact:
/// `attempted() == events_accepted + lost.total() + events_disabled + events_after_stop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Events committed, less those in buffers that did not reach the log, or gave way.
    pub events_accepted: u64,
    /// Events lost, by cause.
    pub lost: EventsLost,
    /// Events refused because the session was paused.
    pub events_disabled: u64,
    /// Events refused because the session was stopped.
    pub events_after_stop: u64,
    /// Buffers in the log, the header buffers of all its files included.
    pub buffers_written: u64,
    /// Buffers that the sink failed to write, or whose file was removed. Buffers for which a file
    /// of maximum size had no room are not among them.
    pub buffers_lost: u64,
    /// Buffers that nobody uses at this moment.
    pub buffers_free: u32,
    /// All buffers of the session.
    pub buffers_total: u32,
    /// Size of a buffer, in bytes.
    pub buffer_size: u32,
    /// Most lanes in use at the same time so far.
    pub lanes: u32,
    /// Whether the buffers lie in a file, so that they survive a kill of the process.
    pub ring_file: bool,
}

/// The processes that are or were attached to a session. What became of their events is in the
/// session's [`SessionStats`]; what they had not told of when they died is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttachStats {
    /// Attached at this moment.
    pub processes: u32,
    /// Those that have gone as they should.
    pub detached: u64,
    /// Those that died, or were cut off because they did not keep the rules. What they had
    /// committed was taken from their rings.
    pub died: u64,
    /// What was wrong with what they sent or left, and is not in the log.
    pub damage: AttachDamage,
}

/// Damage in what attached processes sent or left, by what is wrong (spec/20-attach.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttachDamage {
    /// Messages that are none. Each ended a connection.
    pub messages: u64,
    /// Buffers of wrong sizes, type, state or flags.
    pub headers: u64,
    /// Buffers of a lane that their process does not have.
    pub lanes: u64,
    /// Buffers whose checksum does not hold, or is missing.
    pub checksums: u64,
    /// Buffers with a record that cannot be.
    pub records: u64,
    /// Buffers with a stamp that runs backwards or lies outside of the session.
    pub stamps: u64,
    /// Buffers that came twice, or hold less than before, or whose numbers cannot be.
    pub sequences: u64,
    /// Ring files that are none, or could not be read.
    pub rings: u64,
}

impl AttachDamage {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { messages, headers, lanes, checksums, records, stamps, sequences, rings } = self;
        messages + headers + lanes + checksums + records + stamps + sequences + rings
    }
}

impl SessionStats {
    /// Every event that anyone tried to record.
    #[must_use]
    pub fn attempted(&self) -> u64 {
        self.events_accepted + self.lost.total() + self.events_disabled + self.events_after_stop
    }
}
