//! Calls on the whole system: start, end, versions, enumeration.

use crate::out::{code, put, put_text};
use crate::source;
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST as GPU_IS_LOST, nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_ERROR_NOT_FOUND as NOT_FOUND, nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
};
use std::ffi::{CStr, c_char, c_int, c_uint};

/// Starts; counted, like NVML's.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlInit_v2() -> nvmlReturn_t {
    code(source::init())
}

/// Starts; flags change nothing here.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> nvmlReturn_t {
    code(source::init())
}

/// Ends.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlShutdown() -> nvmlReturn_t {
    code(source::shutdown())
}

/// A text for an error code.
#[unsafe(no_mangle)]
pub extern "C" fn nvmlErrorString(result: nvmlReturn_t) -> *const c_char {
    let text: &CStr = match result {
        SUCCESS => c"Success",
        GPU_IS_LOST => c"GPU is lost",
        NOT_FOUND => c"Not Found",
        INVALID_ARGUMENT => c"Invalid Argument",
        _ => c"Unknown Error",
    };
    text.as_ptr()
}

/// The driver's version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetDriverVersion(version: *mut c_char, length: c_uint) -> nvmlReturn_t {
    // SAFETY: NVML's contract on the buffer.
    code(source::profile().and_then(|profile| unsafe { put_text(version, length, &profile.driver) }))
}

/// NVML's own version: CUDA's major version before the driver's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetNVMLVersion(version: *mut c_char, length: c_uint) -> nvmlReturn_t {
    code(source::profile().and_then(|profile| {
        let text = format!("{}.{}", profile.cuda / 1000, profile.driver);
        // SAFETY: NVML's contract on the buffer.
        unsafe { put_text(version, length, &text) }
    }))
}

/// The CUDA version the driver supports.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetCudaDriverVersion(version: *mut c_int) -> nvmlReturn_t {
    // SAFETY: NVML's contract on the pointer.
    code(source::profile().and_then(|profile| unsafe { put(version, profile.cuda) }))
}

/// The same, from the library that is loaded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlSystemGetCudaDriverVersion_v2(version: *mut c_int) -> nvmlReturn_t {
    // SAFETY: the caller's contract is the same.
    unsafe { nvmlSystemGetCudaDriverVersion(version) }
}

/// How many GPUs there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetCount_v2(count: *mut c_uint) -> nvmlReturn_t {
    code(source::profile().and_then(|profile| {
        let enumerated = u32::try_from(profile.enumerated().len()).unwrap_or(u32::MAX);
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(count, enumerated) }
    }))
}

/// The handle at an index. A lost GPU has none, as with the real library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, device: *mut nvmlDevice_t) -> nvmlReturn_t {
    code(source::profile().and_then(|profile| {
        let slot = *profile.enumerated().get(index as usize).ok_or(INVALID_ARGUMENT)?;
        source::gpu(source::handle(slot))?;
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(device, source::handle(slot)) }
    }))
}

/// The handle of a UUID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, device: *mut nvmlDevice_t) -> nvmlReturn_t {
    code(source::profile().and_then(|profile| {
        if uuid.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: not null, and a text with a closing zero by NVML's contract.
        let wanted = unsafe { CStr::from_ptr(uuid) };
        let found = profile.enumerated().into_iter().find(|slot| profile.uuid(*slot).as_bytes() == wanted.to_bytes());
        let slot = found.ok_or(NOT_FOUND)?;
        source::gpu(source::handle(slot))?;
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(device, source::handle(slot)) }
    }))
}
