//! The model's signature in OpenSSF Model Signing form, beside the weights and in the run's evidence.

use contract::{ManifestFile, RunContext, Sha256Digest};
use evidence::{Carried, MODEL_SIGNATURE_PREDICATE, OmsInvalid, OmsStatement, SIGNATURE_FILE};
use runtime::{Attestor, Objects};
use transfer::{TransferError, Warehouse};

use crate::{error::DownloadError, transfer_plan::TransferPlan};

/// Signs models.
pub struct Signer<'a> {
    /// Reads.
    pub objects: &'a Objects,
    /// Has the key.
    pub attestor: &'a Attestor,
    /// Writes.
    pub warehouse: &'a Warehouse,
}

/// A signature that lies beside the weights.
pub struct Signature {
    /// Its object.
    pub file: ManifestFile,
    /// The digest of the files' digests that it is for.
    pub root: Sha256Digest,
    /// The run's own copy.
    pub carried: Carried,
}

impl Signer<'_> {
    /// Signs the files, or finds the signature that an earlier run of the same commit left, and verifies it. The
    /// run's evidence gets its own copy.
    pub async fn sign(
        &self,
        bucket: &str,
        plan: &TransferPlan,
        files: &[ManifestFile],
        run: &RunContext,
    ) -> Result<Signature, DownloadError> {
        let key = plan.signature_key();
        let broken = |reason| DownloadError::SignatureBroken { place: key.clone(), reason };
        let listed = files.iter().map(|file| (file.path.as_str(), &file.sha256));
        let statement = OmsStatement::new(&plan.repo, listed).map_err(broken)?;
        let public_key = self.attestor.public_key().await?;
        if self.objects.bytes(bucket, &key, None).await?.is_none() {
            let unsigned = statement.unsigned().map_err(|error| broken(error.into()))?;
            let signature = self.attestor.sign(unsigned.digest()).await?;
            let bundle = statement.bundle(&public_key, &signature).map_err(broken)?;
            match self.warehouse.store_own(&key, bundle.into()).await {
                // Another run of the same commit signed meanwhile; no two signatures are the same.
                Ok(_) | Err(TransferError::Occupied { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let place = || format!("s3://{bucket}/{key}");
        let gone = || DownloadError::ManifestIncomplete(format!("{} is not there", place()));
        let bytes = self.objects.bytes(bucket, &key, None).await?.ok_or_else(gone)?;
        match statement.verify_bundle(&bytes, &public_key) {
            Ok(()) => {}
            // Nobody may write over it, and the run's own evidence is signed with today's key.
            Err(OmsInvalid::OtherKey) => {
                tracing::warn!(place = place(), "it was signed with another key than today's");
            }
            Err(reason) => return Err(broken(reason)),
        }
        let stored = self.warehouse.find(&key).await?.ok_or_else(gone)?;
        let copy = format!("download-model/{SIGNATURE_FILE}");
        let kind = MODEL_SIGNATURE_PREDICATE;
        let carried = self.attestor.carry_as_it_is(&run.run_id, &copy, kind, &bytes).await?;
        let (size, sha256) = (stored.size, Sha256Digest::of(&bytes));
        let file =
            ManifestFile { path: SIGNATURE_FILE.to_owned(), size, sha256, version_id: stored.version_id };
        Ok(Signature { file, root: statement.root().clone(), carried })
    }
}
