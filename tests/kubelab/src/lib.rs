//! A real Kubernetes on this machine, without Docker.
//!
//! One Go program of ours holds etcd, the API server, the controller manager,
//! the scheduler, kubelet, kube-proxy and kubectl; this crate builds it once,
//! starts its parts as detached processes and takes them down again. A *lab* is
//! one such cluster: a folder with a kubeconfig, logs and a state file, and a
//! slot from which every name and address on the machine derives,
//! so that labs run side by side.
//!
//! ```no_run
//! use kubelab::{Lab, Nodes, Options};
//! let lab = Lab::up(Options::new("/tmp/lab").nodes(Nodes::real("gpu-0")), |line| eprintln!("{line}"))?;
//! lab.kubectl().args(["get", "nodes"]).status().expect("kubectl");
//! Lab::down(&lab.dir)?;
//! # Ok::<(), kubelab::Error>(())
//! ```
//!
//! Nothing of the product is known here; tests, the demo and benchmarks build
//! on it.

#![allow(clippy::disallowed_methods, reason = "nothing here is async, so a sleeping thread blocks nobody")]

mod binaries;
mod certs;
mod cgroup;
mod control;
mod down;
mod error;
mod faults;
mod http;
mod image;
mod lab;
mod level;
mod network;
mod node;
mod options;
mod process;
mod registry;
mod simulated;
mod slot;
mod state;
mod tar;
mod up;

pub use binaries::{Binaries, build};
pub use down::DownOptions;
pub use error::{Error, Result};
pub use image::ImageSpec;
pub use lab::{Guard, Lab, RealNode};
pub use level::{Level, l3_unavailable, l4_unavailable, level_or_skip};
pub use options::{Mirror, Nodes, Options};
pub use registry::push_image;
pub use simulated::SimulatedNode;
