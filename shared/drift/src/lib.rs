//! Whether what a model meets in service still looks like what it met before.
//!
//! A [`grid`](Grid) counts values of a feature between the points of a baseline; [`psi`] and [`ks`] are computed from
//! such counts, so that the memory that a comparison needs does not grow with what is compared.

pub mod baseline;
pub mod bias;
pub mod capture;
mod grid;
pub mod ks;
mod labelled;
pub mod labels;
pub mod lines;
mod outcomes;
mod page;
pub mod places;
pub mod psi;
pub mod quality;
mod reservoir;
pub mod row;
mod settings;
pub mod verdict;
mod window;

pub use baseline::Baseline;
pub use bias::{GroupBound, GroupSettings, Limit};
pub use grid::{Counts, Grid};
pub use labelled::Labelled;
pub use outcomes::Outcomes;
pub use page::page;
pub use settings::{LabelSettings, OutcomeSettings, Positive, Settings, SettingsInvalid, Task};
pub use verdict::{Outcome, Quality, QualityVerdict, Report};
pub use window::Window;
