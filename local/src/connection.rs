//! How to reach a running account, also from another process.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde::{Deserialize, Serialize};

/// A user of the local account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Uploads requests and training data.
    Submitter,
    /// Approves model packages.
    Approver,
    /// Writes evaluation data.
    DataSteward,
}

impl Identity {
    /// The user's name.
    pub fn user_name(self) -> &'static str {
        match self {
            Self::Submitter => "submitter",
            Self::Approver => "approver",
            Self::DataSteward => "data-steward",
        }
    }
}

/// A user's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// `AIDA...`: what policies call `aws:userid`.
    pub user_id: String,
    /// The user's ARN.
    pub arn: String,
    /// The key's id.
    pub access_key_id: String,
    /// The key's secret.
    pub secret_access_key: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Keys")
            .field("user_id", &self.user_id)
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// Where a running account is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The one endpoint of every AWS service.
    pub endpoint: String,
    /// The Hub.
    pub hub: String,
    /// The region.
    pub region: String,
    /// The account's id.
    pub account_id: String,
    /// The process that runs it.
    pub process: u32,
    /// The folder of its state and logs.
    pub state_dir: PathBuf,
    /// Who uploads requests.
    pub submitter: Keys,
    /// Who approves.
    pub approver: Keys,
    /// Who writes evaluation data.
    pub data_steward: Keys,
}

impl Connection {
    /// The account that started last in this repository and still runs.
    pub fn find(root: &Path) -> Option<Self> {
        let text = std::fs::read(announcement(&root.join(".lockstep"))).ok()?;
        let connection: Self = serde_json::from_slice(&text).ok()?;
        is_alive(connection.process).then_some(connection)
    }

    /// A user's keys.
    pub fn keys(&self, who: Identity) -> &Keys {
        match who {
            Identity::Submitter => &self.submitter,
            Identity::Approver => &self.approver,
            Identity::DataSteward => &self.data_steward,
        }
    }

    /// Configuration for SDK clients in a user's name.
    pub async fn sdk_config(&self, who: Identity) -> aws_config::SdkConfig {
        let keys = self.keys(who);
        let credentials =
            Credentials::new(&keys.access_key_id, &keys.secret_access_key, None, None, "local account");
        aws_config::defaults(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new(self.region.clone()))
            .endpoint_url(&self.endpoint)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .load()
            .await
    }

    /// Writes where the account is, into its own folder and as the repository's newest.
    pub(crate) fn announce(&self, lockstep: &Path) -> Result<(), (PathBuf, std::io::Error)> {
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        for path in [self.state_dir.join("account.json"), announcement(lockstep)] {
            write_privately(&path, &text).map_err(|source| (path, source))?;
        }
        Ok(())
    }

    /// Removes the repository's announcement if it is this account's.
    pub(crate) fn withdraw(&self, lockstep: &Path) {
        let path = announcement(lockstep);
        let is_own = std::fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Self>(&text).ok())
            .is_some_and(|announced| announced.endpoint == self.endpoint);
        if is_own {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn announcement(lockstep: &Path) -> PathBuf {
    lockstep.join("account.json")
}

/// Keys are in it: for the owner's eyes alone. Written beside and moved, so that no reader sees half of it.
fn write_privately(path: &Path, text: &[u8]) -> std::io::Result<()> {
    // Several accounts of one process write here at a time; a temporary file is each one's own, and nobody else's to read.
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(text)?;
    file.persist(path)?;
    Ok(())
}

/// Whether a process with this id exists.
pub(crate) fn is_alive(process: u32) -> bool {
    i32::try_from(process)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|process| rustix::process::test_kill_process(process).is_ok())
}
