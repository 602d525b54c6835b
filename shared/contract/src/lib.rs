//! The types that cross a state boundary, the policy that bounds them and the error names that the state
//! machine matches.
//!
//! Nothing here talks to AWS or reads a clock: a function, the CLI, a test and the generated schemas all see
//! the same definitions.

mod admission;
mod bound;
mod content_kind;
mod digest;
mod error_name;
mod estimate;
mod gate;
mod instance;
mod location;
mod manifest;
mod metrics;
mod plan;
mod policy;
mod principal;
mod progress;
mod request;
mod retraining;
mod run_id;
mod schemas;
mod secret;
mod smoke_test;
#[allow(
    clippy::large_enum_variant,
    reason = "an input exists once per invocation, and boxing would hide its shape"
)]
mod state;
mod trigger;
mod wait;

pub use admission::{
    Cap, Circumstances, ImageName, ImageNameInvalid, Inadmissible, Violation, groups, judge, limits,
    thresholds,
};
pub use bound::{Bound, BoundInvalid, Threshold, bounds, strictest};
pub use content_kind::ContentKind;
pub use digest::{DigestInvalid, Sha256Digest};
pub use error_name::ErrorName;
pub use estimate::{CostItem, Estimate, Unpriced};
pub use gate::Gate;
pub use instance::{takes_traffic_shifting, takes_volume_key};
pub use location::{DataPin, LinkRef, ObjectRef, S3Uri, S3UriInvalid};
pub use manifest::{Manifest, ManifestFile};
pub use metrics::{GroupMetrics, METRICS_SCHEMA, ModelMetrics, Score};
pub use plan::{Limits, ResolvedImage, RunPlan};
pub use policy::{
    ApprovalPolicy, DataPolicy, EndpointPolicy, EvaluationPolicy, HubPolicy, ImagePolicy, LimitPolicy,
    Policy, Severity, TrainingPolicy, Waiver,
};
pub use principal::same_principal;
pub use progress::{TransferProgress, TransferTotal};
pub use request::{
    DeploymentRequest, EndpointRequest, EvaluationRequest, LimitRequest, MonitoringRequest, Promotion,
    REQUEST_SCHEMA, RegistryRequest, Request, RequestInvalid, SourceRequest, SpotRequest, Strategy,
    TrainingRequest,
};
pub use retraining::{DriftCause, Retrained, RetrainingPolicy, RetrainingRefused, not_worse_than};
pub use run_id::{RunId, RunIdInvalid, VARIANT};
pub use schemas::state_schemas;
pub use secret::{Secret, TaskToken};
pub use smoke_test::{Expectation, ExpectationInvalid, Expected, Replay, SmokeQuestion, SmokeTest};
pub use state::*;
pub use trigger::{DRIFT_EVENT, DriftDetail, EVENT_SOURCE, ScheduleTrigger, Trigger, TriggerUnknown};
pub use wait::{Wait, WaitKind};
