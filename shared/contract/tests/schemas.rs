//! `statemachine/schemas/` is generated from the Rust types. Write it anew with
//! `LOCKSTEP_WRITE_SCHEMAS=1 cargo test -p contract --test schemas`.

use std::{collections::BTreeSet, fs, path::PathBuf};

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../statemachine/schemas");
    let write = std::env::var_os("LOCKSTEP_WRITE_SCHEMAS").is_some();
    let mut expected = BTreeSet::new();
    for (name, schema) in contract::state_schemas() {
        let path = folder.join(format!("{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if write {
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(committed, text, "{} has drifted; see this test's head", path.display());
        expected.insert(path.file_name().unwrap().to_owned());
    }
    let present: BTreeSet<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(present, expected, "a schema that no type generates");
}
