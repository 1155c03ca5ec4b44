//! A program that logs with `tracing`, and keeps its log as a file that Windows' tools read.
//!
//! ```text
//! cargo run --features tracing --example tracing_layer -- FILE
//! cargo run -- dump --fields FILE
//! ```

use etlring::bridge;
use etlring::provider::Enable;
use etlring::session::Session;
use std::num::ParseIntError;
use tracing::{debug, error, info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt;

const PROVIDER: &str = "Example-Adder";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "tracing.etl".into());
    // Up to level 5, DEBUG; call sites of TRACE are switched off.
    let session = Session::builder("tracing example").log_file(&path);
    let guard = bridge::record(session, PROVIDER, &Enable::new().level(5))?;
    let subscriber = tracing_subscriber::registry().with(bridge::tracing::layer(PROVIDER));
    tracing::subscriber::set_global_default(subscriber)?;

    for line in ["1 2 3", "4 five", ""] {
        // Each line is an activity, and each number one within it.
        let span = info_span!("line", text = line, sum = tracing::field::Empty);
        let _entered = span.enter();
        match add(line) {
            Ok(sum) => {
                span.record("sum", sum);
            }
            Err(error) => {
                let error: &(dyn std::error::Error + 'static) = &error;
                error!(error, "not added");
            }
        }
    }

    // Nothing depends on the guard: without it all events would be in the file's ring.
    let stats = guard.stop()?;
    println!("{} events in {}", stats.events_accepted, path.to_string_lossy());
    Ok(())
}

fn add(line: &str) -> Result<u64, ParseIntError> {
    if line.is_empty() {
        warn!(length = line.len(), "an empty line");
    }
    let mut sum = 0;
    for word in line.split(' ').filter(|word| !word.is_empty()) {
        let span = info_span!("number", word);
        let _entered = span.enter();
        sum += word.parse::<u64>()?;
        debug!(sum, half = sum as f64 / 2.0, even = sum % 2 == 0, wide = u128::from(sum));
    }
    info!(words = ?line.split(' ').collect::<Vec<_>>(), "added");
    Ok(sum)
}
