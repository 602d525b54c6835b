//! A transfer that is interrupted, doubled or tampered with ends in the same bytes, or in a refusal.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use contract::ResolvedModel;
use futures::future::join_all;
use serde_json::json;
use testkit::Answer;
use tokio::time::{Instant, sleep};

use crate::{
    account::{Asked, LONG, Run, Steps},
    content::{MIB, Noise, safetensors},
    hub::{Commit, Fault, Hub, Sent, bytes_of, sha256},
};

const PATH: &str = "model.safetensors";
/// What is neither hashed nor uploaded nor kept in a checkpoint is at most this: eight parts of 8 MiB.
const IN_FLIGHT: u64 = 8 * 8 * MIB as u64;

/// A Hub with one large file, a run of it, and what the run resolved to.
async fn large(size: usize) -> (Hub, Run, ResolvedModel) {
    let hub = Hub::serve(Commit::default().lfs(PATH, safetensors(size, 7))).await;
    let run = Run::of(&hub).await;
    let resolved = run.steps().resolve().await.unwrap();
    (hub, run, resolved)
}

/// The object is there, is what it should be, and no upload is left.
async fn is_whole(run: &Run, steps: &mut Steps<'_>, resolved: &ResolvedModel, expected: &str) {
    let sealed = steps.seal(resolved).await.unwrap();
    let found = run.work.get(&format!("{}{PATH}", sealed.prefix)).await;
    assert_eq!(sha256(&found), expected);
    assert_eq!(run.work.uploads().await, []);
}

/// Invokes the only batch until a checkpoint of its file holds a part, and kills the function then.
async fn killed_halfway(hub: &Hub, run: &Run, resolved: &ResolvedModel) {
    let mut steps = run.steps();
    let payload = steps.fetch_payload(resolved, 0);
    // As slow as lets the checkpoint be seen before the file is complete.
    hub.throttle(48 * MIB as u64);
    let begun = Instant::now();
    let noticed = async {
        while begun.elapsed() < LONG && !has_a_part(run).await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        answer = steps.function.invoke(&payload, LONG) => panic!("it ended first: {answer:?}\n{}", steps.function.log()),
        () = noticed => {}
    }
    steps.function.stop().await;
    assert!(has_a_part(run).await, "no part was kept within {LONG:?}");
    hub.throttle(0);
}

async fn checkpoints(run: &Run) -> BTreeMap<String, Bytes> {
    let mut found = BTreeMap::new();
    for key in run.work.keys(&run.transfer()).await {
        let name = key.trim_start_matches(&run.transfer()).trim_end_matches(".json").to_owned();
        if name.parse::<usize>().is_ok() {
            found.insert(key.clone(), run.work.get(&key).await);
        }
    }
    found
}

async fn has_a_part(run: &Run) -> bool {
    checkpoints(run).await.values().any(|bytes| String::from_utf8_lossy(bytes).contains("crc32"))
}

async fn checkpoint(run: &Run) -> (String, Bytes) {
    checkpoints(run).await.into_iter().next().unwrap()
}

// --- Killed -----------------------------------------------------------------------------------------------------

/// For each epoch from `first` on, bytes that were sent in it and had been sent in an earlier one already.
fn sent_again(sent: &[Sent], first: usize) -> Vec<u64> {
    const BLOCK: u64 = 4 << 10;
    let last = sent.iter().map(|sent| sent.epoch).max().unwrap_or(first);
    let mut before = BTreeSet::new();
    let again = |epoch| {
        let of_epoch = sent.iter().filter(|sent| sent.epoch == epoch);
        let blocks: BTreeSet<u64> =
            of_epoch.flat_map(|sent| sent.start / BLOCK..(sent.start + sent.count) / BLOCK).collect();
        let count = blocks.intersection(&before).count() as u64;
        before.extend(blocks);
        count * BLOCK
    };
    (first..=last).map(again).collect()
}

#[tokio::test]
async fn fifty_kills_leave_the_same_bytes_and_cost_only_what_was_in_flight() {
    const KILLS: usize = 50;
    let content = safetensors(112 * MIB, 11);
    let expected = sha256(&content);
    let hub = Hub::serve(Commit::default().lfs(PATH, content)).await;
    let (mut noise, seed) = Noise::any();
    let (mut kills, mut rounds, mut worst) = (0, 0, 0);
    while kills < KILLS {
        rounds += 1;
        let run = Run::of(&hub).await;
        let mut steps = run.steps();
        let resolved = steps.resolve().await.unwrap();
        let payload = steps.fetch_payload(&resolved, 0);
        let first = hub.next_epoch();
        let already = hub.sent().len();
        loop {
            let answer = if kills < KILLS {
                let after = Duration::from_micros(noise.below(320_000));
                steps.function.invoke_and_kill(&payload, LONG, after).await.unwrap()
            } else {
                steps.function.invoke(&payload, LONG).await.unwrap()
            };
            match answer {
                Answer::Killed => kills += 1,
                Answer::Success(output) => {
                    assert_eq!(output["done"], true, "seed {seed}: {output}");
                    break;
                }
                other => panic!("seed {seed}, kill {kills}: {other:?}\n{}", steps.function.log()),
            }
            // Once anything of it can be seen, all of it can.
            for key in run.visible().await.into_iter().filter(|key| key.ends_with(PATH)) {
                assert_eq!(sha256(&run.work.get(&key).await), expected, "seed {seed}");
            }
            hub.next_epoch();
        }
        let again = sent_again(&hub.sent()[already..], first);
        worst = worst.max(again.iter().copied().max().unwrap_or(0));
        assert!(worst <= IN_FLIGHT, "seed {seed}: bytes fetched again after each kill: {again:?}");
        is_whole(&run, &mut steps, &resolved, &expected).await;
        run.work.empty().await;
    }
    println!(
        "{kills} kills in {rounds} files; at most {} MiB fetched again (seed {seed})",
        worst / MIB as u64
    );
}

#[tokio::test]
async fn a_kill_costs_only_what_was_in_flight() {
    let (hub, run, resolved) = large(96 * MIB).await;
    let expected = sha256(&safetensors(96 * MIB, 7));
    killed_halfway(&hub, &run, &resolved).await;
    assert_eq!(run.visible().await, Vec::<String>::new());
    let epoch = hub.next_epoch();
    let mut steps = run.steps();
    steps.fetch(&resolved, 0).await.unwrap();
    assert!(sent_again(&hub.sent(), epoch - 1)[1] <= IN_FLIGHT);
    let fresh: u64 = hub.sent().iter().filter(|sent| sent.epoch == epoch).map(|sent| sent.count).sum();
    assert!(fresh < 96 * MIB as u64, "everything was fetched again");
    is_whole(&run, &mut steps, &resolved, &expected).await;
}

#[tokio::test]
async fn an_invocation_whose_time_is_low_returns_and_the_next_goes_on() {
    let (hub, run, resolved) = large(128 * MIB).await;
    // Fast enough for what is in flight to come through in one invocation, and too slow for all of it.
    hub.throttle(24 * MIB as u64);
    let mut steps = run.steps();
    steps.time = Duration::from_secs(5);
    let invocations = steps.fetch(&resolved, 0).await.unwrap();
    assert!(invocations > 1, "one invocation was enough");
    let sent = hub.sent_bytes();
    // What an invocation drops at its end is fetched again, and is less than what is in flight.
    assert!(sent <= 128 * MIB as u64 + (invocations as u64 - 1) * IN_FLIGHT, "{sent} bytes");
    steps.time = LONG;
    is_whole(&run, &mut steps, &resolved, &sha256(&safetensors(128 * MIB, 7))).await;
}

#[tokio::test]
async fn a_batch_of_many_files_goes_on_with_those_that_are_left() {
    let mut commit = Commit::default();
    for number in 0..4 {
        commit =
            commit.lfs(&format!("{number}.safetensors"), safetensors(9 * MIB + number, number as u64 + 1));
    }
    let hub = Hub::serve(commit.clone()).await;
    let run = Run::of(&hub).await;
    hub.throttle(7 * MIB as u64);
    let mut steps = run.steps();
    let resolved = steps.resolve().await.unwrap();
    steps.time = Duration::from_secs(5);
    let mut invocations = 0;
    for batch in resolved.batches.clone() {
        invocations += steps.fetch(&resolved, batch).await.unwrap();
    }
    assert!(invocations > resolved.batches.len(), "no batch took more than one invocation");
    steps.time = LONG;
    let sealed = steps.seal(&resolved).await.unwrap();
    let mut stored = run.digests(&sealed.prefix).await;
    stored.retain(|path, _| path.starts_with(|first: char| first.is_ascii_digit()));
    assert_eq!(stored, crate::resolve::digests(&commit));
    assert_eq!(run.work.uploads().await, []);
}

// --- Doubled ----------------------------------------------------------------------------------------------------

/// One of two invocations of the same batch, until it is done or is told that the other has taken over.
async fn one_of_two(run: &Run, resolved: &ResolvedModel, after: Duration) -> Result<(), String> {
    sleep(after).await;
    let mut steps = run.steps();
    match steps.fetch(resolved, 0).await {
        Ok(_) => Ok(()),
        Err(refused) => Err(format!("{}: {}", refused.name, refused.message)),
    }
}

/// Two invocations of the same batch, the second so many milliseconds after the first.
async fn two_at_once(pause: u64) {
    let (hub, run, resolved) = large(24 * MIB).await;
    hub.throttle(32 * MIB as u64);
    let (first, second) = tokio::join!(
        one_of_two(&run, &resolved, Duration::ZERO),
        one_of_two(&run, &resolved, Duration::from_millis(pause)),
    );
    for ended in [&first, &second] {
        if let Err(reason) = ended {
            assert!(reason.contains("taken"), "{pause} ms later: {reason}");
        }
    }
    assert!(first.is_ok() || second.is_ok(), "{pause} ms later: {first:?} {second:?}");
    let mut steps = run.steps();
    steps.fetch(&resolved, 0).await.unwrap();
    is_whole(&run, &mut steps, &resolved, &sha256(&safetensors(24 * MIB, 7))).await;
}

#[tokio::test]
async fn two_invocations_at_once_cannot_harm_each_other() {
    join_all([0, 150, 600].map(two_at_once)).await;
}

#[tokio::test]
async fn two_runs_of_the_same_commit_at_once_cannot_harm_each_other() {
    let (hub, first, resolved) = large(24 * MIB).await;
    hub.throttle(40 * MIB as u64);
    let second = first.again(Asked::default()).await;
    let (one, other) = tokio::join!(first.acquire(), second.acquire());
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((&one.prefix, &one.content_sha256), (&other.prefix, &other.content_sha256));
    is_whole(&first, &mut first.steps(), &resolved, &sha256(&safetensors(24 * MIB, 7))).await;
}

// --- Ended ------------------------------------------------------------------------------------------------------

/// What seal-run writes over a checkpoint, and as `ended.json`, when a run has ended.
const ENDED: &str = r#"{"ended":true}"#;

#[tokio::test]
async fn invariant_9_a_run_that_has_ended_begins_no_upload() {
    let (hub, run, resolved) = large(24 * MIB).await;
    run.work.put(&format!("{}ended.json", run.transfer()), ENDED).await;
    let refused = run.steps().fetch(&resolved, 0).await.unwrap_err();
    assert!(!refused.is_retried() && refused.message.contains("ended"), "{refused:?}");
    assert_eq!(run.visible().await, Vec::<String>::new());
    assert_eq!(run.work.uploads().await, []);
    assert_eq!(hub.byte_requests(), 0);
}

#[tokio::test]
async fn invariant_9_a_run_that_ends_takes_its_transfer_with_it() {
    let (hub, run, resolved) = large(64 * MIB).await;
    hub.throttle(40 * MIB as u64);
    let ends = async {
        while !has_a_part(&run).await {
            sleep(Duration::from_millis(20)).await;
        }
        run.work.put(&format!("{}ended.json", run.transfer()), ENDED).await;
        for key in checkpoints(&run).await.into_keys() {
            run.work.put(&key, ENDED).await;
        }
        for upload in run.work.uploads().await {
            run.work.abort(&upload).await;
        }
    };
    let mut steps = run.steps();
    let (fetched, ()) = tokio::join!(steps.fetch(&resolved, 0), ends);
    let refused = fetched.unwrap_err();
    assert!(!refused.is_retried() && refused.message.contains("ended"), "{refused:?}");
    assert_eq!(run.visible().await, Vec::<String>::new());
    assert_eq!(run.work.uploads().await, []);
}

// --- Changed underneath -----------------------------------------------------------------------------------------

#[tokio::test]
async fn weights_that_are_swapped_between_two_invocations_are_not_taken() {
    let (hub, run, resolved) = large(64 * MIB).await;
    killed_halfway(&hub, &run, &resolved).await;
    // The same length and the same tag: only the bytes tell.
    hub.swap(PATH, safetensors(64 * MIB, 8));
    let refused = run.steps().fetch(&resolved, 0).await.unwrap_err();
    assert_eq!(refused.name, "DigestMismatch", "{refused:?}");
    assert!(refused.message.contains(PATH), "{refused:?}");
    assert_eq!(run.visible().await, Vec::<String>::new());
    assert_eq!(run.work.uploads().await, []);
}

#[tokio::test]
async fn a_source_that_changes_between_two_invocations_is_noticed() {
    let (hub, run, resolved) = large(64 * MIB).await;
    killed_halfway(&hub, &run, &resolved).await;
    hub.plant(bytes_of(PATH), Fault::EtagChanges);
    let refused = run.steps().fetch(&resolved, 0).await.unwrap_err();
    assert_eq!(refused.name, "SourceChanged", "{refused:?}");
    assert!(refused.message.contains(PATH), "{refused:?}");
    assert_eq!(run.visible().await, Vec::<String>::new());
    assert_eq!(run.work.uploads().await, []);
}

#[tokio::test]
async fn an_upload_that_was_aborted_underneath_is_begun_again() {
    let (hub, run, resolved) = large(40 * MIB).await;
    killed_halfway(&hub, &run, &resolved).await;
    for upload in run.work.uploads().await {
        run.work.abort(&upload).await;
    }
    let mut steps = run.steps();
    steps.fetch(&resolved, 0).await.unwrap();
    is_whole(&run, &mut steps, &resolved, &sha256(&safetensors(40 * MIB, 7))).await;
}

#[tokio::test]
async fn an_upload_that_is_aborted_while_it_runs_is_begun_again() {
    let (hub, run, resolved) = large(40 * MIB).await;
    hub.throttle(40 * MIB as u64);
    let mut steps = run.steps();
    let aborts = async {
        while !has_a_part(&run).await {
            sleep(Duration::from_millis(20)).await;
        }
        for upload in run.work.uploads().await {
            run.work.abort(&upload).await;
        }
    };
    let (fetched, ()) = tokio::join!(steps.fetch(&resolved, 0), aborts);
    fetched.unwrap();
    is_whole(&run, &mut steps, &resolved, &sha256(&safetensors(40 * MIB, 7))).await;
}

// --- Tampered with ----------------------------------------------------------------------------------------------

/// The batch is refused, for its checkpoint, and says which.
async fn is_invalid(run: &Run, steps: &mut Steps<'_>, resolved: &ResolvedModel, what: &str) {
    let refused = steps.fetch(resolved, 0).await.expect_err(what);
    assert_eq!(refused.name, "CursorInvalid", "{what}: {refused:?}");
    assert!(refused.message.contains("transfer/"), "{what}: {refused:?}");
    assert_eq!(run.visible().await, Vec::<String>::new(), "{what}");
}

#[tokio::test]
async fn a_checkpoint_with_any_byte_flipped_is_not_believed() {
    let (hub, run, resolved) = large(40 * MIB).await;
    killed_halfway(&hub, &run, &resolved).await;
    let (key, good) = checkpoint(&run).await;
    let mut steps = run.steps();
    let sent = hub.byte_requests();
    // The first bytes and the last, and some of all that lies between.
    let places: BTreeSet<usize> =
        (0..4).chain((4..good.len()).step_by(good.len() / 24)).chain([good.len() - 1]).collect();
    for place in places {
        let mut bad = good.to_vec();
        bad[place] ^= 1;
        run.work.put(&key, bad).await;
        is_invalid(&run, &mut steps, &resolved, &format!("byte {place} of {}", good.len())).await;
    }
    for (bad, what) in [
        (Bytes::new(), "nothing"),
        (Bytes::from_static(b"{}"), "an object"),
        (Bytes::from_static(b"null"), "null"),
        (good.slice(..good.len() - 1), "its last byte is missing"),
        ([good.as_ref(), b" "].concat().into(), "a space behind it"),
    ] {
        run.work.put(&key, bad).await;
        is_invalid(&run, &mut steps, &resolved, what).await;
    }
    assert_eq!(hub.byte_requests(), sent, "bytes were fetched for a checkpoint that cannot be believed");
    assert_eq!(run.work.uploads().await, [], "the refused transfer's upload is open");
}

#[tokio::test]
async fn a_checkpoint_in_another_ones_place_is_not_believed() {
    let commit = Commit::default()
        .lfs("a.safetensors", safetensors(40 * MIB, 1))
        .lfs("b.safetensors", safetensors(40 * MIB, 2));
    let hub = Hub::serve(commit).await;
    let run = Run::of(&hub).await;
    let resolved = run.steps().resolve().await.unwrap();
    assert_eq!(resolved.batches.len(), 1);
    let mut steps = run.steps();
    let payload = steps.fetch_payload(&resolved, 0);
    hub.throttle(48 * MIB as u64);
    let both = async {
        loop {
            let kept = checkpoints(&run).await;
            if kept.len() == 2 && kept.values().all(|bytes| String::from_utf8_lossy(bytes).contains("crc32"))
            {
                return kept;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        answer = steps.function.invoke(&payload, LONG) => panic!("it ended first: {answer:?}"),
        _ = both => {}
    }
    steps.function.stop().await;
    let kept: Vec<_> = checkpoints(&run).await.into_iter().collect();
    let [(first, one), (second, other)] = kept.as_slice() else { panic!("{} checkpoints", kept.len()) };
    run.work.put(first, other.clone()).await;
    run.work.put(second, one.clone()).await;
    // One of the two is seen first; what the other has open is the sweep's, when the run is sealed.
    is_invalid(&run, &mut run.steps(), &resolved, "another file's").await;

    // Another run of the same commit, whose file has the same name and lies in the same place.
    let next = run.again(Asked::default()).await;
    let resolved = next.steps().resolve().await.unwrap();
    next.work.put(&first.replace(&run.transfer(), &next.transfer()), one.clone()).await;
    is_invalid(&next, &mut next.steps(), &resolved, "another run's").await;
}

#[tokio::test]
async fn a_checkpoint_that_is_gone_costs_the_bytes_and_nothing_else() {
    let (hub, run, resolved) = large(40 * MIB).await;
    killed_halfway(&hub, &run, &resolved).await;
    let (key, _) = checkpoint(&run).await;
    run.work.delete(&key).await;
    let mut steps = run.steps();
    steps.fetch(&resolved, 0).await.unwrap();
    let sealed = steps.seal(&resolved).await.unwrap();
    let found = run.work.get(&format!("{}{PATH}", sealed.prefix)).await;
    assert_eq!(sha256(&found), sha256(&safetensors(40 * MIB, 7)));
}

#[tokio::test]
async fn an_older_checkpoint_of_the_same_file_harms_nothing() {
    let (hub, run, resolved) = large(64 * MIB).await;
    killed_halfway(&hub, &run, &resolved).await;
    let (key, old) = checkpoint(&run).await;
    // The transfer goes on a while, and is then set back.
    let mut steps = run.steps();
    let payload = steps.fetch_payload(&resolved, 0);
    hub.throttle(48 * MIB as u64);
    let answer = steps.function.invoke_and_kill(&payload, LONG, Duration::from_millis(500)).await.unwrap();
    hub.throttle(0);
    assert_eq!(answer, Answer::Killed);
    run.work.put(&key, old).await;
    let mut steps = run.steps();
    steps.fetch(&resolved, 0).await.unwrap();
    is_whole(&run, &mut steps, &resolved, &sha256(&safetensors(64 * MIB, 7))).await;
}

#[tokio::test]
async fn a_plan_that_was_altered_is_not_followed() {
    let (hub, run, resolved) = large(9 * MIB).await;
    let plan = run.work.get(&resolved.transfer.key).await;
    let altered = String::from_utf8(plan.to_vec()).unwrap().replace(PATH, "other.safetensors");
    run.work.put(&resolved.transfer.key, altered).await;
    let mut steps = run.steps();
    let refused = steps.fetch(&resolved, 0).await.unwrap_err();
    assert_eq!(refused.name, "EvidenceBroken", "{refused:?}");
    assert_eq!(steps.seal(&resolved).await.unwrap_err().name, "EvidenceBroken");
    assert_eq!(hub.byte_requests(), 0);
}

#[tokio::test]
async fn a_batch_that_the_plan_does_not_have_is_nothing_to_do_or_refused() {
    let (hub, run, resolved) = large(9 * MIB).await;
    let mut steps = run.steps();
    let payload = steps.payload("FetchBatch", json!({ "transfer": resolved.transfer, "batch": 7 }));
    let answer = steps.function.invoke(&payload, LONG).await.unwrap();
    assert!(matches!(answer, Answer::Success(_) | Answer::Failure { .. }), "{answer:?}");
    assert_eq!(hub.byte_requests(), 0);
}
