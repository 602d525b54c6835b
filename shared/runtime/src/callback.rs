//! Answers a waiting state, once and quietly: a second answer is a no-op.

use contract::{ErrorName, Wait};

use crate::{Coordination, Environment, Error, failed};

/// Step Functions' task token calls, and the table that remembers the tokens.
#[derive(Clone, Debug)]
pub struct Callback {
    sfn: aws_sdk_sfn::Client,
    coordination: Coordination,
}

/// Step Functions takes 256 characters of an error and 32,768 of a cause.
const CAUSE_MAX: usize = 4_096;

impl Callback {
    /// Over the table that the environment names.
    pub fn read(environment: &mut Environment, config: &aws_config::SdkConfig) -> Self {
        Self { sfn: aws_sdk_sfn::Client::new(config), coordination: Coordination::read(environment, config) }
    }

    /// The table.
    pub fn coordination(&self) -> &Coordination {
        &self.coordination
    }

    /// Lets the state go on to its recheck, and drops the wait.
    ///
    /// # Errors
    /// [`Error::Aws`]; not when the token was answered before or died with its state.
    pub async fn succeed(&self, wait: &Wait) -> Result<(), Error> {
        let sent = self.sfn.send_task_success().task_token(wait.token.expose()).output("{}").send().await;
        match sent {
            Ok(_) => {}
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_invalid_token() || e.is_task_timed_out() || e.is_task_does_not_exist()
                }) => {}
            Err(error) => return Err(failed("states:SendTaskSuccess")(error).into()),
        }
        self.coordination.drop_wait(wait).await
    }

    /// Refuses under a name of the contract, and drops the wait.
    ///
    /// # Errors
    /// As [`Callback::succeed`].
    pub async fn refuse(&self, wait: &Wait, name: ErrorName, cause: &str) -> Result<(), Error> {
        let sent = self
            .sfn
            .send_task_failure()
            .task_token(wait.token.expose())
            .error(name.as_str())
            .cause(cause.chars().take(CAUSE_MAX).collect::<String>())
            .send()
            .await;
        match sent {
            Ok(_) => {}
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_invalid_token() || e.is_task_timed_out() || e.is_task_does_not_exist()
                }) => {}
            Err(error) => return Err(failed("states:SendTaskFailure")(error).into()),
        }
        self.coordination.drop_wait(wait).await
    }

    /// Says that the resource is still at work. A token that died is left to the sweep, which knows whether
    /// its execution still runs.
    ///
    /// # Errors
    /// [`Error::Aws`].
    pub async fn heartbeat(&self, wait: &Wait) -> Result<(), Error> {
        match self.sfn.send_task_heartbeat().task_token(wait.token.expose()).send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|e| {
                    e.is_invalid_token() || e.is_task_timed_out() || e.is_task_does_not_exist()
                }) =>
            {
                Ok(())
            }
            Err(error) => Err(failed("states:SendTaskHeartbeat")(error).into()),
        }
    }
}
