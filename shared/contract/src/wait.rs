//! What a waiting state waits for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{RunId, TaskToken};

/// The kind of resource whose state-change event answers the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitKind {
    /// An ECR image scan; the resource is `<repository>@<digest>`.
    ImageScan,
    /// A SageMaker training job; the resource is its name.
    TrainingJob,
    /// A SageMaker processing job; the resource is its name.
    ProcessingJob,
    /// A model package; the resource is its ARN.
    ModelPackage,
    /// An endpoint; the resource is its name, and `expected` the endpoint configuration asked for.
    Endpoint,
}

impl WaitKind {
    /// As stored in the coordination table.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitKind::ImageScan => "image-scan",
            WaitKind::TrainingJob => "training-job",
            WaitKind::ProcessingJob => "processing-job",
            WaitKind::ModelPackage => "model-package",
            WaitKind::Endpoint => "endpoint",
        }
    }

    /// Reads what [`WaitKind::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ImageScan, Self::TrainingJob, Self::ProcessingJob, Self::ModelPackage, Self::Endpoint]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for WaitKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A recorded wait. It holds the task token, so it cannot be serialised by accident.
#[derive(Clone, Debug)]
pub struct Wait {
    /// What kind of resource.
    pub kind: WaitKind,
    /// Which one.
    pub resource: String,
    /// For which run.
    pub run_id: RunId,
    /// The execution that waits.
    pub execution_arn: String,
    /// Answers the waiting state.
    pub token: TaskToken,
    /// What the resource must have become, where its status alone does not tell.
    pub expected: Option<String>,
}
