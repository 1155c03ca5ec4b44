//! Schemas that the user gives.

use crate::outcome::{Failure, complain};
use clap::Args;
use etlring::schema::Decoder;
use std::fs;
use std::path::{Path, PathBuf};

/// Where to look for schemas besides the log file itself.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Schemas")]
pub(crate) struct SchemaArgs {
    /// Instrumentation manifest, or a directory of *.man files; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    manifest: Vec<PathBuf>,
    /// Trace message format file of WPP messages, or a directory of *.tmf files; may be given
    /// several times
    #[arg(long, value_name = "FILE|DIR")]
    tmf: Vec<PathBuf>,
}

/// Bytes of a file that is read as a schema; the largest of Windows have 3 MB.
const MOST_BYTES: u64 = 64 << 20;

impl SchemaArgs {
    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        self.manifest.is_empty() && self.tmf.is_empty()
    }

    /// A decoder that knows them.
    pub(crate) fn load(&self) -> Result<Decoder, Failure> {
        let mut decoder = Decoder::new();
        for path in &self.manifest {
            for file in files(path, "man")? {
                let text = read(&file)?;
                let name = file.display();
                match decoder.add_manifest(&text) {
                    Ok(0) => complain(format_args!("{name}: describes no events")),
                    Ok(_) => {}
                    Err(error) => {
                        let help = "give an instrumentation manifest (.man)";
                        return Err(Failure::new(format!("{name}: {error}; {help}")));
                    }
                }
            }
        }
        for path in &self.tmf {
            for file in files(path, "tmf")? {
                if decoder.add_tmf(&read(&file)?) == 0 {
                    complain(format_args!("{}: describes no messages", file.display()));
                }
            }
        }
        Ok(decoder)
    }
}

/// The file, or the files in the directory that have the extension, by name.
fn files(path: &Path, extension: &str) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| unreadable(path, &error))?.path();
        if file.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension)) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let name = path.display();
        return Err(Failure::new(format!(
            "{name}: no *.{extension} in it; name one that has some"
        )));
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let size = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size > MOST_BYTES {
        let name = path.display();
        return Err(Failure::new(format!("{name}: {size} bytes are too many for a schema")));
    }
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}; check the path", path.display()))
}
