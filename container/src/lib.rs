//! The reference model container: `train`, `evaluate` and `serve` under SageMaker's `/opt/ml` contract.
//!
//! It is a library only so that its tests and the generator of the example model can reach the parts; the product
//! is the `model-container` binary.

pub mod checkpoint;
pub mod dataset;
pub mod error;
pub mod evaluate;
pub mod fit;
pub mod generate;
pub mod hyperparameters;
pub mod layout;
pub mod limits;
pub mod lora;
pub mod loss;
pub mod model;
pub mod optimizer;
pub mod predictions;
pub mod progress;
pub mod serve;
pub mod snapshot;
pub mod stop;
pub mod train;
pub mod weights;

#[cfg(test)]
mod specimen;

pub use error::Error;
