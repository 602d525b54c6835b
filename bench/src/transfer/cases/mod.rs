//! One file per case.

pub mod huge;
pub mod kill;
pub mod memory;
pub mod small;
pub mod throttled;
pub mod unthrottled;
