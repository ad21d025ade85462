//! Where both meet: what an endpoint answers ([`crate::read`]), in the words of the tracker ([`crate::tracker`]).
//!
//! [`snapshot()`] looks at all subnets at one block, [`watch()`] keeps looking at one hotkey on one subnet.

mod snapshot;
mod standing;
mod terms;
mod watch;

pub use snapshot::{Taken, snapshot};
pub use standing::{Place, Standing};
pub use terms::Terms;
pub use watch::{Watched, watch};
