//! Many cases, in a process of their own: what ends it, and what never ends, is named by its number like any other failure.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Address space of all cases together.
const MEMORY: u64 = 4 << 30;
/// A case that takes longer hangs. They take milliseconds; in an unoptimised build on a busy machine the largest a second.
const HANGS: Duration = Duration::from_secs(60);

const CHILD: &str = "CHAIN_FUZZ_CHILD";
const ONLY: &str = "CHAIN_FUZZ_ONLY";

/// Reads the bytes of a case; whether they were right.
type Read<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

/// One input.
pub(crate) struct Case<'a> {
    /// What is read, as what, and how it came about.
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) read: Read<'a>,
    /// Bytes that reading it may hold at one time.
    pub(crate) most: u64,
}

/// How many cases are asked for, or `few`.
pub(crate) fn cases(few: u64) -> u64 {
    std::env::var("CHAIN_FUZZ_CASES").map_or(few, |text| text.parse().expect("CHAIN_FUZZ_CASES is a number"))
}

/// Tries the cases 0 to `cases` of the test of this name. `set_up` makes what the cases need.
pub(crate) fn hunt<S: Sync>(test: &str, cases: u64, set_up: impl Fn() -> S, case: impl Fn(&S, u64) -> Case<'_> + Sync) {
    if let Ok(only) = std::env::var(ONLY) {
        let number = only.parse().expect("CHAIN_FUZZ_ONLY is a number");
        let subject = set_up();
        let case = case(&subject, number);
        println!("case {number}: {}, {} bytes: 0x{}", case.what, case.bytes.len(), hex::encode(&case.bytes));
        try_one(&case).unwrap();
    } else if let Ok(folder) = std::env::var(CHILD) {
        let limit = Rlimit { current: Some(MEMORY), ..getrlimit(Resource::As) };
        setrlimit(Resource::As, limit).unwrap();
        all(Path::new(&folder), cases, &set_up(), &case);
    } else {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(CHILD, folder.path())
            .output()
            .unwrap();
        let said = [child.stdout, child.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let running = in_flight(folder.path());
        assert!(child.status.success(), "{said}\n{}; one of the cases {running:?}; {ONLY}=NUMBER repeats one", child.status);
        assert!(said.contains(" cases "), "no case was tried: {said}");
        said.lines().filter(|line| line.contains(" cases ")).for_each(|line| println!("{line}"));
    }
}

/// Numbers of the cases that were being tried at last.
fn in_flight(folder: &Path) -> Vec<u64> {
    let files = std::fs::read_dir(folder).unwrap().filter_map(|file| std::fs::read(file.unwrap().path()).ok());
    files.filter_map(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?))).collect()
}

/// Tries all; ends the process at the first failure.
fn all<S: Sync>(folder: &Path, cases: u64, subject: &S, case: &(impl Fn(&S, u64) -> Case<'_> + Sync)) {
    let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u64);
    let start = Instant::now();
    let since = || u64::try_from(start.elapsed().as_millis()).unwrap();
    let (next, right, slowest, largest) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    // When each worker took up its case; `u64::MAX` when it has none.
    let taken: Vec<AtomicU64> = (0..workers).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for (worker, taken) in taken.iter().enumerate() {
            let file = File::create(folder.join(format!("worker-{worker}"))).unwrap();
            let (next, right, slowest, largest) = (&next, &right, &slowest, &largest);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= cases {
                        taken.store(u64::MAX, Ordering::Relaxed);
                        return;
                    }
                    file.write_at(&number.to_le_bytes(), 0).unwrap();
                    let begun = Instant::now();
                    taken.store(since(), Ordering::Relaxed);
                    let case = case(subject, number);
                    match try_one(&case) {
                        Ok((is_right, bytes)) => {
                            right.fetch_add(u64::from(is_right), Ordering::Relaxed);
                            largest.fetch_max(bytes, Ordering::Relaxed);
                            slowest.fetch_max(u64::try_from(begun.elapsed().as_micros()).unwrap(), Ordering::Relaxed);
                        }
                        Err(why) => {
                            let shown = hex::encode(&case.bytes[..case.bytes.len().min(512)]);
                            eprintln!("case {number}: {}, {} bytes: {why}: 0x{shown}…", case.what, case.bytes.len());
                            std::process::exit(1);
                        }
                    }
                }
            });
        }
        #[allow(clippy::disallowed_methods, reason = "a thread of its own")]
        scope.spawn(|| {
            while taken.iter().any(|taken| taken.load(Ordering::Relaxed) != u64::MAX) {
                std::thread::sleep(Duration::from_millis(20));
                let hangs = |taken: &AtomicU64| since().saturating_sub(taken.load(Ordering::Relaxed)) > HANGS.as_millis() as u64;
                if taken.iter().any(hangs) {
                    eprintln!("a case takes longer than {HANGS:?}");
                    std::process::exit(1);
                }
            }
        });
    });
    let (right, slowest, largest) = (right.into_inner(), slowest.into_inner(), largest.into_inner());
    println!(
        "{cases} cases in {:.1} s on {workers} threads: {right} read to the end, the slowest took {:.1} ms, the largest held {} KiB",
        start.elapsed().as_secs_f64(),
        slowest as f64 / 1e3,
        largest >> 10,
    );
    // Bytes that are all refused at once would try little.
    assert!(right * 20 > cases, "hardly any were right");
}

/// Whether it was right, and how much memory it held.
fn try_one(case: &Case<'_>) -> Result<(bool, u64), String> {
    let mut right = Ok(false);
    let held = allocation_counter::measure(|| {
        right = catch_unwind(AssertUnwindSafe(|| (case.read)(&case.bytes)));
    });
    match right {
        Err(_) => Err("it panics".to_owned()),
        Ok(_) if held.bytes_max > case.most => Err(format!("it holds {} bytes, more than {}", held.bytes_max, case.most)),
        Ok(right) => Ok((right, held.bytes_max)),
    }
}
