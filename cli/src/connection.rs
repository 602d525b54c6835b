//! Which account a command talks to: the one given, the local one that runs here, or AWS.

use std::path::Path;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sts::config::{Credentials, SharedCredentialsProvider};
use local::Identity;

use crate::args::{AccountArgs, ToArgs};
use crate::error::Error;

/// An account, and how to reach it as somebody.
pub(crate) struct Target {
    /// For the SDK's clients.
    pub config: SdkConfig,
    /// Which account it is, for the screen.
    pub shown: String,
    /// Whether asking often costs nothing.
    pub local: bool,
    /// `aws:userid` of the local account's user.
    user_id: Option<String>,
}

impl Target {
    /// `aws:userid` of whoever calls: where in the intake bucket one may write.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Incomplete`].
    pub(crate) async fn user_id(&self) -> Result<String, Error> {
        if let Some(known) = &self.user_id {
            return Ok(known.clone());
        }
        let asked = aws_sdk_sts::Client::new(&self.config).get_caller_identity().send().await;
        let lacking = Error::Incomplete { operation: "GetCallerIdentity", lacking: "a user's id" };
        asked.map_err(Error::aws("GetCallerIdentity"))?.user_id.ok_or(lacking)
    }

    /// A client of S3. An endpoint that is no AWS region's has no host for each bucket: there, buckets are
    /// addressed by path.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config)
            .force_path_style(self.config.endpoint_url().is_some())
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }
}

/// Chooses the account.
///
/// # Errors
/// [`Error::NoRegion`] where AWS's configuration names none.
pub(crate) async fn connect(
    args: &AccountArgs,
    repository: Option<&Path>,
    who: Identity,
) -> Result<Target, Error> {
    if let Some(live) = live(args, repository) {
        let shown = format!("the local account at {}, as {}", live.endpoint, who.user_name());
        let user_id = Some(live.keys(who).user_id.clone());
        return Ok(Target { config: live.sdk_config(who).await, shown, local: true, user_id });
    }
    on_aws(args, None).await
}

/// The account, under the role that forgets. On AWS that is for the configuration to take on, second factor included;
/// on a local account its data steward may.
///
/// # Errors
/// [`Error::NoRegion`], [`Error::Aws`].
pub(crate) async fn as_forgetter(
    args: &AccountArgs,
    repository: Option<&Path>,
    name: &str,
) -> Result<Target, Error> {
    let Some(live) = live(args, repository) else { return on_aws(args, None).await };
    let steward = live.sdk_config(Identity::DataSteward).await;
    let role = format!("arn:aws:iam::{}:role/{name}-forget", live.account_id);
    let asked = aws_sdk_sts::Client::new(&steward).assume_role().role_arn(&role).role_session_name("steward");
    let taken = asked.send().await.map_err(Error::aws("AssumeRole"))?;
    let lacking = Error::Incomplete { operation: "AssumeRole", lacking: "credentials" };
    let given = taken.credentials.ok_or(lacking)?;
    let token = Some(given.session_token);
    let keys = Credentials::new(given.access_key_id, given.secret_access_key, token, None, "role");
    let config = steward.into_builder().credentials_provider(SharedCredentialsProvider::new(keys)).build();
    let shown = format!("the local account at {}, as {role}", live.endpoint);
    Ok(Target { config, shown, local: true, user_id: None })
}

/// The account that something is carried to; `None` where it is the one that it is in.
///
/// # Errors
/// [`Error::NoRegion`].
pub(crate) async fn destination(args: &ToArgs, repository: Option<&Path>) -> Result<Option<Target>, Error> {
    match args {
        ToArgs { to_profile: None, to_endpoint_url: None } => Ok(None),
        ToArgs { to_profile: Some(profile), .. } => on_aws(&args.account(), Some(profile)).await.map(Some),
        _ => connect(&args.account(), repository, Identity::Submitter).await.map(Some),
    }
}

async fn on_aws(args: &AccountArgs, profile: Option<&str>) -> Result<Target, Error> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &args.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let config = loader.load().await;
    let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty());
    let shown = match (&args.endpoint_url, config.endpoint_url(), region) {
        (Some(url), _, Some(region)) => format!("{url}, region {region}"),
        (None, Some(url), Some(region)) => format!("{url} (from AWS's configuration), region {region}"),
        (None, None, Some(region)) => {
            match profile.map(str::to_owned).or(std::env::var("AWS_PROFILE").ok()) {
                Some(profile) => format!("AWS, profile {profile}, region {region}"),
                None => format!("AWS, region {region}"),
            }
        }
        (_, _, None) => return Err(Error::NoRegion),
    };
    Ok(Target { config, shown, local: false, user_id: None })
}

/// The local account that is meant: the one at the endpoint that is given, else the one that started last.
fn live(args: &AccountArgs, repository: Option<&Path>) -> Option<local::Connection> {
    let repository = repository.filter(|_| !args.aws)?;
    match &args.endpoint_url {
        None => local::Connection::find(repository),
        // Several may run here at once; each keeps its own keys in its own folder.
        Some(url) => std::fs::read_dir(repository.join(".lockstep/accounts"))
            .ok()?
            .flatten()
            .filter_map(|folder| std::fs::read(folder.path().join("account.json")).ok())
            .filter_map(|text| serde_json::from_slice::<local::Connection>(&text).ok())
            .find(|account| same(url, &account.endpoint)),
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').replace("localhost", "127.0.0.1") == other.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_endpoint() {
        let repository = tempfile::tempdir().unwrap();
        for (name, port) in [("1-0", 4001), ("2-0", 4002)] {
            let keys = serde_json::json!({"user_id": name, "arn": "a", "access_key_id": "k", "secret_access_key": "s"});
            let account = serde_json::json!({"endpoint": format!("http://127.0.0.1:{port}"), "hub": "h",
                "region": "us-east-1", "account_id": "000000000000", "process": 1, "state_dir": "d",
                "submitter": keys, "approver": keys, "data_steward": keys});
            let folder = repository.path().join(".lockstep/accounts").join(name);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("account.json"), account.to_string()).unwrap();
        }
        let args = |url: &str| AccountArgs { endpoint_url: Some(url.to_owned()), aws: false };
        let found = live(&args("http://localhost:4002"), Some(repository.path())).unwrap();
        assert_eq!(found.submitter.user_id, "2-0");
        assert!(live(&args("http://127.0.0.1:4003"), Some(repository.path())).is_none());
    }

    #[test]
    fn an_endpoint_is_the_same_with_a_slash_or_as_localhost() {
        assert!(same("http://localhost:4566/", "http://127.0.0.1:4566"));
        assert!(!same("http://127.0.0.1:4567", "http://127.0.0.1:4566"));
    }
}
