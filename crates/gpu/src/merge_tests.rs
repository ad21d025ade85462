use super::*;

fn facts(index: u32) -> GpuFacts {
    GpuFacts {
        uuid: format!("{index:032x}").parse().unwrap(),
        index,
        name: "NVIDIA H100 80GB HBM3".to_owned(),
        memory_bytes: 85_520_809_984,
        major: Some(9),
        minor: Some(0),
        processors: Some(132),
        clock_mhz: Some(1980),
        ecc: Some(true),
    }
}

fn device(index: u32) -> Slot {
    Slot::Device { facts: facts(index), signs: Signs::default(), live: Live::default() }
}

fn healths(readings: &[GpuReading]) -> Vec<Health> {
    readings.iter().map(|reading| reading.health).collect()
}

/// A memory of so many GPUs.
fn seen(count: u32) -> (Seen, Doubts) {
    let (mut seen, mut doubts) = (Seen::default(), Doubts::default());
    merge(&mut seen, &mut doubts, (0..count).map(device).collect());
    (seen, doubts)
}

#[test]
fn a_gpu_the_driver_calls_lost_is_lost_at_once() {
    let (mut seen, mut doubts) = seen(3);
    let readings = merge(&mut seen, &mut doubts, vec![device(0), Slot::Lost, device(2)]);
    assert_eq!(healths(&readings), [Health::Ok, Health::Lost, Health::Ok]);
    assert_eq!(readings[1].facts, facts(1));
}

#[test]
fn a_gpu_that_vanished_is_lost_when_the_next_read_confirms_it() {
    let (mut seen, mut doubts) = seen(2);
    assert_eq!(healths(&merge(&mut seen, &mut doubts, vec![device(0)])), [Health::Ok, Health::Unknown]);
    assert_eq!(healths(&merge(&mut seen, &mut doubts, vec![device(0)])), [Health::Ok, Health::Lost]);
}

#[test]
fn a_gpu_that_came_back_is_ok_again_and_doubts_start_anew() {
    let (mut seen, mut doubts) = seen(2);
    merge(&mut seen, &mut doubts, vec![device(0)]);
    assert_eq!(healths(&merge(&mut seen, &mut doubts, vec![device(0), device(1)])), [Health::Ok, Health::Ok]);
    assert_eq!(healths(&merge(&mut seen, &mut doubts, vec![device(0)])), [Health::Ok, Health::Unknown]);
}

#[test]
fn a_memory_from_before_a_reboot_finds_the_missing_gpu() {
    let (old, _) = seen(8);
    let text = serde_json::to_string(&old).unwrap();
    let mut seen: Seen = serde_json::from_str(&text).unwrap();
    let mut doubts = Doubts::default();
    // Slot 3 is gone, and all later ones moved up by one index.
    let moved = || {
        (0..8u32)
            .filter(|slot| *slot != 3)
            .zip(0u32..)
            .map(|(slot, index)| Slot::Device { facts: GpuFacts { index, ..facts(slot) }, signs: Signs::default(), live: Live::default() })
            .collect()
    };
    merge(&mut seen, &mut doubts, moved());
    let readings = merge(&mut seen, &mut doubts, moved());
    let lost: Vec<_> = readings.iter().filter(|r| r.health == Health::Lost).map(|r| r.facts.uuid.clone()).collect();
    assert_eq!(lost, [facts(3).uuid]);
    assert_eq!(readings.len(), 8);
}

#[test]
fn a_hung_gpu_is_never_lost_however_long_it_takes() {
    let (mut seen, mut doubts) = seen(2);
    for _ in 0..20 {
        assert_eq!(healths(&merge(&mut seen, &mut doubts, vec![device(0), Slot::Hung])), [Health::Ok, Health::Unknown]);
    }
}

#[test]
fn while_a_silent_gpu_may_be_the_missing_one_nothing_is_called_lost() {
    let (mut seen, mut doubts) = seen(3);
    // GPU 1 moved to index 0, index 1 hangs, and nobody is at index 2: the hung one may be 0 or 2.
    for _ in 0..5 {
        let moved = Slot::Device { facts: GpuFacts { index: 0, ..facts(1) }, signs: Signs::default(), live: Live::default() };
        let readings = merge(&mut seen, &mut doubts, vec![moved, Slot::Hung]);
        assert!(readings.iter().all(|r| r.health != Health::Lost), "{readings:?}");
    }
}

#[test]
fn an_unexplained_error_is_a_fault_only_when_it_stays() {
    let (mut seen, mut doubts) = seen(1);
    let mut read = || merge(&mut seen, &mut doubts, vec![Slot::Failed("unknown error".to_owned())])[0].health;
    assert_eq!([read(), read(), read()], [Health::Unknown, Health::Unknown, Health::Faulty]);
}

#[test]
fn an_unread_driver_leaves_everything_unknown() {
    let (seen, _) = seen(8);
    assert!(unread(&seen, "no answer").iter().all(|reading| reading.health == Health::Unknown));
}
