//! Which files of the commit are taken, and may they be?

use std::collections::BTreeMap;

use contract::{ContentKind, HubPolicy, SourceRequest};
use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::{
    error::DownloadError,
    transfer_plan::{PlannedDigest, PlannedFile},
    tree::{Entry, EntryKind},
};

/// No model has more; a longer list is an attack on the plan.
const FILES_MAX: usize = 20_000;

/// Chooses the files. Patterns are conjunctive: a file must match the request's and the policy's. What the
/// request leaves out by its own patterns is not taken; what it wants and policy does not let in refuses.
///
/// # Errors
/// `FileNotAllowed`, `UnsafePath`.
pub fn choose(
    entries: Vec<Entry>,
    source: &SourceRequest,
    policy: &HubPolicy,
) -> Result<Vec<PlannedFile>, DownloadError> {
    let everything = ["*".to_owned()];
    let wanted = set(if source.allow.is_empty() { &everything } else { &source.allow })?;
    let unwanted = set(&source.deny)?;
    let let_in = set(&policy.files)?;
    let mut files = Vec::new();
    let mut total = 0_u64;
    for entry in entries {
        if entry.kind == EntryKind::Directory {
            continue;
        }
        check_path(&entry.path)?;
        if !wanted.is_match(&entry.path) || unwanted.is_match(&entry.path) || is_no_content(&entry.path) {
            continue;
        }
        if entry.kind == EntryKind::Other {
            let reason =
                format!("`{}` is neither a file nor a folder: leave it out by `source.deny`", entry.path);
            return Err(DownloadError::FileNotAllowed(reason));
        }
        if !let_in.is_match(&entry.path) {
            let reason = format!(
                "`{}` matches none of the policy's patterns {:?}: leave it out by `source.deny`",
                entry.path, policy.files
            );
            return Err(DownloadError::FileNotAllowed(reason));
        }
        if let Some(refusal) = unusable(&entry, policy) {
            return Err(DownloadError::FileNotAllowed(format!("{refusal}: leave it out by `source.deny`")));
        }
        total = total.saturating_add(entry.size);
        let digest = match entry.lfs_sha256 {
            Some(sha256) => PlannedDigest::Sha256(sha256),
            None => PlannedDigest::GitBlob(entry.git_oid),
        };
        files.push(PlannedFile { path: entry.path, size: entry.size, digest });
    }
    if files.is_empty() {
        let reason = "no file of the commit matches `source.allow` and `source.deny`".to_owned();
        return Err(DownloadError::FileNotAllowed(reason));
    }
    if files.len() > FILES_MAX || total > policy.max_total_bytes {
        let reason = format!(
            "{} files of {total} bytes are more than the {FILES_MAX} files and {} bytes that policy lets in",
            files.len(),
            policy.max_total_bytes
        );
        return Err(DownloadError::FileNotAllowed(reason));
    }
    check_names(&files)?;
    Ok(files)
}

/// What makes a file useless whatever its bytes are.
fn unusable(entry: &Entry, policy: &HubPolicy) -> Option<String> {
    let path = &entry.path;
    if entry.size == 0 {
        return Some(format!("`{path}` is empty (0 bytes)"));
    }
    match ContentKind::of(path) {
        None => Some(format!("`{path}` is of a kind that nobody here can check")),
        Some(kind) if !policy.formats.contains(&kind) => {
            Some(format!("`{path}` is {kind}, and policy lets in {:?}", policy.formats))
        }
        Some(_) => None,
    }
}

/// What the Hub's git needs, and the publisher's own signature: a signature of the model cannot cover them.
fn is_no_content(path: &str) -> bool {
    matches!(evidence::check_signable(path), Err(evidence::OmsInvalid::PassedOver(_)))
}

/// On a file system, one of two such files would stand in for the other: names that differ by case only, and a file
/// where another one's folder is.
fn check_names(files: &[PlannedFile]) -> Result<(), DownloadError> {
    let refuse =
        |path: &str, reason: String| Err(DownloadError::UnsafePath { path: path.to_owned(), reason });
    let mut seen = BTreeMap::new();
    for file in files {
        if let Some(other) = seen.insert(file.path.to_lowercase(), &file.path) {
            return refuse(&file.path, format!("it differs from `{other}` by its case only"));
        }
    }
    for path in seen.keys() {
        for (end, _) in path.match_indices('/') {
            if let Some(other) = seen.get(&path[..end]) {
                return refuse(other, format!("it is the folder of `{}`", seen[path]));
            }
        }
    }
    Ok(())
}

fn set(patterns: &[String]) -> Result<GlobSet, DownloadError> {
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = Glob::new(pattern).map_err(|error| DownloadError::FileNotAllowed(error.to_string()))?;
        builder.add(glob);
    }
    builder.build().map_err(|error| DownloadError::FileNotAllowed(error.to_string()))
}

/// A path becomes an S3 key and then a file in a container: no part may be empty, `.`, `..`, or hold what a
/// file system or a URL reads otherwise.
fn check_path(path: &str) -> Result<(), DownloadError> {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.len() <= 255
            && !part.chars().any(|c| c.is_control() || matches!(c, '\\' | ':' | '\0'))
    };
    if path.len() <= 900 && path.split('/').all(plain) {
        Ok(())
    } else {
        let reason = "its parts must be plain names below the repository's folder".to_owned();
        Err(DownloadError::UnsafePath { path: path.chars().take(200).collect(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str) -> Entry {
        Entry {
            kind: EntryKind::File,
            path: path.to_owned(),
            size: 10,
            git_oid: "0".repeat(40),
            lfs_sha256: None,
        }
    }

    fn source(allow: &[&str], deny: &[&str]) -> SourceRequest {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        SourceRequest { repo: "a/b".into(), revision: "main".into(), allow: own(allow), deny: own(deny) }
    }

    fn policy() -> HubPolicy {
        HubPolicy {
            owners: Default::default(),
            files: vec!["*.json".into(), "*.safetensors".into()],
            formats: [ContentKind::Json, ContentKind::Safetensors].into(),
            max_total_bytes: 15,
        }
    }

    #[test]
    fn what_is_wanted_and_not_let_in_refuses_and_what_is_denied_is_left_out() {
        let entries = || vec![entry("config.json"), entry("pytorch_model.bin")];
        assert!(matches!(
            choose(entries(), &source(&[], &[]), &policy()),
            Err(DownloadError::FileNotAllowed(_))
        ));
        let files = choose(entries(), &source(&[], &["*.bin"]), &policy()).unwrap();
        assert_eq!(files.len(), 1);
        assert!(choose(entries(), &source(&["*.none"], &[]), &policy()).is_err(), "nothing to take");
    }

    #[test]
    fn symlinks_and_submodules_are_refused() {
        let mut link = entry("config.json");
        link.kind = EntryKind::Other;
        assert!(matches!(
            choose(vec![link], &source(&[], &[]), &policy()),
            Err(DownloadError::FileNotAllowed(_))
        ));
    }

    #[test]
    fn paths_that_leave_their_folder_are_refused_even_when_not_wanted() {
        for path in [
            "../x.json",
            "a/../x.json",
            "/x.json",
            "a//x.json",
            "a\\x.json",
            "./x.json",
            "c:x.json",
            "a\n.json",
        ] {
            let refusal = choose(vec![entry(path)], &source(&["*.safetensors"], &[]), &policy());
            assert!(matches!(refusal, Err(DownloadError::UnsafePath { .. })), "{path}");
        }
    }

    #[test]
    fn names_that_differ_only_by_case_are_refused() {
        let two = vec![entry("config.json"), entry("Config.json")];
        let wide = HubPolicy { max_total_bytes: 100, ..policy() };
        let refusal = choose(two, &source(&[], &[]), &wide).unwrap_err();
        assert!(refusal.to_string().contains("`config.json`"), "{refusal}");
        assert!(matches!(refusal, DownloadError::UnsafePath { .. }));
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_refused() {
        let two = vec![entry("Config.json"), entry("config.json/more.json")];
        let wide = HubPolicy { max_total_bytes: 100, ..policy() };
        let refusal = choose(two, &source(&[], &[]), &wide).unwrap_err();
        assert!(refusal.to_string().contains("folder of `config.json/more.json`"), "{refusal}");
    }

    #[test]
    fn what_no_signature_can_cover_is_not_taken() {
        let all = vec![entry("config.json"), entry(".gitattributes"), entry("model.sig")];
        let files = choose(all, &source(&[], &[]), &policy()).unwrap();
        assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["config.json"]);
    }

    #[test]
    fn a_file_that_is_empty_or_of_a_kind_that_is_not_let_in_is_refused() {
        let wide = HubPolicy { files: vec!["*".into()], ..policy() };
        let mut empty = entry("config.json");
        empty.size = 0;
        for (entry, said) in [
            (empty, "0 bytes"),
            (entry("notes.txt"), "text"),
            (entry("weights.bin"), "nobody here can check"),
        ] {
            let refusal = choose(vec![entry], &source(&[], &[]), &wide).unwrap_err();
            assert!(matches!(refusal, DownloadError::FileNotAllowed(_)), "{refusal}");
            assert!(
                refusal.to_string().contains(said) && refusal.to_string().contains("source.deny"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn the_total_is_bounded() {
        let two = vec![entry("a.json"), entry("b.json")];
        assert!(matches!(choose(two, &source(&[], &[]), &policy()), Err(DownloadError::FileNotAllowed(_))));
    }
}
