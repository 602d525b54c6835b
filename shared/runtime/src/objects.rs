//! Objects that the run's state names by digest, and the policy.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_s3::{Client, primitives::ByteStream};
use contract::{Gate, LinkRef, ObjectRef, Policy, RunContext, RunId, RunPlan, Sha256Digest};
use evidence::{
    Envelope, Files, Link, Statement, TRUST_ROOT_KEY, TrustRoot, link_path, revocation_key, revocation_words,
};
use futures::future::try_join_all;
use serde::{Serialize, de::DeserializeOwned};

use crate::{AwsFailure, Environment, Error, failed, var};

/// Where the deployment puts the policy.
const POLICY_KEY: &str = "policy/policy.json";

/// Which trust root this deployment verifies with. The object lies in the evidence bucket, where only the deployment
/// writes it; what is believed is the digest in the function's own configuration.
#[derive(Clone, Debug, Default)]
pub struct TrustPin {
    version_id: String,
    sha256: String,
}

impl TrustPin {
    /// Reads the pin from the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            version_id: environment.text(&var::TRUST_ROOT_VERSION_ID),
            sha256: environment.text(&var::TRUST_ROOT_SHA256),
        }
    }
}

/// Which policy this deployment judges by.
#[derive(Clone, Debug, Default)]
pub struct PolicyPin {
    version_id: String,
    sha256: String,
}

impl PolicyPin {
    /// Reads the pin from the environment.
    pub fn read(environment: &mut Environment) -> Self {
        Self {
            version_id: environment.text(&var::POLICY_VERSION_ID),
            sha256: environment.text(&var::POLICY_SHA256),
        }
    }

    /// The policy's digest.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] when the environment holds no digest.
    pub fn sha256(&self) -> Result<Sha256Digest, Error> {
        Sha256Digest::try_from(self.sha256.clone())
            .map_err(|error| Error::Misconfigured(format!("{}: {error}", var::POLICY_SHA256.name)))
    }

    /// Refuses a run that was admitted under another policy.
    ///
    /// # Errors
    /// [`Error::PolicyChanged`].
    pub fn check(&self, run: &RunContext) -> Result<(), Error> {
        if run.policy_sha256.as_str() == self.sha256 {
            return Ok(());
        }
        Err(Error::PolicyChanged { expected: run.policy_sha256.to_string(), found: self.sha256.clone() })
    }
}

/// Shows an object, a piece at a time.
///
/// # Errors
/// [`AwsFailure`].
pub async fn pieces(
    client: &Client,
    bucket: &str,
    key: &str,
    mut each: impl FnMut(&[u8]),
) -> Result<(), AwsFailure> {
    let object = client.get_object().bucket(bucket).key(key).send().await;
    let mut body = object.map_err(failed("s3:GetObject"))?.body;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| AwsFailure {
            operation: "s3:GetObject",
            code: "BodyBroken".to_owned(),
            message: format!("{key}: {error}"),
        })?;
        each(&piece);
    }
    Ok(())
}

/// Reads and writes objects whose digest is known.
#[derive(Clone, Debug)]
pub struct Objects {
    client: Client,
}

impl Objects {
    /// Over a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// An object's bytes, if it exists.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn bytes(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let sent =
            self.client.get_object().bucket(bucket).key(key).set_version_id(version.map(str::to_owned));
        let object = match sent.send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => return Ok(None),
            Err(error) => return Err(failed("s3:GetObject")(error).into()),
        };
        let unreadable =
            |error| Error::Unreadable { place: format!("s3://{bucket}/{key}"), reason: format!("{error}") };
        Ok(Some(object.body.collect().await.map_err(unreadable)?.to_vec()))
    }

    /// Reads an object that the state names.
    ///
    /// # Errors
    /// [`Error::Altered`] when its bytes hash to something else, [`Error::Unreadable`] when it is missing or
    /// is not what it should be.
    pub async fn read<T: DeserializeOwned>(&self, place: &ObjectRef) -> Result<T, Error> {
        let name = format!("s3://{}/{}", place.bucket, place.key);
        let Some(bytes) = self.bytes(&place.bucket, &place.key, None).await? else {
            return Err(Error::Unreadable { place: name, reason: "it does not exist".to_owned() });
        };
        let found = Sha256Digest::of(&bytes);
        if found != place.sha256 {
            let (found, expected) = (found.to_string(), place.sha256.to_string());
            return Err(Error::Altered { place: name, found, expected });
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| Error::Unreadable { place: name, reason: error.to_string() })
    }

    /// Writes a value as JSON and names it by digest. Equal values have equal bytes, so a retry changes nothing.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn write<T: Serialize>(&self, bucket: &str, key: &str, value: &T) -> Result<ObjectRef, Error> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Error::Unreadable { place: key.to_owned(), reason: error.to_string() })?;
        self.write_bytes(bucket, key, &bytes).await
    }

    /// Writes JSON that is encoded already.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn write_bytes(&self, bucket: &str, key: &str, bytes: &[u8]) -> Result<ObjectRef, Error> {
        let sha256 = Sha256Digest::of(bytes);
        self.client
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type("application/json")
            .body(ByteStream::from(bytes.to_vec()))
            .send()
            .await
            .map_err(failed("s3:PutObject"))?;
        Ok(ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), sha256 })
    }

    /// The run's plan.
    ///
    /// # Errors
    /// As [`Objects::read`].
    pub async fn plan(&self, run: &RunContext) -> Result<RunPlan, Error> {
        self.read(&run.plan).await
    }

    /// The policy that this deployment is pinned to.
    ///
    /// # Errors
    /// [`Error::PolicyChanged`] when the object is another one, [`Error::Unreadable`] when it is missing.
    pub async fn policy(&self, evidence_bucket: &str, pin: &PolicyPin) -> Result<Policy, Error> {
        let bytes = self.policy_bytes(evidence_bucket, pin).await?;
        let place = format!("s3://{evidence_bucket}/{POLICY_KEY}");
        serde_json::from_slice(&bytes).map_err(|error| Error::Unreadable { place, reason: error.to_string() })
    }

    /// The same as it lies there, byte for byte.
    ///
    /// # Errors
    /// As [`Objects::policy`].
    pub async fn policy_bytes(&self, evidence_bucket: &str, pin: &PolicyPin) -> Result<Vec<u8>, Error> {
        let Some(bytes) = self.bytes(evidence_bucket, POLICY_KEY, Some(&pin.version_id)).await? else {
            let place = format!("s3://{evidence_bucket}/{POLICY_KEY}");
            return Err(Error::Unreadable { place, reason: "it does not exist".to_owned() });
        };
        let found = Sha256Digest::of(&bytes);
        if found.as_str() != pin.sha256 {
            return Err(Error::PolicyChanged { expected: pin.sha256.clone(), found: found.to_string() });
        }
        Ok(bytes)
    }
}

/// The evidence bucket, for those who read links.
#[derive(Clone, Debug)]
pub struct Evidence {
    objects: Objects,
    bucket: String,
}

impl Evidence {
    /// Over a client.
    pub fn new(client: Client, bucket: String) -> Self {
        Self { objects: Objects::new(client), bucket }
    }

    /// Reads the links that the state names and what they say that they carry, for the verifier, believing nothing.
    /// What is not there is left out.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn load(&self, run: &RunId, named: &BTreeMap<Gate, LinkRef>) -> Result<Files, Error> {
        let links = try_join_all(named.iter().map(async |(gate, reference)| {
            let bytes = self.objects.bytes(&self.bucket, &reference.key, None).await?;
            Ok::<_, Error>((link_path(*gate), bytes))
        }));
        let mut files = Files::new();
        let mut carried = BTreeSet::new();
        for (path, bytes) in links.await? {
            let Some(bytes) = bytes else { continue };
            let link = Envelope::parse(&bytes).and_then(|link| link.unverified::<Statement<Link>>());
            carried.extend(link.into_iter().flat_map(|link| link.predicate.carries).map(|one| one.path));
            files.insert(path, bytes);
        }
        let prefix = run.prefix();
        let carried = try_join_all(carried.into_iter().map(async |path| {
            let bytes = self.objects.bytes(&self.bucket, &format!("{prefix}{path}"), None).await?;
            Ok::<_, Error>((path, bytes))
        }));
        files.extend(carried.await?.into_iter().filter_map(|(path, bytes)| Some((path, bytes?))));
        Ok(files)
    }

    /// What a gate's link says, to be told to people. It is not verified: deciding by it is for the verifier.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when it is missing or no link.
    pub async fn said(&self, run: &RunId, gate: Gate) -> Result<Link, Error> {
        let key = gate.key(run);
        let unreadable =
            |reason: String| Error::Unreadable { place: format!("s3://{}/{key}", self.bucket), reason };
        let Some(bytes) = self.objects.bytes(&self.bucket, &key, None).await? else {
            return Err(unreadable("it does not exist".to_owned()));
        };
        let link = Envelope::parse(&bytes).and_then(|link| link.unverified::<Statement<Link>>());
        Ok(link.map_err(|error| unreadable(error.to_string()))?.predicate)
    }

    /// The plan that a run's admission names; `None` when it names none. As [`Evidence::said`], it is not verified.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Altered`] when what lies there is another plan.
    pub async fn plan(&self, run: &RunId) -> Result<Option<RunPlan>, Error> {
        let admitted = self.said(run, Gate::Admit).await?;
        let stated = admitted.facts.get("plan").cloned().and_then(|plan| Sha256Digest::try_from(plan).ok());
        let Some(sha256) = stated else { return Ok(None) };
        let key = format!("{}admit-run/plan.json", run.prefix());
        self.objects.read(&ObjectRef { bucket: self.bucket.clone(), key, sha256 }).await.map(Some)
    }

    /// Everything that there is of a run, for the verifier, believing nothing.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn whole(&self, run: &RunId) -> Result<Files, Error> {
        let prefix = run.prefix();
        let mut files = Files::new();
        let listing = self.objects.client.list_objects_v2().bucket(&self.bucket).prefix(&prefix);
        let mut pages = listing.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed("s3:ListObjectsV2"))?;
            let keys = page.contents().iter().filter_map(|object| object.key());
            let read = try_join_all(keys.map(async |key| {
                let bytes = self.objects.bytes(&self.bucket, key, None).await?;
                Ok::<_, Error>((key.strip_prefix(&prefix).unwrap_or(key).to_owned(), bytes))
            }));
            files.extend(read.await?.into_iter().filter_map(|(path, bytes)| Some((path, bytes?))));
        }
        Ok(files)
    }

    /// Why a digest, of an artefact's content or of an image, must not serve; `None` when it may. Whatever lies in the
    /// place of a revocation is one, whether it can be read or not.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn revocation(&self, sha256: &str) -> Result<Option<String>, Error> {
        let key = revocation_key(sha256);
        let Some(bytes) = self.objects.bytes(&self.bucket, &key, None).await? else { return Ok(None) };
        Ok(Some(revocation_words(sha256, &bytes)))
    }

    /// The trust root that this deployment is pinned to.
    ///
    /// # Errors
    /// [`Error::Altered`] when the object is another one, [`Error::Unreadable`] when it is missing or none.
    pub async fn trust_root(&self, pin: &TrustPin) -> Result<TrustRoot, Error> {
        let place = format!("s3://{}/{TRUST_ROOT_KEY}", self.bucket);
        let bytes = self.objects.bytes(&self.bucket, TRUST_ROOT_KEY, Some(&pin.version_id)).await?;
        let Some(bytes) = bytes else {
            return Err(Error::Unreadable { place, reason: "it does not exist".to_owned() });
        };
        let found = Sha256Digest::of(&bytes);
        if found.as_str() != pin.sha256 {
            return Err(Error::Altered { place, found: found.to_string(), expected: pin.sha256.clone() });
        }
        TrustRoot::parse(&bytes).map_err(|error| Error::Unreadable { place, reason: error.to_string() })
    }
}
