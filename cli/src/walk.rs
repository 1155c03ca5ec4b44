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
use etlring::reader::{MergeMany, ReadError, Record, Source};
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
    /// Of its own stamp, or of its buffer's.
    pub(crate) time: FileTime,
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

/// Calls `each` for every record of `inputs` that `selection` takes.
pub(crate) fn walk(
    inputs: &[Input],
    order: Order,
    selection: &Selection,
    names: &mut Names,
    each: impl FnMut(&Found<'_>, &mut Names) -> Flow,
) -> Result<Outcome, Failure> {
    walk_seeing(inputs, order, selection, names, |_, _| {}, each)
}

/// The same; `any` sees every whole record before, wanted or not.
pub(crate) fn walk_seeing(
    inputs: &[Input],
    order: Order,
    selection: &Selection,
    names: &mut Names,
    mut any: impl FnMut(usize, RawRecord<'_>),
    mut each: impl FnMut(&Found<'_>, &mut Names) -> Flow,
) -> Result<Outcome, Failure> {
    let mut complaints = Complaints::default();
    let mut progress = Progress::new(inputs.iter().map(|input| input.trace.source().size()).sum());
    for input in inputs {
        for error in input.trace.damage() {
            complaints.add(input, error);
        }
    }
    let mut visit = |file: usize, record: Result<Record<'_>, ReadError>| -> Flow {
        let input = &inputs[file];
        // Nothing that is made here is moved: a value that two paths lead to lies in memory, and
        // to move it waits for each of its words to be written.
        let record = match &record {
            Ok(record) => record,
            Err(error) => {
                complaints.add(input, error);
                return Ok(ControlFlow::Continue(()));
            }
        };
        any(file, record.raw());
        let view = record.view();
        let view = match &view {
            Ok(view) => view,
            Err(error) => {
                complaints.add(input, error);
                return Ok(ControlFlow::Continue(()));
            }
        };
        progress.advance(record.raw().bytes.len());
        let time = input.trace.time(record);
        if !selection.takes(view, record.lane(), time, names, input) {
            return Ok(ControlFlow::Continue(()));
        }
        each(&Found { file, record, view, time }, names)
    };
    match order {
        Order::File => in_file_order(inputs, &mut visit)?,
        Order::Time => in_time_order(inputs, selection.filter.from, &mut visit)?,
    }
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
) -> Result<(), Failure> {
    in_file_order(inputs, &mut |file, record| {
        let input = &inputs[file];
        let Ok(record) = &record else { return Ok(ControlFlow::Continue(())) };
        if let Ok(view) = &record.view() {
            let time = input.trace.time(record);
            if selection.takes(view, record.lane(), time, names, input) {
                each(&Found { file, record, view, time });
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

fn in_file_order(
    inputs: &[Input],
    visit: &mut impl FnMut(usize, Result<Record<'_>, ReadError>) -> Flow,
) -> Result<(), Failure> {
    for (file, input) in inputs.iter().enumerate() {
        let flow: Flow = input.trace.read_ahead(input.threads(), |ahead| {
            let mut records = ahead.records();
            while let Some(record) = records.next() {
                if visit(file, record)?.is_break() {
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

fn in_time_order(
    inputs: &[Input],
    from: Option<FileTime>,
    visit: &mut impl FnMut(usize, Result<Record<'_>, ReadError>) -> Flow,
) -> Result<(), Failure> {
    if let [input] = inputs {
        return input.trace.read_ahead(input.threads(), |ahead| {
            let mut records = ahead.by_time();
            if let Some(from) = from {
                records = records.seek(from);
            }
            while let Some(record) = records.next() {
                if visit(0, record)?.is_break() {
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
        if visit(file, record)?.is_break() {
            break;
        }
    }
    Ok(())
}
