use super::super::fixture::h100;
use super::*;
use crd::gpu_server::Capacity;

fn reading(healths: &[Health]) -> Reading {
    Reading {
        gpus: (0u32..).zip(healths).map(|(index, health)| h100(index, *health, 40)).collect(),
        driver: Driver::Answers("570.1".to_owned()),
    }
}

fn node() -> NodeFacts {
    NodeFacts { uid: "uid-a".into(), capacity: Capacity { cpu: 8, memory_gib: 64, disk_gib: 100 }, kubelet: Some("v1.33.1".into()) }
}

/// Reads so many times, and composes on the last report each time.
fn after(times: u32, last: &Reported, reading: &Reading) -> Reported {
    let mut composer = Composer::default();
    let mut report = last.clone();
    for _ in 0..times {
        composer.observe(reading);
        report = composer.compose(Some(&report), reading, None);
    }
    report
}

#[test]
fn a_report_tells_the_gpus_in_the_adverts_units() {
    let report = Composer::default().compose(None, &reading(&[Health::Ok, Health::Lost]), Some(&node()));
    assert_eq!(report.node_uid.as_deref(), Some("uid-a"));
    assert_eq!(report.gpus[0].clock_mhz, Some(1980));
    assert_eq!(report.gpus[0].health, GpuHealth::Ok);
    assert_eq!((report.gpus[1].health, report.gpus[1].detail.as_deref()), (GpuHealth::Lost, Some("a reason")));
    assert_eq!(report.versions.unwrap().driver.as_deref(), Some("570.1"));
}

#[test]
fn temperatures_and_the_like_never_change_a_report() {
    let composer = Composer::default();
    let mut warmer = reading(&[Health::Ok]);
    let first = composer.compose(None, &warmer, Some(&node()));
    warmer.gpus[0].live = Some(gpu::Live { temperature_c: Some(80), ..gpu::Live::default() });
    assert_eq!(composer.compose(Some(&first), &warmer, Some(&node())), first);
}

#[test]
fn what_cannot_be_read_keeps_its_last_value() {
    let first = Composer::default().compose(None, &reading(&[Health::Ok, Health::Lost]), Some(&node()));
    let mut silent = reading(&[Health::Unknown, Health::Unknown]);
    silent.driver = Driver::Silent;
    assert_eq!(after(5, &first, &silent), first);
}

#[test]
fn a_gpu_that_stays_unreadable_is_named_but_not_condemned() {
    let first = Composer::default().compose(None, &reading(&[Health::Ok]), None);
    let report = after(10, &first, &reading(&[Health::Unknown]));
    assert_eq!((report.gpus[0].health, report.gpus[0].detail.as_deref()), (GpuHealth::Ok, Some("a reason")));
}

#[test]
fn a_gpu_that_was_never_readable_is_not_reported() {
    assert!(Composer::default().compose(None, &reading(&[Health::Unknown]), None).gpus.is_empty());
}

#[test]
fn after_our_memory_was_wiped_the_last_report_is_the_memory() {
    let last = Composer::default().compose(None, &reading(&[Health::Ok, Health::Ok]), Some(&node()));
    let now = reading(&[Health::Ok]);
    assert_eq!(Composer::default().compose(Some(&last), &now, None), last);
    let recalled = seen(&last, &now);
    assert_eq!(recalled.gpus(), [h100(1, Health::Ok, 40).facts]);
}
