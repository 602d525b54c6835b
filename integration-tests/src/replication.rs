//! What S3 Replication leaves in another account: versions of objects, and the locks of those that are locked.
//!
//! Where it departs from S3: it copies once, when it is called, and not each object within minutes; as a user who may read
//! everything, and not as a role; copies have versions' ids of their own, where S3 keeps the source's; no object says that it
//! was replicated; deletions are not copied, which is how the shipped rules have it.

use aws_sdk_s3::Client as S3;
use aws_sdk_s3::types::{BucketVersioningStatus, ObjectLockMode, VersioningConfiguration};
use local::{Connection, Identity};

use crate::Evidence;

/// The buckets of copies, as the module `replica` names them.
pub struct Replicas {
    /// Of evidence.
    pub evidence: String,
    /// Of models and data.
    pub work: String,
}

/// Copies an account's evidence and what a model needs of its work bucket into buckets of another account.
pub async fn replicate(from: &Connection, to: &Connection) -> Replicas {
    let source = Evidence::of(from, Identity::Submitter).await;
    let target = Evidence::of(to, Identity::Submitter).await.s3;
    let name = |purpose: &str| format!("lockstep-{}-replica-{purpose}", to.account_id);
    let replicas = Replicas { evidence: name("evidence"), work: name("work") };
    for (bucket, is_locked) in [(&replicas.evidence, true), (&replicas.work, false)] {
        let create = target.create_bucket().bucket(bucket).object_lock_enabled_for_bucket(is_locked);
        create.send().await.expect("the bucket is made");
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let versioning = target.put_bucket_versioning().bucket(bucket).versioning_configuration(enabled);
        versioning.send().await.expect("it keeps versions");
    }
    copy(&source.s3, &source.bucket("evidence").await, "", &target, &replicas.evidence).await;
    let work = source.bucket("work").await;
    for prefix in ["artifacts/", "baselines/", "datasets/"] {
        copy(&source.s3, &work, prefix, &target, &replicas.work).await;
    }
    replicas
}

/// All versions below a prefix, the oldest first.
async fn copy(source: &S3, from: &str, prefix: &str, target: &S3, to: &str) {
    let mut versions = Vec::new();
    let (mut key_marker, mut version_marker) = (None, None);
    loop {
        let page = source.list_object_versions().bucket(from).prefix(prefix);
        let page = page.set_key_marker(key_marker).set_version_id_marker(version_marker).send().await;
        let page = page.expect("versions can be listed");
        // S3 lists a key's newest version first.
        versions.extend(page.versions().iter().rev().cloned());
        if page.is_truncated() != Some(true) {
            break;
        }
        (key_marker, version_marker) = (page.next_key_marker, page.next_version_id_marker);
    }
    versions.sort_by_key(|version| version.last_modified().map(|at| (at.secs(), at.subsec_nanos())));
    for version in versions {
        let key = version.key().expect("a key");
        let get =
            source.get_object().bucket(from).key(key).version_id(version.version_id().expect("a version"));
        let object = get.send().await.expect("it can be read");
        let (mode, until) =
            (object.object_lock_mode().cloned(), object.object_lock_retain_until_date().copied());
        let bytes = object.body.collect().await.expect("its bytes").to_vec();
        let put = target.put_object().bucket(to).key(key).body(bytes.into());
        let locked = mode.map(|mode| ObjectLockMode::from(mode.as_str()));
        let put = put.set_object_lock_mode(locked).set_object_lock_retain_until_date(until);
        put.send().await.expect("it is copied");
    }
}
