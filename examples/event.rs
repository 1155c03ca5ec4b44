//! Self-describing events by the shortest way: one of each type, from several threads and with
//! activities, into `event.etl`.
//!
//! ```text
//! cargo run --example event -- FILE
//! cargo run -- dump --fields FILE
//! ```

use etlring::format::{FileTime, Guid};
use etlring::provider::{Enable, activity};
use etlring::session::Session;
use etlring::tracelogging::{Hex, Level};
use etlring::{event, provider};

provider! {
    /// A shop that sells coffee.
    Shop = "Example-Shop"
}

/// Groups of events that can be asked for alone.
mod keyword {
    pub(super) const ORDERS: u64 = 0x1;
    pub(super) const TYPES: u64 = 0x2;
}

/// What events are about.
mod opcode {
    pub(super) const START: u8 = 1;
    pub(super) const STOP: u8 = 2;
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "event.etl".into());
    let session = Session::builder("event example").log_file(&path).start()?;

    // Nobody listens yet: this is one load and a branch, and no value is computed.
    event!(Shop, Level::INFO, "Unheard", value: u64 = costly());

    session.enable_provider(Shop::GUID, &Enable::new().level(Level::INFO.0))?;
    types();
    std::thread::scope(|scope| {
        for customer in ["Ada", "Grace", "Edsger"] {
            scope.spawn(move || order(customer));
        }
    });
    event!(Shop, Level::VERBOSE, "TooVerbose", { keyword: keyword::ORDERS });

    let stats = session.stop()?;
    println!("{} events in {}", stats.events_accepted, path.to_string_lossy());
    Ok(())
}

/// A value that takes its time.
fn costly() -> u64 {
    panic!("nobody wants it");
}

/// The events of an order belong to one activity.
fn order(customer: &str) {
    let _activity = activity::scope(activity::create());
    event!(
        Shop, Level::INFO, "Order", { keyword: keyword::ORDERS, opcode: opcode::START },
        customer: &str = customer
    );
    for cup in 1..=2u8 {
        event!(
            Shop, Level::WARNING, "Poured", { keyword: keyword::ORDERS },
            cup: u8 = cup, degrees: f32 = 91.5, sugar: bool = cup == 1
        );
    }
    event!(Shop, Level::INFO, "Order", { keyword: keyword::ORDERS, opcode: opcode::STOP });
}

/// One field of each type.
fn types() {
    event!(
        Shop, Level::INFO, "Types", { keyword: keyword::TYPES },
        i8: i8 = i8::MIN, u8: u8 = u8::MAX, i16: i16 = i16::MIN, u16: u16 = u16::MAX,
        i32: i32 = i32::MIN, u32: u32 = u32::MAX, i64: i64 = i64::MIN, u64: u64 = u64::MAX,
        isize: isize = -1, usize: usize = 1, f32: f32 = 0.5, f64: f64 = -0.25, bool: bool = true,
        text: &str = "caf\u{e9}", bytes: &[u8] = &[1, 2, 0xFF], words: &[u16] = &[1, 0xFFFF],
        guid: Guid = Shop::GUID, time: FileTime = FileTime(132_264_173_104_203_138),
        hex8: Hex<u8> = Hex(0x1F), hex16: Hex<u16> = Hex(0x1FF), hex32: Hex<u32> = Hex(0xABCDEF),
        hex64: Hex<u64> = Hex(u64::MAX), nothing: () = ()
    );
}
