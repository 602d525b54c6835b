//! container
fn main() {}
