//! Signs what a gate decided, with the gate's own KMS key, into the gate's own place.

use std::collections::BTreeMap;

use aws_sdk_kms::{
    primitives::Blob,
    types::{MessageType, SigningAlgorithmSpec},
};
use aws_sdk_s3::primitives::ByteStream;
use contract::{Gate, LinkRef, ObjectRef, RunId, Sha256Digest};
use evidence::{Envelope, Link, Statement, Subject, Unsigned, Verdict, VerifyingKey};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Environment, Error, failed, objects::Objects, var};

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

    /// Signs that `gate` let the run pass.
    ///
    /// A retry after the link was stored finds it and answers with it, if it says the same.
    ///
    /// # Errors
    /// [`Error::Occupied`] when the place holds a different statement.
    pub async fn pass(
        &self,
        gate: Gate,
        run_id: &RunId,
        policy_sha256: &Sha256Digest,
        subject: Subject,
        predecessors: &[&LinkRef],
        facts: BTreeMap<String, String>,
    ) -> Result<LinkRef, Error> {
        let statement = Statement::link(
            vec![subject],
            Link {
                run_id: run_id.clone(),
                gate,
                verdict: Verdict::Passed,
                policy_sha256: policy_sha256.clone(),
                predecessors: predecessors.iter().map(|link| link.sha256.clone()).collect(),
                facts,
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
        let sent = self
            .s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .if_none_match("*")
            .content_type("application/vnd.dsse+json")
            .body(ByteStream::from(bytes))
            .send()
            .await;
        let Err(error) = sent else {
            return Ok(ObjectRef { bucket: self.bucket.clone(), key: key.to_owned(), sha256 });
        };
        let failure = failed("s3:PutObject")(error);
        // 409 ConditionalRequestConflict: another writer was at it; 412 PreconditionFailed: it is there.
        if !matches!(failure.code.as_str(), "PreconditionFailed" | "ConditionalRequestConflict") {
            return Err(failure.into());
        }
        let Some(stored) = Objects::new(self.s3.clone()).bytes(&self.bucket, key, None).await? else {
            return Err(failure.into());
        };
        let known: T =
            Envelope::parse(&stored).and_then(|envelope| envelope.unverified()).map_err(unreadable)?;
        if !same(&known) {
            return Err(Error::Occupied { place: place() });
        }
        let sha256 = Sha256Digest::of(&stored);
        Ok(ObjectRef { bucket: self.bucket.clone(), key: key.to_owned(), sha256 })
    }
}
