//! The file that a subcommand makes: whole under its name, or not there at all.
//!
//! It is written beside its place under another name, created for nobody else's eyes (0600), and
//! takes its name when it is complete. What is there already is left alone unless `--force` is
//! given; an input and what is no regular file are left alone in any case, and no link is followed.

use crate::outcome::Failure;
use crate::text;
use etlring::reader::ring_path;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Where the output goes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct OutputArgs {
    /// Where the result goes
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Take the place of a file that is there
    #[arg(long)]
    force: bool,
}

/// An output that is not complete yet; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
    force: bool,
}

/// Names that are tried for the unfinished file.
const TRIES: u32 = 100;

impl OutputArgs {
    /// A file that takes the place of what is there.
    pub(crate) fn over(path: &Path) -> Self {
        Self { output: path.to_owned(), force: true }
    }

    /// Creates the unfinished file. `inputs` are files that are read for it.
    pub(crate) fn create(&self, inputs: &[&Path]) -> Result<Output, Failure> {
        let path = &self.output;
        if path.as_os_str() == "-" {
            return Err(refuse(path, "a log is written from both ends", "name a file"));
        }
        let Some(name) = path.file_name() else {
            return Err(refuse(path, "it names no file", "name one"));
        };
        self.check(inputs)?;
        let mut options = OpenOptions::new();
        // A link by that name is not followed: it is there.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        for number in 0..TRIES {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}-{number}.part", std::process::id()));
            let temporary = path.with_file_name(hidden);
            match options.open(&temporary) {
                Ok(file) => {
                    let (path, force) = (path.clone(), self.force);
                    return Ok(Output { path, temporary, file: Some(file), force });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refuse(path, error, "check the path")),
            }
        }
        Err(refuse(path, "unfinished files are in its way", "remove *.part beside it"))
    }

    /// Refuses a place that must not be taken.
    fn check(&self, inputs: &[&Path]) -> Result<(), Failure> {
        let path = &self.output;
        let there = match fs::symlink_metadata(path) {
            Ok(there) => there,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refuse(path, error, "check the path")),
        };
        if there.is_symlink() {
            return Err(refuse(path, "it is a symbolic link", "name the file itself"));
        }
        if !there.is_file() {
            return Err(refuse(path, "it is no regular file", "name another place"));
        }
        // What lies beside a log is read with it.
        let is_input = |input: &&Path| {
            is_same_file(input, path, &there) || is_same_file(&ring_path(input), path, &there)
        };
        if inputs.iter().any(is_input) {
            return Err(refuse(path, "it is an input", "name another file"));
        }
        if !self.force {
            let help = "name a file that is not there yet, or give --force";
            return Err(refuse(path, io::Error::from(ErrorKind::AlreadyExists), help));
        }
        Ok(())
    }
}

impl Output {
    /// The unfinished file.
    pub(crate) fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| ErrorKind::NotFound.into())
    }

    /// Brings the file to the disk and gives it its name.
    pub(crate) fn commit(mut self) -> Result<(), Failure> {
        let failed = |error: io::Error| refuse(&self.path, error, "free some space");
        self.file().and_then(File::sync_all).map_err(failed)?;
        self.file = None;
        if self.force {
            // What was checked may have changed: a link is replaced here, never followed.
            return fs::rename(&self.temporary, &self.path)
                .map_err(|error| refuse(&self.path, error, "check the path"));
        }
        match fs::hard_link(&self.temporary, &self.path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(refuse(&self.path, error, "something else has made it meanwhile"))
            }
            // A file system without links.
            Err(_) if fs::symlink_metadata(&self.path).is_err() => {
                fs::rename(&self.temporary, &self.path)
                    .map_err(|error| refuse(&self.path, error, "check the path"))
            }
            Err(error) => Err(refuse(&self.path, error, "check the path")),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // After a rename nothing is there by that name; else it is half a file, or a second name.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn refuse(path: &Path, why: impl std::fmt::Display, help: &str) -> Failure {
    Failure::new(format!("cannot create {}: {why}; {help}", text::path(path)))
}

/// Whether `input` is the file at `path`, also by another name.
#[cfg(unix)]
fn is_same_file(input: &Path, _path: &Path, there: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |found: Metadata| (found.dev(), found.ino()) == (there.dev(), there.ino());
    fs::metadata(input).is_ok_and(same)
}

#[cfg(not(unix))]
fn is_same_file(input: &Path, path: &Path, _there: &Metadata) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    real(input).is_some_and(|input| Some(input) == real(path))
}
