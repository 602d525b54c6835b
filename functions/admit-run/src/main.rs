//! admit-run
fn main() {}
