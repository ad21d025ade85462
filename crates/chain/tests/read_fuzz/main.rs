//! No bytes from a node panic, hang, or claim memory that they do not fill.
//!
//! A few thousand inputs each time; `CHAIN_FUZZ_CASES=1000000 cargo test --release -p chain --lib --test read_fuzz fuzz_tests` for as
//! many as are wanted before a release. What a failure prints has the number of the case, and `CHAIN_FUZZ_ONLY=NUMBER` repeats it.
//!
//! # The mix
//!
//! Of a thousand inputs about 330 are made up by the description of the type that they are read as, for every storage item, answer and
//! event of three runtimes; 350 are recorded ones, the large among them with their lists cut short; both are then spoilt in up to five
//! places. 160 go to a reader that they are not for, 110 are bytes by chance, 40 are lengths of what is not there, and 10 are whole
//! large answers, spoilt. Metadata, which costs a hundred times as much, is one input in 101. What each case may cost is bounded: memory
//! is counted, and the size of inputs is that of the largest recorded answer.

#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::cast_precision_loss, reason = "figures to look at")]

mod bombs;
mod corpus;
mod cut;
mod described;
mod fuzz_tests;
mod hunt;
mod made;
mod random;
mod readers;
