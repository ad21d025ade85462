//! Access to the control cluster: short-lived tokens, bought with the node key.

mod buy;
mod keeper;
pub mod schedule;
#[cfg(test)]
mod testing;

pub use buy::{BuyError, Buyer, Grant, Token};
pub use keeper::Keeper;
