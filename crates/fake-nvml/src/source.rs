//! Where the profile comes from, and when it is read again.

use crate::profile::{Gpu, Profile};
use nvml_wrapper_sys::bindings::{
    nvmlDevice_t, nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED as DRIVER_NOT_LOADED, nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST as GPU_IS_LOST,
    nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT as INVALID_ARGUMENT, nvmlReturn_enum_NVML_ERROR_UNINITIALIZED as UNINITIALIZED,
    nvmlReturn_t,
};
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What tells one state of the file from the next.
type Stamp = (SystemTime, u64, u64);

#[derive(Default)]
struct State {
    initialised: u32,
    profile: Option<(Stamp, Arc<Profile>)>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn with_state<T>(use_it: impl FnOnce(&mut State) -> T) -> T {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    use_it(state.get_or_insert_default())
}

/// The profile as the file stands now; while the file is unreadable (half written), as it stood last.
fn load() -> Result<Arc<Profile>, nvmlReturn_t> {
    let path = path().ok_or(DRIVER_NOT_LOADED)?;
    with_state(|state| {
        let stamp = std::fs::metadata(&path).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len(), meta.ino())));
        let known = state.profile.as_ref().map(|(stamp, _)| *stamp);
        if let Some(stamp) = stamp.filter(|stamp| Some(*stamp) != known) {
            match std::fs::read_to_string(&path).map_err(|error| error.to_string()).and_then(|t| Profile::parse(&t)) {
                Ok(profile) => state.profile = Some((stamp, Arc::new(profile))),
                Err(error) => eprintln!("fake NVML: {}: {error}", path.display()),
            }
        }
        state.profile.as_ref().map(|(_, profile)| profile.clone()).ok_or(DRIVER_NOT_LOADED)
    })
}

fn path() -> Option<PathBuf> {
    std::env::var_os("FAKE_NVML_PROFILE").map(PathBuf::from).or_else(|| Some(own_path()?.with_file_name("profile.json")))
}

/// The file this code was loaded from.
fn own_path() -> Option<PathBuf> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the address lies in this very library, and `info` is a valid place for the answer.
    let found = unsafe { libc::dladdr((own_path as fn() -> Option<PathBuf>) as *const libc::c_void, info.as_mut_ptr()) };
    // SAFETY: zeroed memory is a valid `Dl_info`, and dladdr fills it if it answers other than 0.
    let info = unsafe { info.assume_init() };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: dladdr answered, and the name is not null; the loader keeps it while the library is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

pub(crate) fn init() -> Result<(), nvmlReturn_t> {
    if !load()?.driver_loaded {
        return Err(DRIVER_NOT_LOADED);
    }
    with_state(|state| state.initialised += 1);
    Ok(())
}

pub(crate) fn shutdown() -> Result<(), nvmlReturn_t> {
    with_state(|state| {
        state.initialised = state.initialised.checked_sub(1).ok_or(UNINITIALIZED)?;
        Ok(())
    })
}

/// The profile, for a call on the whole system.
pub(crate) fn profile() -> Result<Arc<Profile>, nvmlReturn_t> {
    if with_state(|state| state.initialised) == 0 {
        return Err(UNINITIALIZED);
    }
    let profile = load()?;
    sleep(profile.hang_ms);
    Ok(profile)
}

/// The handle of a slot. Handles are numbers, never followed as pointers.
pub(crate) fn handle(slot: u32) -> nvmlDevice_t {
    std::ptr::without_provenance_mut(slot as usize + 1)
}

/// The GPU behind a handle, unless it has reason not to answer.
pub(crate) fn gpu(device: nvmlDevice_t) -> Result<(Arc<Profile>, u32, Gpu), nvmlReturn_t> {
    let profile = profile()?;
    let slot = device.addr().checked_sub(1).and_then(|slot| u32::try_from(slot).ok()).ok_or(INVALID_ARGUMENT)?;
    if slot >= profile.count {
        return Err(INVALID_ARGUMENT);
    }
    let gpu = profile.slot(slot).map_err(|_| INVALID_ARGUMENT)?;
    sleep(gpu.hang_ms);
    if gpu.lost || gpu.absent {
        return Err(GPU_IS_LOST);
    }
    match gpu.error {
        Some(code) => Err(code),
        None => Ok((profile, slot, gpu)),
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver that hangs is what this imitates; no runtime lives here")]
fn sleep(ms: u64) {
    if ms > 0 {
        std::thread::sleep(Duration::from_millis(ms));
    }
}
