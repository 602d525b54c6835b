//! seal-artifact
fn main() {}
