//! resume-execution
fn main() {}
