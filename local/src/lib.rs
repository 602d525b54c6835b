//! This machine as an AWS account: one endpoint for every service, and a Hub beside it.

mod account;
mod connection;
mod follow;
pub mod front;
pub mod hub;
pub mod image;
pub mod jobs;
pub mod ministack;
mod notifications;
mod outputs;
pub mod package;
mod progress;
pub mod python;
pub mod sagemaker;
pub mod service;
pub mod stop;
pub mod supervised;
pub mod terraform;
mod turn;
pub mod wire;

pub use account::{ACCOUNT_ID, Account, Error, Options, REGION, SWEEP_SECONDS, Timings};
pub use connection::{Connection, Identity, Keys};
pub use outputs::Outputs;
pub use package::{Architecture, Profile};
pub use progress::{Progress, Silent};
pub use service::{Fault, Faults};
