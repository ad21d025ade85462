//! What the chain says, decoded by the names in the metadata of the runtime that said it.
