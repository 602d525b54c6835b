//! Signs what a gate decided, with the gate's own KMS key, into the gate's own place.

use std::collections::BTreeMap;

use aws_sdk_kms::{
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use aws_sdk_s3::primitives::ByteStream;
use contract::{Gate, LinkRef, ObjectRef, RunId, Sha256Digest};
use evidence::{
    Carried, DOCUMENT, Envelope, Link, STATEMENT_TYPE, Statement, Subject, Unsigned, Verdict, VerifyingKey,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Environment, Error, failed, objects::Objects, var};

/// What a gate signs when it lets a run pass.
pub struct Passed<'a> {
    /// The gate.
    pub gate: Gate,
    /// What it is about.
    pub subject: Subject,
    /// The links that it builds on.
    pub predecessors: &'a [&'a LinkRef],
    /// What it decided on, by name.
    pub facts: BTreeMap<String, String>,
    /// The files that it vouches for.
    pub carries: Vec<Carried>,
}

/// A gate's pen.
#[derive(Clone, Debug)]
pub struct Attestor {
    kms: aws_sdk_kms::Client,
    s3: aws_sdk_s3::Client,
    bucket: String,
    key_arn: String,
}

impl Attestor {
    /// Reads the key and the evidence bucket from the environment.
    pub fn read(environment: &mut Environment, config: &aws_config::SdkConfig) -> Self {
        Self {
            kms: aws_sdk_kms::Client::new(config),
            s3: aws_sdk_s3::Client::new(config),
            bucket: environment.text(&var::EVIDENCE_BUCKET),
            key_arn: environment.text(&var::SIGNING_KEY),
        }
    }

    /// The evidence bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The key's public half, for what it signs outside its links.
    ///
    /// # Errors
    /// [`Error::Aws`]; [`Error::Misconfigured`] when the key is no ECC P-256 key.
    pub async fn public_key(&self) -> Result<VerifyingKey, Error> {
        let sent = self.kms.get_public_key().key_id(&self.key_arn).send().await;
        let key = sent.map_err(failed("kms:GetPublicKey"))?.public_key;
        key.and_then(|key| evidence::public_key(key.as_ref())).ok_or_else(|| {
            Error::Misconfigured(format!("{}: it is no ECC_NIST_P256 key", var::SIGNING_KEY.name))
        })
    }

    /// Signs a digest: DER-encoded ECDSA.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn sign(&self, digest: [u8; 32]) -> Result<Vec<u8>, Error> {
        let signed = self
            .kms
            .sign()
            .key_id(&self.key_arn)
            .message(Blob::new(digest))
            .message_type(MessageType::Digest)
            .signing_algorithm(SigningAlgorithmSpec::EcdsaSha256)
            .send()
            .await
            .map_err(failed("kms:Sign"))?;
        Ok(signed.signature.map(Blob::into_inner).unwrap_or_default())
    }

    /// Signs that a gate let the run pass.
    ///
    /// A retry after the link was stored finds it and answers with it, if it says the same.
    ///
    /// # Errors
    /// [`Error::Occupied`] when the place holds a different statement.
    pub async fn pass(
        &self,
        run_id: &RunId,
        policy_sha256: &Sha256Digest,
        passed: Passed<'_>,
    ) -> Result<LinkRef, Error> {
        let gate = passed.gate;
        let statement = Statement::link(
            vec![passed.subject],
            Link {
                run_id: run_id.clone(),
                gate,
                verdict: Verdict::Passed,
                policy_sha256: policy_sha256.clone(),
                predecessors: passed.predecessors.iter().map(|link| link.sha256.clone()).collect(),
                carries: passed.carries,
                facts: passed.facts,
                at: jiff::Timestamp::now().to_string(),
            },
        );
        let same = |stored: &Statement<Link>| {
            let mut stored = stored.clone();
            stored.predicate.at.clone_from(&statement.predicate.at);
            stored == statement
        };
        let object = self.store_once(&gate.key(run_id), &statement, same).await?;
        Ok(LinkRef { key: object.key, sha256: object.sha256 })
    }

    /// Signs a standard statement for a link to carry. `path` lies below the run's prefix.
    ///
    /// # Errors
    /// [`Error::Occupied`] when the place holds a different statement.
    pub async fn carry<P>(
        &self,
        run_id: &RunId,
        path: &str,
        subject: Subject,
        predicate_type: &str,
        predicate: P,
    ) -> Result<Carried, Error>
    where
        P: Serialize + DeserializeOwned + PartialEq,
    {
        let statement = Statement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: vec![subject],
            predicate_type: predicate_type.to_owned(),
            predicate,
        };
        let key = format!("{}{path}", run_id.prefix());
        let object = self.store_once(&key, &statement, |stored| *stored == statement).await?;
        Ok(Carried { path: path.to_owned(), sha256: object.sha256, kind: predicate_type.to_owned() })
    }

    /// Stores a document, or anything else that is not ours to sign, for a link to carry.
    ///
    /// # Errors
    /// [`Error::Occupied`] when the place holds something else.
    pub async fn carry_as_it_is(
        &self,
        run_id: &RunId,
        path: &str,
        kind: &str,
        bytes: &[u8],
    ) -> Result<Carried, Error> {
        let key = format!("{}{path}", run_id.prefix());
        let sha256 = Sha256Digest::of(bytes);
        let stored = self.put_once(&key, kind_of_content(kind), bytes.to_vec()).await?;
        if stored.is_some_and(|stored| stored != bytes) {
            return Err(Error::Occupied { place: format!("s3://{}/{key}", self.bucket) });
        }
        Ok(Carried { path: path.to_owned(), sha256, kind: kind.to_owned() })
    }

    /// Stores a value as JSON for a link to carry, and names it as the state does.
    ///
    /// # Errors
    /// As [`Attestor::carry_as_it_is`].
    pub async fn carry_value<T: Serialize>(
        &self,
        run_id: &RunId,
        path: &str,
        value: &T,
    ) -> Result<(ObjectRef, Carried), Error> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Error::Unreadable { place: path.to_owned(), reason: error.to_string() })?;
        let carried = self.carry_as_it_is(run_id, path, DOCUMENT, &bytes).await?;
        let key = format!("{}{path}", run_id.prefix());
        Ok((ObjectRef { bucket: self.bucket.clone(), key, sha256: carried.sha256.clone() }, carried))
    }

    /// Stores a value as JSON, unless something lies there already.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn keep_first<T: Serialize>(&self, run_id: &RunId, path: &str, value: &T) -> Result<(), Error> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| Error::Unreadable { place: path.to_owned(), reason: error.to_string() })?;
        self.put_once(&format!("{}{path}", run_id.prefix()), DOCUMENT, bytes).await?;
        Ok(())
    }

    /// Stores a text for people, unless something lies there already.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn keep_text(&self, key: &str, content_type: &str, text: &str) -> Result<(), Error> {
        self.put_once(key, content_type, text.as_bytes().to_vec()).await?;
        Ok(())
    }

    /// Signs a statement and stores it if nothing is there yet; otherwise answers with what is there, if
    /// `same` accepts it.
    ///
    /// # Errors
    /// [`Error::Occupied`] when it does not.
    pub async fn store_once<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        statement: &T,
        same: impl FnOnce(&T) -> bool,
    ) -> Result<ObjectRef, Error> {
        let place = || format!("s3://{}/{key}", self.bucket);
        let unreadable = |error: evidence::EnvelopeInvalid| Error::Unreadable {
            place: place(),
            reason: error.to_string(),
        };
        let unsigned = Unsigned::new(statement).map_err(unreadable)?;
        let signature = self.sign(unsigned.digest()).await?;
        let bytes = unsigned.sign(&self.key_arn, &signature);
        let sha256 = Sha256Digest::of(&bytes);
        let here = |sha256| ObjectRef { bucket: self.bucket.clone(), key: key.to_owned(), sha256 };
        let Some(stored) = self.put_once(key, "application/vnd.dsse+json", bytes).await? else {
            return Ok(here(sha256));
        };
        let known: T =
            Envelope::parse(&stored).and_then(|envelope| envelope.unverified()).map_err(unreadable)?;
        if !same(&known) {
            return Err(Error::Occupied { place: place() });
        }
        Ok(here(Sha256Digest::of(&stored)))
    }

    /// Writes an object if nothing is there yet; otherwise gives what is there.
    async fn put_once(&self, key: &str, content: &str, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        let sent = self
            .s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .if_none_match("*")
            .content_type(content)
            .body(ByteStream::from(bytes))
            .send()
            .await;
        let Err(error) = sent else { return Ok(None) };
        let failure = failed("s3:PutObject")(error);
        // 409 ConditionalRequestConflict: another writer was at it; 412 PreconditionFailed: it is there.
        if !matches!(failure.code.as_str(), "PreconditionFailed" | "ConditionalRequestConflict") {
            return Err(failure.into());
        }
        match Objects::new(self.s3.clone()).bytes(&self.bucket, key, None).await? {
            Some(stored) => Ok(Some(stored)),
            None => Err(failure.into()),
        }
    }
}

/// A statement that somebody else's format wraps is JSON too.
fn kind_of_content(kind: &str) -> &str {
    if kind == DOCUMENT { DOCUMENT } else { "application/vnd.dev.sigstore.bundle.v0.3+json" }
}
