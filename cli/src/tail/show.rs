//! How events are shown as they come.

use super::{Args, Format};
use crate::dump::Writer;
use crate::input::Input;
use crate::json::Lines;
use crate::names::Names;
use crate::outcome::{Failure, Outcome, complain};
use crate::select::Selection;
use crate::text::Colors;
use crate::walk::{Flow, Found, Order, walk};
use etlring::format::FileTime;
use etlring::reader::{FileOrBytes, Trace};
use etlring::schema::Decoder;
use std::collections::VecDeque;
use std::fmt;
use std::io::{Stdout, StdoutLock};
use std::ops::ControlFlow;

/// What has come so far, as far as that matters for what comes next.
pub(super) struct Shown<'a> {
    args: &'a Args,
    /// Of the log or session, in messages.
    pub(super) name: String,
    colors: Colors,
    fields: bool,
    selection: Selection,
    names: Names,
    /// Knows what was given and what the log has taught so far.
    decoder: Decoder,
    lines: Lines<StdoutLock<'a>>,
    /// The last lines of what was there at the start, until all of that was read.
    backlog: Option<VecDeque<Vec<u8>>>,
    outcome: Outcome,
}

impl<'a> Shown<'a> {
    /// For a log or session that began at `start`.
    pub(super) fn new(
        args: &'a Args,
        colors: Colors,
        stdout: &'a Stdout,
        name: String,
        start: FileTime,
    ) -> Result<Self, Failure> {
        Ok(Self {
            args,
            name,
            colors,
            fields: args.show.fields(),
            selection: args.show.select.resolve(start)?,
            names: Names::default(),
            decoder: args.show.schemas.load()?,
            lines: Lines::new(stdout.lock()),
            backlog: Some(VecDeque::new()),
            outcome: Outcome::Clean,
        })
    }

    /// Shows the events of `trace`, from its buffer `first` on. Those of the start are kept back
    /// until `caught_up`.
    pub(super) fn show(
        &mut self,
        trace: Option<Trace<FileOrBytes>>,
        first: usize,
        caught_up: bool,
    ) -> Result<(), Failure> {
        if let Some(trace) = trace {
            self.events(trace, Some(first))?;
        }
        self.write(caught_up)
    }

    /// Shows the events of a log that is all there.
    pub(super) fn show_whole(&mut self, trace: Trace<FileOrBytes>) -> Result<(), Failure> {
        self.events(trace, None)?;
        self.write(true)
    }

    fn write(&mut self, caught_up: bool) -> Result<(), Failure> {
        if caught_up {
            for line in self.backlog.take().into_iter().flatten() {
                self.lines.text.extend_from_slice(&line);
                self.lines.end()?;
            }
        }
        self.lines.flush()?;
        Ok(())
    }

    /// Says what is wrong, or missing.
    pub(super) fn damage(&mut self, what: fmt::Arguments<'_>) {
        self.outcome = Outcome::Damaged;
        complain(format_args!("{}: {what}", self.name));
    }

    pub(super) fn outcome(self) -> Outcome {
        self.outcome
    }

    /// Shows a part of a log from its buffer `first` on, or a whole one.
    fn events(&mut self, trace: Trace<FileOrBytes>, first: Option<usize>) -> Result<(), Failure> {
        let given = std::mem::take(&mut self.decoder);
        let inputs = [Input::part(self.name.clone(), trace, given)];
        let make = if first.is_some() { Writer::of_part } else { Writer::new };
        let mut writer = make(&inputs, self.args.show.payload, self.fields, self.colors);
        let (args, lines, backlog) = (self.args, &mut self.lines, &mut self.backlog);
        let mut line = Vec::new();
        let mut each = |found: &Found<'_>, names: &mut Names| -> Flow {
            if found.record.buffer_index() < first.unwrap_or(0) {
                return Ok(ControlFlow::Continue(()));
            }
            let out = if backlog.is_some() { &mut line } else { &mut lines.text };
            match args.format {
                Format::Jsonl => writer.object(out, found, names),
                Format::Text => writer.row(out, found, names),
            }
            match backlog {
                Some(_) if args.last == 0 => line.clear(),
                Some(last) => {
                    // The memory of the line that goes is that of the next one.
                    let old = if last.len() == args.last { last.pop_front() } else { None };
                    let next = old.unwrap_or_default();
                    last.push_back(std::mem::replace(&mut line, next));
                    line.clear();
                }
                None => lines.end()?,
            }
            Ok(ControlFlow::Continue(()))
        };
        let walked = walk(&inputs, Order::Time, &self.selection, &mut self.names, &mut each)?;
        if walked == Outcome::Damaged {
            self.outcome = Outcome::Damaged;
        }
        let [input] = inputs;
        if self.fields {
            // Schemas may stand in any record, also in those that nobody asked for.
            let _ = input.decoder();
        }
        self.decoder = input.into_decoder();
        Ok(())
    }
}
