//! What became of it, in words that say whether to try again.

use crate::{
    commands::chain::{Nodes, exact, failed as unread},
    failure::{Failure, Kind},
};
use chain::submit::{DispatchFailure, SubmitError, Trace};

/// It is in a block and did nothing.
pub(super) fn failed(failure: &DispatchFailure, fee_rao: Option<u64>) -> Failure {
    let cost = match fee_rao {
        None | Some(0) => "it changed nothing".to_owned(),
        Some(fee) => format!("it changed nothing, but cost the fee of {} TAO", exact(fee)),
    };
    Failure::new(Kind::RemoteFailed, format!("the chain took it, and it failed: {failure}; {cost}"))
}

/// It has no outcome: a word for programs, and words for people.
pub(super) fn unsent(error: SubmitError, nodes: &Nodes) -> (&'static str, Failure) {
    let (what, trace) = (error.to_string(), error.trace());
    match error {
        SubmitError::Read(error) => {
            let failure = unread(error);
            let kind = failure.kind;
            ("not_sent", Failure::new(kind, format!("{}; nothing was sent", failure.what())).advise("--endpoint URL names another node"))
        }
        SubmitError::TooDear { netuid, price_rao, limit_rao } => {
            let (price, limit) = (exact(price_rao), exact(limit_rao));
            let what = format!("a registration on subnet {netuid} costs {price} TAO, more than the limit of {limit}; nothing was sent");
            ("too_dear", Failure::general(what).advise("--limit TAO; or wait: the price falls while nobody registers"))
        }
        SubmitError::Refused(refusal) => ("refused", Failure::general(format!("the node does not take it: {refusal}; it is in no block"))),
        SubmitError::Expired { last_block } => {
            let what = format!("no block up to {last_block} took it, and later ones cannot: nothing happened");
            ("expired", Failure::general(what).advise("the same once more; that is safe now"))
        }
        SubmitError::Unknown { hash, last_block, source, .. } => {
            let what = format!("0x{} was sent, perhaps, and may be in a block up to {last_block}: {source}", hex::encode(hash));
            let failure = Failure::new(Kind::TimedOut, what);
            ("unknown", if let Some(trace) = trace { failure.advise(how_to_look(&trace, nodes)) } else { failure })
        }
        _ => ("not_sent", Failure::general(what).advise("a newer version of this command line; the chain's runtime has changed")),
    }
}

/// What to do before it is tried again.
pub(super) fn how_to_look(sent: &Trace, nodes: &Nodes) -> String {
    let (hash, first, last) = (hex::encode(sent.hash), sent.birth.number.saturating_add(1), sent.last_block);
    let nodes = nodes.again();
    format!("chutes-miner chain outcome 0x{hash} --from-block {first} --to-block {last}{nodes}; do not send it again before that tells")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chain::read::{Block, ReadError};

    #[test]
    fn what_is_unknown_names_the_command_that_finds_it_and_no_address() {
        let text = |endpoint: &str| {
            let birth = Block { number: 9, hash: [0; 32] };
            let source = Box::new(ReadError::NoSuchSubnet(1));
            let error = SubmitError::Unknown { hash: [0xab; 32], birth, last_block: 20, source };
            let (result, failure) = unsent(error, &Nodes::of(vec![endpoint.to_owned()]));
            assert_eq!((result, failure.kind), ("unknown", Kind::TimedOut));
            failure.text()
        };
        let command = format!("chutes-miner chain outcome 0x{} --from-block 10 --to-block 20", "ab".repeat(32));
        assert!(text("test").contains(&format!("{command} --endpoint test;")), "{}", text("test"));
        let with_key = text("wss://node.example/secret-key");
        assert!(with_key.contains(&format!("{command} and the same --endpoint;")) && !with_key.contains("secret"), "{with_key}");
    }
}
