//! Buffers of attached processes, on their way into the log.

use super::Flusher;

#[cfg(not(unix))]
impl Flusher {
    /// Nobody is attached here.
    #[expect(clippy::unused_self, reason = "as where somebody is")]
    pub(super) fn take_in(&mut self) -> usize {
        0
    }

    #[expect(clippy::unused_self, reason = "as where somebody is")]
    pub(super) fn take_all_in(&mut self) {}
}

#[cfg(unix)]
mod here {
    use super::Flusher;
    use crate::format::BufferFlags;
    use crate::session::attach::{Arrived, Item};
    use crate::session::log::Refused;
    use std::sync::Arc;

    impl Flusher {
        /// Writes all that has come of other processes until now, and what the session's own
        /// threads give up meanwhile.
        pub(in crate::session::flusher) fn take_all_in(&mut self) {
            let mut left = self.shared.attached.waiting();
            while left > 0 {
                left = left.saturating_sub(self.take_in().max(1));
                self.write_full();
            }
        }

        /// Writes some of what has come of other processes. Tells how many things that were.
        pub(in crate::session::flusher) fn take_in(&mut self) -> usize {
            let items = self.shared.attached.take();
            let count = items.len();
            for item in items {
                match item {
                    Item::Buffer(arrived) => self.write_arrived(&arrived),
                    Item::Damaged(process) => process.taken(),
                    Item::Gone(process) => {
                        let ring = Arc::clone(self.collector.ring());
                        for slot in self.inlet.leave(&ring, &process) {
                            // What could not be written before gets its last try.
                            if let Some(mut bytes) = slot.unwritten {
                                self.write_foreign(slot.index, &mut bytes, true);
                            } else {
                                self.log.done(slot.index);
                            }
                        }
                        self.shared.attached.settled(&process);
                    }
                }
            }
            if count > 0 {
                self.outlet.publish();
            }
            count
        }

        /// Writes a buffer of another process, to a place of its own.
        fn write_arrived(&mut self, arrived: &Arrived) {
            let ring = Arc::clone(self.collector.ring());
            let checked = &arrived.checked;
            if arrived.is_empty() && !self.inlet.is_open(arrived) {
                // Worth no place in the log.
                if arrived.awaited {
                    arrived.process.taken();
                }
                return;
            }
            match self.inlet.place(&ring, arrived) {
                None => {
                    let lost = &self.shared.no_lane;
                    lost.add(arrived.news.events, checked.first, checked.last);
                }
                Some(index) => {
                    self.log.make_room(index);
                    self.shared.attached.accepted(&arrived.process, arrived.news);
                    let mut space = std::mem::take(&mut self.inlet.space);
                    let written = self.write_foreign(index, &mut space, arrived.last);
                    let unwritten = (!written && !arrived.last).then(|| space.clone());
                    self.inlet.keep(arrived, unwritten);
                    self.inlet.space = space;
                }
            }
            if arrived.last {
                self.inlet.close(arrived.process.id, checked.sequence);
            }
            if arrived.awaited {
                arrived.process.taken();
            }
        }

        /// Writes a buffer to the place that it has or now gets; `false` if that failed.
        fn write_foreign(&mut self, index: usize, bytes: &mut [u8], last: bool) -> bool {
            let now = self.clock.now();
            if last {
                self.outlet.sealed(index, bytes, now);
            } else {
                self.outlet.partial(index, bytes, now);
            }
            let begun = if self.log.needs_next_file(index) {
                self.next_file_when_full().map_err(Refused::Io)
            } else {
                Ok(())
            };
            let flags = BufferFlags::default().with(self.log.missing_flag());
            let written = begun.and_then(|()| self.log.write(index, bytes, flags, last));
            match written {
                Ok(()) if last => self.log.done(index),
                Ok(()) => {}
                Err(why) if last => self.log.lose(index, bytes, why),
                // Not lost yet: it comes again.
                Err(why) => {
                    if let Refused::Io(error) = why {
                        self.shared.note_error(error);
                    }
                    return false;
                }
            }
            true
        }
    }
}
