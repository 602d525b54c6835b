//! The story of resuming: find the waits, describe their resource afresh, answer.

use aws_config::SdkConfig;
use contract::Wait;
use runtime::{Callback, Environment};
use serde::Serialize;
use serde_json::Value;

use crate::{
    aws::Resources,
    error::ResumeError,
    event::{self, Occasion},
    policy::{self, Answer},
};

/// The function.
pub struct ResumeExecution {
    resources: Resources,
    callback: Callback,
}

/// What was done, for the log.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Waits that were looked at.
    waits: usize,
    /// Waits that were answered.
    answered: usize,
    /// Waits whose execution is gone.
    orphans: usize,
}

impl ResumeExecution {
    /// From the environment.
    ///
    /// # Errors
    /// [`runtime::Error::Misconfigured`].
    pub fn new(config: &SdkConfig) -> Result<Self, runtime::Error> {
        let mut environment = Environment::of("resume-execution");
        let function =
            Self { resources: Resources::new(config), callback: Callback::read(&mut environment, config) };
        environment.finish(function)
    }

    /// One event, or one sweep.
    pub async fn handle(&self, input: Value) -> Result<Summary, ResumeError> {
        let coordination = self.callback.coordination();
        let (waits, sweep) = match event::parse(&input).ok_or(ResumeError::EventUnknown)? {
            Occasion::Sweep => (coordination.waits().await?, true),
            Occasion::Changed(kind, resource) => (coordination.waits_for(kind, &resource).await?, false),
        };
        let mut summary = Summary { waits: waits.len(), ..Summary::default() };
        let mut failures = Vec::new();
        for wait in &waits {
            // One wait's trouble must not keep the others waiting.
            if let Err(error) = self.look_after(wait, sweep, &mut summary).await {
                tracing::warn!(run_id = %wait.run_id, kind = %wait.kind, "{error}");
                failures.push(error);
            }
        }
        let failed = failures.len();
        match failures.pop() {
            Some(last) => Err(ResumeError::Partial { failed, all: waits.len(), last: Box::new(last) }),
            None => Ok(summary),
        }
    }

    async fn look_after(&self, wait: &Wait, sweep: bool, summary: &mut Summary) -> Result<(), ResumeError> {
        let now = self.resources.describe(wait).await?;
        if sweep && !self.resources.is_running(&wait.execution_arn).await? {
            summary.orphans += 1;
            if policy::is_terminal(wait.kind, &now) {
                self.callback.coordination().drop_wait(wait).await?;
            } else {
                self.resources.stop(wait).await?;
            }
            return Ok(());
        }
        match policy::answer(wait.kind, &wait.resource, &now, wait.expected.as_deref()) {
            Answer::Heartbeat => self.callback.heartbeat(wait).await?,
            Answer::Go => {
                self.callback.succeed(wait).await?;
                summary.answered += 1;
            }
            Answer::Refuse(name, cause) => {
                self.callback.refuse(wait, name, &cause).await?;
                summary.answered += 1;
            }
        }
        Ok(())
    }
}
