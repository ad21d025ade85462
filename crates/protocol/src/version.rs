//! Comparing versions of the library inside a chute's image, as the existing miner does.

/// The leading `X.Y.Z` of a library version; anything after it (such as `rc0`) does not count. Texts that do not begin
/// with one (empty, `v0.6.0`) count as 0.0.0: the oldest, so that nothing new is presumed of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LibraryVersion {
    /// X.
    pub major: u64,
    /// Y.
    pub minor: u64,
    /// Z.
    pub patch: u64,
}

impl LibraryVersion {
    /// Reads a version; never fails.
    pub fn parse(text: &str) -> Self {
        Self::leading(text).unwrap_or_default()
    }

    fn leading(text: &str) -> Option<Self> {
        let (major, rest) = number(text)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let (patch, _) = number(rest.strip_prefix('.')?)?;
        Some(Self { major, minor, patch })
    }

    /// Whether this is at least the version `text`.
    pub fn at_least(self, text: &str) -> bool {
        self >= Self::parse(text)
    }
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn the_golden_comparisons_hold() {
        for (input, target, wanted) in [
            ("0.6.0", "0.6.0", Ordering::Equal),
            ("0.5.4", "0.6.0", Ordering::Less),
            ("0.7.0", "0.6.0", Ordering::Greater),
            ("0.6.0rc0", "0.6.0", Ordering::Equal),
            ("0.6.0-rc0", "0.6.0", Ordering::Equal),
            ("0.6.0.rc0", "0.6.0", Ordering::Equal),
            ("0.5.4.rc9", "0.6.0", Ordering::Less),
            ("", "0.6.0", Ordering::Less),
            ("", "0.0.0", Ordering::Equal),
            ("v0.6.0", "0.6.0", Ordering::Less),
            ("garbage", "0.6.0", Ordering::Less),
        ] {
            assert_eq!(LibraryVersion::parse(input).cmp(&LibraryVersion::parse(target)), wanted, "{input} against {target}");
        }
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(LibraryVersion::parse("0.10.0").at_least("0.9.9"));
        assert!(LibraryVersion::parse("0.3.61").at_least("0.3.7"));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in ".*") {
            let _ = LibraryVersion::parse(&text);
        }
    }
}
