//! What every function needs around its decision: its environment, its telemetry, the bridge from its errors
//! to Lambda's, and the places that functions share (plan, policy, evidence, coordination table).

mod attestor;
mod callback;
mod clients;
mod coordination;
mod derived_key;
mod entry;
mod environment;
mod error;
mod inputs;
mod metrics;
mod objects;
mod responses;
mod versions;

pub use attestor::{Attestor, Passed};
pub use callback::Callback;
pub use clients::aws_config;
pub use coordination::{Claim, Coordination, Lease, RetrainedBefore};
pub use derived_key::derive_key;
pub use entry::{Invocation, Refusal, serve};
pub use environment::{Environment, VARIABLES, Variable, var};
pub use error::{AwsFailure, Error, failed, is_missing};
pub use inputs::{Change, Inputs, LatestVersion};
pub use metrics::{Measured, Metric, Unit};
pub use objects::{Evidence, Objects, PolicyPin, TrustPin, pieces};
pub use responses::{Phase, Response, Turn};
pub use versions::FormerVersion;
