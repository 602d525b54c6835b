//! `lockstep forget`: a person's records deleted, in every version, and what proves it.

mod content;
mod mention;
mod versions;

use std::path::Path;

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MacAlgorithmSpec, MessageType, SigningAlgorithmSpec};
use contract::{DataPin, RunId, RunPlan, S3Uri, Sha256Digest};
use evidence::{
    Forgotten, RemovedVersion, RewrittenObject, SearchedAgain, TrustRoot, Unsigned, verify_forgotten,
};
use jiff::Timestamp;

use crate::args::ForgetArgs;
use crate::connection::Target;
use crate::demo::Ended;
use crate::error::Error;
use crate::forget::mention::Subject;
use crate::forget::versions::{Object, Search};
use crate::run_files;
use crate::screen::Screen;
use crate::table;

/// What is hashed with the pseudonyms' key, before the subject: the key is for nothing else.
const PURPOSE: &str = "lockstep/pseudonym/v1\n";
/// Captured traffic first: labels name its invocations.
const WORK: [&str; 6] = ["capture/", "labels/", "datasets/", "drift/", "baselines/", "runs/"];
const INTAKE: [&str; 1] = ["requests/"];

/// Where is searched: prefixes, as `s3://bucket/prefix`.
struct Ground {
    places: Vec<S3Uri>,
    evidence: String,
    /// ARN of the caller.
    by: String,
}

/// Forgets a subject, or verifies a receipt.
///
/// # Errors
/// [`Error::Subject`], [`Error::Receipt`], [`Error::ChangedMeanwhile`], a failing call.
pub(crate) async fn run(args: &ForgetArgs, account: &Target, screen: &Screen) -> Result<Ended, Error> {
    screen.aside(&format!("using {}", account.shown));
    let mut subject = args.subject.as_deref().map(|given| subject(given, args)).transpose()?;
    let ground = Ground::of(args, account).await?;
    if let Some(receipt) = &args.verify {
        let pseudonym = match &subject {
            Some(subject) => Some(pseudonym(account, &args.name, subject).await?),
            None => None,
        };
        return verify(receipt, args, account, &ground, pseudonym, screen).await;
    }
    let Some(subject) = &mut subject else { return Err(Error::Subject("SUBJECT is not given".to_owned())) };
    let s3 = account.s3();
    let found = ground.search(&s3, subject, screen).await?;
    let trained = trained_with(&s3, &ground.evidence, &found.objects).await?;
    show(&found, screen);
    if !args.yes {
        tell_runs(&trained, &[], screen);
        screen.say("  nothing was changed; --yes deletes");
        return Ok(if found.unsearchable.is_empty() { Ended::Succeeded } else { Ended::Incomplete });
    }
    forget(args, account, &ground, subject, &found, &trained, screen).await
}

fn subject(given: &str, args: &ForgetArgs) -> Result<Subject, Error> {
    let read = if given == "-" {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(Error::file("read", Path::new("standard input")))?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        given.to_owned()
    };
    Subject::new(&read, args.field.as_deref()).map_err(Error::Subject)
}

impl Ground {
    /// Names are written out, as the infrastructure writes them: the role may list no buckets.
    async fn of(args: &ForgetArgs, account: &Target) -> Result<Self, Error> {
        let asked = aws_sdk_sts::Client::new(&account.config).get_caller_identity().send().await;
        let caller = asked.map_err(Error::aws("GetCallerIdentity"))?;
        let lacking =
            || Error::Incomplete { operation: "GetCallerIdentity", lacking: "an account and an ARN" };
        let (id, by) = (caller.account.ok_or_else(lacking)?, caller.arn.ok_or_else(lacking)?);
        let bucket = |purpose: &str| format!("{}-{purpose}-{id}", args.name);
        let below = |bucket: &str, prefixes: &[&str]| -> Vec<S3Uri> {
            prefixes.iter().map(|prefix| S3Uri::new(bucket, *prefix)).collect()
        };
        let places = if args.buckets.is_empty() {
            [below(&bucket("work"), &WORK), below(&bucket("intake"), &INTAKE)].concat()
        } else {
            let all = [&WORK[..], &INTAKE[..]].concat();
            args.buckets.iter().flat_map(|bucket| below(bucket, &all)).collect()
        };
        let evidence = args.evidence_bucket.clone().unwrap_or_else(|| bucket("evidence"));
        Ok(Self { places, evidence, by })
    }

    async fn search(
        &self,
        s3: &aws_sdk_s3::Client,
        subject: &mut Subject,
        screen: &Screen,
    ) -> Result<Search, Error> {
        let mut found = Search::default();
        for place in &self.places {
            screen.doing(&format!("searching {place}"));
            versions::search(s3, place, is_wanted, subject, &mut found).await?;
        }
        screen.idle();
        Ok(found)
    }
}

/// Of a run's folder, what its evaluation wrote; the rest are plans, checkpoints and weights.
fn is_wanted(key: &str) -> bool {
    !key.starts_with("runs/") || key.split('/').nth(2) == Some("evaluation")
}

async fn forget(
    args: &ForgetArgs,
    account: &Target,
    ground: &Ground,
    subject: &mut Subject,
    found: &Search,
    trained: &[Trained],
    screen: &Screen,
) -> Result<Ended, Error> {
    let s3 = account.s3();
    let pseudonym = pseudonym(account, &args.name, subject).await?;
    let mut receipt = Forgotten {
        field: subject.field().map(str::to_owned),
        by: ground.by.clone(),
        searched: ground.places.iter().map(ToString::to_string).collect(),
        removed: removed(&found.objects, subject, &pseudonym),
        rewritten: Vec::new(),
        trained: trained.iter().map(|run| run.run_id.clone()).collect(),
        searched_again: None,
        at: Timestamp::now().to_string(),
    };
    let name = receipt.at.replace(':', "-");
    // Before anything is deleted: of an interruption this is left.
    write(account, args, ground, &pseudonym, &format!("{name}-begun"), &receipt).await?;

    // A label names an invocation and nobody: once the captured traffic is gone nothing tells whose it was.
    let is_label = |object: &&Object| object.place.key().starts_with("labels/");
    let (labels, others): (Vec<&Object>, Vec<&Object>) = found.objects.iter().partition(is_label);
    let mut written = Vec::new();
    for object in labels.into_iter().chain(others) {
        screen.doing(&format!("rewriting {}", object.place));
        if let Some(new) = versions::remove(&s3, object, subject).await? {
            written.push(DataPin {
                uri: object.place.clone(),
                version_id: new.version_id.clone(),
                sha256: new.sha256.clone(),
            });
            receipt.rewritten.push(RewrittenObject {
                bucket: object.place.bucket().to_owned(),
                key: object.place.key().to_owned(),
                version_id: new.version_id,
                sha256: new.sha256,
            });
        }
    }
    let again = ground.search(&s3, subject, screen).await?;
    let left: usize = again.objects.iter().map(|object| object.held().count()).sum();
    receipt.searched_again = Some(SearchedAgain {
        versions: again.versions,
        found: left as u64,
        unsearchable: again.unsearchable.len() as u64,
        opaque: again.opaque,
    });
    receipt.at = Timestamp::now().to_string();
    let place = write(account, args, ground, &pseudonym, &name, &receipt).await?;
    screen.say(&format!(
        "  deleted {} versions, wrote {} objects without the subject",
        receipt.removed.len(),
        receipt.rewritten.len()
    ));
    tell_runs(trained, &written, screen);
    screen.say(&format!("  searched again: {} versions, {left} hold the subject", again.versions));
    if left > 0 {
        show(&again, screen);
        screen.say("  they came in meanwhile: run the command again");
    }
    screen.say(&format!("  receipt: {place}"));
    Ok(if receipt.is_complete() { Ended::Succeeded } else { Ended::Incomplete })
}

fn removed(objects: &[Object], subject: &Subject, pseudonym: &Sha256Digest) -> Vec<RemovedVersion> {
    let of = |object: &Object| -> Vec<RemovedVersion> {
        let entry = |(version, held): (&versions::Version, &versions::Held)| RemovedVersion {
            bucket: object.place.bucket().to_owned(),
            key: subject.redacted(object.place.key(), pseudonym.as_str()),
            version_id: version.id.clone(),
            sha256: held.sha256.clone(),
            rows: held.rows,
        };
        object.held().map(entry).collect()
    };
    objects.iter().flat_map(of).collect()
}

fn show(found: &Search, screen: &Screen) {
    let row = |object: &Object| -> Vec<(String, String, String, String)> {
        let shown = |(version, held): (&versions::Version, &versions::Held)| {
            let latest = if version.is_latest { " (latest)" } else { "" };
            let kept = if version.is_latest { held.others.to_string() } else { "-".to_owned() };
            (object.place.to_string(), format!("{}{latest}", version.id), held.rows.to_string(), kept)
        };
        object.held().map(shown).collect()
    };
    let rows: Vec<_> = found.objects.iter().flat_map(row).collect();
    if rows.is_empty() {
        screen.say(&format!("  none of {} versions holds the subject", found.versions));
    } else {
        screen.say(&table::to_forget(&rows));
    }
    for version in &found.unsearchable {
        screen.say(&format!("  not searched: {version}"));
    }
    if found.opaque > 0 {
        screen.say(&format!(
            "  {} bodies within rows are no text, or have no fields: what they hold is not known",
            found.opaque
        ));
    }
}

/// A run that read data which held the subject.
struct Trained {
    run_id: RunId,
    endpoint: String,
    /// `training.data` or `evaluation.data`.
    part: &'static str,
    data: DataPin,
}

/// The runs whose plans pin a version that goes, or the same bytes elsewhere.
async fn trained_with(
    s3: &aws_sdk_s3::Client,
    evidence: &str,
    objects: &[Object],
) -> Result<Vec<Trained>, Error> {
    let goes = |pin: &DataPin| {
        objects.iter().any(|object| {
            object.held().any(|(version, held)| {
                held.sha256 == pin.sha256 || (object.place == pin.uri && version.id == pin.version_id)
            })
        })
    };
    let mut trained = Vec::new();
    if !objects.iter().any(|object| object.place.key().starts_with("datasets/")) {
        return Ok(trained);
    }
    let mut pages =
        s3.list_objects_v2().bucket(evidence).prefix("runs/").delimiter("/").into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(Error::aws("ListObjectsV2"))?;
        for prefix in page.common_prefixes().iter().filter_map(|prefix| prefix.prefix()) {
            let key = format!("{prefix}admit-run/plan.json");
            let sent = s3.get_object().bucket(evidence).key(&key).send().await;
            let object = match sent {
                // A run that was refused at once has no plan, and trained nothing.
                Err(error) if error.as_service_error().is_some_and(|error| error.is_no_such_key()) => {
                    continue;
                }
                sent => sent.map_err(Error::aws("GetObject"))?,
            };
            let unreadable =
                |reason: String| Error::Aws { operation: "GetObject", reason: format!("{key}: {reason}") };
            let bytes = object.body.collect().await.map_err(|error| unreadable(error.to_string()))?.to_vec();
            let plan: RunPlan =
                serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
            let parts = [
                ("training.data", &plan.request.training.data),
                ("evaluation.data", &plan.request.evaluation.data),
            ];
            for (part, data) in parts.into_iter().filter(|(_, data)| goes(data)) {
                let (run_id, endpoint) = (plan.run_id.clone(), plan.request.endpoint.name.clone());
                trained.push(Trained { run_id, endpoint, part, data: data.clone() });
            }
        }
    }
    Ok(trained)
}

fn tell_runs(trained: &[Trained], written: &[DataPin], screen: &Screen) {
    for run in trained {
        let Trained { run_id, endpoint, part, data } = run;
        screen.say(&format!("  run {run_id} names {} (version {}) as `{part}`", data.uri, data.version_id));
        if *part == "training.data" {
            screen.say(&format!(
                "    its model, for endpoint {endpoint}, was trained with the subject, and is not changed by this: train again, and \
                 until then, if it must not serve: lockstep rollback {endpoint} --isolate --reason \"...\""
            ));
        }
    }
    for pin in written.iter().filter(|pin| pin.uri.key().starts_with("datasets/")) {
        screen.say(&format!(
            "  requests that name {} now want: version_id {}, sha256 {}",
            pin.uri, pin.version_id, pin.sha256
        ));
    }
}

/// A keyed hash of the subject: the key stays in KMS, so nobody else can try names against it.
async fn pseudonym(account: &Target, name: &str, subject: &Subject) -> Result<Sha256Digest, Error> {
    let mac = aws_sdk_kms::Client::new(&account.config)
        .generate_mac()
        .key_id(format!("alias/{name}-pseudonym"))
        .mac_algorithm(MacAlgorithmSpec::HmacSha256)
        .message(Blob::new(format!("{PURPOSE}{}", subject.text())))
        .send()
        .await
        .map_err(Error::aws("GenerateMac"))?;
    let lacking = Error::Incomplete { operation: "GenerateMac", lacking: "32 bytes" };
    let bytes: [u8; 32] = mac.mac.and_then(|mac| mac.into_inner().try_into().ok()).ok_or(lacking)?;
    Ok(Sha256Digest::from_bytes(&bytes))
}

async fn write(
    account: &Target,
    args: &ForgetArgs,
    ground: &Ground,
    pseudonym: &Sha256Digest,
    name: &str,
    receipt: &Forgotten,
) -> Result<S3Uri, Error> {
    let unsigned = Unsigned::new(&receipt.clone().into_statement(pseudonym));
    let unsigned = unsigned.map_err(|error| receipt_error(name, error))?;
    let signed = aws_sdk_kms::Client::new(&account.config)
        .sign()
        .key_id(format!("alias/{}-sign-forget", args.name))
        .message(Blob::new(unsigned.digest()))
        .message_type(MessageType::Digest)
        .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
        .send()
        .await
        .map_err(Error::aws("Sign"))?;
    let lacking = || Error::Incomplete { operation: "Sign", lacking: "a key and a signature" };
    let (key, signature) =
        (signed.key_id.ok_or_else(lacking)?, signed.signature.ok_or_else(lacking)?.into_inner());
    let place = S3Uri::new(&ground.evidence, format!("forgotten/{pseudonym}/{name}.json"));
    let put = account.s3().put_object().bucket(place.bucket()).key(place.key()).if_none_match("*");
    let put = put.content_type("application/vnd.dsse+json").body(unsigned.sign(&key, &signature).into());
    put.send().await.map_err(Error::aws("PutObject"))?;
    Ok(place)
}

fn receipt_error(what: &str, reason: impl ToString) -> Error {
    Error::Receipt { what: what.to_owned(), reason: reason.to_string() }
}

async fn verify(
    receipt: &str,
    args: &ForgetArgs,
    account: &Target,
    ground: &Ground,
    pseudonym: Option<Sha256Digest>,
    screen: &Screen,
) -> Result<Ended, Error> {
    let s3 = account.s3();
    let bytes = match S3Uri::try_from(receipt.to_owned()) {
        Ok(place) => run_files::object(&s3, place.bucket(), place.key()).await?,
        Err(_) => std::fs::read(receipt).map_err(Error::file("read", Path::new(receipt)))?,
    };
    let trust = match &args.trust {
        Some(path) => run_files::trust_root(path)?,
        None => TrustRoot::parse(&run_files::deployed_trust_root(&s3, &ground.evidence).await?)?,
    };
    let statement = verify_forgotten(&bytes, &trust).map_err(|error| receipt_error(receipt, error))?;
    let about = statement.subject.first().and_then(|subject| subject.digest.get("sha256"));
    if pseudonym.is_some_and(|expected| about.is_none_or(|about| about != expected.as_str())) {
        return Err(receipt_error(receipt, "it is about somebody else"));
    }
    let told = statement.predicate;
    screen.say(&format!(
        "  {receipt}: signed by {} at {}, {} versions removed, {} objects rewritten",
        told.by,
        told.at,
        told.removed.len(),
        told.rewritten.len()
    ));
    match &told.searched_again {
        None => {
            screen.say("  it was written before anything was deleted: the deletion may have been interrupted")
        }
        Some(again) => screen.say(&format!(
            "  searched again: {} versions, {} held the subject, {} could not be searched",
            again.versions, again.found, again.unsearchable
        )),
    }
    Ok(if told.is_complete() { Ended::Succeeded } else { Ended::Incomplete })
}
