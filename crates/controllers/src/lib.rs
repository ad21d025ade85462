//! The operator's controllers, one folder per kind, with the snapshot, the executor and the sagas.
