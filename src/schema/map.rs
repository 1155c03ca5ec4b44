//! Names of numbers: value maps and bit maps.

use core::fmt;

/// Names for the values, or for the bits, of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueMap {
    /// Sorted by number, one name each.
    entries: Vec<(u64, Box<str>)>,
    bits: bool,
}

impl ValueMap {
    /// A map of numbers to names; `bits` if each number is a bit and values are sums of them. Of
    /// several names for one number the first holds.
    #[must_use]
    pub fn new(bits: bool, entries: impl IntoIterator<Item = (u64, Box<str>)>) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by_key(|(number, _)| *number);
        entries.dedup_by_key(|(number, _)| *number);
        Self { entries, bits }
    }

    /// Whether it names bits.
    #[must_use]
    pub fn is_bits(&self) -> bool {
        self.bits
    }

    /// Numbers and names, by number.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &str)> + '_ {
        self.entries.iter().map(|(number, name)| (*number, &**name))
    }

    /// The name of exactly this number.
    #[must_use]
    pub fn name(&self, number: u64) -> Option<&str> {
        let at = self.entries.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.entries.get(at).map(|(_, name)| &**name)
    }

    /// Whether [`write`](Self::write) has a name for it.
    #[must_use]
    pub fn names(&self, value: u64) -> bool {
        let bit = |number: &u64| *number != 0 && value & number == *number;
        self.name(value).is_some()
            || self.bits && self.entries.iter().any(|(number, _)| bit(number))
    }

    /// Writes the name of `value`, of a bit map the names of its bits joined by `|`; what has no
    /// name is written as a number.
    ///
    /// # Errors
    ///
    /// Those of `f`.
    pub fn write(&self, f: &mut impl fmt::Write, value: u64) -> fmt::Result {
        let mut first = true;
        let rest = self.try_each_name(value, |name| {
            f.write_str(if std::mem::take(&mut first) { "" } else { "|" })?;
            f.write_str(name)
        })?;
        match rest {
            None => Ok(()),
            Some(rest) if !self.bits => write!(f, "{rest}"),
            Some(rest) => write!(f, "{}{rest:#x}", if first { "" } else { "|" }),
        }
    }

    /// Calls `each` with the name of `value`, of a bit map with those of its bits, and gives what
    /// of it has no name.
    pub(crate) fn try_each_name<'m, E>(
        &'m self,
        value: u64,
        mut each: impl FnMut(&'m str) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        if let Some(name) = self.name(value) {
            each(name)?;
            return Ok(None);
        }
        let (mut rest, mut none) = (value, true);
        if self.bits {
            for (number, name) in &self.entries {
                if *number != 0 && rest & number == *number {
                    rest &= !number;
                    each(name)?;
                    none = false;
                }
            }
        }
        Ok((rest != 0 || none).then_some(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(map: &ValueMap, value: u64) -> String {
        let mut out = String::new();
        map.write(&mut out, value).unwrap();
        out
    }

    #[test]
    fn every_number_is_written() {
        let entries = |names: &[(u64, &str)]| {
            names.iter().map(|(n, name)| (*n, Box::from(*name))).collect::<Vec<_>>()
        };
        let values = ValueMap::new(false, entries(&[(7, "seven"), (1, "one"), (7, "again")]));
        assert_eq!([1, 7, 2].map(|v| written(&values, v)), ["one", "seven", "2"]);
        assert_eq!([1, 2].map(|v| values.names(v)), [true, false]);
        let bits = ValueMap::new(true, entries(&[(1, "A"), (2, "B"), (0, "none")]));
        assert_eq!([0, 3, 6, 8].map(|v| written(&bits, v)), ["none", "A|B", "B|0x4", "0x8"]);
        assert_eq!([0, 6, 8].map(|v| bits.names(v)), [true, true, false]);
        assert_eq!(written(&ValueMap::new(true, []), 0), "0x0");
    }
}
