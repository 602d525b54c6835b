//! seal-run
fn main() {}
