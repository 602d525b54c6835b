//! approve-package
fn main() {}
