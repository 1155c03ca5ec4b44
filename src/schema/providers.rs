//! Names of well-known providers.

use crate::format::{Group, Guid};
use std::sync::OnceLock;

const TEXT: &str = include_str!("providers.tsv");

/// The name of a well-known provider or kernel class.
///
/// ```
/// use etlring::format::Guid;
/// use etlring::schema::provider_name;
/// let guid = Guid::from_u128(0x22fb2cd6_0e7b_422b_a0c7_2fad1fd0e716);
/// assert_eq!(provider_name(guid), Some("Microsoft-Windows-Kernel-Process"));
/// ```
#[must_use]
pub fn provider_name(guid: Guid) -> Option<&'static str> {
    let table = table();
    match table.binary_search_by_key(&guid.to_u128(), |(number, _)| *number) {
        Ok(at) => table.get(at).map(|(_, name)| *name),
        Err(_) => Group::of(guid).and_then(Group::name),
    }
}

/// Every provider and kernel class of this name, in any case of letters.
pub fn providers_named(name: &str) -> impl Iterator<Item = Guid> + '_ {
    let groups = (0..=u8::MAX).map(Group).filter_map(|group| Some((group.guid()?, group.name()?)));
    let known = table().iter().map(|(number, name)| (Guid::from_u128(*number), *name));
    known.chain(groups).filter(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(guid, _)| guid)
}

/// By GUID as a number, sorted.
fn table() -> &'static [(u128, &'static str)] {
    static TABLE: OnceLock<Vec<(u128, &'static str)>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let rows = TEXT.lines().filter_map(|line| line.split_once('\t'));
        rows.filter_map(|(guid, name)| Some((guid.parse::<Guid>().ok()?.to_u128(), name))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_found_both_ways() {
        let rows = TEXT.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!((table().len(), rows), (1097, 1097));
        assert!(table().is_sorted_by(|a, b| a.0 < b.0));
        for (number, name) in table() {
            let guid = Guid::from_u128(*number);
            assert_eq!(provider_name(guid), Some(*name));
            assert!(providers_named(&name.to_uppercase()).any(|found| found == guid));
        }
        assert!(providers_named("thread").eq(Group(5).guid()));
        assert_eq!(provider_name(Guid::ZERO), None);
    }
}
