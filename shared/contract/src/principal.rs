//! Who somebody is, by `aws:userid`.

/// Whether two ids are one principal's. Two sessions of one role are one principal: whoever can assume it twice is
/// still the same.
pub fn same_principal(left: &str, right: &str) -> bool {
    let principal = |id: &str| id.split(':').next().unwrap_or_default().to_owned();
    principal(left) == principal(right)
}
