//! evaluate-model
fn main() {}
