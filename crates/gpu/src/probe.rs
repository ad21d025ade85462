//! The calls into the driver's library. Each runs on a [`Worker`](crate::worker::Worker), since each may hang.

use crate::facts::{GpuFacts, processors};
use crate::health::{Live, Signs};
use crate::merge::Slot;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::{Device, Nvml};
use std::path::Path;

/// NVML's field ids (its header, `NVML_FI_DEV_…`).
const REMAP_PENDING: FieldId = FieldId(144);
const REMAP_FAILURE: FieldId = FieldId(145);
const RECOVERY_ACTION: FieldId = FieldId(230);

/// The driver as a whole.
pub(crate) struct Overview {
    pub(crate) driver: String,
    pub(crate) count: u32,
}

/// Loads and starts the library.
pub(crate) fn open(library: Option<&Path>) -> Result<Nvml, String> {
    let opened = match library {
        Some(path) => Nvml::builder().lib_path(path.as_os_str()).init(),
        None => Nvml::init(),
    };
    opened.map_err(|error| match error {
        NvmlError::LibloadingError(cause) => format!(
            "the driver's library cannot be loaded ({cause}): install the GPU driver, or name its libnvidia-ml.so.1 with --nvml-library"
        ),
        NvmlError::DriverNotLoaded => "the GPU driver is not loaded: see nvidia-smi".to_owned(),
        NvmlError::LibRmVersionMismatch => "the GPU driver was upgraded and the old one is still loaded: reboot the server".to_owned(),
        other => format!("the GPU driver does not start: {other}"),
    })
}

/// Asks for the driver's version and the number of GPUs.
pub(crate) fn overview(nvml: &Nvml) -> Result<Overview, String> {
    let driver = nvml.sys_driver_version().map_err(|error| format!("the GPU driver does not answer: {error}"))?;
    let count = nvml.device_count().map_err(|error| format!("the GPU driver does not count its GPUs: {error}"))?;
    Ok(Overview { driver, count })
}

/// Reads the GPU at an index.
pub(crate) fn slot(nvml: &Nvml, index: u32) -> Slot {
    match nvml.device_by_index(index).and_then(|device| read(&device, index)) {
        Ok(slot) => slot,
        Err(NvmlError::GpuLost) => Slot::Lost,
        Err(NvmlError::ResetRequired) => Slot::NeedsReset,
        Err(error) => Slot::Failed(format!("the driver answers: {error}")),
    }
}

fn read(device: &Device<'_>, index: u32) -> Result<Slot, NvmlError> {
    let uuid = device.uuid()?;
    let Ok(uuid) = uuid.parse() else {
        return Ok(Slot::Failed(format!("the driver names a UUID that is none: {uuid:?}")));
    };
    let memory = device.memory_info()?;
    let capability = optional(device.cuda_compute_capability())?;
    let major = capability.as_ref().and_then(|cc| u32::try_from(cc.major).ok());
    let minor = capability.as_ref().and_then(|cc| u32::try_from(cc.minor).ok());
    let cores = optional(device.num_cores())?;
    let facts = GpuFacts {
        uuid,
        index,
        name: device.name()?,
        memory_bytes: memory.total,
        major,
        minor,
        processors: cores.zip(major).zip(minor).and_then(|((cores, major), minor)| processors(cores, major, minor)),
        clock_mhz: clock(device)?,
        ecc: optional(device.is_ecc_enabled())?.map(|mode| mode.currently_enabled),
    };
    let live = Live {
        temperature_c: optional(device.temperature(TemperatureSensor::Gpu))?,
        power_mw: optional(device.power_usage())?,
        utilization: optional(device.utilization_rates())?.map(|load| load.gpu),
        memory_used_bytes: Some(memory.used),
        processes: optional(device.running_compute_processes_count())?,
    };
    Ok(Slot::Device { facts, signs: signs(device)?, live })
}

/// The highest graphics clock. Where the driver also names the highest clock for customers, that is the one CUDA
/// programs see, and the one a validator expects.
fn clock(device: &Device<'_>) -> Result<Option<u32>, NvmlError> {
    let highest = optional(device.max_clock_info(Clock::Graphics))?;
    let customer = optional(device.max_customer_boost_clock(Clock::Graphics))?.filter(|mhz| *mhz > 0);
    Ok(highest.into_iter().chain(customer).min())
}

fn signs(device: &Device<'_>) -> Result<Signs, NvmlError> {
    let mut signs = Signs {
        ecc_uncorrected: optional(device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile))?,
        mig: optional(device.mig_mode())?.map(|mode| mode.current == 1),
        ..Signs::default()
    };
    let fields = optional(device.field_values_for(&[REMAP_PENDING, REMAP_FAILURE, RECOVERY_ACTION]))?;
    for sample in fields.into_iter().flatten().flatten() {
        let Some(value) = sample.value.ok().and_then(number) else { continue };
        match sample.field {
            REMAP_PENDING => signs.remap_pending = Some(value != 0),
            REMAP_FAILURE => signs.remap_failed = Some(value != 0),
            RECOVERY_ACTION => signs.recovery_action = Some(value),
            _ => {}
        }
    }
    Ok(signs)
}

fn number(value: SampleValue) -> Option<u64> {
    match value {
        SampleValue::U32(number) => Some(number.into()),
        SampleValue::U64(number) => Some(number),
        SampleValue::I64(number) => u64::try_from(number).ok(),
        SampleValue::F64(_) => None,
    }
}

/// A value that not every model or driver has. That the GPU is lost, or needs a reset, is never swallowed.
fn optional<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error @ (NvmlError::GpuLost | NvmlError::ResetRequired)) => Err(error),
        Err(_) => Ok(None),
    }
}
