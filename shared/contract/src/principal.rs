//! Who somebody is, by `aws:userid`.

/// Whether two ids are one principal's. Two sessions of one role are: whoever can assume it twice is still the same. So
/// are sessions of two roles under one name: identity providers, and the roles for people, name a session after the person.
pub fn same_principal(left: &str, right: &str) -> bool {
    let parts = |id: &str| {
        let (principal, session) = id.split_once(':').unwrap_or((id, ""));
        (principal.to_owned(), session.to_owned())
    };
    let ((left, left_session), (right, right_session)) = (parts(left), parts(right));
    left == right || (!left_session.is_empty() && left_session == right_session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_under_two_sessions_or_two_roles_is_one_principal() {
        assert!(same_principal("AIDAME", "AIDAME"));
        assert!(same_principal("AROATEAM:monday", "AROATEAM:tuesday"));
        assert!(same_principal("AROASUBMITTER:jo@example.com", "AROAAPPROVER:jo@example.com"));
        assert!(!same_principal("AROASUBMITTER:jo@example.com", "AROAAPPROVER:kim@example.com"));
        assert!(!same_principal("AIDAME", "AIDAYOU"));
        assert!(!same_principal("AIDAME", "AROATEAM:AIDAME"));
    }
}
