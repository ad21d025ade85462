//! The fault layer against a small server of ours: what passes, what each fault does, what the line does.

mod acting;
mod line;
mod passing;
mod world;
