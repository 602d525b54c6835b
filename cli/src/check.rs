//! `lockstep check`: would a request be let in, and what could it cost? Nothing is uploaded and nothing is asked of AWS.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use contract::{Circumstances, Estimate, ImageName, Policy, Request};

use crate::args::CheckArgs;
use crate::demo::Ended;
use crate::error::Error;
use crate::repository;
use crate::screen::{self, Screen};
use crate::staging::Draft;

/// The policy that is judged by where none is named.
const POLICY: &str = "infra/environments/dev/policy.json";

/// A file of `lockstep check` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// The policy cannot be read.
    #[error("--policy {path}: {source}: name a policy.json", path = .path.display())]
    PolicyUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The policy is none.
    #[error("--policy {path} is no policy: {source}", path = .path.display())]
    PolicyInvalid {
        /// The file.
        path: PathBuf,
        /// Where it stops being one.
        source: serde_json::Error,
    },
}

/// Judges each request, and says which are let in.
///
/// # Errors
/// [`CheckError`] for a policy that is none. A request that cannot be read is a refusal of its own, so that the others
/// are still judged.
pub(crate) fn run(args: &CheckArgs, screen: &Screen) -> Result<Ended, Error> {
    let path = match &args.policy {
        Some(path) => path.clone(),
        None => repository::find()?.join(POLICY),
    };
    let policy = read_policy(&path)?;
    let mut refused = false;
    for file in &args.requests {
        match judged(file, &policy, args.work_bucket.as_deref()) {
            Ok(estimate) => screen.say(&format!(
                "{} {}: within policy; it costs {:.2} USD at most: {estimate}",
                screen::verdict("✓", true),
                file.display(),
                estimate.usd(),
            )),
            Err(refusal) => {
                refused = true;
                screen.say(&format!("{} {refusal}", screen::verdict("✗", false)));
            }
        }
    }
    Ok(if refused { Ended::Refused } else { Ended::Succeeded })
}

fn read_policy(path: &Path) -> Result<Policy, CheckError> {
    let text = std::fs::read(path)
        .map_err(|source| CheckError::PolicyUnreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&text)
        .map_err(|source| CheckError::PolicyInvalid { path: path.to_owned(), source })
}

/// What a request could cost at most.
fn judged(file: &Path, policy: &Policy, work_bucket: Option<&str>) -> Result<Estimate, String> {
    let draft = Draft::read(file).map_err(|problem| problem.to_string())?;
    // Data beside the request goes where policy wants it; a request that pins its own says which bucket it means.
    let pinned = draft.pinned_bucket();
    let work_bucket = work_bucket.or(pinned.as_deref()).unwrap_or("work");
    let request = draft.as_staged(work_bucket).map_err(|problem| problem.to_string())?;
    judge(&request, policy, work_bucket).map_err(|refusal| format!("{}: {refusal}", file.display()))
}

fn judge(request: &Request, policy: &Policy, work_bucket: &str) -> Result<Estimate, String> {
    let name = ImageName::parse(&request.image).map_err(|invalid| invalid.to_string())?;
    let around = Circumstances {
        endpoints: policy.endpoints.names.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        submitter: None,
        work_bucket,
        repository: &name.repository,
    };
    contract::judge(request, policy, &around).map_err(|refusal| refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn policy() -> Policy {
        serde_json::from_str(include_str!("../../infra/environments/dev/policy.json")).unwrap()
    }

    fn example() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/requests/tiny-lm.json")
    }

    #[test]
    fn the_example_is_within_policy_and_has_a_price() {
        let estimate = judged(&example(), &policy(), None).unwrap();
        assert!(estimate.usd() > 0.0 && estimate.usd() < 50.0, "{estimate}");
    }

    #[test]
    fn a_request_that_asks_for_too_much_is_told_which_field() {
        let folder = tempfile::tempdir().unwrap();
        let mut request: serde_json::Value =
            serde_json::from_slice(&std::fs::read(example()).unwrap()).unwrap();
        request["endpoint"]["name"] = json!("other");
        for part in ["training", "evaluation"] {
            request[part]["data"] = json!({
                "uri": format!("s3://mine/datasets/{part}/x.jsonl"), "version_id": "1",
                "sha256": if part == "training" { "0" } else { "1" }.repeat(64),
            });
        }
        let file = folder.path().join("request.json");
        std::fs::write(&file, request.to_string()).unwrap();
        let refusal = judged(&file, &policy(), None).unwrap_err();
        assert!(refusal.contains("endpoint.name") && !refusal.contains("data.uri"), "{refusal}");
        let refusal = judged(&file, &policy(), Some("another")).unwrap_err();
        assert!(refusal.contains("training.data.uri"), "{refusal}");
    }
}
