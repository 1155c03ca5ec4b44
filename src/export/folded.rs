//! Folded stacks: the lines that flame graph tools read, `process;outer;inner count`.
//!
//! Without a choice of events the samples of the profiler are counted; of chosen events those that
//! have a stack, with the event as the innermost frame. A frame is `module+0x1234` where the log
//! says which image lay there, else the address. The format has no escapes: a semicolon in a name
//! is written as `\u{3b}`, line ends and what steers a terminal in the same way.
//!
//! # Bounds
//!
//! Stacks are counted in a table of [`MOST_BYTES`]; when it is full its lines are written and it is
//! empty again. Tools add up lines of the same stack.

use crate::codec::RecordView;
use crate::export::{Entry, text::is_unsafe, title};
use crate::format::Group;
use crate::schema::images::Images;
use crate::schema::stacks::CallStack;
use crate::schema::{Decoder, Shape, Value, Visitor};
use std::collections::HashMap;
use std::io::Write;

/// Bytes of the stacks that are counted before they are written: 32 MiB.
pub const MOST_BYTES: usize = 32 << 20;

/// Counts stacks.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    counts: HashMap<Box<[u8]>, u64>,
    bytes: usize,
    counted: u64,
    line: Vec<u8>,
}

impl Folded {
    /// Counts none so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one event; `chosen` says that it need not be a sample of the profiler.
    pub fn event(
        &mut self,
        out: &mut Vec<u8>,
        entry: &Entry<'_, '_>,
        stack: Option<CallStack<'_>>,
        (decoder, images): (&Decoder, &Images),
        chosen: bool,
    ) {
        let is_sample = is_sample(entry.view);
        if !(is_sample || chosen && stack.is_some()) {
            return;
        }
        let ticks = entry.view.ticks().unwrap_or_default();
        let mut fields = Fields::default();
        if is_sample {
            let _ = entry.event.walk(&mut fields);
        }
        let known = |id: &u32| *id != u32::MAX;
        let thread = entry.view.thread_id().filter(known).or(fields.thread);
        let process = stack.and_then(|stack| stack.process);
        let process = process.or(entry.view.process_id().filter(known));
        let owner = || thread.and_then(|thread| decoder.process_of_thread(thread, ticks));
        let process = process.or_else(owner);

        self.line.clear();
        match process {
            // The idle process has no name of its own.
            Some(0) => self.line.extend_from_slice(b"Idle (0)"),
            Some(process) => {
                let name = decoder.process_name(process, ticks).unwrap_or("process");
                frame(&mut self.line, name);
                put(&mut self.line, format_args!(" ({process})"));
            }
            None => self.line.extend_from_slice(b"unknown process"),
        }
        let process = process.unwrap_or_default();
        let innermost = fields.address.filter(|_| stack.is_none());
        let addresses = stack.map_or(&[][..], |stack| stack.addresses);
        for address in addresses.iter().rev().copied().chain(innermost) {
            self.line.push(b';');
            match images.find(process, address, ticks) {
                Some(place) => {
                    frame(&mut self.line, place.module);
                    put(&mut self.line, format_args!("+{:#x}", place.offset));
                }
                None => put(&mut self.line, format_args!("{address:#x}")),
            }
        }
        if !is_sample {
            self.line.push(b';');
            frame(&mut self.line, &title(entry));
        }
        self.count(out);
    }

    /// Appends the lines of what was counted, in the order of their bytes.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let mut lines: Vec<_> = std::mem::take(&mut self.counts).into_iter().collect();
        lines.sort_unstable();
        self.bytes = 0;
        for (stack, count) in lines {
            out.extend_from_slice(&stack);
            put(out, format_args!(" {count}\n"));
        }
    }

    /// Events that were counted so far.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.counted
    }

    fn count(&mut self, out: &mut Vec<u8>) {
        self.counted = self.counted.saturating_add(1);
        if let Some(count) = self.counts.get_mut(&*self.line) {
            *count += 1;
            return;
        }
        self.bytes += self.line.len() + 64;
        if self.bytes > MOST_BYTES {
            self.finish(out);
            self.bytes = self.line.len() + 64;
        }
        self.counts.insert(self.line.as_slice().into(), 1);
    }
}

/// Whether a record is a sample of the profiler.
#[must_use]
pub fn is_sample(view: &RecordView<'_>) -> bool {
    const PERF_INFO: Group = Group(0x0F);
    const SAMPLED_PROFILE: u8 = 46;
    (view.group(), view.opcode()) == (Some(PERF_INFO), Some(SAMPLED_PROFILE))
}

/// Text that is one frame of one line.
fn frame(line: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        if c == ';' || is_unsafe(c) {
            put(line, format_args!("\\u{{{:x}}}", u32::from(c)));
        } else {
            line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into a vector cannot fail.
    let _ = out.write_fmt(text);
}

/// What a sample says.
#[derive(Default)]
struct Fields {
    address: Option<u64>,
    thread: Option<u32>,
}

impl Visitor for Fields {
    fn value(&mut self, name: &str, value: &Value<'_>) {
        match name {
            "InstructionPointer" => self.address = value.to_count(),
            "ThreadId" => self.thread = value.to_count().and_then(|id| u32::try_from(id).ok()),
            _ => {}
        }
    }

    fn begin(&mut self, _: &str, _: Shape) {}

    fn end(&mut self, _: Shape) {}
}
