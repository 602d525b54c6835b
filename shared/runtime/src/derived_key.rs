//! A secret that only those have who may use a KMS key.

use aws_sdk_kms::{Client, primitives::Blob, types::MacAlgorithmSpec};

use crate::{AwsFailure, failed};

/// Derives 32 bytes for one purpose from an HMAC key of KMS: the MAC of the purpose's name. One call serves a whole
/// invocation, and the next one derives the same; the bytes go nowhere.
///
/// # Errors
/// [`AwsFailure`].
pub async fn derive_key(kms: &Client, key_arn: &str, purpose: &str) -> Result<Vec<u8>, AwsFailure> {
    let mac = kms
        .generate_mac()
        .key_id(key_arn)
        .mac_algorithm(MacAlgorithmSpec::HmacSha256)
        .message(Blob::new(purpose))
        .send()
        .await
        .map_err(failed("kms:GenerateMac"))?
        .mac;
    match mac.map(Blob::into_inner) {
        Some(mac) if mac.len() == 32 => Ok(mac),
        // A key that anybody could guess must not come of an answer that is not one.
        _ => Err(AwsFailure {
            operation: "kms:GenerateMac",
            code: "NoMac".to_owned(),
            message: "the answer holds no MAC of 32 bytes".to_owned(),
        }),
    }
}
