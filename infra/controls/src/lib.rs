//! Judges a Terraform plan by the rules in `rules/`, one file a control. What cannot be judged does not pass.

mod backend;
mod configuration;
mod control;
mod error;
mod evaluation;
mod exception;
mod plan;

pub use backend::{Backend, read_backends};
pub use control::{Control, Severity, controls};
pub use error::Error;
pub use evaluation::{Excepted, Options, Report, Violation, evaluate};
pub use exception::{Exception, Exceptions};
pub use plan::Plan;
