//! Whether what a model meets in service still looks like what it met before.
//!
//! A [`grid`](Grid) counts values of a feature between the points of a baseline; [`psi`] and [`ks`] are computed from
//! such counts, so that the memory that a comparison needs does not grow with what is compared.

pub mod capture;
mod grid;
pub mod ks;
pub mod lines;
pub mod psi;
pub mod row;

pub use grid::{Counts, Grid};
