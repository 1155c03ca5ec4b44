//! The records of the files given, in the order asked for; damage goes to stderr with its place.

use crate::input::Input;
use crate::names::Names;
use crate::outcome::{Failure, Outcome, complain};
use crate::progress::Progress;
use crate::select::Selection;
use crate::text::counted;
use clap::ValueEnum;
use etlring::codec::{RawRecord, RecordView};
use etlring::format::FileTime;
use etlring::reader::{FileOrBytes, MergeMany, ReadError, Record, Source, Trace};
use std::ops::ControlFlow;

/// Which order records come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// By time, over all lanes and files
    #[default]
    Time,
    /// As they lie in the file; one file after the other
    File,
}

/// One record that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    /// Which of the files it is from.
    pub(crate) file: usize,
    pub(crate) record: &'a Record<'a>,
    pub(crate) view: &'a RecordView<'a>,
    pub(crate) trace: &'a Trace<FileOrBytes>,
}

impl Found<'_> {
    /// Of its own stamp, or of its buffer's.
    pub(crate) fn time(&self) -> FileTime {
        self.trace.time(self.record)
    }

    fn is_wanted(&self, selection: &Selection, names: &mut Names, input: &Input) -> bool {
        if selection.takes_all() {
            return true;
        }
        selection.takes(self.view, self.record.lane(), self.time(), names, input)
    }
}

/// What to do with each record; `Break` ends the walk.
pub(crate) type Flow = Result<ControlFlow<()>, Failure>;

/// Damage that was met, on its way to stderr.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    count: usize,
}

/// Faults that are named one by one; a file of noise has millions.
const NAMED: usize = 100;

impl Complaints {
    /// One fault of `input`.
    pub(crate) fn add(&mut self, input: &Input, error: &ReadError) {
        self.count += 1;
        if self.count <= NAMED {
            complain(format_args!("{}: {error}", input.name));
        }
    }

    /// What that means for the exit status.
    pub(crate) fn outcome(self) -> Outcome {
        if self.count > NAMED {
            complain(format_args!("and {} more", counted((self.count - NAMED) as u64, "fault")));
        }
        Outcome::of(self.count > 0)
    }
}

/// What the records of a walk are shown to.
pub(crate) trait Watcher {
    /// Shown a record in file order when all are wanted: whether a look at it was enough. If not, it
    /// is shown to the two others.
    fn glance(&mut self, _file: usize, _input: &Input, _record: &Record<'_>) -> bool {
        false
    }

    /// Shown every other whole record, wanted or not.
    fn learn(&mut self, _file: usize, _record: RawRecord<'_>) {}

    /// Shown those that are wanted.
    fn take(&mut self, found: &Found<'_>, names: &mut Names) -> Flow;
}

/// Takes what is wanted and nothing else.
struct Each<F>(F);

impl<F: FnMut(&Found<'_>, &mut Names) -> Flow> Watcher for Each<F> {
    fn take(&mut self, found: &Found<'_>, names: &mut Names) -> Flow {
        self.0(found, names)
    }
}

/// Calls `each` for every record of `inputs` that `selection` takes.
pub(crate) fn walk(
    inputs: &[Input],
    order: Order,
    selection: &Selection,
    names: &mut Names,
    each: impl FnMut(&Found<'_>, &mut Names) -> Flow,
) -> Result<Outcome, Failure> {
    walk_watched(inputs, order, selection, names, &mut Each(each))
}

/// Shows the records of `inputs` to `watcher`.
pub(crate) fn walk_watched(
    inputs: &[Input],
    order: Order,
    selection: &Selection,
    names: &mut Names,
    watcher: &mut impl Watcher,
) -> Result<Outcome, Failure> {
    let mut complaints = Complaints::default();
    for input in inputs {
        for error in input.trace.damage() {
            complaints.add(input, error);
        }
    }
    let progress = Progress::new(inputs.iter().map(|input| input.trace.source().size()).sum());
    let mut walk = Walk { inputs, selection, names, watcher, complaints, progress };
    match order {
        Order::File => walk.in_file_order()?,
        Order::Time => walk.in_time_order()?,
    }
    let Walk { complaints, progress, .. } = walk;
    drop(progress);
    Ok(complaints.outcome())
}

/// Calls `each` for the same records once more, in the order of the files; what is wrong with them
/// was said before.
pub(crate) fn walk_again(
    inputs: &[Input],
    selection: &Selection,
    names: &mut Names,
    mut each: impl FnMut(&Found<'_>),
) {
    for (file, input) in inputs.iter().enumerate() {
        input.trace.read_ahead(input.threads(), |ahead| {
            let mut records = ahead.records();
            while let Some(record) = records.next() {
                let Ok(record) = &record else { continue };
                let Ok(view) = &record.view() else { continue };
                let found = Found { file, record, view, trace: &input.trace };
                if found.is_wanted(selection, names, input) {
                    each(&found);
                }
            }
        });
    }
}

struct Walk<'w, W> {
    inputs: &'w [Input],
    selection: &'w Selection,
    names: &'w mut Names,
    watcher: &'w mut W,
    complaints: Complaints,
    progress: Progress,
}

impl<W: Watcher> Walk<'_, W> {
    fn in_file_order(&mut self) -> Result<(), Failure> {
        let inputs = self.inputs;
        for (file, input) in inputs.iter().enumerate() {
            let flow: Flow = input.trace.read_ahead(input.threads(), |ahead| {
                let mut records = ahead.records();
                loop {
                    if self.selection.takes_all() {
                        records.skip_while(|record| self.glance(file, input, record));
                    }
                    let Some(record) = records.next() else { break };
                    if self.visit(file, record)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
                Ok(ControlFlow::Continue(()))
            });
            if flow?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn in_time_order(&mut self) -> Result<(), Failure> {
        let (inputs, from) = (self.inputs, self.selection.filter.from);
        if let [input] = inputs {
            return input.trace.read_ahead(input.threads(), |ahead| {
                let mut records = ahead.by_time();
                if let Some(from) = from {
                    records = records.seek(from);
                }
                while let Some(record) = records.next() {
                    if self.visit(0, record)?.is_break() {
                        break;
                    }
                }
                Ok(())
            });
        }
        let mut records = MergeMany::new(inputs.iter().map(|input| &input.trace));
        if let Some(from) = from {
            records = records.seek(from);
        }
        while let Some((file, record)) = records.next() {
            if self.visit(file, record)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn glance(&mut self, file: usize, input: &Input, record: &Record<'_>) -> bool {
        let is_enough = self.watcher.glance(file, input, record);
        if is_enough {
            self.progress.advance(record.raw().bytes.len());
        }
        is_enough
    }

    fn visit(&mut self, file: usize, record: Result<Record<'_>, ReadError>) -> Flow {
        let input = &self.inputs[file];
        // Nothing that is made here is moved: a value that two paths lead to lies in memory, and
        // to move it waits for each of its words to be written.
        let record = match &record {
            Ok(record) => record,
            Err(error) => {
                self.complaints.add(input, error);
                return Ok(ControlFlow::Continue(()));
            }
        };
        self.watcher.learn(file, record.raw());
        let view = record.view();
        let view = match &view {
            Ok(view) => view,
            Err(error) => {
                self.complaints.add(input, error);
                return Ok(ControlFlow::Continue(()));
            }
        };
        self.progress.advance(record.raw().bytes.len());
        let found = Found { file, record, view, trace: &input.trace };
        if !found.is_wanted(self.selection, self.names, input) {
            return Ok(ControlFlow::Continue(()));
        }
        self.watcher.take(&found, self.names)
    }
}
