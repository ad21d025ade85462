//! The HTTP interface over real sockets, with scripted ports behind it.

mod add;
mod auth;
mod servers;
mod token;
mod world;
