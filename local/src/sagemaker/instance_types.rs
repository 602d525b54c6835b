//! Which instance types there are, and which of them encrypt their disks by themselves.

/// What an instance is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Training,
    Processing,
    Hosting,
}

const UP_TO_24: &[&str] =
    &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"];
const UP_TO_32: &[&str] =
    &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "32xlarge"];
const UP_TO_48: &[&str] =
    &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"];
const GPU: &[&str] = &["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge"];
const GPU_48: &[&str] =
    &["xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge", "48xlarge"];

struct Family {
    name: &'static str,
    sizes: &'static [&'static str],
    uses: &'static [Use],
}

const EVERYWHERE: &[Use] = &[Use::Training, Use::Processing, Use::Hosting];
const NOT_HOSTING: &[Use] = &[Use::Training, Use::Processing];
const NOT_PROCESSING: &[Use] = &[Use::Training, Use::Hosting];
const HOSTING: &[Use] = &[Use::Hosting];
const TRAINING: &[Use] = &[Use::Training];

/// The families, not every size's exact availability: enough to refuse what does not exist.
const FAMILIES: &[Family] = &[
    Family { name: "t2", sizes: &["medium", "large", "xlarge", "2xlarge"], uses: HOSTING },
    Family { name: "t3", sizes: &["medium", "large", "xlarge", "2xlarge"], uses: NOT_HOSTING },
    Family { name: "m4", sizes: &["xlarge", "2xlarge", "4xlarge", "10xlarge", "16xlarge"], uses: EVERYWHERE },
    Family {
        name: "m5",
        sizes: &["large", "xlarge", "2xlarge", "4xlarge", "12xlarge", "24xlarge"],
        uses: EVERYWHERE,
    },
    Family { name: "m5d", sizes: UP_TO_24, uses: HOSTING },
    Family { name: "m6i", sizes: UP_TO_32, uses: EVERYWHERE },
    Family { name: "m6g", sizes: UP_TO_24, uses: HOSTING },
    Family { name: "m6gd", sizes: UP_TO_24, uses: HOSTING },
    Family { name: "m7i", sizes: UP_TO_48, uses: EVERYWHERE },
    Family { name: "c4", sizes: &["large", "xlarge", "2xlarge", "4xlarge", "8xlarge"], uses: EVERYWHERE },
    Family {
        name: "c5",
        sizes: &["large", "xlarge", "2xlarge", "4xlarge", "9xlarge", "18xlarge"],
        uses: EVERYWHERE,
    },
    Family { name: "c5n", sizes: &["xlarge", "2xlarge", "4xlarge", "9xlarge", "18xlarge"], uses: TRAINING },
    Family {
        name: "c5d",
        sizes: &["large", "xlarge", "2xlarge", "4xlarge", "9xlarge", "18xlarge"],
        uses: HOSTING,
    },
    Family { name: "c6i", sizes: UP_TO_32, uses: EVERYWHERE },
    Family { name: "c6id", sizes: UP_TO_32, uses: HOSTING },
    Family { name: "c6g", sizes: UP_TO_24, uses: HOSTING },
    Family { name: "c6gd", sizes: UP_TO_24, uses: HOSTING },
    Family { name: "c7g", sizes: UP_TO_24, uses: HOSTING },
    Family { name: "c7i", sizes: UP_TO_48, uses: EVERYWHERE },
    Family { name: "r5", sizes: UP_TO_24, uses: EVERYWHERE },
    Family { name: "r5d", sizes: UP_TO_24, uses: EVERYWHERE },
    Family { name: "r6g", sizes: UP_TO_24, uses: HOSTING },
    Family { name: "r6gd", sizes: UP_TO_24, uses: HOSTING },
    Family { name: "r7i", sizes: UP_TO_48, uses: EVERYWHERE },
    Family { name: "g4dn", sizes: GPU, uses: EVERYWHERE },
    Family { name: "g5", sizes: GPU_48, uses: EVERYWHERE },
    Family { name: "g6", sizes: GPU_48, uses: EVERYWHERE },
    Family { name: "g6e", sizes: GPU_48, uses: EVERYWHERE },
    Family {
        name: "g7e",
        sizes: &["2xlarge", "4xlarge", "8xlarge", "12xlarge", "24xlarge", "48xlarge"],
        uses: EVERYWHERE,
    },
    Family { name: "p2", sizes: &["xlarge", "8xlarge", "16xlarge"], uses: EVERYWHERE },
    Family { name: "p3", sizes: &["2xlarge", "8xlarge", "16xlarge"], uses: EVERYWHERE },
    Family { name: "p3dn", sizes: &["24xlarge"], uses: TRAINING },
    Family { name: "p4d", sizes: &["24xlarge"], uses: NOT_PROCESSING },
    Family { name: "p4de", sizes: &["24xlarge"], uses: NOT_PROCESSING },
    Family { name: "p5", sizes: &["4xlarge", "48xlarge"], uses: NOT_PROCESSING },
    Family { name: "p5e", sizes: &["48xlarge"], uses: NOT_PROCESSING },
    Family { name: "p5en", sizes: &["48xlarge"], uses: NOT_PROCESSING },
    Family { name: "p6-b200", sizes: &["48xlarge"], uses: NOT_PROCESSING },
    Family { name: "trn1", sizes: &["2xlarge", "32xlarge"], uses: NOT_PROCESSING },
    Family { name: "trn1n", sizes: &["32xlarge"], uses: NOT_PROCESSING },
    Family { name: "trn2", sizes: &["48xlarge"], uses: NOT_PROCESSING },
    Family { name: "inf1", sizes: &["xlarge", "2xlarge", "6xlarge", "24xlarge"], uses: HOSTING },
    Family { name: "inf2", sizes: &["xlarge", "8xlarge", "24xlarge", "48xlarge"], uses: HOSTING },
];

/// Whether there is such an instance for this use.
pub(super) fn exists(usage: Use, instance_type: &str) -> bool {
    let Some((family, size)) = split(instance_type) else { return false };
    FAMILIES
        .iter()
        .any(|known| known.name == family && known.sizes.contains(&size) && known.uses.contains(&usage))
}

/// Every instance type for this use.
pub(super) fn all(usage: Use) -> Vec<String> {
    FAMILIES
        .iter()
        .filter(|family| family.uses.contains(&usage))
        .flat_map(|family| family.sizes.iter().map(|size| format!("ml.{}.{size}", family.name)))
        .collect()
}

/// Whether the instance keeps its data on local NVMe disks. The hardware encrypts those, and SageMaker refuses a KMS
/// key for them.
pub(super) fn has_local_nvme(instance_type: &str) -> bool {
    let Some((family, _)) = split(instance_type) else { return false };
    let series = family.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let letters = &family[series.len()..];
    matches!(series, "g5" | "g6" | "g7" | "p5" | "trn1" | "trn2")
        || family.starts_with("p6-")
        || letters.contains('d')
}

fn split(instance_type: &str) -> Option<(&str, &str)> {
    instance_type.strip_prefix("ml.")?.rsplit_once('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_with_local_disks_are_known() {
        for local in [
            "ml.g4dn.xlarge",
            "ml.g5.2xlarge",
            "ml.g6e.xlarge",
            "ml.p4d.24xlarge",
            "ml.p4de.24xlarge",
            "ml.p5.48xlarge",
            "ml.c6id.large",
            "ml.r5d.large",
            "ml.m6gd.large",
            "ml.trn1.2xlarge",
            "ml.p6-b200.48xlarge",
        ] {
            assert!(has_local_nvme(local), "{local}");
        }
        for remote in [
            "ml.m5.large",
            "ml.c5.xlarge",
            "ml.r5.large",
            "ml.p3.2xlarge",
            "ml.p2.xlarge",
            "ml.m6i.large",
            "ml.inf2.xlarge",
            "ml.t3.medium",
        ] {
            assert!(!has_local_nvme(remote), "{remote}");
        }
    }

    #[test]
    fn uses_differ() {
        assert!(exists(Use::Training, "ml.m5.large"));
        assert!(exists(Use::Hosting, "ml.m5.large"));
        assert!(!exists(Use::Training, "ml.t2.medium"));
        assert!(!exists(Use::Processing, "ml.p4d.24xlarge"));
        assert!(!exists(Use::Hosting, "m5.large"));
    }
}
