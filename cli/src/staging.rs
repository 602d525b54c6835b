//! Request files: data that lies beside the request is uploaded, and pinned by version and digest.

use std::path::{Path, PathBuf};

use aws_sdk_s3::primitives::ByteStream;
use contract::{DataPin, Request, RequestInvalid, S3Uri, Sha256Digest};
use serde_json::{Value, json};

use crate::error::Error;

/// A request file cannot be used. Each names the file, the field and the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StagingError {
    /// The request file cannot be read.
    #[error("cannot read the request {path}: {source}", path = .path.display())]
    Unreadable {
        /// The request file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The request file is not JSON.
    #[error("{path} is not JSON: {detail}", path = .path.display())]
    NotJson {
        /// The request file.
        path: PathBuf,
        /// Where it stops being JSON.
        detail: serde_json::Error,
    },
    /// The request does not follow its schema.
    #[error("{path}: {reason}", path = .path.display())]
    Invalid {
        /// The request file.
        path: PathBuf,
        /// Which field, and what to write.
        reason: RequestInvalid,
    },
    /// A data entry is neither a pin nor a file.
    #[error(
        "{path}: `{field}` holds {found}: write either {{\"file\": \"<path beside the request>\"}} or \
         {{\"uri\", \"version_id\", \"sha256\"}}",
        path = .path.display()
    )]
    DataForm {
        /// The request file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// Its fields.
        found: String,
    },
    /// A data file cannot be read.
    #[error(
        "{path}: `{field}.file` is {file}, which cannot be read ({source}): give a path relative to the request",
        path = .path.display(), file = .file.display()
    )]
    Data {
        /// The request file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// The data file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A data file holds nothing.
    #[error("{path}: `{field}.file` is {file}, which is empty: give JSON Lines", path = .path.display(), file = .file.display())]
    DataEmpty {
        /// The request file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// The data file.
        file: PathBuf,
    },
}

/// Which data an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    /// What is trained on.
    Training,
    /// What is graded on: others may write it than those who may train.
    Evaluation,
}

impl Data {
    const BOTH: [Data; 2] = [Data::Training, Data::Evaluation];

    fn part(self) -> &'static str {
        match self {
            Data::Training => "training",
            Data::Evaluation => "evaluation",
        }
    }

    fn field(self) -> &'static str {
        match self {
            Data::Training => "training.data",
            Data::Evaluation => "evaluation.data",
        }
    }
}

/// A data file that is to be uploaded.
#[derive(Debug)]
pub(crate) struct Upload {
    /// Which data it is.
    pub data: Data,
    /// Its key in the work bucket.
    pub key: String,
    /// What its bytes hash to.
    pub sha256: Sha256Digest,
    bytes: Vec<u8>,
}

/// A request file, read and checked; its data files are not uploaded yet.
#[derive(Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    request: Value,
    uploads: Vec<Upload>,
}

impl Draft {
    /// Reads a request file and everything that it names, and checks all of it, so that what is wrong is known
    /// before anything is started.
    pub(crate) fn read(path: &Path) -> Result<Self, StagingError> {
        let text = std::fs::read(path)
            .map_err(|source| StagingError::Unreadable { path: path.to_owned(), source })?;
        let request: Value = serde_json::from_slice(&text)
            .map_err(|detail| StagingError::NotJson { path: path.to_owned(), detail })?;
        let mut uploads = Vec::new();
        for data in Data::BOTH {
            if let Some(entry) = request.get(data.part()).and_then(|part| part.get("data")) {
                uploads.extend(upload(path, data, entry)?);
            }
        }
        let draft = Self { path: path.to_owned(), request, uploads };
        // The bucket's name and the versions are not known yet; nothing that is checked depends on them.
        let pins: Vec<DataPin> =
            draft.uploads.iter().map(|u| pin("staged", u, "pending".to_owned())).collect();
        draft.check(&draft.with(&pins))?;
        Ok(draft)
    }

    /// The bucket of data that the request pins itself.
    pub(crate) fn pinned_bucket(&self) -> Option<String> {
        let uri =
            Data::BOTH.into_iter().find_map(|data| self.request[data.part()]["data"]["uri"].as_str())?;
        S3Uri::try_from(uri.to_owned()).ok().map(|uri| uri.bucket().to_owned())
    }

    /// The request as it would be if its files were in this bucket.
    ///
    /// # Errors
    /// As [`Draft::read`].
    pub(crate) fn as_staged(&self, work_bucket: &str) -> Result<Request, StagingError> {
        let pins: Vec<DataPin> =
            self.uploads.iter().map(|u| pin(work_bucket, u, "pending".to_owned())).collect();
        self.check(&self.with(&pins))
    }

    /// The rows that the model is graded on, where the request names a file of them.
    pub(crate) fn evaluation_rows(&self) -> &[u8] {
        let upload = self.uploads.iter().find(|upload| upload.data == Data::Evaluation);
        upload.map(|upload| upload.bytes.as_slice()).unwrap_or_default()
    }

    /// The endpoint that the request chooses.
    pub(crate) fn endpoint(&self) -> &str {
        self.request.pointer("/endpoint/name").and_then(Value::as_str).unwrap_or_default()
    }

    /// The model package group that the request registers in.
    pub(crate) fn group(&self) -> &str {
        self.request.pointer("/registry/model_package_group").and_then(Value::as_str).unwrap_or_default()
    }

    /// Uploads each data file as whoever may write it, and pins what was stored.
    ///
    /// # Errors
    /// The upload's own, and [`Error::Incomplete`] from a bucket that keeps no versions.
    pub(crate) async fn stage(
        &self,
        work_bucket: &str,
        client_of: impl Fn(Data) -> aws_sdk_s3::Client,
    ) -> Result<Value, Error> {
        let mut pins = Vec::new();
        for upload in &self.uploads {
            let stored = client_of(upload.data)
                .put_object()
                .bucket(work_bucket)
                .key(&upload.key)
                .content_type("application/jsonl")
                .body(ByteStream::from(upload.bytes.clone()))
                .send()
                .await
                .map_err(Error::aws("PutObject"))?;
            let version = stored.version_id().ok_or(Error::Incomplete {
                operation: "PutObject",
                lacking: "a version: is the bucket versioned?",
            })?;
            pins.push(pin(work_bucket, upload, version.to_owned()));
        }
        Ok(self.with(&pins))
    }

    /// The request with these pins in place of its files.
    fn with(&self, pins: &[DataPin]) -> Value {
        let mut request = self.request.clone();
        for (upload, pin) in self.uploads.iter().zip(pins) {
            if let Some(part) = request.get_mut(upload.data.part()).and_then(Value::as_object_mut) {
                part.insert("data".to_owned(), json!(pin));
            }
        }
        request
    }

    fn check(&self, request: &Value) -> Result<Request, StagingError> {
        Request::parse(request.to_string().as_bytes())
            .map_err(|reason| StagingError::Invalid { path: self.path.clone(), reason })
    }
}

fn pin(bucket: &str, upload: &Upload, version_id: String) -> DataPin {
    DataPin { uri: S3Uri::new(bucket, &upload.key), version_id, sha256: upload.sha256.clone() }
}

/// The upload that an entry asks for; none if it is pinned already.
fn upload(path: &Path, data: Data, entry: &Value) -> Result<Option<Upload>, StagingError> {
    let Some(fields) = entry.as_object() else { return Ok(None) };
    let Some(file) = fields.get("file") else { return Ok(None) };
    let form = || StagingError::DataForm {
        path: path.to_owned(),
        field: data.field(),
        found: fields.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "),
    };
    let (1, Some(file)) = (fields.len(), file.as_str()) else { return Err(form()) };
    let file = path.parent().unwrap_or(Path::new("")).join(file);
    let Some(name) = file.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return Err(form());
    };
    let bytes = std::fs::read(&file).map_err(|source| StagingError::Data {
        path: path.to_owned(),
        field: data.field(),
        file: file.clone(),
        source,
    })?;
    if bytes.is_empty() {
        return Err(StagingError::DataEmpty { path: path.to_owned(), field: data.field(), file });
    }
    let key = format!("datasets/{}/{name}", data.part());
    Ok(Some(Upload { data, key, sha256: Sha256Digest::of(&bytes), bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(request: Value) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("training.jsonl"), b"{\"text\":\"a\"}\n").unwrap();
        std::fs::write(folder.path().join("held-out.jsonl"), b"{\"text\":\"b\"}\n").unwrap();
        std::fs::write(folder.path().join("empty.jsonl"), b"").unwrap();
        let path = folder.path().join("request.json");
        std::fs::write(&path, request.to_string()).unwrap();
        (folder, path)
    }

    fn request() -> Value {
        json!({
            "schema": "lockstep/request/v1",
            "source": {"repo": "lockstep/tiny-lm", "revision": "main"},
            "image": "lockstep/model-container:1.0",
            "training": {"data": {"file": "training.jsonl"}, "instance_type": "ml.m5.xlarge",
                "instance_count": 1, "volume_gib": 30, "max_runtime_seconds": 60},
            "evaluation": {"data": {"file": "held-out.jsonl"}, "instance_type": "ml.m5.xlarge",
                "instance_count": 1, "volume_gib": 30, "max_runtime_seconds": 60},
            "registry": {"model_package_group": "tiny-lm"},
            "endpoint": {"name": "tiny-lm", "instance_type": "ml.m5.large", "instance_count": 1, "capture_percent": 100}
        })
    }

    fn refused(pointer: &str, value: Value) -> String {
        let mut request = request();
        *request.pointer_mut(pointer).unwrap() = value;
        let (_folder, path) = folder(request);
        Draft::read(&path).unwrap_err().to_string()
    }

    #[test]
    fn files_become_uploads_with_their_digests() {
        let (_folder, path) = folder(request());
        let draft = Draft::read(&path).unwrap();
        let keys: Vec<_> = draft.uploads.iter().map(|u| u.key.as_str()).collect();
        assert_eq!(keys, ["datasets/training/training.jsonl", "datasets/evaluation/held-out.jsonl"]);
        assert_eq!(draft.uploads[0].sha256, Sha256Digest::of(b"{\"text\":\"a\"}\n"));
        assert_eq!(draft.endpoint(), "tiny-lm");
    }

    #[test]
    fn a_pinned_request_is_taken_as_it_is() {
        let mut pinned = request();
        for (part, digit) in [("training", "0"), ("evaluation", "1")] {
            pinned[part]["data"] = json!({"uri": format!("s3://work/datasets/{part}/a.jsonl"), "version_id": "7",
                "sha256": digit.repeat(64)});
        }
        let (_folder, path) = folder(pinned.clone());
        let draft = Draft::read(&path).unwrap();
        assert!(draft.uploads.is_empty());
        assert_eq!(draft.with(&[]), pinned);
    }

    #[test]
    fn each_refusal_names_file_field_and_remedy() {
        let message = refused("/training/data", json!({"file": "training.jsonl", "sha256": "x"}));
        assert!(
            message.contains("request.json")
                && message.contains("`training.data`")
                && message.contains("`sha256`")
        );
        let message = refused("/training/data", json!({"file": 7}));
        assert!(message.contains("write either"), "{message}");
        let message = refused("/evaluation/data", json!({"file": "nowhere.jsonl"}));
        assert!(message.contains("`evaluation.data.file`") && message.contains("nowhere.jsonl"), "{message}");
        let message = refused("/evaluation/data", json!({"file": "empty.jsonl"}));
        assert!(message.contains("is empty"), "{message}");
        let message = refused("/evaluation/data", json!({"path": "held-out.jsonl"}));
        assert!(message.contains("path"), "{message}");
        let message = refused("/training/volume_gib", json!("big"));
        assert!(message.contains("does not follow"), "{message}");
        let message = refused("/evaluation/data", json!({"file": "training.jsonl"}));
        assert!(message.contains("evaluation.data"), "{message}");
    }

    #[test]
    fn an_unknown_field_is_refused_before_anything_starts() {
        let mut misspelt = request();
        misspelt["training"]["max_runtime"] = json!(5);
        let (_folder, path) = folder(misspelt);
        let message = Draft::read(&path).unwrap_err().to_string();
        assert!(message.contains("max_runtime"), "{message}");
    }

    #[test]
    fn what_is_not_there_or_not_json_is_named() {
        assert!(Draft::read(Path::new("no/such.json")).unwrap_err().to_string().contains("no/such.json"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        std::fs::write(&path, "{").unwrap();
        assert!(Draft::read(&path).unwrap_err().to_string().contains("is not JSON"));
    }
}
