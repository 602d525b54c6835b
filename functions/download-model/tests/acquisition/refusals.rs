//! Every bad input ends in its own name, says which file, and leaves nothing that a reader of models could see.

use std::time::Duration;

use bytes::Bytes;
use contract::ResolvedModel;
use futures::future::{join, join_all};
use serde_json::{Value, json};

use crate::{
    account::{Asked, LONG, Refused, Run},
    content::{CONFIG, MIB, safetensors},
    hub::{Commit, Fault, Hub, Place, bytes_of, git_blob, resolve, sha256},
};

/// Enough for what is retried to be given up on.
const SHORT: Duration = Duration::from_secs(5);

/// A file that git itself holds.
const SMALL: &str = "config.json";
/// A file in LFS that is put in one call.
const WHOLE: &str = "whole.safetensors";
/// A file in LFS that goes in parts.
const PARTS: &str = "parts.safetensors";

/// A repository of one file.
fn one(path: &str) -> Commit {
    match path {
        SMALL => Commit::default().file(SMALL, CONFIG),
        WHOLE => Commit::default().lfs(WHOLE, safetensors(MIB, 1)),
        _ => Commit::default().lfs(PARTS, safetensors(20 * MIB, 2)),
    }
}

/// How the run of a Hub's `main` is refused; whatever it is, no reader of models can see anything.
async fn refused(hub: &Hub, time: Duration) -> Refused {
    let run = Run::of(hub).await;
    let mut steps = run.steps();
    steps.time = time;
    let refused = steps.acquire().await.expect_err("it was stored");
    assert_eq!(run.visible().await, Vec::<String>::new(), "{refused:?}");
    if !refused.is_retried() {
        assert_eq!(run.work.uploads().await, [], "{refused:?}\n{}", steps.function.log());
    }
    refused
}

/// A repository of this one file, with one thing wrong, is refused by that name, and the message says which file.
async fn refuses_file(path: &str, place: Place, fault: Fault, name: &str) {
    let hub = Hub::serve(one(path)).await;
    let what = format!("{place:?} {fault:?}");
    hub.plant(place, fault);
    let refused = refused(&hub, if name == "SourceUnavailable" { SHORT } else { LONG }).await;
    assert_eq!(refused.name, name, "{what}: {refused:?}");
    assert!(refused.message.contains(path), "{what}: {refused:?}");
}

/// The same for the API's answers, which are about no file.
async fn refuses_repository(place: Place, fault: Fault, name: &str) {
    let hub = Hub::serve(one(SMALL)).await;
    let what = format!("{place:?} {fault:?}");
    hub.plant(place, fault);
    let refused = refused(&hub, LONG).await;
    assert_eq!((refused.step, refused.name.as_str()), ("ResolveModel", name), "{what}: {refused:?}");
}

/// A commit that must not even be planned.
async fn refuses_commit(commit: Commit, name: &str, path: &str) {
    let hub = Hub::serve(commit).await;
    let refused = refused(&hub, LONG).await;
    assert_eq!((refused.step, refused.name.as_str()), ("ResolveModel", name), "{path}: {refused:?}");
    assert!(refused.message.contains(path), "{path}: {refused:?}");
    assert_eq!(hub.byte_requests(), 0, "{path} was fetched");
}

// --- Bytes ------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn bytes_that_are_not_those_promised_are_a_digest_mismatch() {
    for path in [SMALL, WHOLE, PARTS] {
        refuses_file(path, bytes_of(path), Fault::FlippedByte, "DigestMismatch").await;
    }
}

#[tokio::test]
async fn a_body_that_is_too_short_is_a_size_mismatch() {
    for path in [SMALL, WHOLE, PARTS] {
        refuses_file(path, bytes_of(path), Fault::Short, "SizeMismatch").await;
        refuses_file(path, bytes_of(path), Fault::ShortUndeclared, "SizeMismatch").await;
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_a_size_mismatch() {
    for path in [SMALL, WHOLE, PARTS] {
        refuses_file(path, bytes_of(path), Fault::Long, "SizeMismatch").await;
        refuses_file(path, bytes_of(path), Fault::LongUndeclared, "SizeMismatch").await;
    }
}

#[tokio::test]
async fn a_whole_file_where_a_range_was_asked_for_is_malformed() {
    refuses_file(PARTS, bytes_of(PARTS), Fault::WholeInsteadOfRange, "SourceMalformed").await;
}

#[tokio::test]
async fn bytes_from_another_place_of_the_file_are_malformed() {
    refuses_file(PARTS, bytes_of(PARTS), Fault::OtherRange, "SourceMalformed").await;
    // It would be a file of another length.
    refuses_file(PARTS, bytes_of(PARTS), Fault::OtherTotal, "SizeMismatch").await;
}

#[tokio::test]
async fn a_file_that_changes_between_two_ranges_is_noticed() {
    refuses_file(PARTS, bytes_of(PARTS), Fault::EtagChanges, "SourceChanged").await;
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_resolved_is_noticed_before_a_byte_is_fetched() {
    for path in [SMALL, WHOLE, PARTS] {
        for fault in [Fault::OtherEtag, Fault::OtherSize] {
            let hub = Hub::serve(one(path)).await;
            hub.plant(resolve(path), fault.clone());
            let refused = refused(&hub, LONG).await;
            assert_eq!(refused.name, "SourceChanged", "{fault:?} {refused:?}");
            assert!(refused.message.contains(path), "{refused:?}");
            assert_eq!(hub.byte_requests(), 0, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_keeps_breaking_is_given_up_on() {
    refuses_file(SMALL, bytes_of(SMALL), Fault::BreaksOff, "SourceUnavailable").await;
}

#[tokio::test]
async fn a_connection_that_broke_is_taken_up_where_it_broke() {
    for path in [SMALL, WHOLE, PARTS] {
        let hub = Hub::serve(one(path)).await;
        hub.plant_times(bytes_of(path), Fault::BreaksOff, 2);
        Run::of(&hub).await.acquire().await.unwrap();
        let (path, content) =
            one(path).contents().map(|(path, content)| (path.to_owned(), content.len())).next().unwrap();
        assert_eq!(hub.sent_bytes(), content as u64, "{path} was fetched again from its beginning");
    }
}

#[tokio::test]
async fn an_lfs_pointer_in_place_of_the_content_is_refused() {
    // By the wrong length where it stands in for content in LFS.
    refuses_file(WHOLE, bytes_of(WHOLE), Fault::Pointer, "SizeMismatch").await;
    // By what it is where git itself promises it.
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 5\n", sha256(b"x"));
    refuses_content("model.safetensors", &pointer).await;
}

// --- Content ----------------------------------------------------------------------------------------------------

/// Content that is exactly what was promised, in git and in LFS, and is refused for what it is.
async fn refuses_content(path: &str, content: impl AsRef<[u8]>) {
    let content = Bytes::copy_from_slice(content.as_ref());
    for commit in [Commit::default().file(path, content.clone()), Commit::default().lfs(path, content)] {
        let hub = Hub::serve(commit).await;
        let refused = refused(&hub, LONG).await;
        assert_eq!(refused.name, "UnsafeContent", "{refused:?}");
        assert!(refused.message.contains(path), "{refused:?}");
    }
}

#[tokio::test]
async fn a_safetensors_header_that_claims_2_to_the_63_bytes_is_refused() {
    let claim = (1_u64 << 63).to_le_bytes();
    refuses_content("model.safetensors", [claim.as_slice(), b"{\"w\":{}}"].concat()).await;
    // In parts too, where the header's length is known long before the last byte.
    let content = [claim.as_slice(), &safetensors(20 * MIB, 3)[8..]].concat();
    let hub = Hub::serve(Commit::default().lfs(PARTS, content)).await;
    let refused = refused(&hub, LONG).await;
    assert_eq!(refused.name, "UnsafeContent", "{refused:?}");
    assert!(refused.message.contains(PARTS), "{refused:?}");
}

#[tokio::test]
async fn a_pickle_is_found_under_the_name_of_a_text() {
    refuses_content(
        "vocabulary.txt",
        b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.",
    )
    .await;
    refuses_content("notes/vocabulary.txt", b"cos\nsystem\n(S'id'\ntR.").await;
}

#[tokio::test]
async fn configurations_that_run_code_are_refused() {
    refuses_content(SMALL, r#"{"auto_map": {"AutoModel": "modeling.Model"}}"#).await;
    refuses_content("tokenizer_config.json", r#"{"a": {"trust_remote_code": true}}"#).await;
}

// --- What the tree lists ----------------------------------------------------------------------------------------

fn entry(kind: &str, path: &str, size: u64) -> Value {
    json!({ "type": kind, "oid": git_blob(b"x"), "size": size, "path": path })
}

#[tokio::test]
async fn paths_that_leave_their_folder_are_unsafe() {
    for path in [
        "../config.json",
        "a/../../config.json",
        "/etc/config.json",
        "a//config.json",
        "./config.json",
        "a\\config.json",
    ] {
        refuses_commit(Commit::default().entry(entry("file", path, 1)), "UnsafePath", path).await;
    }
    let hidden =
        refused(&Hub::serve(Commit::default().entry(entry("file", "a\u{0}.json", 1))).await, LONG).await;
    assert_eq!(hidden.name, "UnsafePath", "{hidden:?}");
}

#[tokio::test]
async fn names_that_differ_only_by_case_are_unsafe() {
    let twice = |first: &str, second: &str| Commit::default().file(first, "{}").file(second, "{}");
    refuses_commit(twice("config.json", "Config.json"), "UnsafePath", "onfig.json").await;
    refuses_commit(twice("a/config.json", "A/config.json"), "UnsafePath", "config.json").await;
    refuses_commit(twice("größe.json", "GRÖßE.json"), "UnsafePath", ".json").await;
}

#[tokio::test]
async fn a_file_in_the_place_of_a_folder_is_unsafe() {
    for inner in ["config.json/more.json", "Config.json/more.json"] {
        let commit = Commit::default().file("config.json", "{}").file(inner, "{}");
        refuses_commit(commit, "UnsafePath", "onfig.json").await;
    }
}

#[tokio::test]
async fn a_file_that_is_listed_twice_is_refused() {
    let listed = Commit::default().file(SMALL, CONFIG).entry(entry("file", SMALL, 1));
    let refused = refused(&Hub::serve(listed).await, LONG).await;
    assert!(matches!(refused.name.as_str(), "UnsafePath" | "SourceMalformed"), "{refused:?}");
    assert!(refused.message.contains(SMALL), "{refused:?}");
}

#[tokio::test]
async fn files_of_no_bytes_are_not_allowed() {
    refuses_commit(Commit::default().file("empty.json", ""), "FileNotAllowed", "empty.json").await;
    refuses_commit(Commit::default().lfs("empty.safetensors", ""), "FileNotAllowed", "empty.safetensors")
        .await;
}

#[tokio::test]
async fn symlinks_and_submodules_are_not_allowed() {
    for kind in ["symlink", "submodule", "commit", "unknown"] {
        refuses_commit(
            Commit::default().entry(entry(kind, "model.safetensors", 1)),
            "FileNotAllowed",
            "model.safetensors",
        )
        .await;
    }
}

#[tokio::test]
async fn files_that_policy_does_not_let_in_are_not_allowed() {
    refuses_commit(Commit::default().file("pytorch_model.bin", "x"), "FileNotAllowed", "pytorch_model.bin")
        .await;
}

#[tokio::test]
async fn a_file_of_more_bytes_than_there_are_is_refused() {
    for size in [json!(u64::MAX), json!(-1), json!(1.5), json!("1"), json!(1_u64 << 62)] {
        let mut listed = entry("file", "model.safetensors", 1);
        listed["size"] = size.clone();
        listed["lfs"] = json!({ "oid": sha256(b"x"), "size": size, "pointerSize": 130 });
        let refused = refused(&Hub::serve(Commit::default().entry(listed)).await, LONG).await;
        assert!(matches!(refused.name.as_str(), "SourceMalformed" | "FileNotAllowed"), "{size}: {refused:?}");
        assert_eq!(refused.step, "ResolveModel", "{size}: {refused:?}");
    }
}

#[tokio::test]
async fn a_listed_file_that_is_absent_makes_the_manifest_incomplete() {
    for (path, place) in [(SMALL, resolve(SMALL)), (WHOLE, resolve(WHOLE)), (PARTS, resolve(PARTS))] {
        for status in [404, 410] {
            refuses_file(path, place.clone(), Fault::Status(status), "ManifestIncomplete").await;
        }
    }
}

#[tokio::test]
async fn what_the_store_has_lost_makes_the_manifest_incomplete() {
    for path in [WHOLE, PARTS] {
        refuses_file(path, bytes_of(path), Fault::Status(404), "ManifestIncomplete").await;
    }
}

// --- The API ----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_json_answer_that_is_cut_short_is_malformed() {
    for place in [Place::Revision, Place::Tree] {
        refuses_repository(place, Fault::TruncatedJson, "SourceMalformed").await;
    }
}

#[tokio::test]
async fn a_json_answer_that_never_ends_is_malformed() {
    for place in [Place::Revision, Place::Tree] {
        refuses_repository(place, Fault::EndlessJson, "SourceMalformed").await;
    }
}

#[tokio::test]
async fn a_revision_that_is_no_commit_is_malformed() {
    for sha in
        [json!("main"), json!("A".repeat(40)), json!("0".repeat(39)), json!("0".repeat(64)), Value::Null]
    {
        refuses_repository(Place::Revision, Fault::Answer(json!({ "sha": sha })), "SourceMalformed").await;
    }
}

#[tokio::test]
async fn a_tree_that_goes_on_elsewhere_or_for_ever_is_malformed() {
    refuses_repository(Place::Tree, Fault::NextPageElsewhere, "SourceMalformed").await;
    refuses_repository(Place::Tree, Fault::EndlessPages, "SourceMalformed").await;
}

#[tokio::test]
async fn a_repository_that_is_not_there_or_not_ours_says_so() {
    for (fault, name) in [
        (Fault::Status(401), "RevisionNotFound"),
        (Fault::Refusal(401, "RepoNotFound"), "RevisionNotFound"),
        (Fault::Refusal(401, "GatedRepo"), "AccessNotGranted"),
        (Fault::Refusal(403, "GatedRepo"), "AccessNotGranted"),
        (Fault::Status(403), "AccessNotGranted"),
        (Fault::Refusal(404, "RevisionNotFound"), "RevisionNotFound"),
        (Fault::Status(404), "RevisionNotFound"),
    ] {
        refuses_repository(Place::Revision, fault.clone(), name).await;
        refuses_repository(Place::Tree, fault, name).await;
    }
}

#[tokio::test]
async fn a_file_that_is_not_ours_to_read_says_so() {
    for path in [SMALL, PARTS] {
        refuses_file(path, resolve(path), Fault::Refusal(403, "GatedRepo"), "AccessNotGranted").await;
        refuses_file(path, resolve(path), Fault::Refusal(401, "GatedRepo"), "AccessNotGranted").await;
    }
}

// --- Redirects --------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_redirect_loop_is_refused() {
    for path in [SMALL, PARTS] {
        refuses_file(path, resolve(path), Fault::RedirectLoop, "RedirectRefused").await;
    }
}

#[tokio::test]
async fn a_redirect_to_no_place_of_the_web_is_refused() {
    refuses_file(PARTS, resolve(PARTS), Fault::RedirectNowhere, "RedirectRefused").await;
    for target in ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"] {
        refuses_file(PARTS, resolve(PARTS), Fault::RedirectTo(target.to_owned()), "RedirectRefused").await;
    }
}

#[tokio::test]
async fn a_redirect_whose_target_asks_for_the_token_is_refused() {
    for path in [WHOLE, PARTS] {
        refuses_file(path, bytes_of(path), Fault::Status(401), "RedirectRefused").await;
    }
}

// --- A Hub that does not answer ---------------------------------------------------------------------------------

#[tokio::test]
async fn a_storm_of_errors_is_waited_out_and_then_given_up_on() {
    let api = [Place::Revision, Place::Tree].map(|place| {
        let statuses = [429, 500].map(Fault::Status);
        join_all(statuses.map(|fault| refuses_repository(place.clone(), fault, "SourceUnavailable")))
    });
    let places = [
        (SMALL, resolve(SMALL)),
        (SMALL, bytes_of(SMALL)),
        (PARTS, resolve(PARTS)),
        (PARTS, bytes_of(PARTS)),
    ];
    let files = places.map(|(path, place)| {
        let statuses = [429, 503].map(Fault::Status);
        join_all(statuses.map(|fault| refuses_file(path, place.clone(), fault, "SourceUnavailable")))
    });
    join(join_all(api), join_all(files)).await;
}

#[tokio::test]
async fn a_hub_that_asks_for_patience_gets_it_everywhere() {
    let places = [Place::Revision, Place::Tree, resolve(PARTS), bytes_of(PARTS)];
    let patient = places.map(|place| async move {
        let hub = Hub::serve(one(PARTS)).await;
        hub.plant_times(place.clone(), Fault::RateLimited(1), 2);
        let begun = std::time::Instant::now();
        Run::of(&hub).await.acquire().await.unwrap_or_else(|refused| panic!("{place:?}: {refused:?}"));
        begun.elapsed()
    });
    for (number, elapsed) in join_all(patient).await.into_iter().enumerate() {
        // Of a file in parts several ranges are asked for at once, so both refusals may be waited out together.
        let least = if number < 2 { 2000 } else { 1000 };
        assert!(elapsed >= Duration::from_millis(least), "place {number}: asked again after {elapsed:?}");
    }
}

#[tokio::test]
async fn a_hub_that_asks_for_more_patience_than_there_is_time_is_left_to_the_next_try() {
    let hub = Hub::serve(one(SMALL)).await;
    hub.plant(Place::Revision, Fault::RateLimited(3600));
    let begun = std::time::Instant::now();
    let refused = refused(&hub, Duration::from_secs(20)).await;
    assert_eq!(refused.name, "SourceUnavailable", "{refused:?}");
    assert!(begun.elapsed() < Duration::from_secs(10), "it slept {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_signed_address_that_expired_is_replaced_by_a_fresh_one() {
    for path in [WHOLE, PARTS] {
        let hub = Hub::serve(one(path)).await;
        hub.plant_times(bytes_of(path), Fault::Status(403), 1);
        Run::of(&hub).await.acquire().await.unwrap();
        let asked = |part: &str| hub.seen().iter().filter(|seen| seen.target.contains(part)).count();
        assert!(asked("/resolve/") >= 2, "{path}: no fresh address was asked for");
    }
}

#[tokio::test]
async fn a_store_that_refuses_every_address_is_given_up_on() {
    for path in [WHOLE, PARTS] {
        refuses_file(path, bytes_of(path), Fault::Status(403), "SourceUnavailable").await;
    }
}

/// One invocation of the only batch, on a Hub with one thing wrong. It must answer before Lambda ends it.
async fn answers_in_time(path: &str, fault: Fault) {
    let hub = Hub::serve(one(path)).await;
    hub.plant(bytes_of(path), fault.clone());
    let run = Run::of(&hub).await;
    let mut steps = run.steps();
    let resolved: ResolvedModel = steps.resolve().await.unwrap();
    steps.time = SHORT;
    match steps.fetch_once(&resolved, 0).await {
        Ok(fetched) => assert!(!fetched.done, "{path} {fault:?}"),
        Err(refused) => assert_eq!(refused.name, "SourceUnavailable", "{path} {fault:?}: {refused:?}"),
    }
    assert_eq!(run.visible().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_source_that_trickles_or_stalls_does_not_run_an_invocation_into_its_end() {
    let slow = || Fault::Trickle(Duration::from_millis(50));
    let cases = [
        (SMALL, Fault::Stall),
        (WHOLE, slow()),
        (WHOLE, Fault::Stall),
        (PARTS, slow()),
        (PARTS, Fault::Stall),
    ];
    join_all(cases.map(|(path, fault)| answers_in_time(path, fault))).await;
}

#[tokio::test]
async fn a_refused_file_takes_no_other_file_with_it() {
    let commit = one(SMALL).lfs(WHOLE, safetensors(MIB, 1)).lfs(PARTS, safetensors(20 * MIB, 2));
    let hub = Hub::serve(commit).await;
    hub.plant(bytes_of(WHOLE), Fault::FlippedByte);
    let run = Run::asking(&hub, Asked::default()).await;
    let refused = run.acquire().await.unwrap_err();
    assert_eq!(refused.name, "DigestMismatch", "{refused:?}");
    let visible = run.visible().await;
    assert!(!visible.iter().any(|key| key.ends_with(WHOLE)), "{visible:?}");
    assert_eq!(run.work.uploads().await, [], "an upload of another file is left");
}
