//! What the checksum of a buffer costs: sealing it, and checking it again.
//!
//! Unit: input bytes per second over one 64 KiB buffer in the cache. Floor: `touch` reads one byte of
//! each 64-byte line and does nothing else.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use etlring::codec::{checksum, encode};
use std::hint::black_box;

const SIZE: u32 = 64 * 1024;

fn checksums(c: &mut Criterion) {
    let mut buffer = vec![0xA5; SIZE as usize];
    let mut header = encode::sealed_header(SIZE, SIZE, 3, 7);
    encode::seal(&mut buffer, &header).expect("room for a header");
    header.reserved = checksum::field(&buffer, 2).expect("a header");
    encode::seal(&mut buffer, &header).expect("room for a header");
    assert_eq!(checksum::verify(&buffer), Ok(checksum::State::Valid { events_lost: 2 }));

    let mut group = c.benchmark_group("checksum");
    group.throughput(Throughput::Bytes(u64::from(SIZE)));
    group.bench_function("field", |b| b.iter(|| checksum::field(black_box(&buffer), 2)));
    group.bench_function("verify", |b| b.iter(|| checksum::verify(black_box(&buffer))));
    group.bench_function("touch", |b| {
        b.iter(|| black_box(&buffer).iter().step_by(64).map(|&x| u64::from(x)).sum::<u64>())
    });
    group.finish();
}

criterion_group!(benches, checksums);
criterion_main!(benches);
