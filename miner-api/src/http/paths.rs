//! Which paths exist, for redirects that add or remove a trailing slash.

/// Path patterns; `*` is one segment.
const KNOWN: &[&str] = &[
    "/ping",
    "/servers/",
    "/servers/*",
    "/servers/*/lock",
    "/servers/*/unlock",
    "/servers/*/delete_preflight",
    "/servers/*/deployments",
    "/deployments/*",
    "/nodes/*/token",
    "/status",
];

/// The known path that differs from this one only in its trailing slash.
pub(super) fn other_spelling(path: &str) -> Option<String> {
    let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
    // `//host` would be read as another host by a browser.
    (!other.starts_with("//") && KNOWN.iter().any(|pattern| fits(pattern, &other))).then_some(other)
}

fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some("*"), Some(segment)) if !segment.is_empty() => {}
            (Some(a), Some(b)) if a == b => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_slash_may_differ() {
        assert_eq!(other_spelling("/servers").as_deref(), Some("/servers/"));
        assert_eq!(other_spelling("/ping/").as_deref(), Some("/ping"));
        assert_eq!(other_spelling("/servers/a/lock/").as_deref(), Some("/servers/a/lock"));
        for path in ["/nowhere", "/servers/a/b", "//ping/", "/", "/servers//lock/"] {
            assert_eq!(other_spelling(path), None, "{path}");
        }
    }
}
