//! Where events are missing in front of a buffer: told in its header (spec/12-loss.md).
//!
//! What a writer discarded since its last buffer it says itself. What was recorded and then gave
//! way to newer events only the flusher can say, and only when it has the next buffer of the lane:
//! it compares how far the lane's count had come in the log and when the buffer was begun.

use crate::format::{BufferFlags, BufferHeader};
use crate::session::lane::Course;
use crate::session::seal::{lost_field, set_lost_field};
use zerocopy::FromBytes;

/// How far each lane has come in the log.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// By lane number.
    lanes: Vec<Lane>,
    /// Losses that the headers in the log count.
    counted: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// The buffer that was seen last.
    sequence: i64,
    /// Events that gave way in front of it.
    missing: u32,
    /// The lane's count up to what is in the log.
    count: u64,
}

impl Gaps {
    fn lane(&mut self, header: &BufferHeader) -> &mut Lane {
        let number = usize::from(header.lane());
        if number >= self.lanes.len() {
            self.lanes.resize(number + 1, Lane::default());
        }
        &mut self.lanes[number]
    }

    /// Says in the header of `buffer`, as a writer began it, what gave way in front of it.
    pub(super) fn mark(&mut self, buffer: &mut [u8], course: Option<Course>) {
        let Some(course) = course else { return };
        let lost = lost_field(buffer);
        let Ok((header, _)) = BufferHeader::mut_from_prefix(buffer) else { return };
        let sequence = header.sequence_number.get();
        let lane = self.lane(header);
        if lane.sequence != sequence {
            let missing = course.start.saturating_sub(lost.into()).saturating_sub(lane.count);
            lane.sequence = sequence;
            lane.missing = u32::try_from(missing).unwrap_or(u32::MAX);
        }
        let missing = lane.missing;
        if missing != 0 {
            header.buffer_flags = header.flags().with(BufferFlags::EVENTS_LOST).0.into();
            set_lost_field(buffer, lost.saturating_add(missing));
        }
    }

    /// The first `events` of a buffer are in the log, or counted among what an error took.
    pub(super) fn settle(&mut self, buffer: &[u8], course: Option<Course>, events: u64) {
        let header = BufferHeader::ref_from_prefix(buffer).ok();
        if let (Some((header, _)), Some(course)) = (header, course) {
            self.lane(header).count = course.start.saturating_add(events);
        }
    }

    /// A buffer is in the log for the first time, with what its header counts.
    pub(super) fn counted(&mut self, lost: u32) {
        self.counted += u64::from(lost);
    }

    /// Of so many losses, those that no header in the log counts.
    pub(super) fn uncounted(&self, losses: u64) -> u32 {
        u32::try_from(losses.saturating_sub(self.counted)).unwrap_or(u32::MAX)
    }
}
