//! `lockstep approve` and `lockstep reject`: one decision about one model package version.

use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::operation::describe_model_package::DescribeModelPackageOutput;
use aws_sdk_sagemaker::types::{ModelApprovalStatus, ModelPackageGroupSortBy, ModelPackageSortBy, SortOrder};
use contract::{RunId, Sha256Digest};

use crate::args::{DecideArgs, Decided};
use crate::connection;
use crate::error::Error;
use crate::screen::Screen;

/// The metadata that ties a package to its run.
const RUN_ID: &str = "run_id";
/// And to the bytes that would serve.
const ARTIFACT: &str = "artifact_sha256";

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It may be deployed.
    Approve,
    /// It may not.
    Reject,
}

impl Decision {
    fn status(self) -> ModelApprovalStatus {
        match self {
            Decision::Approve => ModelApprovalStatus::Approved,
            Decision::Reject => ModelApprovalStatus::Rejected,
        }
    }

    fn done(self) -> &'static str {
        match self {
            Decision::Approve => "approved",
            Decision::Reject => "rejected",
        }
    }
}

/// A decision, why, and about which artefact.
pub(crate) struct Verdict<'a> {
    /// Which.
    pub decision: Decision,
    /// Why.
    pub reason: &'a str,
    /// What was looked at; unless it is given, whatever the package holds.
    pub digest: Option<&'a Sha256Digest>,
}

/// Finds the package, shows what is decided about, and decides.
///
/// # Errors
/// [`Error::NotPending`] for a package that was decided already; [`Error::NoPackage`]; a failing call.
pub(crate) async fn run(
    args: &DecideArgs,
    decision: Decision,
    account: &connection::Target,
    screen: &Screen,
) -> Result<(), Error> {
    screen.aside(&format!("using {}", account.shown));
    let client = Client::new(&account.config);
    let arn = match &args.target {
        Decided::Package(arn) => arn.clone(),
        Decided::Run(run) => find(&client, run, args.group.as_deref()).await?,
    };
    let decided = Verdict { decision, reason: &args.reason, digest: args.digest.as_ref() };
    decide(&client, &arn, &decided, screen).await
}

/// Shows a package and decides about it.
///
/// # Errors
/// As [`run`].
pub(crate) async fn decide(
    client: &Client,
    arn: &str,
    decided: &Verdict<'_>,
    screen: &Screen,
) -> Result<(), Error> {
    let package = client
        .describe_model_package()
        .model_package_name(arn)
        .send()
        .await
        .map_err(Error::aws("DescribeModelPackage"))?;
    for line in describe(arn, &package) {
        screen.say(&line);
    }
    if package.model_approval_status() != Some(&ModelApprovalStatus::PendingManualApproval) {
        return Err(not_pending(arn, &package));
    }
    let holds = package.customer_metadata_properties().and_then(|all| all.get(ARTIFACT));
    if let Some(looked_at) = decided.digest
        && holds.is_none_or(|holds| holds != looked_at.as_str())
    {
        let holds = holds.cloned().unwrap_or_else(|| "no digest".to_owned());
        return Err(Error::OtherDigest { arn: arn.to_owned(), holds, looked_at: looked_at.to_string() });
    }
    client
        .update_model_package()
        .model_package_arn(arn)
        .model_approval_status(decided.decision.status())
        .approval_description(decided.reason)
        .send()
        .await
        .map_err(Error::aws("UpdateModelPackage"))?;
    screen.say(&format!("  {}: {}", decided.decision.done(), decided.reason));
    Ok(())
}

/// The package of a run, by the metadata that Register gave it.
///
/// # Errors
/// [`Error::NoPackage`] if no package of any group belongs to the run; a failing call.
pub(crate) async fn find(client: &Client, run: &RunId, group: Option<&str>) -> Result<String, Error> {
    let groups = match group {
        Some(group) => vec![group.to_owned()],
        None => groups(client).await?,
    };
    for group in groups {
        let mut packages = client
            .list_model_packages()
            .model_package_group_name(group)
            .sort_by(ModelPackageSortBy::CreationTime)
            .sort_order(SortOrder::Descending)
            .into_paginator()
            .items()
            .send();
        while let Some(package) = packages.next().await {
            let package = package.map_err(Error::aws("ListModelPackages"))?;
            let Some(arn) = package.model_package_arn() else { continue };
            let described = client
                .describe_model_package()
                .model_package_name(arn)
                .send()
                .await
                .map_err(Error::aws("DescribeModelPackage"))?;
            let of = described.customer_metadata_properties().and_then(|properties| properties.get(RUN_ID));
            if of.is_some_and(|of| of == run.as_str()) {
                return Ok(arn.to_owned());
            }
        }
    }
    Err(Error::NoPackage(run.to_string()))
}

async fn groups(client: &Client) -> Result<Vec<String>, Error> {
    let mut pages = client
        .list_model_package_groups()
        .sort_by(ModelPackageGroupSortBy::CreationTime)
        .sort_order(SortOrder::Descending)
        .into_paginator()
        .items()
        .send();
    let mut names = Vec::new();
    while let Some(group) = pages.next().await {
        let group = group.map_err(Error::aws("ListModelPackageGroups"))?;
        names.extend(group.model_package_group_name().map(str::to_owned));
    }
    Ok(names)
}

/// What the approver must see: which bytes, and how good they are.
fn describe(arn: &str, package: &DescribeModelPackageOutput) -> Vec<String> {
    let mut lines = vec![format!("  {:<22}{arn}", "package")];
    let mut row = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            lines.push(format!("  {name:<22}{value}"));
        }
    };
    row("status", package.model_approval_status().map(ModelApprovalStatus::as_str));
    row("description", package.model_package_description());
    let mut properties: Vec<_> = package.customer_metadata_properties().into_iter().flatten().collect();
    properties.sort();
    for (name, value) in properties {
        row(name, Some(value));
    }
    let metrics = package.model_metrics().and_then(|m| m.model_quality()?.statistics()?.s3_uri());
    row("metrics at", metrics);
    lines
}

fn not_pending(arn: &str, package: &DescribeModelPackageOutput) -> Error {
    let who = package
        .last_modified_by()
        .and_then(|by| by.iam_identity()?.arn().or_else(|| by.user_profile_name()))
        .map(|who| format!(" (by {who})"))
        .unwrap_or_default();
    let why = package.approval_description().map(|why| format!(", because \"{why}\"")).unwrap_or_default();
    Error::NotPending {
        arn: arn.to_owned(),
        status: package.model_approval_status().map_or("of no status", |status| status.as_str()).to_owned(),
        by: format!("{who}{why}"),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sagemaker::types::{IamIdentity, UserContext};

    use super::*;

    #[test]
    fn a_decided_package_says_who_decided_and_why() {
        let package = DescribeModelPackageOutput::builder()
            .model_approval_status(ModelApprovalStatus::Rejected)
            .approval_description("leaks rows")
            .last_modified_by(
                UserContext::builder()
                    .iam_identity(
                        IamIdentity::builder().arn("arn:aws:iam::000000000000:user/approver").build(),
                    )
                    .build(),
            )
            .build();
        assert_eq!(
            not_pending("arn:p", &package).to_string(),
            "arn:p is Rejected (by arn:aws:iam::000000000000:user/approver), because \"leaks rows\": only a package \
             that is PendingManualApproval can be decided"
        );
    }

    #[test]
    fn the_approver_sees_digest_and_metrics() {
        let package = DescribeModelPackageOutput::builder()
            .model_approval_status(ModelApprovalStatus::PendingManualApproval)
            .customer_metadata_properties("digest", "0a1b")
            .customer_metadata_properties("after_perplexity", "3.1")
            .build();
        let text = describe("arn:p", &package).join("\n");
        for part in ["arn:p", "PendingManualApproval", "0a1b", "3.1"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
