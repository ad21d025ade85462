//! What a GPU is: names, sizes, capabilities.

use crate::out::{code, put, put_text};
use crate::source::gpu;
use nvml_wrapper_sys::bindings::{
    nvmlClockType_t, nvmlDevice_t, nvmlMemory_t, nvmlMemory_v2_t, nvmlPciInfo_t,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT, nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED as NOT_SUPPORTED,
    nvmlReturn_t,
};
use std::ffi::{c_char, c_int, c_uint};

/// The clock of the graphics domain; 2 is the memory's.
const MEMORY_CLOCK: nvmlClockType_t = 2;

/// The driver's name of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetName(device: nvmlDevice_t, name: *mut c_char, length: c_uint) -> nvmlReturn_t {
    // SAFETY: NVML's contract on the buffer.
    code(gpu(device).and_then(|(_, _, gpu)| unsafe { put_text(name, length, &gpu.name) }))
}

/// `GPU-` and 32 digits in five groups.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUUID(device: nvmlDevice_t, uuid: *mut c_char, length: c_uint) -> nvmlReturn_t {
    // SAFETY: NVML's contract on the buffer.
    code(gpu(device).and_then(|(profile, slot, _)| unsafe { put_text(uuid, length, &profile.uuid(slot)) }))
}

/// The board's serial number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetSerial(device: nvmlDevice_t, serial: *mut c_char, length: c_uint) -> nvmlReturn_t {
    // SAFETY: NVML's contract on the buffer.
    code(gpu(device).and_then(|(_, slot, _)| unsafe { put_text(serial, length, &format!("16500000000{slot:02}")) }))
}

/// The index, counting only GPUs that are enumerated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetIndex(device: nvmlDevice_t, index: *mut c_uint) -> nvmlReturn_t {
    code(gpu(device).and_then(|(profile, slot, _)| {
        let place = profile.enumerated().iter().position(|other| *other == slot).ok_or(INVALID_ARGUMENT)?;
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(index, u32::try_from(place).unwrap_or(u32::MAX)) }
    }))
}

/// The number in `/dev/nvidia<n>`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMinorNumber(device: nvmlDevice_t, minor: *mut c_uint) -> nvmlReturn_t {
    // SAFETY: NVML's contract on the pointer.
    code(gpu(device).and_then(|(_, slot, _)| unsafe { put(minor, slot) }))
}

/// Memory: total, free, used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo(device: nvmlDevice_t, memory: *mut nvmlMemory_t) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        let total = gpu.memory_bytes;
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(memory, nvmlMemory_t { total, free: total, used: 0 }) }
    }))
}

/// The same with what the driver keeps for itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMemoryInfo_v2(device: nvmlDevice_t, memory: *mut nvmlMemory_v2_t) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        let version = u32::try_from(size_of::<nvmlMemory_v2_t>()).unwrap_or(0) | (2 << 24);
        let total = gpu.memory_bytes;
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(memory, nvmlMemory_v2_t { version, total, reserved: 0, free: total, used: 0 }) }
    }))
}

/// CUDA compute capability.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCudaComputeCapability(device: nvmlDevice_t, major: *mut c_int, minor: *mut c_int) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        let (known_major, known_minor) = gpu.compute_capability;
        // SAFETY: NVML's contract on both pointers.
        unsafe { put(major, known_major).and_then(|()| put(minor, known_minor)) }
    }))
}

/// CUDA cores.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetNumGpuCores(device: nvmlDevice_t, cores: *mut c_uint) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        let known = gpu.cores.ok_or(NOT_SUPPORTED)?;
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(cores, known) }
    }))
}

/// Highest clock of a domain in MHz.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMaxClockInfo(device: nvmlDevice_t, domain: nvmlClockType_t, clock: *mut c_uint) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        if domain == MEMORY_CLOCK {
            return Err(NOT_SUPPORTED);
        }
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(clock, gpu.max_clock_mhz) }
    }))
}

/// Where it sits on the bus.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPciInfo_v3(device: nvmlDevice_t, pci: *mut nvmlPciInfo_t) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, slot, gpu)| {
        let bus = 0x10 + slot;
        let info = nvmlPciInfo_t {
            busIdLegacy: letters(&format!("0000:{bus:02X}:00.0")),
            domain: 0,
            bus,
            device: 0,
            pciDeviceId: gpu.pci_device_id,
            pciSubSystemId: 0,
            busId: letters(&format!("00000000:{bus:02X}:00.0")),
        };
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(pci, info) }
    }))
}

/// A text in a field of fixed length, closed by zeros.
fn letters<const N: usize>(text: &str) -> [c_char; N] {
    let mut field = [0; N];
    for (place, byte) in field.iter_mut().take(N - 1).zip(text.bytes()) {
        *place = c_char::from_ne_bytes([byte]);
    }
    field
}

/// Whether it is divided into MIG instances.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetMigMode(device: nvmlDevice_t, current: *mut c_uint, pending: *mut c_uint) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        let mode = c_uint::from(gpu.mig.ok_or(NOT_SUPPORTED)?);
        // SAFETY: NVML's contract on both pointers.
        unsafe { put(current, mode).and_then(|()| put(pending, mode)) }
    }))
}
