//! The process's start key: a number of its own among all processes since the system started.

use std::sync::OnceLock;

/// Bits for the number of the process; Linux has no larger ones.
const ID_BITS: u32 = 22;

/// The key: when the process started, and its number.
///
/// On Linux the start is that of the kernel, in hundredths of a second since the system started;
/// elsewhere it is the first time anybody asked, in hundredths of a second of the wall clock.
pub(super) fn start_key() -> u64 {
    static KEY: OnceLock<u64> = OnceLock::new();
    *KEY.get_or_init(|| {
        let id = u64::from(std::process::id()) & ((1 << ID_BITS) - 1);
        start_time().wrapping_shl(ID_BITS) | id
    })
}

fn start_time() -> u64 {
    #[cfg(target_os = "linux")]
    if let Some(start) =
        std::fs::read_to_string("/proc/self/stat").ok().and_then(|stat| field_22(&stat))
    {
        return start;
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis() / 10).unwrap_or_default())
}

/// `starttime` of `proc(5)`. The second field, the name, is in parentheses and may hold anything.
#[cfg(target_os = "linux")]
fn field_22(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(22 - 3)?.parse().ok()
}
