//! The command line: every command, flag and example.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use contract::{RunId, S3Uri, Sha256Digest};

use crate::sabotage::Break;

/// A model from the Hugging Face Hub to a monitored endpoint, through gates that nobody can skip.
#[derive(Debug, Parser)]
#[command(
    name = "lockstep",
    version,
    about,
    after_help = "Exit codes: 0 done, 1 internal failure, 2 the \
    command cannot be done as given, 3 the run was refused, \
    4 the evidence does not hold, 5 something is left, 130 interrupted.\nIn the repository, \
    `cargo run -- <command>` runs any of these."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take a model from the Hub to a serving endpoint, on this machine.
    #[command(after_help = "Examples:
  lockstep demo
  lockstep demo --summary summary.json
  lockstep demo --export exported && lockstep verify exported
  lockstep demo --break tampered-weights
  lockstep demo --drift
  lockstep demo --manual-approval
  lockstep demo --keep --request examples/requests/tiny-lm.json")]
    Demo(DemoArgs),

    /// Start the local account with everything deployed, and keep it until Ctrl-C.
    #[command(after_help = "Examples:
  lockstep local
  lockstep local --request examples/requests/tiny-lm.json
  lockstep local --release")]
    Local(LocalArgs),

    /// Say whether requests are within policy, and what they could cost.
    #[command(
        after_help = "Nothing is uploaded, and AWS is not asked. Exit codes: 0 all are let in; 3 one is refused.

Examples:
  lockstep check examples/requests/tiny-lm.json
  lockstep check requests/*.json --policy infra/environments/prod/policy.json"
    )]
    Check(CheckArgs),

    /// Show an execution a state at a time, live or after the fact.
    #[command(after_help = "Examples:
  lockstep watch 0123456789abcdef0123456789abcdef
  lockstep watch latest
  lockstep watch arn:aws:states:us-east-1:111122223333:execution:lockstep-pipeline:tuesday
  AWS_PROFILE=ml AWS_REGION=eu-west-1 lockstep watch <run id> --aws")]
    Watch(WatchArgs),

    /// Approve the model package of a run that waits.
    #[command(after_help = "Examples:
  lockstep approve 0123456789abcdef0123456789abcdef --reason \"perplexity halved; sampled ten answers\"
  lockstep approve 0123456789abcdef0123456789abcdef --digest a2c34cb8... --reason \"as reviewed\"
  lockstep approve arn:aws:sagemaker:us-east-1:111122223333:model-package/tiny-lm/4 --reason \"reviewed\" --aws")]
    Approve(DecideArgs),

    /// Show whether a run's evidence holds, and what each link proves.
    #[command(
        after_help = "Exit codes: 0 the evidence holds, whether the run was deployed or refused; 4 it does not.

Examples:
  lockstep verify 0123456789abcdef0123456789abcdef
  lockstep verify exported
  lockstep verify exported --trust reviewed-trust-root.json
  lockstep verify archive/*/"
    )]
    Verify(VerifyArgs),

    /// Write a run's evidence to a directory that can be verified offline.
    #[command(after_help = "Writes DIR, and beside it DIR.trust.json with the keys to trust.

Examples:
  lockstep export 0123456789abcdef0123456789abcdef exported
  AWS_PROFILE=audit lockstep export 0123456789abcdef0123456789abcdef exported --aws")]
    Export(ExportArgs),

    /// Repeat a run from its record, and compare the metrics.
    #[command(
        after_help = "The commit, the image and the data are those of the run; policy is today's. Ends as the repeated run ends.

Examples:
  lockstep rerun 0123456789abcdef0123456789abcdef
  AWS_PROFILE=ml lockstep rerun 0123456789abcdef0123456789abcdef --aws"
    )]
    Rerun(RerunArgs),

    /// Carry a deployed run's model and evidence to the next account, and start the run that verifies them there.
    #[command(
        after_help = "Nothing is trained. The receiving account verifies the run's evidence by the trust roots that it promotes from
(variable promotes_from), downloads the base model and scans the image itself, grades the model on its own data, and asks for
approval. The image must be in its registry, by the same digest. Ends as the run there ends.

Examples:
  AWS_PROFILE=dev lockstep promote 0123456789abcdef0123456789abcdef --aws --to-profile staging
  AWS_PROFILE=dev lockstep promote 0123456789abcdef0123456789abcdef --aws --to-profile prod --write request.json
  lockstep promote 0123456789abcdef0123456789abcdef --endpoint tiny-lm-next
  lockstep promote 0123456789abcdef0123456789abcdef --endpoint-url http://127.0.0.1:4566 --to-endpoint-url http://127.0.0.1:4567"
    )]
    Promote(PromoteArgs),

    /// Have an endpoint serve its last verified configuration again.
    #[command(
        after_help = "What an alarm does, by hand: the latest earlier configuration whose run's evidence verifies again, whose model is unchanged and
which no incident revoked. It is asked for all at once and not waited for: `outcome.json` beside the record says when it serves.
An alarm's cooldown does not count. Exit codes: 0 it was asked for; 3 it was refused, and the endpoint serves as before.

Examples:
  lockstep rollback tiny-lm --reason \"answers in the wrong language since noon\"
  lockstep rollback tiny-lm --to 0123456789abcdef0123456789abcdef --reason \"the last one that support trusts\"
  lockstep rollback tiny-lm --isolate --reason \"leaks training rows; nothing at all rather than this\"
  AWS_PROFILE=operator lockstep rollback tiny-lm --reason \"p99 doubled\" --aws"
    )]
    Rollback(RollbackArgs),

    /// Delete a person's records from captured traffic, labels and data, and prove it.
    #[command(
        after_help = "Without --yes nothing is deleted: the command shows what it would do. Rows of others stay; a version that holds the subject goes,
whether it is the latest or not. A row is the subject's if a field has exactly this value, or holds it as a word of its own. What
SageMaker captured is decoded first. A receipt with a pseudonym and digests goes to the evidence bucket, signed.
On AWS, use a profile that takes on the role <name>-forget (variable forgetters). docs/forgetting.md says what stays to be done.
Exit codes: 0 nothing is left, or what would go was shown; 1 and 2 it ended before its end, repeat it; 4 a receipt does not hold;
5 something was found again, or cannot be searched: it is named.

Examples:
  lockstep forget ada@example.com
  lockstep forget ada@example.com --yes
  lockstep forget 1042 --field customer_id --yes
  AWS_PROFILE=forget lockstep forget - --yes --aws < subject.txt
  lockstep forget --verify s3://lockstep-evidence-111122223333/forgotten/0f.../2026-11-21T09-00-00Z.json
  lockstep forget ada@example.com --verify receipt.json --trust reviewed-trust-root.json"
    )]
    Forget(ForgetArgs),

    /// Have another environment serve what served in one that is gone, from copies of its buckets.
    #[command(
        after_help = "For each endpoint: the run that was deployed last, or that an incident rolled back to since. Its whole evidence is verified by the trust
root of the lost environment, which the receiving one has in its variable promotes_from, and never by one beside the copies. Then it is
promoted: verified again there, graded, approved, deployed. docs/recovery.md has the steps before and after.

Examples:
  lockstep recover --evidence-bucket lockstep-210987654321-replica-evidence --work-bucket lockstep-210987654321-replica-work --dry-run --aws
  lockstep recover --evidence-bucket lockstep-210987654321-replica-evidence --work-bucket lockstep-210987654321-replica-work --aws \\
    --endpoint tiny-lm --question \"Q: Which gate admits a run?\""
    )]
    Recover(RecoverArgs),

    /// Reject the model package of a run that waits.
    #[command(after_help = "Examples:
  lockstep reject 0123456789abcdef0123456789abcdef --reason \"answers leak training rows\"")]
    Reject(DecideArgs),
}

/// `lockstep demo`
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Request to run. Its data may name files beside it: `{"file": "../data/training.jsonl"}`.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,

    /// Wait for `lockstep approve` or `lockstep reject` in another terminal.
    #[arg(long, conflicts_with = "sabotage")]
    pub manual_approval: bool,

    /// Write the run's evidence to a directory, as `lockstep export` does.
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,

    /// Leave the account running until Ctrl-C, and print how to start another run with the `aws` CLI.
    #[arg(long)]
    pub keep: bool,

    /// Write a summary of the run, JSON.
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,

    /// Let traffic drift afterwards, and follow the run that this starts to a new version.
    #[arg(long, conflicts_with_all = ["sabotage", "manual_approval"])]
    pub drift: bool,

    /// What is deployed.
    #[command(flatten)]
    pub deploy: DeployArgs,

    /// Make one thing wrong, and see its gate refuse.
    #[arg(long = "break", value_name = "NAME", value_enum)]
    pub sabotage: Option<Break>,
}

/// What a local account is given.
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// Run the very zips that go to AWS, built by `cargo lambda build --release`.
    #[arg(long)]
    pub release: bool,

    /// Variables of infra/environments/local, as `terraform apply -var-file` takes them: `.tfvars` or `.tfvars.json`.
    #[arg(long, value_name = "FILE")]
    pub var_file: Option<PathBuf>,
}

/// `lockstep local`
#[derive(Debug, Args)]
pub(crate) struct LocalArgs {
    /// Request to stage, so that the printed commands can start it.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,

    /// What is deployed.
    #[command(flatten)]
    pub deploy: DeployArgs,
}

/// `lockstep check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Request files.
    #[arg(value_name = "REQUEST", required = true)]
    pub requests: Vec<PathBuf>,

    /// The policy; without it, the repository's infra/environments/dev/policy.json.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// The bucket that data must lie in; without it, the one that the request itself names.
    #[arg(long, value_name = "NAME")]
    pub work_bucket: Option<String>,
}

/// `lockstep watch`
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// An execution's ARN, the 32 hex digits of a run, or `latest`.
    #[arg(value_name = "EXECUTION_ARN|RUN_ID|latest", value_parser = watched)]
    pub target: Watched,

    /// The state machine that a run id is looked for in; without it, the one named lockstep-pipeline.
    #[arg(long, value_name = "ARN")]
    pub state_machine: Option<String>,

    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `lockstep approve` and `lockstep reject`
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The 32 hex digits of a run, or a model package version's ARN.
    #[arg(value_name = "RUN_ID|MODEL_PACKAGE_ARN", value_parser = decided)]
    pub target: Decided,

    /// Why: kept with the package and in the run's evidence.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub reason: String,

    /// The artefact's digest that you looked at, 64 hex digits: a package of another one is not decided about.
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    pub digest: Option<Sha256Digest>,

    /// The model package group that a run id is looked for in; without it, every group.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,

    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `lockstep verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Exported directories, or the 32 hex digits of runs in the account.
    #[arg(value_name = "DIR|RUN_ID", required = true, value_parser = verified)]
    pub targets: Vec<Verified>,

    /// The keys to trust; without it, DIR.trust.json beside each directory, or the account's deployed trust root.
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,

    /// The bucket that holds the evidence; without it, the account's only one named `*-evidence-*`.
    #[arg(long, value_name = "BUCKET")]
    pub evidence_bucket: Option<String>,

    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `lockstep export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The 32 hex digits of a run.
    #[arg(value_name = "RUN_ID", value_parser = run_id)]
    pub run: RunId,

    /// Where to; it must not exist.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// The bucket that holds the evidence; without it, the account's only one named `*-evidence-*`.
    #[arg(long, value_name = "BUCKET")]
    pub evidence_bucket: Option<String>,

    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `lockstep rerun`
#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    /// The 32 hex digits of a run.
    #[arg(value_name = "RUN_ID", value_parser = run_id)]
    pub run: RunId,

    /// The bucket that holds the evidence; without it, the account's only one named `*-evidence-*`.
    #[arg(long, value_name = "BUCKET")]
    pub evidence_bucket: Option<String>,

    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `lockstep rollback`
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The endpoint.
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: String,

    /// The run whose configuration shall serve; without it, the latest that is safe.
    #[arg(long, value_name = "RUN_ID", value_parser = run_id)]
    pub to: Option<RunId>,

    /// Why. It goes into the incident's record.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub reason: String,

    /// Where no earlier configuration is safe, delete the endpoint and revoke its model.
    #[arg(long, conflicts_with = "to")]
    pub isolate: bool,

    /// The function that does it.
    #[arg(long, value_name = "NAME", default_value = "lockstep-respond-incident")]
    pub function: String,

    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `lockstep recover`
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// The bucket that has copies of the evidence.
    #[arg(long, value_name = "BUCKET")]
    pub evidence_bucket: String,

    /// The bucket that has copies of models.
    #[arg(long, value_name = "BUCKET")]
    pub work_bucket: String,

    /// An endpoint; without any, each that ever served.
    #[arg(long = "endpoint", value_name = "NAME")]
    pub endpoints: Vec<String>,

    /// The run that shall serve, in place of the one that did.
    #[arg(long, value_name = "RUN_ID", value_parser = run_id, requires = "endpoints")]
    pub run: Option<RunId>,

    /// Find and verify, and carry nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// What to ask each endpoint once it serves.
    #[arg(long, value_name = "TEXT")]
    pub question: Option<String>,

    /// The rows to grade on there; without it, the object at the same key of the receiving account's work bucket.
    #[arg(long, value_name = "S3_URI", value_parser = s3_uri)]
    pub evaluation_data: Option<S3Uri>,

    /// Which account the copies are in.
    #[command(flatten)]
    pub account: AccountArgs,

    /// Which account shall serve; without any, the same.
    #[command(flatten)]
    pub to: ToArgs,
}

/// `lockstep forget`
#[derive(Debug, Args)]
pub(crate) struct ForgetArgs {
    /// The value that names the person in the data; `-` reads it from standard input.
    #[arg(value_name = "SUBJECT", required_unless_present = "verify")]
    pub subject: Option<String>,

    /// Only fields of this name, at any depth; a column of CSV without a header by its number, from 0.
    #[arg(long, value_name = "NAME")]
    pub field: Option<String>,

    /// Show what would go, and change nothing. So it is without --yes, too.
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,

    /// Delete.
    #[arg(long, conflicts_with = "verify")]
    pub yes: bool,

    /// Verify a receipt, and with SUBJECT, that it is about them.
    #[arg(long, value_name = "FILE|S3_URI")]
    pub verify: Option<String>,

    /// The keys to trust; without it, the account's deployed trust root.
    #[arg(long, value_name = "FILE", requires = "verify")]
    pub trust: Option<PathBuf>,

    /// Buckets to search in place of the work and the intake bucket: copies of them, say.
    #[arg(long = "bucket", value_name = "BUCKET")]
    pub buckets: Vec<String>,

    /// The bucket that takes the receipt; without it, `<name>-evidence-<account>`.
    #[arg(long, value_name = "BUCKET")]
    pub evidence_bucket: Option<String>,

    /// The infrastructure's `name`.
    #[arg(long, value_name = "NAME", default_value = "lockstep")]
    pub name: String,

    /// Which account.
    #[command(flatten)]
    pub account: AccountArgs,
}

/// `lockstep promote`
#[derive(Debug, Args)]
pub(crate) struct PromoteArgs {
    /// The 32 hex digits of a deployed run.
    #[arg(value_name = "RUN_ID", value_parser = run_id)]
    pub run: RunId,

    /// The endpoint there; without it, one of the same name.
    #[arg(long, value_name = "NAME")]
    pub endpoint: Option<String>,

    /// The model package group there; without it, one of the same name.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,

    /// The rows to grade on there; without it, the object at the same key of the receiving account's work bucket.
    #[arg(long, value_name = "S3_URI", value_parser = s3_uri)]
    pub evaluation_data: Option<S3Uri>,

    /// Write the request to a file instead of starting the run, for a review.
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// The bucket that holds the run's evidence; without it, the account's only one named `*-evidence-*`.
    #[arg(long, value_name = "BUCKET")]
    pub evidence_bucket: Option<String>,

    /// Which account the run is in.
    #[command(flatten)]
    pub account: AccountArgs,

    /// Which account it is carried to.
    #[command(flatten)]
    pub to: ToArgs,
}

/// Which account something is carried to; without any, the one that it is in.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ToArgs {
    /// The receiving account, as a profile of AWS's configuration.
    #[arg(long, value_name = "PROFILE", conflicts_with = "to_endpoint_url")]
    pub to_profile: Option<String>,

    /// The receiving account, as an endpoint that speaks AWS.
    #[arg(long, value_name = "URL")]
    pub to_endpoint_url: Option<String>,
}

impl ToArgs {
    /// The same as of a command that talks to this account alone.
    pub(crate) fn account(&self) -> AccountArgs {
        AccountArgs { endpoint_url: self.to_endpoint_url.clone(), aws: self.to_profile.is_some() }
    }
}

/// Which account a command talks to.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AccountArgs {
    /// An endpoint that speaks AWS. Without it, the local account if one runs here, else AWS.
    #[arg(long, value_name = "URL", conflicts_with = "aws")]
    pub endpoint_url: Option<String>,

    /// AWS, with its usual configuration, even if a local account runs here.
    #[arg(long)]
    pub aws: bool,
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// The execution that started last.
    Latest,
    /// This execution.
    Execution(String),
    /// The execution of this run.
    Run(RunId),
}

/// What is decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// This model package version.
    Package(String),
    /// The model package of this run.
    Run(RunId),
}

/// What is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// An exported directory.
    Directory(PathBuf),
    /// A run in the account.
    Run(RunId),
}

/// A directory that is there is meant, whatever its name looks like.
fn verified(text: &str) -> Result<Verified, String> {
    let path = PathBuf::from(text);
    if path.is_dir() {
        return Ok(Verified::Directory(path));
    }
    RunId::try_from(text.to_owned())
        .map(Verified::Run)
        .map_err(|_| "it is neither a directory nor the 32 hex digits of a run".to_owned())
}

fn digest(text: &str) -> Result<Sha256Digest, String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).to_owned();
    Sha256Digest::try_from(hex).map_err(|_| "give the 64 hex digits of a SHA-256".to_owned())
}

fn run_id(text: &str) -> Result<RunId, String> {
    RunId::try_from(text.to_owned()).map_err(|_| "give the 32 hex digits of a run".to_owned())
}

fn s3_uri(text: &str) -> Result<S3Uri, String> {
    S3Uri::try_from(text.to_owned()).map_err(|error| error.to_string())
}

fn watched(text: &str) -> Result<Watched, String> {
    match text {
        "latest" => Ok(Watched::Latest),
        arn if arn.starts_with("arn:") && arn.contains(":execution:") => {
            Ok(Watched::Execution(arn.to_owned()))
        }
        run => RunId::try_from(run.to_owned())
            .map(Watched::Run)
            .map_err(|_| "give an execution's ARN, the 32 hex digits of a run, or `latest`".to_owned()),
    }
}

fn decided(text: &str) -> Result<Decided, String> {
    match text {
        arn if arn.starts_with("arn:") && arn.contains(":model-package/") => {
            Ok(Decided::Package(arn.to_owned()))
        }
        run => RunId::try_from(run.to_owned())
            .map(Decided::Run)
            .map_err(|_| "give the 32 hex digits of a run, or a model package version's ARN".to_owned()),
    }
}

/// SageMaker takes 1 to 1024 characters; an empty reason explains nothing.
fn reason(text: &str) -> Result<String, String> {
    match text.trim().chars().count() {
        0 => Err("it is empty: say why in a few words".to_owned()),
        1..=1024 => Ok(text.trim().to_owned()),
        length => Err(format!("it has {length} characters: SageMaker keeps at most 1024")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("lockstep "), "{}", command.get_name());
        }
    }

    #[test]
    fn a_reason_must_say_something() {
        let run = "0123456789abcdef0123456789abcdef";
        assert!(Cli::try_parse_from(["lockstep", "approve", run, "--reason", "reviewed"]).is_ok());
        for bad in ["", "  ", &"x".repeat(1025)] {
            assert!(Cli::try_parse_from(["lockstep", "approve", run, "--reason", bad]).is_err());
        }
    }

    #[test]
    fn what_is_watched_is_an_execution_or_a_run() {
        let arn = "arn:aws-cn:states:cn-north-1:111122223333:execution:lockstep-pipeline:x";
        assert_eq!(watched(arn), Ok(Watched::Execution(arn.into())));
        assert_eq!(watched("latest"), Ok(Watched::Latest));
        assert!(matches!(watched(&"0a".repeat(16)), Ok(Watched::Run(_))));
        for bad in ["", "0A", "arn:aws:states:us-east-1:1:stateMachine:x"] {
            assert!(watched(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_decided_about_is_a_package_or_a_run() {
        let arn = "arn:aws:sagemaker:us-east-1:111122223333:model-package/tiny-lm/4";
        assert_eq!(decided(arn), Ok(Decided::Package(arn.into())));
        assert!(matches!(decided(&"0a".repeat(16)), Ok(Decided::Run(_))));
        for bad in ["", "latest", "arn:aws:states:us-east-1:1:execution:x:y"] {
            assert!(decided(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_break_is_known_by_its_name() {
        for name in [
            "tampered-weights",
            "missing-file",
            "pickle-in-disguise",
            "critical-finding",
            "scan-never-finishes",
            "training-crash",
            "bad-metrics",
            "rejected",
            "loose-request",
            "too-dear",
            "spot-never-returns",
            "wrong-answers",
            "endpoint-rolls-back",
            "bad-canary",
        ] {
            Cli::try_parse_from(["lockstep", "demo", "--break", name]).unwrap();
        }
        assert!(Cli::try_parse_from(["lockstep", "demo", "--break", "nothing"]).is_err());
    }
}
