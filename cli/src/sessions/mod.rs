//! Sessions of other processes: the subcommands that find and steer them.

pub(crate) mod list;
pub(crate) mod query;
pub(crate) mod start;
pub(crate) mod steer;

use crate::outcome::Failure;
use crate::select::mask;
use crate::text;
use etlring::format::Guid;
use etlring::outside::{self, Client, DeadSession, OutsideError};
use etlring::provider::{Enable, guid_of_name};
use serde_json::{Value, json};
use std::path::Path;

/// A provider, by GUID or by name.
#[derive(Clone, Debug)]
pub(crate) struct ProviderArg(pub(crate) Guid);

/// Reads a provider's GUID, or takes the text for the name that its GUID follows from.
pub(crate) fn provider(text: &str) -> Result<ProviderArg, String> {
    if text.is_empty() {
        return Err("a provider has a GUID or a name".to_owned());
    }
    let guid = text.parse::<Guid>();
    if guid.is_err() && (text.starts_with('{') || looks_like_guid(text)) {
        return Err("not a GUID such as 6b2a3d7e-5c41-4f8a-9e12-a0b1c2d3e4f5".to_owned());
    }
    Ok(ProviderArg(guid.unwrap_or_else(|_| guid_of_name(text))))
}

/// Whether `text` is meant as a GUID: else a mistyped one would be a name that nobody has.
fn looks_like_guid(text: &str) -> bool {
    text.len() >= 30 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

/// What a session wants of a provider.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EnableArgs {
    /// The most verbose level wanted: 1 critical to 5 verbose; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    level: u8,
    /// Keyword bits of which an event must have one, decimal or 0x; 0 for any
    #[arg(long, default_value = "0", value_name = "MASK", value_parser = mask)]
    any: u64,
    /// Keyword bits of which an event must have every one
    #[arg(long, default_value = "0", value_name = "MASK", value_parser = mask)]
    all: u64,
}

impl EnableArgs {
    pub(crate) fn enable(&self) -> Enable {
        Enable::new().level(self.level).any_keyword(self.any).all_keywords(self.all)
    }
}

/// The session of this name.
pub(crate) fn connect(name: &str) -> Result<Client, Failure> {
    outside::connect(name).map_err(|error| explain(&error))
}

/// What went wrong, and what would help.
pub(crate) fn explain(error: &OutsideError) -> Failure {
    let help = match error {
        OutsideError::NotFound(_) => "etlring list shows those that run",
        OutsideError::Dead(dead) => return Failure::new(format!("{error}; {}", recovery(dead))),
        OutsideError::Name(_) => "etlring list shows the names there are",
        OutsideError::NoAnswer(_) => "its process may be stopped; try again",
        OutsideError::HungUp(_) => "try again",
        OutsideError::Denied(_) => "ask its owner, or be root",
        OutsideError::Directory(..) => "set ETLRING_DIR to a directory of your own, mode 0700",
        OutsideError::Planted(_) => "remove it if it is yours",
        OutsideError::Message(_) => "is it of another version of etlring?",
        _ => return Failure::new(error),
    };
    Failure::new(format!("{error}; {help}"))
}

/// How to get at what a dead session has left.
pub(crate) fn recovery(dead: &DeadSession) -> String {
    match &dead.log_file {
        Some(log) => {
            let whole = log.with_extension("whole.etl");
            format!("etlring recover {} -o {}", shell(log), shell(&whole))
        }
        None => "it had no log".to_owned(),
    }
}

/// A path as a shell takes it.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A session as one JSON object.
pub(crate) fn json_of(status: &outside::SessionStatus, state: &str) -> Value {
    let properties = &status.properties;
    let stats = &properties.stats;
    let lost = &stats.lost;
    let providers = status.providers.iter().map(|provider| {
        let name = Some(&provider.name).filter(|name| !name.is_empty());
        json!({ "guid": provider.guid.to_string(), "name": name })
    });
    json!({
        "name": properties.name,
        "state": state,
        "pid": status.process_id,
        "id": properties.id,
        "logger_id": properties.logger_id,
        "mode": properties.mode.0,
        "clock_type": properties.clock.clock_type().0,
        "log_file": properties.log_file.as_ref().map(|path| text::path(path.as_ref())),
        "start_time": text::time(properties.start_time),
        "buffer_size": properties.buffer_size,
        "minimum_buffers": properties.minimum_buffers,
        "maximum_buffers": properties.maximum_buffers,
        "buffers_free": stats.buffers_free,
        "buffers_written": stats.buffers_written,
        "buffers_lost": stats.buffers_lost,
        "flush_interval_ms": u64::try_from(properties.flush_interval.as_millis()).unwrap_or(0),
        "lanes": stats.lanes,
        "consumers": properties.consumers,
        "ring_file": stats.ring_file,
        "attempted": stats.attempted(),
        "accepted": stats.events_accepted,
        "lost": lost.total(),
        "lost_no_free_buffer": lost.no_free_buffer,
        "lost_too_large": lost.too_large,
        "lost_no_lane": lost.no_lane,
        "lost_reentered": lost.reentered,
        "lost_file_full": lost.file_full,
        "lost_io": lost.io,
        "real_time_buffers_lost": properties.real_time_buffers_lost,
        "sink_error": status.sink_error,
        "providers_enabled": status.providers_enabled,
        "providers": providers.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn providers_are_guids_or_names() {
        let guid = "6b2a3d7e-5c41-4f8a-9e12-a0b1c2d3e4f5";
        assert_eq!(provider(guid).unwrap().0.to_string(), guid);
        assert_eq!(provider("Example-Orders").unwrap().0, guid_of_name("example-orders"));
        for wrong in ["", "{no}", "6b2a3d7e-5c41-4f8a-9e12-a0b1c2d3e4f"] {
            assert!(provider(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        assert_eq!(shell(Path::new("/a/b-1.etl")), "/a/b-1.etl");
        assert_eq!(shell(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
