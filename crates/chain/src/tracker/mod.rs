//! The competition on subnets: who registers, is replaced, and survives.
