//! What SageMaker's instance types can do.

/// Families with local NVMe encrypt it themselves: SageMaker refuses a KMS key for their volumes.
/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html> (`VolumeKmsKeyId`)
const NVME_FAMILIES: [&str; 18] = [
    "c5d", "g4dn", "g5", "g6", "g6e", "i3", "i3en", "m5d", "m6id", "p3dn", "p4d", "p4de", "p5", "p5e",
    "p5en", "r5d", "trn1", "trn1n",
];

/// Whether an instance type such as `ml.m5.xlarge` takes a key for its volume.
pub fn takes_volume_key(instance_type: &str) -> bool {
    let family = instance_type.split('.').nth(1).unwrap_or_default();
    !NVME_FAMILIES.contains(&family)
}

/// Whether SageMaker shifts traffic between fleets of this type.
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html>
pub fn takes_traffic_shifting(instance_type: &str) -> bool {
    instance_type.split('.').nth(1) != Some("inf1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_volume_keys_are_left_out_on_instances_with_local_nvme() {
        assert!(takes_volume_key("ml.m5.xlarge"));
        for nvme in ["ml.g5.xlarge", "ml.p4d.24xlarge", "ml.m5d.large", "ml.g4dn.xlarge"] {
            assert!(!takes_volume_key(nvme), "{nvme}");
        }
    }
}
