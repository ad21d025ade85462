use store::{ClaimDispute, Error, FreedBy, PodGone, ValidatorClear};

use crate::fixture::{asked, at, gone, gpu, id, led, never_started, raw, wanted};

#[tokio::test]
async fn of_sixteen_at_once_exactly_one_gets_the_gpu() {
    let Some((store, epoch)) = led().await else { return };
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let store = store.clone();
            // Everybody wants GPU 7 and one of their own, in both orders.
            let gpus = if number % 2 == 0 { [7, 100 + number] } else { [100 + number, 7] };
            tokio::spawn(async move { store.grant_launch(epoch, &wanted(number, &gpus)).await })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(granted) => winners.push(granted.deployment.id),
            Err(Error::ClaimConflict { gpu: held, holder }) => {
                assert_eq!(held, gpu(7));
                assert!(holder.is_some());
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let claims = store.open_claims().await.unwrap();
    assert_eq!(claims.len(), 2);
    assert!(claims.iter().all(|claim| claim.deployment == winners[0]));
    // The losers left nothing behind.
    assert_eq!(store.deployments_open().await.unwrap().len(), 1);
    assert_eq!(store.open_decisions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_constraint_holds_against_code_that_does_not_ask() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    let other = store.grant_launch(epoch, &wanted(2, &[2])).await.unwrap();
    let steal = sqlx::query(
        "INSERT INTO gpu_claims (gpu, deployment, server, decision, granted_at) VALUES ($1, $2, 'alpha', $3, clock_timestamp())",
    )
    .bind(gpu(1).as_str())
    .bind(id(2).as_str().parse::<uuid::Uuid>().unwrap())
    .bind(other.decision.id)
    .execute(&raw(&store).await)
    .await;
    match steal.map_err(Error::from) {
        Err(Error::ClaimConflict { gpu: held, .. }) => assert_eq!(held, gpu(1)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_freed_gpu_is_granted_again_and_its_past_is_kept() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1, 2])).await.unwrap();
    assert_eq!(store.free_claims(epoch, &id(1), &never_started()).await.unwrap().len(), 2);
    assert!(store.free_claims(epoch, &id(1), &never_started()).await.unwrap().is_empty());
    store.grant_launch(epoch, &wanted(2, &[2])).await.unwrap();
    let open = store.open_claims().await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].deployment, id(2));
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM gpu_claims").fetch_one(&raw(&store).await).await.unwrap();
    assert_eq!(kept, 3);
}

#[tokio::test]
async fn once_a_config_was_asked_for_only_the_validator_frees() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    asked(&store, epoch, 1).await;
    let refused = store.free_claims(epoch, &id(1), &never_started()).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let stale =
        FreedBy { pod_gone: PodGone::Gone { uids: vec![], at: at(10) }, validator_clear: ValidatorClear::CompleteList { as_of: at(9) } };
    assert!(store.free_claims(epoch, &id(1), &stale).await.is_err());
    assert_eq!(store.open_claims().await.unwrap().len(), 1);
    assert_eq!(store.free_claims(epoch, &id(1), &gone()).await.unwrap(), [gpu(1)]);
}

#[tokio::test]
async fn closed_claims_change_no_more_and_no_row_goes() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    let pool = raw(&store).await;
    for tampering in [
        "DELETE FROM gpu_claims",
        "TRUNCATE gpu_claims",
        "DELETE FROM decisions",
        "UPDATE gpu_claims SET server = 'beta'",
        "UPDATE decisions SET reason = 'another'",
    ] {
        let refused = sqlx::query(tampering).execute(&pool).await.map_err(Error::from);
        assert!(matches!(&refused, Err(Error::Invalid(why)) if why.contains("append-only")), "{tampering}: {refused:?}");
    }
    store.free_claims(epoch, &id(1), &never_started()).await.unwrap();
    let reopened = sqlx::query("UPDATE gpu_claims SET freed_at = NULL, freed_by = NULL").execute(&pool).await;
    assert!(matches!(reopened.map_err(Error::from), Err(Error::Invalid(_))));
}

#[tokio::test]
async fn claims_are_rebuilt_from_what_lives() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    // 1 is known, 2 is not, 3 sits on a GPU of 1.
    let alive = [wanted(1, &[1]), wanted(2, &[2, 3]), wanted(3, &[1, 4])];
    let rebuilt = store.rebuild_claims(epoch, &alive).await.unwrap();
    assert_eq!(rebuilt.claimed, [(gpu(2), id(2)), (gpu(3), id(2)), (gpu(4), id(3))]);
    assert_eq!(rebuilt.disputes, [ClaimDispute { gpu: gpu(1), found: id(3), holder: id(1) }]);
    assert_eq!(store.open_claims().await.unwrap().len(), 4);
    assert_eq!(store.deployments_open().await.unwrap().len(), 3);

    let again = store.rebuild_claims(epoch, &alive).await.unwrap();
    assert_eq!(again.claimed, []);
    assert_eq!(again.disputes, rebuilt.disputes);
}

#[tokio::test]
async fn a_pod_that_outlived_its_end_takes_its_gpu_back() {
    let Some((store, epoch)) = led().await else { return };
    store.grant_launch(epoch, &wanted(1, &[1])).await.unwrap();
    store.end_deployment(epoch, &id(1), "Failed", "Lost", &never_started()).await.unwrap();
    let rebuilt = store.rebuild_claims(epoch, &[wanted(1, &[1])]).await.unwrap();
    assert_eq!(rebuilt.claimed, [(gpu(1), id(1))]);
    let conflict = store.grant_launch(epoch, &wanted(2, &[1])).await;
    assert!(matches!(conflict, Err(Error::ClaimConflict { .. })));
}
