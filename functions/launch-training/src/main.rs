//! launch-training
fn main() {}
