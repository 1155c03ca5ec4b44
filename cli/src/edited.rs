//! What the subcommands that make a new log have in common: its writing and what is said of it.

use crate::input::{Input, OneLog};
use crate::json::report;
use crate::outcome::{Failure, Outcome, complain};
use crate::output::{Output, OutputArgs};
use crate::text::{self, count, counted, escaped, size};
use etlring::edit::{EditError, Edited};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Arguments of subcommands that make a new log of one.
#[derive(Debug, clap::Args)]
pub(crate) struct EditArgs {
    #[command(flatten)]
    pub(crate) log: OneLog,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Makes the output with `edit` and says what came of it.
pub(crate) fn make(
    inputs: &[Input],
    paths: &[&Path],
    args: &OutputArgs,
    json: bool,
    edit: impl FnOnce(&mut BufWriter<&File>) -> Result<Edited, Failure>,
) -> Result<Outcome, Failure> {
    let output = args.create(paths)?;
    let edited = write(&output, edit)?;
    let bytes: u64 =
        inputs.iter().map(|input| etlring::reader::Source::size(input.trace.source())).sum();
    output.commit()?;
    for (file, error) in &edited.faults {
        let name = inputs.get(*file).map_or("", |input| input.name.as_str());
        complain(format_args!("{name}: {error}"));
    }
    let told = edited.faults.len() as u64;
    if edited.fault_count > told {
        complain(format_args!("and {} more", counted(edited.fault_count - told, "fault")));
    }
    let text = if json {
        report(&json_of(inputs, args, &edited, bytes))
    } else {
        text_of(args, &edited, bytes)
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(Outcome::of(edited.fault_count > 0))
}

fn write(
    output: &Output,
    edit: impl FnOnce(&mut BufWriter<&File>) -> Result<Edited, Failure>,
) -> Result<Edited, Failure> {
    let mut out = BufWriter::with_capacity(1 << 20, output.file()?);
    edit(&mut out)
}

/// One line for what ended an edit.
pub(crate) fn explain(error: EditError, inputs: &[Input], args: &OutputArgs) -> Failure {
    match error {
        EditError::Write(error) => {
            let out = text::path(&args.output);
            Failure::new(format!("cannot write {out}: {error}; free some space"))
        }
        EditError::Clock(file) => {
            let name = inputs.get(file).map_or("", |input| input.name.as_str());
            Failure::new(format!(
                "{name}: its times cannot be said by the clock of {}; merge them apart",
                inputs.first().map_or("", |input| input.name.as_str())
            ))
        }
        error @ EditError::Expands(_) => {
            let name = inputs.first().map_or("", |input| input.name.as_str());
            Failure::new(format!("{name}: {error}; it is damaged: try etlring verify"))
        }
        error => {
            let name = inputs.first().map_or("", |input| input.name.as_str());
            Failure::new(format!("{name}: {error}; try etlring recover"))
        }
    }
}

fn text_of(args: &OutputArgs, edited: &Edited, bytes: u64) -> String {
    let out = text::path(&args.output);
    let mut text = format!(
        "{}: {} in {}, {} of {}",
        escaped(&out),
        counted(edited.records, "record"),
        counted(edited.buffers, "buffer"),
        size(edited.bytes),
        size(bytes)
    );
    let mut add = |number: u64, what: String| {
        if number > 0 {
            text.push_str(&format!(", {what}"));
        }
    };
    add(edited.metadata, format!("{} of them for decoding", count(edited.metadata)));
    add(edited.left_out, format!("{} left out", count(edited.left_out)));
    add(edited.fault_count, counted(edited.fault_count, "fault"));
    for (lost, what) in [(edited.events_lost, "event"), (edited.buffers_lost, "buffer")] {
        add(lost.into(), format!("{} lost", counted(lost.into(), what)));
    }
    text.push('\n');
    text
}

fn json_of(inputs: &[Input], args: &OutputArgs, edited: &Edited, bytes: u64) -> serde_json::Value {
    json!({
        "files": inputs.iter().map(|input| &input.name).collect::<Vec<_>>(),
        "output": text::path(&args.output),
        "records": edited.records,
        "metadata": edited.metadata,
        "left_out": edited.left_out,
        "buffers": edited.buffers,
        "bytes": edited.bytes,
        "bytes_before": bytes,
        "faults": edited.fault_count,
        "events_lost": edited.events_lost,
        "buffers_lost": edited.buffers_lost,
        "end_time": text::time(edited.end_time),
    })
}
