//! This machine as an AWS account: one endpoint for every service, and a Hub beside it.

pub mod jobs;
pub mod sagemaker;
pub mod service;
