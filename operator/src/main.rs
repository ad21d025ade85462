//! The operator: one leader reconciles the fleet's custom resources.

fn main() {}
