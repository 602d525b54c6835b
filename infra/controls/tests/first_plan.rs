//! A genuine plan of an empty account, made without one: what waits for a key counts as encrypted, what nobody gave a
//! key does not, and what is attached by reference counts as attached.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use controls::{Exceptions, Options, Plan, evaluate};

/// The folder that serves the provider where no registry can be reached: `infra/controls/render` knows where to look.
fn mirror() -> Option<PathBuf> {
    let find = "import importlib.machinery as m, importlib.util as u, sys\n\
        loader = m.SourceFileLoader('render', sys.argv[1])\n\
        sys.dont_write_bytecode = True\n\
        render = u.module_from_spec(u.spec_from_loader('render', loader)); loader.exec_module(render)\n\
        print(render.mirror() or '', end='')";
    let render = Path::new(env!("CARGO_MANIFEST_DIR")).join("render");
    let found = Command::new("python3").args(["-c", find]).arg(render).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let folder = String::from_utf8(found.stdout).unwrap();
    (!folder.is_empty()).then(|| folder.into())
}

struct Stack {
    folder: tempfile::TempDir,
}

impl Stack {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stack");
        fs::create_dir(folder.path().join("store")).unwrap();
        for file in ["main.tf", "store/main.tf"] {
            fs::copy(from.join(file), folder.path().join(file)).unwrap();
        }
        let installation = mirror().map_or(String::new(), |mirror| {
            format!("provider_installation {{\n  filesystem_mirror {{\n    path = {mirror:?}\n  }}\n}}\n")
        });
        fs::write(folder.path().join("terraform.rc"), installation).unwrap();
        Self { folder }
    }

    fn terraform(&self, arguments: &[&str]) -> Output {
        Command::new("terraform")
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TF_CLI_CONFIG_FILE", self.folder.path().join("terraform.rc"))
            .envs([("CHECKPOINT_DISABLE", "1"), ("TF_IN_AUTOMATION", "1"), ("TF_INPUT", "0")])
            // Nobody is asked anything with these.
            .envs([("AWS_ACCESS_KEY_ID", "example"), ("AWS_SECRET_ACCESS_KEY", "example")])
            .env_remove("AWS_PROFILE")
            .output()
            .unwrap()
    }
}

#[test]
fn what_waits_for_a_key_is_told_from_what_has_none() {
    let stack = Stack::new();
    if Command::new("terraform").arg("version").output().is_err() {
        eprintln!("NOT RUN: the first plan: needs terraform");
        return;
    }
    let init = stack.terraform(&["init", "-no-color"]);
    let said = String::from_utf8_lossy(&[init.stdout, init.stderr].concat()).into_owned();
    if !init.status.success() {
        let is_missing = ["Failed to query available provider packages", "Failed to install provider"];
        assert!(is_missing.iter().any(|words| said.contains(words)), "{said}");
        eprintln!("NOT RUN: the first plan: needs the provider hashicorp/aws");
        return;
    }
    let planned = stack.terraform(&["plan", "-refresh=false", "-out=plan.out", "-no-color"]);
    assert!(planned.status.success(), "{}", String::from_utf8_lossy(&planned.stderr));
    let shown = stack.terraform(&["show", "-json", "plan.out"]);
    let plan = Plan::parse(&String::from_utf8(shown.stdout).unwrap()).unwrap();
    let report = evaluate(
        &plan,
        &Options {
            exceptions: &Exceptions::default(),
            allow_destroy: &[],
            backends: None,
            allow_unknown: false,
            today: jiff::Zoned::now().date(),
        },
    )
    .unwrap();
    let denied: BTreeSet<(String, String)> =
        report.denied.into_iter().map(|violation| (violation.control, violation.address)).collect();
    let bare = ["bucket-encryption", "bucket-public-access", "bucket-tls-only"];
    let expected: BTreeSet<(String, String)> = bare
        .iter()
        .flat_map(|control| [(*control, "aws_s3_bucket.pair[0]"), (*control, "aws_s3_bucket.pair[1]")])
        .chain([
            ("bucket-versioning", "aws_s3_bucket.pair[0]"),
            ("repository-key", "aws_ecr_repository.without_key"),
            ("unknown-document", "aws_iam_role_policy.reader"),
        ])
        .map(|(control, address)| (control.to_owned(), address.to_owned()))
        .collect();
    assert_eq!(denied, expected);
}
