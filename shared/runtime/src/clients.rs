//! The AWS configuration that every client is made from.

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use std::time::Duration;

/// Loads credentials, region and endpoint from the environment, and starts the log.
pub async fn aws_config() -> SdkConfig {
    crate::entry::start_logging();
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .timeout_config(TimeoutConfig::builder().connect_timeout(Duration::from_secs(5)).build())
        .load()
        .await
}
