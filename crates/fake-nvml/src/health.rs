//! How a GPU fares: memory errors, temperature, power, load.

use crate::out::{code, put};
use crate::profile::Gpu;
use crate::source::gpu;
use nvml_wrapper_sys::bindings::{
    field_id::{
        NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, NVML_FI_DEV_REMAPPED_COR, NVML_FI_DEV_REMAPPED_FAILURE, NVML_FI_DEV_REMAPPED_PENDING,
        NVML_FI_DEV_REMAPPED_UNC,
    },
    nvmlDevice_t, nvmlEccCounterType_t, nvmlEnableState_t, nvmlFieldValue_t,
    nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_UNCORRECTED as UNCORRECTED, nvmlMemoryErrorType_t, nvmlProcessInfo_t,
    nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE as INSUFFICIENT_SIZE, nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT,
    nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED as NOT_SUPPORTED, nvmlReturn_enum_NVML_SUCCESS as SUCCESS, nvmlReturn_t,
    nvmlTemperatureSensors_t, nvmlUtilization_t, nvmlValue_t, nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT as UNSIGNED_INT,
};
use std::ffi::{c_int, c_uint, c_ulonglong};

/// Whether error-correcting memory is on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetEccMode(
    device: nvmlDevice_t,
    current: *mut nvmlEnableState_t,
    pending: *mut nvmlEnableState_t,
) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        let mode = nvmlEnableState_t::from(gpu.ecc.ok_or(NOT_SUPPORTED)?);
        // SAFETY: NVML's contract on both pointers.
        unsafe { put(current, mode).and_then(|()| put(pending, mode)) }
    }))
}

/// Memory errors, corrected or not; lifetime and since the start are the same here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: nvmlDevice_t,
    kind: nvmlMemoryErrorType_t,
    _counter: nvmlEccCounterType_t,
    count: *mut c_ulonglong,
) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        gpu.ecc.filter(|on| *on).ok_or(NOT_SUPPORTED)?;
        let errors = if kind == UNCORRECTED { gpu.ecc_uncorrected } else { gpu.ecc_corrected };
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(count, errors) }
    }))
}

/// Remapped rows of memory, whether one waits, whether one failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetRemappedRows(
    device: nvmlDevice_t,
    correctable: *mut c_uint,
    uncorrectable: *mut c_uint,
    pending: *mut c_uint,
    failed: *mut c_uint,
) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        remaps(&gpu)?;
        // SAFETY: NVML's contract on all pointers.
        unsafe {
            put(correctable, 0)?;
            put(uncorrectable, gpu.remapped_uncorrectable)?;
            put(pending, c_uint::from(gpu.remap_pending))?;
            put(failed, c_uint::from(gpu.remap_failed))
        }
    }))
}

/// Row remapping came with compute capability 8.
fn remaps(gpu: &Gpu) -> Result<(), nvmlReturn_t> {
    if gpu.compute_capability.0 >= 8 { Ok(()) } else { Err(NOT_SUPPORTED) }
}

/// Values by field id; a field this library does not know says so, and the others are answered.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetFieldValues(device: nvmlDevice_t, count: c_int, values: *mut nvmlFieldValue_t) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        let count = usize::try_from(count).ok().filter(|_| !values.is_null()).ok_or(INVALID_ARGUMENT)?;
        // SAFETY: not null, and as many values as the caller says by NVML's contract.
        for value in unsafe { std::slice::from_raw_parts_mut(values, count) } {
            match field(&gpu, value.fieldId) {
                Ok(number) => {
                    value.valueType = UNSIGNED_INT;
                    value.value = nvmlValue_t { uiVal: number };
                    value.nvmlReturn = SUCCESS;
                }
                Err(error) => value.nvmlReturn = error,
            }
        }
        Ok(())
    }))
}

fn field(gpu: &Gpu, id: u32) -> Result<u32, nvmlReturn_t> {
    if id == NVML_FI_DEV_GET_GPU_RECOVERY_ACTION {
        return Ok(gpu.recovery_action);
    }
    remaps(gpu)?;
    match id {
        NVML_FI_DEV_REMAPPED_COR => Ok(0),
        NVML_FI_DEV_REMAPPED_UNC => Ok(gpu.remapped_uncorrectable),
        NVML_FI_DEV_REMAPPED_PENDING => Ok(u32::from(gpu.remap_pending)),
        NVML_FI_DEV_REMAPPED_FAILURE => Ok(u32::from(gpu.remap_failed)),
        _ => Err(NOT_SUPPORTED),
    }
}

/// Core temperature in °C.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetTemperature(
    device: nvmlDevice_t,
    _sensor: nvmlTemperatureSensors_t,
    degrees: *mut c_uint,
) -> nvmlReturn_t {
    // SAFETY: NVML's contract on the pointer.
    code(gpu(device).and_then(|(_, _, gpu)| unsafe { put(degrees, gpu.temperature_c) }))
}

/// Power draw in mW.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetPowerUsage(device: nvmlDevice_t, milliwatts: *mut c_uint) -> nvmlReturn_t {
    // SAFETY: NVML's contract on the pointer.
    code(gpu(device).and_then(|(_, _, gpu)| unsafe { put(milliwatts, gpu.power_mw) }))
}

/// Load in percent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetUtilizationRates(device: nvmlDevice_t, load: *mut nvmlUtilization_t) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        // SAFETY: NVML's contract on the pointer.
        unsafe { put(load, nvmlUtilization_t { gpu: gpu.utilization, memory: gpu.utilization }) }
    }))
}

/// Processes that compute on it. A list that is too short is answered with the length it needs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nvmlDeviceGetComputeRunningProcesses_v3(
    device: nvmlDevice_t,
    count: *mut c_uint,
    infos: *mut nvmlProcessInfo_t,
) -> nvmlReturn_t {
    code(gpu(device).and_then(|(_, _, gpu)| {
        if count.is_null() {
            return Err(INVALID_ARGUMENT);
        }
        // SAFETY: not null, hence valid by NVML's contract.
        let room = unsafe { count.read() } as usize;
        // SAFETY: as above.
        unsafe { put(count, u32::try_from(gpu.pids.len()).unwrap_or(u32::MAX))? };
        if room < gpu.pids.len() {
            return Err(INSUFFICIENT_SIZE);
        }
        for (place, pid) in gpu.pids.iter().enumerate() {
            let info = nvmlProcessInfo_t { pid: *pid, usedGpuMemory: 1 << 30, gpuInstanceId: u32::MAX, computeInstanceId: u32::MAX };
            // SAFETY: there is room for all by the check above.
            unsafe { put(infos.wrapping_add(place), info)? };
        }
        Ok(())
    }))
}
