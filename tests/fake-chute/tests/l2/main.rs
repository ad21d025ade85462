//! The stand-in as a process, against the simulator.

mod applets;
mod common;
mod launch;
