//! What a server or a GPU must be, whatever the chute.

use crate::Reason;
use crate::snapshot::{GpuState, Server, ServerState};

/// Whether anything may be placed on the server.
#[must_use]
pub fn server(server: &Server) -> Option<Reason> {
    match server.state {
        ServerState::NotReady => Some(Reason::ServerNotReady),
        ServerState::Silent => Some(Reason::ReporterSilent),
        ServerState::Ready if server.held => Some(Reason::ServerHeld),
        ServerState::Ready => None,
    }
}

/// Why a GPU cannot be used; nothing if it is free, or busy as it should be.
#[must_use]
pub fn gpu(state: GpuState) -> Option<Reason> {
    match state {
        GpuState::Free | GpuState::Claimed => None,
        GpuState::Freeing => Some(Reason::Freeing),
        GpuState::Unproven => Some(Reason::GpuUnproven),
        GpuState::Unhealthy => Some(Reason::GpuUnhealthy),
        GpuState::Occupied => Some(Reason::GpuOccupied),
    }
}
