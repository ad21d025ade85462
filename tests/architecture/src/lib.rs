//! Tests of the workspace's own shape; see `tests/`.
