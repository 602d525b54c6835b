//! The verifier of a whole run: the sealed record, every file that it lists, and every link.

use std::collections::BTreeSet;

use contract::{Gate, Sha256Digest};

use crate::{
    account::Account,
    chain::{EvidenceBroken, Files, VerifiedChain, gate_of, link_path, verify_links},
    record::{RECORD_PREDICATE, Record, RunStatus},
    time::{instant, is_before},
    trust::{NotTrusted, TrustRoot},
};

/// Where the record lies below the run's prefix.
pub const RECORD_PATH: &str = "record.json";
/// Who signs it.
const RECORDER: &str = "seal-run";

/// Why a run does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunBroken {
    /// There is no record.
    #[error("{RECORD_PATH} is missing: the run was not sealed, or this is not all of it")]
    NoRecord,
    /// The record is not believed.
    #[error("{RECORD_PATH}: {0}")]
    Record(NotTrusted),
    /// The record is another run's than was asked for.
    #[error("{RECORD_PATH} is of run {found}, not of {expected}")]
    OtherRun {
        /// Whose record it is.
        found: String,
        /// Which run was asked for.
        expected: String,
    },
    /// The record's list of files is not one.
    #[error("{RECORD_PATH} lists `{0}`, which is no file of the run")]
    Listed(String),
    /// A file that the record lists.
    #[error("{}`{path}` is missing", of(path))]
    Absent {
        /// Below the run's prefix.
        path: String,
    },
    /// A file that the record does not list.
    #[error("{}`{path}` is not in the record: it was added later", of(path))]
    Added {
        /// Below the run's prefix.
        path: String,
    },
    /// A file is not the one that was sealed.
    #[error("{}`{path}` was altered: {found} is its digest, {expected} was sealed", of(path))]
    Altered {
        /// Below the run's prefix.
        path: String,
        /// Of its bytes.
        found: Sha256Digest,
        /// In the record.
        expected: Sha256Digest,
    },
    /// A link.
    #[error(transparent)]
    Chain(#[from] EvidenceBroken),
    /// The record says something that the links do not.
    #[error("{RECORD_PATH} says {0}")]
    Contradicted(String),
}

/// `link of gate judge-findings: `, for a file that is a gate's link or that its link carries.
fn of(path: &str) -> String {
    gate_of(path).map_or_else(|| "evidence: ".to_owned(), |gate| format!("link of gate `{gate}`: "))
}

/// A run whose evidence holds, whether it was deployed or refused.
#[derive(Debug, Clone)]
pub struct VerifiedRun {
    /// The record.
    pub record: Record,
    /// The links.
    pub chain: VerifiedChain,
}

/// Verifies a run. `files` is all that there is of it, by path below its prefix.
///
/// # Errors
/// The first break found, as [`RunBroken`]: the record first, then its files, then the links in the order of the gates.
pub fn verify_run(files: &Files, trust: &TrustRoot) -> Result<VerifiedRun, RunBroken> {
    let bytes = files.get(RECORD_PATH).ok_or(RunBroken::NoRecord)?;
    let (statement, key) =
        trust.open::<Record>(RECORDER, RECORD_PREDICATE, bytes).map_err(RunBroken::Record)?;
    let record = statement.predicate;
    key.check_date(&record.sealed_at).map_err(RunBroken::Record)?;
    if record.clone().into_statement().subject != statement.subject {
        return Err(RunBroken::Contradicted("one thing as its subjects and another as its files".to_owned()));
    }
    verify_files(&record, files)?;
    let gates: BTreeSet<Gate> =
        Gate::ALL.into_iter().filter(|gate| files.contains_key(&link_path(*gate))).collect();
    let chain = match &record.policy_sha256 {
        Some(policy) => verify_links(&record.run_id, policy, &gates, files, trust)?,
        None if gates.is_empty() => VerifiedChain::default(),
        None => return Err(RunBroken::Contradicted("no policy, and there are links".to_owned())),
    };
    verify_account(&record, &chain, files)?;
    Ok(VerifiedRun { record, chain })
}

/// `<function>/<name>`, and nothing that a file system would read as another place: S3 takes `..` and `//` in keys, and
/// a role that may write `runs/*/scan-gate/*` may write such ones.
fn is_place(path: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    path.split_once('/').is_some_and(|(function, name)| is_plain(function) && is_plain(name))
}

/// The files are those of the record, all of them and no other.
fn verify_files(record: &Record, files: &Files) -> Result<(), RunBroken> {
    let prefix = record.run_id.prefix();
    let mut listed = BTreeSet::from([RECORD_PATH]);
    for file in &record.files {
        let path = file.key.strip_prefix(&prefix).filter(|path| is_place(path));
        let Some(path) = path.filter(|path| listed.insert(path)) else {
            return Err(RunBroken::Listed(file.key.clone()));
        };
        let bytes = files.get(path).ok_or_else(|| RunBroken::Absent { path: path.to_owned() })?;
        let found = Sha256Digest::of(bytes);
        if found != file.sha256 || bytes.len() as u64 != file.size {
            let (path, expected) = (path.to_owned(), file.sha256.clone());
            return Err(RunBroken::Altered { path, found, expected });
        }
    }
    match files.keys().find(|path| !listed.contains(path.as_str())) {
        Some(path) => Err(RunBroken::Added { path: path.clone() }),
        None => Ok(()),
    }
}

/// What the record tells of the links is what they say.
fn verify_account(record: &Record, chain: &VerifiedChain, files: &Files) -> Result<(), RunBroken> {
    let contradicted = |what: String| Err(RunBroken::Contradicted(what));
    let told = Account {
        policy_sha256: record.policy_sha256.clone(),
        identities: record.identities.clone(),
        verdicts: record.verdicts.clone(),
        inputs: record.inputs.clone(),
        costs: record.costs.clone(),
    };
    if told != Account::of(files) {
        return contradicted("other verdicts, identities, inputs or costs than the links do".to_owned());
    }
    let last = chain.links().values().map(|verified| verified.link.at.as_str()).max_by_key(|at| instant(at));
    if last.is_some_and(|last| is_before(&record.sealed_at, last)) {
        return contradicted("that it was sealed before its last gate signed".to_owned());
    }
    if record.status == RunStatus::Succeeded {
        if let Some(gate) = Gate::ALL.into_iter().find(|gate| !chain.links().contains_key(gate)) {
            return contradicted(format!("that the run succeeded, and gate `{gate}` signed nothing"));
        }
        if let Some(error) = &record.error {
            return contradicted(format!("that the run succeeded, and that it ended in {error}"));
        }
    }
    Ok(())
}
