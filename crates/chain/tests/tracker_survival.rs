//! Survival curves against textbook values, and their properties.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chain::tracker::{
    BLOCKS_PER_DAY,
    survival::{Curve, MIN_AT_RISK, hazard, kaplan_meier},
    tenure::Life,
};
use proptest::prelude::*;

fn life(entry: u64, exit: u64, ended: bool) -> Life {
    Life { entry, exit, ended }
}

/// Whether it is known and about that.
fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() < 1e-12)
}

/// Weeks of remission under 6-mercaptopurine (Freireich et al. 1963), the example of most textbooks; false: censored.
const REMISSION: [(u64, bool); 21] = [
    (6, true),
    (6, true),
    (6, true),
    (6, false),
    (7, true),
    (9, false),
    (10, true),
    (10, false),
    (11, false),
    (13, true),
    (16, true),
    (17, false),
    (19, false),
    (20, false),
    (22, true),
    (23, true),
    (25, false),
    (32, false),
    (32, false),
    (34, false),
    (35, false),
];

#[test]
fn the_textbook_example_gives_the_textbook_curve() {
    let lives: Vec<Life> = REMISSION.iter().map(|(weeks, ended)| life(0, *weeks, *ended)).collect();
    let curve = kaplan_meier(&lives);
    let steps: Vec<_> = curve.steps.iter().map(|step| (step.age_blocks, step.at_risk, step.ended)).collect();
    assert_eq!(steps, [(6, 21, 3), (7, 17, 1), (10, 15, 1), (13, 12, 1), (16, 11, 1), (22, 7, 1), (23, 6, 1)]);
    // Survival and the log-log band as R's survfit(conf.type = "log-log") gives them.
    for (step, (survival, lower, upper)) in curve.steps.iter().zip([
        (0.8571, 0.6197, 0.9516),
        (0.8067, 0.5631, 0.9228),
        (0.7529, 0.5032, 0.8894),
        (0.6902, 0.4316, 0.8491),
        (0.6275, 0.3675, 0.8049),
        (0.5378, 0.2678, 0.7468),
        (0.4482, 0.1881, 0.6801),
    ]) {
        let near = |a: f64, b: f64| (a - b).abs() < 5e-5;
        assert!(near(step.survival, survival) && near(step.lower, lower) && near(step.upper, upper), "{step:?}");
    }
    assert_eq!(curve.median_blocks(), Some(23));
    assert_eq!(curve.survival(5), Some(1.0));
    assert_eq!(curve.survival(36), None, "nothing is known beyond what was watched");
    assert!(!curve.enough(), "nine ends are too few");
    assert!((curve.mean_within(10).unwrap() - (6.0 + 0.857_142_857 + 3.0 * 0.806_722_689)).abs() < 1e-6);
}

#[test]
fn who_enters_late_counts_only_from_then_on() {
    // Five of each kind. The second is watched from 4: at 3 ten lives are at risk, at 5 fifteen.
    let kinds = [life(0, 5, true), life(4, 6, true), life(0, 3, true), life(3, 9, false)];
    let curve = kaplan_meier(&kinds.iter().flat_map(|one| [*one; 5]).collect::<Vec<_>>());
    let steps: Vec<_> = curve.steps.iter().map(|step| (step.age_blocks, step.at_risk, step.survival)).collect();
    assert_eq!(steps, [(3, 10, 0.5), (5, 15, 0.5 * (1.0 - 1.0 / 3.0)), (6, 10, 0.5 * (1.0 - 1.0 / 3.0) * 0.5)]);
}

#[test]
fn no_lives_and_early_ends_of_few_give_no_numbers() {
    let none = kaplan_meier(&[]);
    assert_eq!(none, Curve::default());
    assert!(!none.enough() && none.median_blocks().is_none() && hazard(&[], 10).iter().all(|bin| bin.ended == 0));
    assert_eq!((none.survival(0), none.mean_within(0)), (None, None), "nobody was watched");
    let mut lives = vec![life(0, 1, true)];
    lives.extend((0..50).map(|i| life(100, 200 + i, true)));
    let curve = kaplan_meier(&lives);
    assert_eq!((curve.from_age_blocks, curve.ended, curve.counted()), (100, 51, 46), "one early end does not weigh on all that follows");
    assert!(near(curve.survival(200), 49.0 / 50.0), "it is of those that reached 100");
}

#[test]
fn nothing_is_known_of_ages_at_which_hardly_anybody_was_watched() {
    // Nobody was watched before 100, two until 120, then twenty.
    let mut lives: Vec<Life> = (0..20).map(|i| life(120, 130 + i, true)).collect();
    lives.extend([life(100, 500, false), life(100, 500, false)]);
    let curve = kaplan_meier(&lives);
    assert_eq!((curve.from_age_blocks, curve.to_age_blocks), (120, 147), "then four are left");
    for age in [0, 99, 110, 119, 148, 500] {
        assert_eq!((curve.survival(age), curve.mean_within(age)), (None, None), "{age}");
    }
    assert!(near(curve.survival(120), 1.0) && near(curve.survival(130), 21.0 / 22.0));
    // Twelve are watched and end by 20, three go on; those who come at 1000 tell nothing of 20 to 1000.
    let mut lives: Vec<Life> = (9..21).map(|age| life(0, age, true)).collect();
    lives.extend((0..3).map(|_| life(0, 900, false)));
    lives.extend((0..40).map(|i| life(1000, 1100 + i, i % 2 == 0)));
    let curve = kaplan_meier(&lives);
    assert_eq!((curve.from_age_blocks, curve.to_age_blocks, curve.counted()), (0, 19, 11));
    assert!(near(curve.survival(19), 4.0 / 15.0) && curve.survival(20).is_none() && curve.survival(1050).is_none());
    assert!(curve.enough() && curve.steps.last().is_some_and(|step| step.age_blocks == 19));
    // Where too few ended before such a gap, what lies behind it is told, of those who reached it.
    let behind = kaplan_meier(&lives[6..]);
    assert_eq!((behind.from_age_blocks, behind.survival(19), behind.survival(1000)), (1000, None, Some(1.0)));
    assert!(behind.enough() && near(behind.survival(1100), 39.0 / 40.0));
}

#[test]
fn the_hazard_is_ends_by_watched_time() {
    let day = BLOCKS_PER_DAY;
    let lives = [life(0, day / 2, true), life(0, 2 * day, false), life(day, 3 * day, true)];
    let bins = hazard(&lives, day);
    let found: Vec<_> = bins.iter().map(|bin| (bin.ended, bin.watched_days)).collect();
    assert_eq!(found, [(1, 1.5), (0, 2.0), (1, 1.0)], "an end is counted where the life before it was watched");
    // The exact 95 % interval of a count of 10 is 4.80 to 18.39; Byar's is close to it.
    let ten: Vec<Life> = (0..10).map(|_| life(0, 10, true)).collect();
    let bin = hazard(&ten, 20)[0];
    let scale = bin.watched_days;
    assert!((bin.lower * scale - 4.80).abs() < 0.02 && (bin.upper * scale - 18.39).abs() < 0.02, "{bin:?}");
    assert!(hazard(&ten, 0).is_empty());
    let bounded = hazard(&[life(0, u64::MAX, true), life(0, 5000, true)], 1);
    assert_eq!((bounded.len(), bounded[999].to_blocks), (1000, u64::MAX), "bins are bounded, and the last one takes the rest");
    assert_eq!((bounded[998].ended, bounded[999].ended), (0, 2));
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    proptest::collection::vec(
        (0..50_u64, 1..100_u64, any::<bool>()).prop_map(|(entry, time, ended)| life(entry, entry + time, ended)),
        0..80,
    )
}

proptest! {
    #[test]
    fn curves_fall_within_their_bands(lives in lives()) {
        let curve = kaplan_meier(&lives);
        let mut last = 1.0;
        for step in &curve.steps {
            prop_assert!((0.0..=1.0).contains(&step.survival) && step.survival <= last);
            prop_assert!(step.lower <= step.survival && step.survival <= step.upper && step.upper <= 1.0 && step.lower >= 0.0, "{step:?}");
            prop_assert!(step.ended <= step.at_risk && step.ended > 0 && step.at_risk >= MIN_AT_RISK);
            prop_assert!(curve.from_age_blocks < step.age_blocks && step.age_blocks <= curve.to_age_blocks);
            last = step.survival;
        }
        prop_assert!(curve.counted() <= curve.ended as u64);
        let window = curve.to_age_blocks;
        if let Some(mean) = curve.mean_within(window) {
            prop_assert!((curve.from_age_blocks as f64..=window as f64 + 1e-9).contains(&mean));
        }
        // At each of its ages so many were watched.
        for age in 0..150 {
            let watched = lives.iter().filter(|life| life.entry < age && age <= life.exit).count() as u64;
            if curve.survival(age).is_some() && age > curve.from_age_blocks {
                prop_assert!(watched >= MIN_AT_RISK, "{watched} at {age}");
            }
        }
    }

    #[test]
    fn without_censoring_the_curve_is_the_part_that_is_left(times in proptest::collection::vec(1..60_u64, 1..80)) {
        let lives: Vec<Life> = times.iter().map(|time| life(0, *time, true)).collect();
        let curve = kaplan_meier(&lives);
        for age in 0..60 {
            let left = times.iter().filter(|time| **time > age).count() as f64 / times.len() as f64;
            let watched = times.iter().filter(|time| **time >= age).count() as u64;
            match curve.survival(age) {
                Some(survival) => prop_assert!((survival - left).abs() < 1e-9),
                None => prop_assert!(watched < MIN_AT_RISK || curve.counted() >= 10, "{watched} at {age}"),
            }
        }
    }

    #[test]
    fn the_hazards_count_every_end_and_all_time(lives in lives(), width in 1..40_u64) {
        let bins = hazard(&lives, width);
        prop_assert_eq!(bins.iter().map(|bin| bin.ended).sum::<u64>(), lives.iter().filter(|life| life.ended).count() as u64);
        let watched: u64 = lives.iter().map(|life| life.exit - life.entry).sum();
        let days = bins.iter().map(|bin| bin.watched_days).sum::<f64>();
        prop_assert!((days - watched as f64 / BLOCKS_PER_DAY as f64).abs() < 1e-9);
    }
}
