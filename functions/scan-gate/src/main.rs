//! scan-gate
fn main() {}
