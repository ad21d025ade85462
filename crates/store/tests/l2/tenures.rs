use protocol::ids::Ss58;
use store::{
    ChainBlock, Error, FollowGap, FollowKey, NewTenure, PruneRules, RunningTenure, Store, TenureChanges, TenureEnd, TenureStanding,
};

use crate::fixture::store;

const KEY: FollowKey = FollowKey { genesis: [7; 32], netuid: None };

fn hotkey(number: u32) -> Ss58 {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&number.to_le_bytes());
    Ss58::from_public_key(&key)
}

fn block(number: u64) -> ChainBlock {
    ChainBlock { number, hash: [u8::try_from(number % 256).unwrap(); 32] }
}

fn sits(uid: u16, key: u32, registered_at: u64) -> RunningTenure {
    RunningTenure { netuid: 64, uid, hotkey: hotkey(key), coldkey: None, registered_at, standing: TenureStanding::default() }
}

fn begins(tenure: RunningTenure, from: u64) -> NewTenure {
    NewTenure { tenure, from, continues: None, passed: false, burn_rao: None }
}

fn begun() -> TenureChanges {
    TenureChanges {
        begun: vec![begins(sits(0, 1, 10), 100), begins(sits(1, 2, 20), 100)],
        prices: vec![(64, u64::MAX)],
        ..TenureChanges::default()
    }
}

fn ends(uid: u16, at: u64, how: &'static str) -> TenureEnd {
    TenureEnd { netuid: 64, uid, at, how, last_seen: None, standing: TenureStanding::default(), immunity_period: None }
}

fn stands(emission: u64) -> TenureStanding {
    TenureStanding { validator: true, owner: Some(true), emission_rao: Some(u64::MAX - emission) }
}

fn rules() -> PruneRules {
    PruneRules {
        immunity_period: Some(5_000),
        min_non_immune_uids: None,
        max_uids: Some(256),
        min_burn_rao: Some(500_000),
        max_burn_rao: Some(u64::MAX),
        burn_half_life: Some(360),
        burn_increase_ppb: Some(1_260_000_000),
    }
}

async fn begin(store: &Store) {
    store.take_block(KEY, None, block(100), &begun()).await.unwrap();
}

#[tokio::test]
async fn a_block_is_taken_in_once_and_none_is_left_out() {
    let Some(store) = store().await else { return };
    assert_eq!(store.followed(KEY).await.unwrap(), None);
    begin(&store).await;
    let nothing = TenureChanges::default();
    let refused = |result: Result<(), Error>| assert!(matches!(result, Err(Error::AlreadyExists(_) | Error::Invalid(_))), "{result:?}");
    refused(store.take_block(KEY, None, block(100), &nothing).await);
    refused(store.take_block(KEY, None, block(101), &nothing).await);
    store.take_block(KEY, Some(block(100)), block(101), &nothing).await.unwrap();
    refused(store.take_block(KEY, Some(block(100)), block(101), &nothing).await);
    refused(store.take_block(KEY, Some(block(101)), block(103), &nothing).await);
    refused(store.take_block(KEY, Some(ChainBlock { hash: [0; 32], ..block(101) }), block(102), &nothing).await);
    refused(store.take_block(FollowKey { netuid: Some(64), ..KEY }, Some(block(101)), block(102), &nothing).await);
    let (follow, running, prices) = store.followed(KEY).await.unwrap().unwrap();
    assert_eq!((follow.first_block, follow.block, running.len(), prices[&64]), (100, block(101), 2, u64::MAX));
    // Another choice of subnets has a position of its own.
    store.take_block(FollowKey { netuid: Some(64), ..KEY }, None, block(90), &nothing).await.unwrap();
    assert_eq!(store.follows().await.unwrap().len(), 2);
}

#[tokio::test]
async fn of_two_followers_one_takes_a_block_in() {
    let Some(store) = store().await else { return };
    begin(&store).await;
    let racers: Vec<_> = (0..8)
        .map(|number| {
            let store = store.clone();
            let changes = TenureChanges { begun: vec![begins(sits(2, 10 + number, 101), 101)], ..TenureChanges::default() };
            tokio::spawn(async move { store.take_block(KEY, Some(block(100)), block(101), &changes).await })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(()) => won += 1,
            Err(Error::AlreadyExists(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((won, store.followed(KEY).await.unwrap().unwrap().1.len()), (1, 3));
}

#[tokio::test]
async fn what_does_not_fit_leaves_nothing_behind() {
    let Some(store) = store().await else { return };
    begin(&store).await;
    let before = store.followed(KEY).await.unwrap();
    let none = TenureChanges::default;
    for changes in [
        TenureChanges { ended: vec![ends(0, 101, "replaced"), ends(5, 101, "replaced")], ..none() },
        TenureChanges { ended: vec![ends(0, 101, "vanished")], ..none() },
        // A UID for two, a hotkey on two, and a life that does not end here.
        TenureChanges { begun: vec![begins(sits(0, 9, 101), 101)], ..none() },
        TenureChanges { begun: vec![begins(sits(2, 1, 101), 101)], ..none() },
        TenureChanges { begun: vec![NewTenure { continues: Some(1), ..begins(sits(2, 9, 101), 101) }], ..none() },
        TenureChanges { prices: vec![(64, 1), (64, 2)], ..none() },
    ] {
        store.take_block(KEY, Some(block(100)), block(101), &changes).await.unwrap_err();
        assert_eq!(store.followed(KEY).await.unwrap(), before, "{changes:?}");
    }
}

#[tokio::test]
async fn a_life_goes_on_over_swaps_and_moves_and_ends_once() {
    let Some(store) = store().await else { return };
    begin(&store).await;
    let goes_on = |uid, from, tenure| NewTenure { continues: Some(uid), ..begins(tenure, from) };
    let none = TenureChanges::default;
    let steps = [
        TenureChanges { ended: vec![ends(1, 101, "swapped")], begun: vec![goes_on(1, 101, sits(1, 3, 20))], ..none() },
        // Hotkeys of one subnet change places: both tenures end before any begins.
        TenureChanges {
            ended: vec![ends(0, 102, "trimmed"), ends(1, 102, "moved")],
            begun: vec![goes_on(1, 102, sits(0, 3, 20))],
            ..none()
        },
        TenureChanges { standings: vec![(64, 0, stands(7)), (64, 9, stands(8))], prices: vec![(64, 5)], ..none() },
        TenureChanges {
            ended: vec![TenureEnd { standing: stands(9), immunity_period: Some(4_096), ..ends(0, 104, "replaced") }],
            begun: vec![NewTenure { passed: true, ..begins(sits(0, 4, 104), 104) }, begins(sits(0, 5, 104), 104)],
            ..none()
        },
    ];
    for (changes, number) in steps.iter().zip(101..) {
        store.take_block(KEY, Some(block(number - 1)), block(number), changes).await.unwrap();
    }
    let follow = store.follows().await.unwrap()[0];
    let lives = store.lives(&follow, 64).await.unwrap();
    let lives: Vec<_> = lives.iter().map(|life| (life.uid, life.registered_at, life.first_seen, life.ended_at, life.replaced)).collect();
    assert_eq!(
        lives,
        [(0, 10, 100, Some(102), false), (0, 20, 100, Some(104), true), (0, 104, 104, Some(104), true), (0, 104, 104, None, false)]
    );
    assert_eq!(store.lives(&follow, 64).await.unwrap()[1].standing, stands(9));
    assert_eq!(store.registration_prices(&follow, 64).await.unwrap(), [(100, u64::MAX), (103, 5)]);
    assert_eq!(store.followed_subnets(&follow).await.unwrap(), [64]);
}

#[tokio::test]
async fn of_a_number_that_was_given_to_another_subnet_that_one_is_told_of() {
    let Some(store) = store().await else { return };
    begin(&store).await;
    let removed =
        || TenureChanges { ended: vec![ends(0, 101, "network_removed"), ends(1, 101, "network_removed")], ..TenureChanges::default() };
    let kept = async || {
        let follow = store.follows().await.unwrap()[0];
        let lives = store.lives(&follow, 64).await.unwrap().iter().map(|life| (life.registered_at, life.ended_at)).collect::<Vec<_>>();
        (lives, store.registration_prices(&follow, 64).await.unwrap(), store.tenures(&follow, 64).await.unwrap().len())
    };
    store.take_block(KEY, Some(block(100)), block(101), &removed()).await.unwrap();
    // Nobody has its number yet: it is the last that had it.
    assert_eq!(kept().await, (vec![(10, Some(101)), (20, Some(101))], vec![(100, u64::MAX)], 2));
    let anew = |number, key| TenureChanges {
        begun: vec![begins(sits(0, key, number), number)],
        prices: vec![(64, 7)],
        ..TenureChanges::default()
    };
    store.take_block(KEY, Some(block(101)), block(102), &anew(102, 3)).await.unwrap();
    assert_eq!(kept().await, (vec![(102, None)], vec![(102, 7)], 3));
    // Removed and made anew within a block.
    let again = TenureChanges { ended: vec![ends(0, 103, "network_removed")], ..anew(103, 1) };
    store.take_block(KEY, Some(block(102)), block(103), &again).await.unwrap();
    assert_eq!(kept().await, (vec![(103, None)], vec![(103, 7)], 4));
}

#[tokio::test]
async fn blocks_that_are_left_out_are_written_down_with_what_is_not_known_of_them() {
    let Some(store) = store().await else { return };
    begin(&store).await;
    let end = TenureEnd { last_seen: Some(100), ..ends(0, 400, "unseen") };
    let came = NewTenure { burn_rao: Some(7), ..begins(sits(0, 9, 390), 500) };
    let gap = |from, to| TenureChanges {
        ended: vec![end],
        begun: vec![came.clone()],
        looks: vec![(64, Some(rules())), (7, None)],
        left_out: Some(FollowGap { from, to }),
        ..TenureChanges::default()
    };
    let before = store.followed(KEY).await.unwrap();
    // All that lie between, no more and no fewer.
    for (from, to) in [(102, 499), (101, 498), (101, 500), (100, 499), (101, 100)] {
        let refused = store.take_block(KEY, Some(block(100)), block(500), &gap(from, to)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{from} to {to}: {refused:?}");
    }
    store.take_block(KEY, Some(block(100)), block(101), &gap(101, 100)).await.unwrap_err();
    assert_eq!(store.followed(KEY).await.unwrap(), before);
    store.take_block(KEY, Some(block(100)), block(500), &gap(101, 499)).await.unwrap();
    let follow = store.follows().await.unwrap()[0];
    assert_eq!(store.follow_gaps(&follow).await.unwrap(), [FollowGap { from: 101, to: 499 }]);
    let lives = store.lives(&follow, 64).await.unwrap();
    let seen: Vec<_> = lives.iter().map(|life| (life.first_seen, life.ended_at, life.last_seen, life.replaced, life.burn_rao)).collect();
    assert_eq!(seen, [(100, Some(400), Some(100), false, None), (100, None, None, false, None), (500, None, None, false, Some(7))]);
    let tenures = store.tenures(&follow, 64).await.unwrap();
    assert_eq!(tenures[0].end, Some((400, "unseen".to_owned(), Some(100))));
    let (looked_at, rules) = store.prune_rules(&follow, 64).await.unwrap().unwrap();
    assert_eq!((looked_at, rules.immunity_period, rules.min_non_immune_uids, rules.max_uids), (500, Some(5_000), None, Some(256)));
    let none = TenureChanges { looks: vec![(64, None)], ..TenureChanges::default() };
    store.take_block(KEY, Some(block(500)), block(501), &none).await.unwrap();
    assert_eq!(store.prune_rules(&follow, 64).await.unwrap(), None);
}

/// All UIDs of the chain are one statement, and have to fit into its time.
#[tokio::test]
async fn all_uids_of_the_chain_are_begun_and_loaded_at_once() {
    let Some(store) = store().await else { return };
    let all = (0..30_000u32).map(|n| {
        let netuid = u16::try_from(n / 240).unwrap();
        begins(RunningTenure { netuid, ..sits(u16::try_from(n % 240).unwrap(), n, 10) }, 100)
    });
    let changes = TenureChanges { begun: all.collect(), ..TenureChanges::default() };
    let start = std::time::Instant::now();
    store.take_block(KEY, None, block(100), &changes).await.unwrap();
    let began = start.elapsed();
    assert_eq!(store.followed(KEY).await.unwrap().unwrap().1.len(), 30_000);
    println!("30,000 tenures: begun in {began:?}, loaded in {:?}", start.elapsed() - began);
}
