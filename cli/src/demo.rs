//! `lockstep demo`: one run from the Hub to an answer, shown a state at a time.

use std::path::Path;
use std::time::Instant;

use aws_sdk_sagemaker::Client as SageMaker;
use contract::RunId;
use local::{Account, Identity, Outputs};
use serde_json::{Value, json};

use crate::approve::{self, Decision};
use crate::args::DemoArgs;
use crate::drift;
use crate::error::Error;
use crate::export;
use crate::findings;
use crate::follow::Follower;
use crate::history::{Status, Timeline};
use crate::local_account::{self, Ground, Outcome};
use crate::run_files;
use crate::sabotage::Break;
use crate::screen::Screen;
use crate::summary::{Seconds, StateSummary, Summary};
use crate::table;
use crate::traffic::{Tally, Traffic};
use crate::trigger;
use crate::watch;
use crate::ways::{self, StagedFiles};

/// What the endpoint is asked: the example's held-out rows are questions of this kind.
const PROMPT: &str = "Q: Which error ends a run of tiny-lm when a file hides a pickle?\nA:";

/// The state that waits for a decision.
const AWAITS_APPROVAL: &str = "AwaitApproval";

/// How a run ended that was carried through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The endpoint serves the new model.
    Succeeded,
    /// A gate refused.
    Refused,
    /// Something is left to do by hand.
    Incomplete,
}

/// Who decides about the model package.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Approver {
    /// The demo itself.
    Demo(Decision),
    /// A person in another terminal.
    Person,
}

/// Runs the demo.
///
/// # Errors
/// Whatever is not a gate's refusal; the summary then says so too.
pub(crate) async fn run(args: DemoArgs, screen: &Screen) -> Result<Outcome<Ended>, Error> {
    let ground = local_account::prepare(args.request.clone(), &args.deploy).await?;
    if let Some(directory) = &args.export {
        export::vacant(directory)?;
    }
    if let Some(path) = &args.summary {
        forget(path)?;
    }
    let mut ended = None;
    let outcome =
        local_account::with_account(&ground, screen, async |account: &Account, outputs: &Outputs| {
            let demo = Demo::new(&ground, account, outputs, screen).await;
            let (end, files) = demo.tell(&args).await?;
            ended = Some(end);
            if args.keep {
                screen.heading("The account stays until Ctrl-C");
                screen.say(&ways::describe(account, outputs, &files));
                std::future::pending::<()>().await;
            }
            Ok(end)
        })
        .await;
    if let (Err(error), Some(path)) = (&outcome, &args.summary) {
        let status = "INTERNAL_FAILURE".to_owned();
        Summary { status, error: Some(error.to_string()), ..Summary::default() }.write(path)?;
    }
    // With --keep, Ctrl-C is how a demo is meant to end: the run has the last word.
    Ok(match (outcome?, ended) {
        (Outcome::Stopped(_), Some(end)) => Outcome::Finished(end),
        (outcome, _) => outcome,
    })
}

/// A summary that is there must be this run's; one that cannot be written is better known now.
fn forget(path: &Path) -> Result<(), Error> {
    Summary::default().write(path)?;
    std::fs::remove_file(path).map_err(Error::file("write", path))
}

/// An account with everything deployed, and clients of it.
struct Demo<'a> {
    ground: &'a Ground,
    account: &'a Account,
    outputs: &'a Outputs,
    screen: &'a Screen,
    s3: aws_sdk_s3::Client,
    sfn: aws_sdk_sfn::Client,
    sagemaker: SageMaker,
    approver: SageMaker,
    runtime: aws_sdk_sagemakerruntime::Client,
}

/// A run that ended.
struct Run {
    id: RunId,
    execution_arn: String,
    timeline: Timeline,
    seconds: f64,
}

impl<'a> Demo<'a> {
    async fn new(ground: &'a Ground, account: &'a Account, outputs: &'a Outputs, screen: &'a Screen) -> Self {
        let submitter = account.sdk_config(Identity::Submitter).await;
        Self {
            ground,
            account,
            outputs,
            screen,
            s3: aws_sdk_s3::Client::from_conf(local_account::s3_config(account, Identity::Submitter).await),
            sfn: aws_sdk_sfn::Client::new(&submitter),
            sagemaker: SageMaker::new(&submitter),
            approver: SageMaker::new(&account.sdk_config(Identity::Approver).await),
            runtime: aws_sdk_sagemakerruntime::Client::new(&submitter),
        }
    }

    /// The whole story: stage, run, look at what there is.
    async fn tell(&self, args: &DemoArgs) -> Result<(Ended, StagedFiles), Error> {
        let mut request = local_account::stage(&self.ground.draft, self.account, self.outputs).await?;
        if args.sabotage.is_some_and(Break::needs_a_good_version_first) {
            self.serve_a_good_version(&request).await?;
            request["nonce"] = json!("second");
        }
        let mut approver =
            if args.manual_approval { Approver::Person } else { Approver::Demo(Decision::Approve) };
        self.screen.heading("Run");
        if let Some(sabotage) = args.sabotage {
            self.screen.say(&format!(
                "  made wrong: {}; the run must end in {}",
                sabotage.describe(),
                sabotage.expected()
            ));
            sabotage.alter(&mut request);
            if let Some(fault) = sabotage.fault() {
                self.account.faults().set(fault);
            }
            if !sabotage.approves() {
                approver = Approver::Demo(Decision::Reject);
            }
        }
        if args.drift {
            drift::ask_for_retraining(&mut request);
        }
        let files = StagedFiles::write(self.account.state_dir(), &request)?;
        let mut run = if args.sabotage.is_some_and(Break::needs_traffic) {
            self.carry_through_under_traffic(&request, approver).await?
        } else {
            self.carry_through(&request, "demo", approver).await?
        };
        let mut has_succeeded = watch::conclude(&run.timeline, self.screen);
        if args.drift && has_succeeded {
            run = self.drift(approver).await?;
            has_succeeded = watch::conclude(&run.timeline, self.screen);
        }
        let summary = self.look_around(&run).await?;
        if let Some(directory) = &args.export {
            let files = run_files::from_bucket(&self.s3, &self.outputs.evidence_bucket, &run.id).await?;
            let trust = self.outputs.trust_root.to_string();
            export::write(&files, trust.as_bytes(), directory, self.screen)?;
        }
        if let Some(path) = &args.summary {
            summary.write(path)?;
            self.screen.aside(&format!("summary: {}", path.display()));
        }
        match args.sabotage {
            Some(sabotage) if summary.error.as_deref() != Some(sabotage.expected().as_str()) => {
                Err(Error::BreakMissed {
                    name: sabotage.name(),
                    expected: sabotage.expected().to_string(),
                    found: summary.error.unwrap_or(summary.status),
                })
            }
            _ => Ok((if has_succeeded { Ended::Succeeded } else { Ended::Refused }, files)),
        }
    }

    /// Traffic drifts, and the run that this starts is carried through.
    async fn drift(&self, approver: Approver) -> Result<Run, Error> {
        let traffic = self.traffic()?;
        let endpoint = self.ground.draft.endpoint();
        let event = drift::shift(self.account, self.outputs, &traffic, endpoint, self.screen).await?;
        self.screen.heading("Retraining");
        self.screen.doing("waiting for the execution that the event starts");
        let began = Instant::now();
        let machine = &self.outputs.state_machine_arn;
        let execution = trigger::execution_of_event(&self.sfn, machine, &event).await?;
        self.screen.aside(&format!("  event {event} started {execution}"));
        self.follow(execution, began, approver).await
    }

    fn traffic(&self) -> Result<Traffic, Error> {
        let draft = &self.ground.draft;
        Traffic::of(self.runtime.clone(), draft.endpoint(), draft.evaluation_rows())
    }

    /// The same as [`Demo::carry_through`] while somebody asks the endpoint.
    async fn carry_through_under_traffic(&self, request: &Value, approver: Approver) -> Result<Run, Error> {
        let (traffic, tally) = (self.traffic()?, Tally::default());
        let run = tokio::select! {
            run = self.carry_through(request, "demo", approver) => run?,
            () = traffic.go_on(&tally) => return Err(Error::NoRows),
        };
        let (answered, failed) = (tally.answered.into_inner(), tally.failed.into_inner());
        self.screen
            .say(&format!("  meanwhile {answered} questions were answered, and {failed} met an error"));
        Ok(run)
    }

    async fn serve_a_good_version(&self, request: &Value) -> Result<(), Error> {
        self.screen.heading("A good version first");
        let mut request = request.clone();
        request["nonce"] = json!("first");
        let run = self.carry_through(&request, "first", Approver::Demo(Decision::Approve)).await?;
        if watch::conclude(&run.timeline, self.screen) {
            return Ok(());
        }
        let end = run.timeline.end;
        Err(Error::FirstVersion(
            end.and_then(|end| end.error).unwrap_or_else(|| "without an error's name".to_owned()),
        ))
    }

    /// Uploads a request and follows its execution to the end.
    async fn carry_through(&self, request: &Value, name: &str, approver: Approver) -> Result<Run, Error> {
        let began = Instant::now();
        let bucket = &self.outputs.intake_bucket;
        let user = &self.account.keys(Identity::Submitter).user_id;
        let key = format!("requests/{user}/{name}-{}.json", std::process::id());
        trigger::upload(&self.s3, bucket, &key, request).await?;
        self.screen.aside(&format!("  uploaded s3://{bucket}/{key}"));
        self.screen.doing("waiting for the execution that the upload starts");
        let execution_arn =
            trigger::execution(&self.sfn, &self.outputs.state_machine_arn, bucket, &key).await?;
        self.screen.aside(&format!("  started {execution_arn}"));
        self.follow(execution_arn, began, approver).await
    }

    /// Follows an execution to its end, deciding where a decision is awaited.
    async fn follow(&self, execution_arn: String, began: Instant, approver: Approver) -> Result<Run, Error> {
        let mut follower = Follower::new(self.sfn.clone(), &execution_arn).with_transfer(self.s3.clone());
        let mut is_decided = false;
        loop {
            let timeline = follower.look(self.screen).await?;
            if timeline.end.is_some() {
                let id = timeline.run_id.clone().and_then(|id| RunId::try_from(id).ok());
                let id = id.unwrap_or_else(|| RunId::of_execution(&execution_arn));
                return Ok(Run { id, execution_arn, timeline, seconds: began.elapsed().as_secs_f64() });
            }
            let waits = timeline.state(AWAITS_APPROVAL).is_some_and(|state| state.status == Status::Running);
            if waits && !is_decided {
                is_decided = true;
                self.decide(&timeline, approver).await?;
            }
            tokio::time::sleep(watch::interval(true)).await;
        }
    }

    async fn decide(&self, timeline: &Timeline, approver: Approver) -> Result<(), Error> {
        let run = timeline.run_id.clone().unwrap_or_default();
        let decision = match approver {
            Approver::Demo(decision) => decision,
            Approver::Person => {
                // Another account may start here meanwhile: the endpoint says which one is meant.
                let endpoint = self.account.endpoint();
                let command = |verb: &str| {
                    format!("    cargo run -- {verb} {run} --endpoint-url {endpoint} --reason \"why\"\n")
                };
                self.screen.say(&format!(
                    "\n  Waiting for a decision. In another terminal, here:\n\n{}{}",
                    command("approve"),
                    command("reject")
                ));
                return Ok(());
            }
        };
        let run = RunId::try_from(run)
            .map_err(|_| Error::Incomplete { operation: "GetExecutionHistory", lacking: "the run's id" })?;
        let arn = approve::find(&self.approver, &run, Some(self.ground.draft.group())).await?;
        let reason = match decision {
            Decision::Approve => "the demo's approver approves: every gate before has passed",
            Decision::Reject => "the demo's approver rejects, as --break rejected asks",
        };
        let verdict = approve::Verdict { decision, reason, digest: None };
        approve::decide(&self.approver, &arn, &verdict, self.screen).await
    }

    /// Asks the account what there is after the run, and shows it.
    async fn look_around(&self, run: &Run) -> Result<Summary, Error> {
        let (screen, outputs) = (self.screen, self.outputs);
        screen.doing("reading the evidence");
        let gates =
            findings::gates(&self.s3, &outputs.evidence_bucket, &run.id, &outputs.trust_root, &run.timeline)
                .await?;
        let record = findings::record(&self.s3, &outputs.evidence_bucket, &run.id).await?;
        let metrics = findings::metrics(&self.s3, &outputs.work_bucket, &run.id).await?;
        let endpoint =
            findings::endpoint(&self.sagemaker, &self.runtime, self.ground.draft.endpoint(), PROMPT).await?;
        let left = findings::left(&self.sagemaker).await?;
        screen.idle();

        screen.heading("Gates");
        screen.say(&table::gates(&gates));
        screen.say(&format!("  sealed record: {}", record.as_deref().unwrap_or("none")));
        if let Some(metrics) = table::metrics(&metrics) {
            screen.heading("Metrics");
            screen.say(&metrics);
        }
        screen.heading("Endpoint");
        match (&endpoint.status, &endpoint.answer) {
            (Some(status), Some(answer)) => {
                screen.say(&format!(
                    "  {} is {status}\n  > {}\n  {answer}",
                    endpoint.name,
                    PROMPT.replace('\n', "\n  > ")
                ));
            }
            (Some(status), None) => screen.say(&format!("  {} is {status}", endpoint.name)),
            (None, _) => screen.say(&format!("  {} does not exist", endpoint.name)),
        }
        screen.heading("Where things are");
        screen.say(&format!("  run        {}", run.id));
        screen.say(&format!("  execution  {}", run.execution_arn));
        screen.say(&format!("  evidence   s3://{}/{}", outputs.evidence_bucket, run.id.prefix()));
        screen.say(&format!("  work       s3://{}/{}", outputs.work_bucket, run.id.prefix()));
        screen.say(&format!(
            "  left       {}, {}, {} running; {}",
            counted(left.models, "model"),
            counted(left.endpoints, "endpoint"),
            counted(left.jobs_running, "job"),
            counted(run.timeline.transitions, "state transition"),
        ));

        let timings = self.account.timings().unwrap_or_default();
        let end = run.timeline.end.as_ref();
        Ok(Summary {
            status: end.map(|end| end.status.clone()).unwrap_or_default(),
            run_id: Some(run.id.to_string()),
            error: end.and_then(|end| end.error.clone()),
            states: run.timeline.states.iter().map(state_summary).collect(),
            metrics,
            endpoint,
            seconds: Seconds {
                build: timings.build.as_secs_f64(),
                start: timings.start.as_secs_f64(),
                apply: timings.apply.as_secs_f64(),
                run: run.seconds,
                train: run.timeline.state("Train").map_or(0.0, |state| state.seconds),
            },
            transitions: run.timeline.transitions,
            left,
        })
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn state_summary(state: &crate::history::State) -> StateSummary {
    StateSummary {
        name: state.name.clone(),
        status: state.status.as_str().to_owned(),
        seconds: state.seconds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_summary_is_forgotten_and_a_wrong_path_known_early() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.json");
        std::fs::write(&path, "of another run").unwrap();
        forget(&path).unwrap();
        assert!(!path.exists());
        assert!(forget(&folder.path().join("no/s.json")).is_err());
    }
}
