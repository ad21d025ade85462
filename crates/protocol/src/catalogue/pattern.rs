//! The name patterns of the catalogue, matched by hand: some need negative look-ahead, which the usual regex engine
//! has not, and a whole engine for a dozen tokens would be too much.

/// One piece of a [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// This text.
    Text(&'static str),
    /// At most one character, `.?`.
    MaybeOne,
    /// Any number of characters, `.*`.
    Any,
    /// Not followed by this text, `(?!..)`.
    Not(&'static str),
    /// The end of the name, `$`.
    End,
}

/// What a GPU's name must contain to be of a model. Case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern(pub(super) &'static [Token]);

impl Pattern {
    /// Whether the pattern is found anywhere in `name`.
    pub fn is_in(&self, name: &str) -> bool {
        starts(name).any(|rest| matches_at(self.0, rest))
    }

    /// The pattern in the notation of the network's own table.
    pub fn to_regex(&self) -> String {
        self.0
            .iter()
            .map(|token| match token {
                Token::Text(text) => (*text).to_owned(),
                Token::MaybeOne => ".?".to_owned(),
                Token::Any => ".*".to_owned(),
                Token::Not(text) => format!("(?!{text})"),
                Token::End => "$".to_owned(),
            })
            .collect()
    }
}

/// The text from each of its characters on, and the empty rest.
fn starts(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().map(|(at, _)| &text[at..]).chain(std::iter::once(""))
}

fn matches_at(tokens: &[Token], rest: &str) -> bool {
    let Some((token, later)) = tokens.split_first() else { return true };
    match token {
        Token::Text(text) => rest.strip_prefix(text).is_some_and(|rest| matches_at(later, rest)),
        Token::MaybeOne => starts(rest).take(2).any(|rest| matches_at(later, rest)),
        Token::Any => starts(rest).any(|rest| matches_at(later, rest)),
        Token::Not(text) => !rest.starts_with(text) && matches_at(later, rest),
        Token::End => rest.is_empty() && matches_at(later, rest),
    }
}

#[cfg(test)]
mod tests {
    use super::Token::{Any, End, MaybeOne, Not, Text};
    use super::*;

    #[test]
    fn look_ahead_excludes() {
        let a10 = Pattern(&[Text("A10"), Not("0"), Not("G")]);
        assert!(a10.is_in("NVIDIA A10"));
        assert!(a10.is_in("NVIDIA A10-24Q"));
        assert!(!a10.is_in("NVIDIA A100"));
        assert!(!a10.is_in("NVIDIA A10G"));
        // A later place in the name can still match.
        assert!(a10.is_in("A100 beside A10"));
    }

    #[test]
    fn an_optional_character_may_be_there_or_not() {
        let pattern = Pattern(&[Text("A100"), MaybeOne, Text("PCIE")]);
        assert!(pattern.is_in("A100PCIE") && pattern.is_in("A100-PCIE") && pattern.is_in("A100éPCIE"));
        assert!(!pattern.is_in("A100--PCIE"));
    }

    #[test]
    fn the_end_is_the_end() {
        let h20 = Pattern(&[Text(" H20"), End]);
        assert!(h20.is_in("NVIDIA H20") && !h20.is_in("NVIDIA H200"));
    }

    #[test]
    fn patterns_read_like_the_networks_table() {
        let pattern = Pattern(&[Text("H100"), Any, Text("NVL"), MaybeOne, Not("0"), End]);
        assert_eq!(pattern.to_regex(), "H100.*NVL.?(?!0)$");
    }
}
