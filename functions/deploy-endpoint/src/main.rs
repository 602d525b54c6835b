//! deploy-endpoint
fn main() {}
