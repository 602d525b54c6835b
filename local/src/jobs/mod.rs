//! Running a container's program as a process of this machine, as SageMaker would run the container.

mod isolation;
pub mod log;
pub mod process;
pub mod tree;
