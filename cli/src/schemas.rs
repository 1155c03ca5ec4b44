//! Schemas that the user gives.

use crate::outcome::{Failure, complain};
use crate::text;
use clap::Args;
use etlring::schema::Decoder;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where to look for schemas besides the log file itself.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Schemas")]
pub(crate) struct SchemaArgs {
    /// Instrumentation manifest, or a directory of *.man files; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    manifest: Vec<PathBuf>,
    /// DLL or program with a compiled manifest, its .mui file beside it or in en-US, or a
    /// directory of *.dll, *.exe and *.sys files; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    binary: Vec<PathBuf>,
    /// MOF file of classic events, or a directory of *.mof files; may be given several times
    #[arg(long, value_name = "FILE|DIR")]
    mof: Vec<PathBuf>,
    /// Trace message format file of WPP messages, or a directory of *.tmf files; may be given
    /// several times
    #[arg(long, value_name = "FILE|DIR")]
    tmf: Vec<PathBuf>,
}

/// Extensions of the files that are taken from a directory.
const MANIFESTS: &[&str] = &["man"];
const BINARIES: &[&str] = &["dll", "exe", "sys"];
const MOFS: &[&str] = &["mof"];
const TMFS: &[&str] = &["tmf"];

/// Bytes of a file that is read as a schema; the largest of Windows have 3 MB.
const MOST_BYTES: u64 = 64 << 20;

impl SchemaArgs {
    /// Whether there are any.
    pub(crate) fn is_empty(&self) -> bool {
        let none = [&self.manifest, &self.binary, &self.mof, &self.tmf];
        none.iter().all(|paths| paths.is_empty())
    }

    /// The files that are read.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let all: [(_, &[&str]); 4] = [
            (&self.manifest, MANIFESTS),
            (&self.binary, BINARIES),
            (&self.mof, MOFS),
            (&self.tmf, TMFS),
        ];
        let named = all.into_iter().flat_map(|(paths, extensions)| {
            // What cannot be listed was refused before.
            paths.iter().flat_map(move |path| files(path, extensions).unwrap_or_default())
        });
        let mut paths: Vec<_> = named.collect();
        let texts: Vec<_> = paths.iter().filter_map(|path| texts_beside(path)).collect();
        paths.extend(texts);
        paths
    }

    /// A decoder that knows them.
    pub(crate) fn load(&self) -> Result<Decoder, Failure> {
        let mut decoder = Decoder::new();
        for path in &self.manifest {
            for file in files(path, MANIFESTS)? {
                let text = read(&file)?;
                let name = text::path(&file);
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
        for path in &self.binary {
            add_binaries(path, &mut decoder)?;
        }
        for path in &self.mof {
            for file in files(path, MOFS)? {
                let name = text::path(&file);
                match decoder.add_mof(&read(&file)?) {
                    Ok(0) => complain(format_args!("{name}: describes no events")),
                    Ok(_) => {}
                    Err(error) => {
                        let help = "give a MOF file of event classes";
                        return Err(Failure::new(format!("{name}: {error}; {help}")));
                    }
                }
            }
        }
        for path in &self.tmf {
            for file in files(path, TMFS)? {
                if decoder.add_tmf(&read(&file)?) == 0 {
                    complain(format_args!("{}: describes no messages", text::path(&file)));
                }
            }
        }
        Ok(decoder)
    }
}

/// Compiled manifests of a file, or of those files of a directory that have one.
fn add_binaries(path: &Path, decoder: &mut Decoder) -> Result<(), Failure> {
    let many = path.is_dir();
    let mut described = 0;
    for file in files(path, BINARIES)? {
        match add_binary(&file, decoder) {
            Ok(count) => described += count,
            // One file of many must not keep the others from being used.
            Err(Failure::Because(why)) if many => complain(why),
            Err(failure) => return Err(failure),
        }
    }
    if described == 0 {
        complain(format_args!("{}: describes no events", text::path(path)));
    }
    Ok(())
}

fn add_binary(file: &Path, decoder: &mut Decoder) -> Result<usize, Failure> {
    let texts = texts_beside(file).map(|texts| read(&texts)).transpose()?;
    let described = decoder.add_binary(&read(file)?, texts.as_deref());
    let help = "give a DLL or program with a WEVT_TEMPLATE resource";
    described.map_err(|error| Failure::new(format!("{}: {error}; {help}", text::path(file))))
}

/// The file of texts that belongs to `name.dll`: `name.dll.mui`, beside it or in `en-US`.
fn texts_beside(file: &Path) -> Option<PathBuf> {
    let mut name = file.file_name()?.to_owned();
    name.push(".mui");
    let directory = file.parent().unwrap_or(Path::new(""));
    let places = [directory.join(&name), directory.join("en-US").join(&name)];
    places.into_iter().find(|place| place.is_file())
}

/// The file, or the files in the directory that have one of the extensions, by name.
fn files(path: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| unreadable(path, &error))?.path();
        let own = file.extension();
        let known = own.is_some_and(|own| extensions.iter().any(|e| own.eq_ignore_ascii_case(e)));
        // Whoever reads a pipe waits for somebody to write.
        if known && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Failure::new(format!(
            "{}: no *.{} in it; name one that has some",
            text::path(path),
            extensions.join(", *.")
        )));
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    // Not what the system says of its size: it may be no regular file.
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(path, &error))?;
    if bytes.len() as u64 > MOST_BYTES {
        let name = text::path(path);
        return Err(Failure::new(format!("{name}: more than {MOST_BYTES} bytes are no schema")));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: {error}; check the path", text::path(path)))
}
