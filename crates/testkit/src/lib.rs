//! Launchers, faults and fixtures for tests.

pub mod child;
pub mod faults;
pub mod level;
pub mod postgres;
pub mod redis;
