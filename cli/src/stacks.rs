//! Stacks of events, found by a cursor that runs ahead of the walk.

use crate::input::Input;
use etlring::codec::RecordView;
use etlring::format::FileTime;
use etlring::reader::{FileOrBytes, Merge};
use etlring::schema::stacks::{CallStack, Stacks};

/// Joins stacks to the events of a walk in time order.
#[derive(Debug)]
pub(crate) struct Joiner<'i> {
    input: &'i Input,
    stacks: Stacks<'i>,
    /// `None` at the end of the log.
    ahead: Option<Merge<'i, FileOrBytes>>,
}

impl<'i> Joiner<'i> {
    /// Of a walk that starts at `from`; the walk must be in time order for other stacks than those
    /// that events carry themselves.
    pub(crate) fn new(input: &'i Input, from: Option<FileTime>, in_time_order: bool) -> Self {
        let stacks = Stacks::new(input.stack_keys());
        let ahead = in_time_order.then(|| match from {
            Some(from) => input.trace.by_time().seek(from),
            None => input.trace.by_time(),
        });
        Self { input, stacks, ahead }
    }

    /// The stack of the record that the walk is at.
    pub(crate) fn of(&mut self, view: &RecordView<'_>) -> Option<CallStack<'_>> {
        self.stacks.pass(view.ticks()?);
        while self.stacks.has_room() {
            let Some(ahead) = &mut self.ahead else { break };
            match ahead.next() {
                Some(Ok(record)) => self.stacks.look_ahead(record.raw()),
                // Damage is named by the walk that shows the records.
                Some(Err(_)) => {}
                None => self.ahead = None,
            }
        }
        self.stacks.of(view, self.input.decoder())
    }
}
