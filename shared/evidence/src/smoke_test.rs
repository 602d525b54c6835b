//! The smoke test that a request asks for: what deploy-endpoint signs of it, and what deployment and verifiers demand.

use contract::{Gate, RunPlan, Sha256Digest, SmokeTest};

use crate::{
    chain::EvidenceBroken,
    predicates::{PASSED, ResourceDescriptor, TEST_RESULT_PREDICATE, TestResult},
    statement::Subject,
    trust::TrustRoot,
};

/// Where the statement lies, below the run's prefix.
pub const SMOKE_TEST_PATH: &str = "deploy-endpoint/smoke-test.json";

/// What is signed once every answer was as expected. It says what was expected, and not what was answered: answers hold
/// content, and evidence holds none.
pub fn smoke_test_result(plan: &RunPlan, asked: &SmokeTest) -> TestResult {
    let digest = plan.image.digest.trim_start_matches("sha256:");
    TestResult {
        result: PASSED.to_owned(),
        configuration: vec![ResourceDescriptor::new("image", &plan.image.uri, digest)],
        passed_tests: asked.stated(),
        warned_tests: Vec::new(),
        failed_tests: Vec::new(),
    }
}

/// What the statement is about: the artefact, on this run's temporary endpoint.
pub fn smoke_test_subject(plan: &RunPlan, artifact: &Sha256Digest) -> Subject {
    Subject::new(plan.run_id.smoke_test_name(), artifact)
}

/// Checks that the plan's smoke test, if it asks for one, was passed by this artefact in this run.
///
/// # Errors
/// [`EvidenceBroken`] when it is missing, signed by somebody else, or about something else than the plan asks for.
pub fn check_smoke_test(
    plan: &RunPlan,
    artifact: &Sha256Digest,
    bytes: Option<&[u8]>,
    trust: &TrustRoot,
) -> Result<(), EvidenceBroken> {
    let Some(asked) = &plan.request.endpoint.smoke_test else { return Ok(()) };
    let bytes = bytes.ok_or(EvidenceBroken::Bare(Gate::Deploy, SMOKE_TEST_PATH))?;
    let (statement, _) = trust
        .open::<TestResult>(Gate::Deploy.function(), TEST_RESULT_PREDICATE, bytes)
        .map_err(|error| EvidenceBroken::NotTrusted(Gate::Deploy, error))?;
    let is_this = statement.subject == [smoke_test_subject(plan, artifact)]
        && statement.predicate == smoke_test_result(plan, asked);
    if is_this { Ok(()) } else { Err(EvidenceBroken::Unasked(Gate::Deploy, "smoke test")) }
}
