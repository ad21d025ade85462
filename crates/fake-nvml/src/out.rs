//! Handing answers to a caller written in C.

use nvml_wrapper_sys::bindings::{
    nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE as INSUFFICIENT_SIZE, nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
};
use std::ffi::{c_char, c_uint};

/// The code of a result.
pub(crate) fn code(result: Result<(), nvmlReturn_t>) -> nvmlReturn_t {
    result.err().unwrap_or(SUCCESS)
}

/// Writes one value.
///
/// # Safety
/// `place` is null or valid for a `T`.
pub(crate) unsafe fn put<T>(place: *mut T, value: T) -> Result<(), nvmlReturn_t> {
    if place.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    // SAFETY: not null, hence valid by this function's contract.
    unsafe { place.write(value) };
    Ok(())
}

/// Writes a text with its closing zero.
///
/// # Safety
/// `buffer` is null or valid for `length` bytes.
pub(crate) unsafe fn put_text(buffer: *mut c_char, length: c_uint, text: &str) -> Result<(), nvmlReturn_t> {
    if buffer.is_null() {
        return Err(INVALID_ARGUMENT);
    }
    if text.len() >= length as usize {
        return Err(INSUFFICIENT_SIZE);
    }
    // SAFETY: the text and its zero fit into the buffer, which cannot overlap a Rust string.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr().cast::<c_char>(), buffer, text.len());
        buffer.add(text.len()).write(0);
    }
    Ok(())
}
