//! Records from four threads into `record.etl`, then says what the session counted.
//!
//! `cargo run --release --example record -- FILE`

use etlring::format::{EventDescriptor, Guid};
use etlring::session::{ClassicEvent, Event, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "record.etl".into());
    let session = Session::builder("example").log_file(path).start()?;
    let provider = Guid::from_u128(0x5a5c36d4_6d1f_4a0e_8c39_3a1f0d7e42aa);
    let class = Guid::from_u128(0x0b1e5a7c_94d1_4c57_bd0e_6f1f3a9a7701);

    std::thread::scope(|scope| {
        for thread in 0..4u16 {
            let handle = session.handle();
            scope.spawn(move || {
                for n in 0..25_000u32 {
                    let event = Event::new(provider, EventDescriptor::new(thread + 1, 4));
                    let _ = handle.write_event(&event, &n.to_le_bytes());
                    let _ = handle.write_classic(&ClassicEvent::new(class, 10, 5), b"step");
                }
            });
        }
    });
    println!("{:#?}", session.stop()?);
    Ok(())
}
