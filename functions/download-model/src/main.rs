//! download-model
fn main() {}
