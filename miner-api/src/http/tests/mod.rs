//! The HTTP interface over real sockets, with scripted ports behind it.

mod add;
mod auth;
mod re_enrol;
mod servers;
mod token;
mod world;
