//! `etlring anonymize`: the same log without what names people and machines.

use crate::edited::{EditArgs, explain, make};
use crate::input::open_with;
use crate::outcome::{Failure, Outcome};
use crate::schemas::SchemaArgs;
use crate::text;
use crate::threads::ThreadArgs;
use etlring::edit::{self, Anonymous};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

/// Arguments of `anonymize`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: etlring anonymize boot.etl -o to-share.etl --keep-field ImageFileName\n\n\
All text, security identifiers, network addresses and binary values become others of the same size; \
equal ones become equal ones, by HMAC-SHA-256 under a key that is made for this run and forgotten. \
The length of a text stays, and so do numbers, GUIDs, times and the names of events and fields. \
Records that cannot be decoded are left out, and bytes that no field takes become zero."
)]
pub(crate) struct Args {
    #[command(flatten)]
    edit: EditArgs,
    /// Only fields of this name, whatever they hold; may be given several times
    #[arg(long, value_name = "NAME")]
    field: Vec<String>,
    /// Not fields of this name; may be given several times
    #[arg(long, value_name = "NAME")]
    keep_field: Vec<String>,
    /// Make all values the same instead of equal ones equal
    #[arg(long, conflicts_with = "key")]
    drop: bool,
    /// File of the key, at least 16 bytes: logs made with one key have the same values
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Keep what cannot be decoded as it is
    #[arg(long)]
    keep_undecoded: bool,
    #[command(flatten)]
    threads: ThreadArgs,
    #[command(flatten)]
    schemas: SchemaArgs,
}

/// Runs `anonymize`.
pub(crate) fn run(args: &Args) -> Result<Outcome, Failure> {
    let given = args.schemas.load()?;
    let key = if args.drop { Vec::new() } else { key(args)? };
    let mut inputs = open_with(std::slice::from_ref(&args.edit.log.file), &given)?;
    args.threads.give(&mut inputs)?;
    let input = &inputs[0];
    let mut what = Anonymous::default();
    what.fields = args.field.clone();
    what.keep_fields = args.keep_field.clone();
    what.keep_undecoded = args.keep_undecoded;
    what.threads = input.threads();
    let mut replace = |old: &[u8], new: &mut [u8]| {
        if args.drop {
            new.fill(0);
        } else {
            fill(&key, old, new);
        }
    };
    let mut paths = vec![args.edit.log.file.as_path()];
    paths.extend(args.key.as_deref());
    let schemas = args.schemas.paths();
    paths.extend(schemas.iter().map(PathBuf::as_path));
    make(&inputs, &paths, &args.edit.output, args.edit.log.json, |out| {
        edit::anonymize(&input.trace, out, input.decoder(), &what, &mut replace)
            .map_err(|error| explain(error, &inputs, &args.edit.output))
    })
}

/// Bytes of a key that is made here, and the fewest of one that is given.
const KEY_BYTES: usize = 32;
const LEAST_KEY: usize = 16;
/// The most that is read of a key.
const MOST_KEY: u64 = 4096;

fn key(args: &Args) -> Result<Vec<u8>, Failure> {
    let Some(path) = &args.key else {
        let mut key = vec![0; KEY_BYTES];
        return match getrandom::fill(&mut key) {
            Ok(()) => Ok(key),
            Err(error) => Err(Failure::new(format!("no random numbers: {error}; give --key"))),
        };
    };
    let mut key = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_KEY).read_to_end(&mut key));
    let name = text::path(path);
    match read {
        Err(error) => Err(Failure::new(format!("{name}: {error}; check the path"))),
        Ok(_) if key.len() < LEAST_KEY => Err(Failure::new(format!(
            "{name}: a key of {} bytes is guessed; give at least {LEAST_KEY}",
            key.len()
        ))),
        Ok(_) => Ok(key),
    }
}

/// HMAC-SHA-256 of a counter and `old`, as often as `new` needs.
fn fill(key: &[u8], old: &[u8], new: &mut [u8]) {
    // A key of any length will do for an HMAC.
    let Ok(keyed) = Hmac::<Sha256>::new_from_slice(key) else { return new.fill(0) };
    for (part, counter) in new.chunks_mut(32).zip(0u32..) {
        let mut hash = keyed.clone();
        hash.update(&counter.to_le_bytes());
        hash.update(old);
        let hash = hash.finalize().into_bytes();
        part.copy_from_slice(&hash[..part.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first block against a value of Python's `hmac` module:
    /// `hmac.new(bytes(16), b"\0\0\0\0alice", "sha256").hexdigest()`.
    #[test]
    fn the_hash_is_the_one_that_is_named() {
        let mut long = [0; 40];
        fill(&[0; 16], b"alice", &mut long);
        let hex: String = long[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, HASH);
        let mut short = [0; 5];
        fill(&[0; 16], b"alice", &mut short);
        assert_eq!(short, long[..5]);
        assert_ne!(long[32..], long[..8]);
        fill(&[1; 16], b"alice", &mut short);
        assert_ne!(short, long[..5]);
    }

    const HASH: &str = "0c21bc09de8e32a5";
}
