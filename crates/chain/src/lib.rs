//! The Bittensor chain as a fleet operator needs it: wallet files, reads and extrinsics, the subnet tracker. Knows no Kubernetes.

pub mod follow;
pub mod read;
pub mod submit;
pub mod survey;
pub mod tracker;
pub mod wallet;
