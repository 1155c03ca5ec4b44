//! A program that logs with `log`, key-values included.
//!
//! ```text
//! cargo run --features log --example log_records -- FILE
//! cargo run -- dump --fields FILE
//! ```

use etlring::bridge::{self, log::Logger};
use etlring::provider::Enable;
use etlring::session::Session;
use log::{debug, error, info, warn};

const PROVIDER: &str = "Example-Door";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "log.etl".into());
    Logger::new(PROVIDER).install()?;
    info!("nobody listens yet");

    let session = Session::builder("log example").log_file(&path);
    let guard = bridge::record(session, PROVIDER, &Enable::new().level(4))?;
    info!(target: "door", guests = 3, warm = true; "open");
    warn!(target: "door", draught = 0.5, from = "the window"; "cold in here");
    debug!(target: "door", "more than the session asked for");
    // A session may change its mind while the program runs, and `log`'s level follows.
    let provider = etlring::tracelogging::guid_of_name(PROVIDER);
    guard.session().enable_provider(provider, &Enable::new().level(2))?;
    info!(target: "door", "not wanted any more");
    error!(target: "lock", tries:? = [1, 2, 3], code:% = 0x2A; "jammed after {} tries", 3);

    let stats = guard.stop()?;
    println!("{} events in {}", stats.events_accepted, path.to_string_lossy());
    Ok(())
}
