//! The three ways to start a run, as commands to copy.

use std::path::{Path, PathBuf};

use local::{Account, Identity, Outputs};
use serde_json::{Value, json};

use crate::error::Error;
use crate::trigger::pretty;

/// The staged request, in the forms that the three triggers take.
#[derive(Debug)]
pub(crate) struct StagedFiles {
    request: PathBuf,
    input: PathBuf,
}

impl StagedFiles {
    /// Writes the staged request to a folder.
    ///
    /// # Errors
    /// [`Error::File`] names the file.
    pub(crate) fn write(folder: &Path, request: &Value) -> Result<Self, Error> {
        let files = Self { request: folder.join("request.json"), input: folder.join("execution-input.json") };
        std::fs::write(&files.request, pretty(request)).map_err(Error::file("write", &files.request))?;
        let input = pretty(&json!({ "request": request }));
        std::fs::write(&files.input, input).map_err(Error::file("write", &files.input))?;
        Ok(files)
    }
}

/// The commands, a paragraph.
pub(crate) fn describe(account: &Account, outputs: &Outputs, files: &StagedFiles) -> String {
    let keys = account.keys(Identity::Submitter);
    let endpoint = account.endpoint();
    let region = &account.connection().region;
    let key = format!("requests/{}/again.json", keys.user_id);
    let request_uri = format!("s3://{}/{key}", outputs.intake_bucket);
    let state_machine = &outputs.state_machine_arn;
    let target = json!({
        "Arn": state_machine,
        "RoleArn": outputs.scheduler_role_arn,
        "Input": json!({
            "schedule": {"name": "again", "time": "<aws.scheduler.scheduled-time>"},
            "request_uri": request_uri,
        })
        .to_string(),
    });
    let (request, input) = (files.request.display(), files.input.display());
    format!(
        "The account answers at {endpoint}, its Hub at {hub}. In another terminal, as the user who submits:

  export AWS_ACCESS_KEY_ID={access} AWS_SECRET_ACCESS_KEY={secret} AWS_REGION={region} AWS_DEFAULT_REGION={region}

Start a run in one of three ways:

  1. upload a request; the same file under the same name is the same run, another `nonce` in it makes another:

  aws --endpoint-url {endpoint} s3 cp '{request}' {request_uri}

  2. start an execution with the request as its input:

  aws --endpoint-url {endpoint} stepfunctions start-execution --state-machine-arn {state_machine} --input 'file://{input}'

  3. have the clock start it, here in one minute, with the request that 1 uploads:

  aws --endpoint-url {endpoint} scheduler create-schedule --name again --flexible-time-window Mode=OFF --schedule-expression \"at($(date -u -d '+1 minute' +%Y-%m-%dT%H:%M:%S))\" --target '{target}'

Follow it, and decide about it:

  cargo run -- watch latest --endpoint-url {endpoint}
  cargo run -- approve <run id> --endpoint-url {endpoint} --reason \"why\"

The Hub, with the public client:  HF_ENDPOINT={hub} hf download lockstep/tiny-lm
Logs and the record of every call:  {state}",
        hub = account.hub(),
        access = keys.access_key_id,
        secret = keys.secret_access_key,
        state = account.state_dir().display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_staged_request_is_written_in_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        let request = json!({"schema": "lockstep/request/v1"});
        let files = StagedFiles::write(folder.path(), &request).unwrap();
        let read = |path: &Path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(read(&files.request), request);
        assert_eq!(read(&files.input), json!({"request": request}));
    }
}
