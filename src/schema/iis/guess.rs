//! An event of a known area that no table knows: its items, told from the bytes alone.
//!
//! Every event of IIS begins with the id of its request, and items are strings with a terminator or
//! numbers of four bytes. A string is taken for one if its characters are printable; all else is a
//! number of 32 bits, as long as four bytes are left. Names are `Item1`, `Item2` and so on, so that
//! nobody takes them for those of the event.

use crate::codec::Utf16;
use crate::schema::iis::ItemType;
use crate::schema::walk::Walk;
use crate::schema::{DecodeFault, InType, OutType, Visitor, Walked, read::Spec};

/// Shows the items that `payload` seems to have.
pub(crate) fn walk<'p>(payload: &'p [u8], visitor: &mut impl Visitor) -> Walked<'p> {
    let mut walk = Walk::new(payload, 8, visitor);
    let result = items(&mut walk, payload);
    walk.finish(result)
}

fn items<V: Visitor>(walk: &mut Walk<'_, '_, V>, payload: &[u8]) -> Result<(), DecodeFault> {
    let spec = |in_type| Spec { in_type, out_type: OutType::Default, length: None };
    if payload.len() < 16 {
        return Ok(());
    }
    walk.value("ContextId", spec(InType::GUID))?;
    for number in 1u32.. {
        let rest = payload.get(walk.position()..).unwrap_or_default();
        let in_type = if is_wide(rest) {
            InType::UNICODE_STRING
        } else if is_narrow(rest) {
            InType::ANSI_STRING
        } else if rest.len() >= 4 {
            InType::UINT32
        } else {
            break;
        };
        walk.value(&format!("Item{number}"), spec(in_type))?;
    }
    Ok(())
}

/// At least two printable UTF-16 characters and a terminator.
fn is_wide(bytes: &[u8]) -> bool {
    let Some(extent) = ItemType::LPCWSTR.extent(bytes) else { return false };
    let text = Utf16(bytes.get(..extent.saturating_sub(2)).unwrap_or_default());
    extent >= 6 && text.chars().all(|c| !c.is_control() && c != '\u{fffd}' && c < '\u{3000}')
}

/// At least three printable ASCII characters and a terminator.
fn is_narrow(bytes: &[u8]) -> bool {
    let Some(extent) = ItemType::LPCSTR.extent(bytes) else { return false };
    let text = bytes.get(..extent.saturating_sub(1)).unwrap_or_default();
    extent >= 4 && text.iter().all(|b| matches!(b, b' '..=b'~' | b'\r' | b'\n' | b'\t'))
}
