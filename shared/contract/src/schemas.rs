//! JSON Schemas of what the states answer, generated from the Rust types.

use schemars::schema_for;
use serde_json::Value;

use crate::*;

/// File name and schema of everything that a user writes or a state answers; `statemachine/schemas/` holds
/// them, and a test keeps the two equal.
pub fn state_schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("request", schema_for!(Request).to_value()),
        ("policy", schema_for!(Policy).to_value()),
        ("metrics", schema_for!(ModelMetrics).to_value()),
        ("Admit.output", schema_for!(Admission).to_value()),
        ("ResolveModel.output", schema_for!(ResolvedModel).to_value()),
        ("FetchBatch.output", schema_for!(FetchedBatch).to_value()),
        ("SealModel.output", schema_for!(SealedModel).to_value()),
        ("JudgeFindings.output", schema_for!(ImageVerdict).to_value()),
        ("Acquire.output", schema_for!(Acquired).to_value()),
        ("RecheckTraining.output", schema_for!(Training).to_value()),
        ("SealArtifact.output", schema_for!(SealProgress).to_value()),
        ("JudgeMetrics.output", schema_for!(Evaluation).to_value()),
        ("Register.output", schema_for!(Package).to_value()),
        ("RecheckApproval.output", schema_for!(Approval).to_value()),
        ("RecheckImage.output", schema_for!(ImageVerdict).to_value()),
        ("RecheckEndpoint.output", schema_for!(Deployment).to_value()),
        ("SealRun.output", schema_for!(SealedRun).to_value()),
    ]
}
