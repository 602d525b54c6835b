//! Which account a command talks to: the one given, the local one that runs here, or AWS.

use std::path::Path;

use aws_config::{BehaviorVersion, SdkConfig};
use local::Identity;

use crate::args::AccountArgs;
use crate::error::Error;

/// An account, and how to reach it as somebody.
pub(crate) struct Target {
    /// For the SDK's clients.
    pub config: SdkConfig,
    /// Which account it is, for the screen.
    pub shown: String,
    /// Whether asking often costs nothing.
    pub local: bool,
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
    let live = if args.aws { None } else { repository.and_then(local::Connection::find) };
    if let Some(live) = live
        && args.endpoint_url.as_ref().is_none_or(|url| same(url, &live.endpoint))
    {
        let shown = format!("the local account at {}, as {}", live.endpoint, who.user_name());
        return Ok(Target { config: live.sdk_config(who).await, shown, local: true });
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(url) = &args.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let config = loader.load().await;
    let region = config.region().map(ToString::to_string).filter(|region| !region.is_empty());
    let shown = match (&args.endpoint_url, config.endpoint_url(), region) {
        (Some(url), _, Some(region)) => format!("{url}, region {region}"),
        (None, Some(url), Some(region)) => format!("{url} (from AWS's configuration), region {region}"),
        (None, None, Some(region)) => match std::env::var("AWS_PROFILE") {
            Ok(profile) => format!("AWS, profile {profile}, region {region}"),
            Err(_) => format!("AWS, region {region}"),
        },
        (_, _, None) => return Err(Error::NoRegion),
    };
    Ok(Target { config, shown, local: false })
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').replace("localhost", "127.0.0.1") == other.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_the_same_with_a_slash_or_as_localhost() {
        assert!(same("http://localhost:4566/", "http://127.0.0.1:4566"));
        assert!(!same("http://127.0.0.1:4567", "http://127.0.0.1:4566"));
    }
}
