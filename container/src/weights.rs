//! Reading and writing safetensors: exactly the tensors that the configuration asks for, in float32, or an error.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Shape, Tensor};

use crate::Error;

/// Tensors by their Hugging Face names, in one order everywhere, so that a seed gives the same bytes.
pub type Weights = BTreeMap<String, Tensor>;

/// A safetensors header is small; anything beyond this is not one.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// Reads every `*.safetensors` of a folder (one file or shards) and holds the result against what is expected.
pub fn load(folder: &Path, expected: &BTreeMap<String, Shape>) -> Result<Weights, Error> {
    let files = files(folder)?;
    if files.is_empty() {
        return Err(invalid(folder, "holds no *.safetensors file".to_owned()));
    }
    let wanted: u64 = expected.values().map(|shape| shape.elem_count() as u64 * 4).sum();
    let mut weights = Weights::new();
    for path in files {
        // Size first: what cannot be the weights is not read into memory.
        let size = std::fs::metadata(&path).map_err(Error::unreadable(&path))?.len();
        if size > wanted + MAX_HEADER_BYTES {
            let detail = format!("has {size} bytes, but config.json describes {wanted} bytes of weights");
            return Err(invalid(&path, detail));
        }
        let bytes = std::fs::read(&path).map_err(Error::unreadable(&path))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|error| invalid(&path, format!("is no valid safetensors file ({error})")))?;
        for (name, tensor) in tensors {
            check(&path, &name, &tensor, expected)?;
            if weights.insert(name.clone(), tensor).is_some() {
                return Err(invalid(&path, format!("repeats tensor `{name}` of another file")));
            }
        }
    }
    match expected.keys().find(|name| !weights.contains_key(*name)) {
        Some(missing) => {
            Err(invalid(folder, format!("lacks tensor `{missing}`, which config.json asks for")))
        }
        None => Ok(weights),
    }
}

fn check(path: &Path, name: &str, tensor: &Tensor, expected: &BTreeMap<String, Shape>) -> Result<(), Error> {
    let Some(shape) = expected.get(name) else {
        return Err(invalid(path, format!("holds tensor `{name}`, which config.json does not ask for")));
    };
    if tensor.dtype() != DType::F32 {
        return Err(invalid(path, format!("tensor `{name}` has dtype {}, not f32", tensor.dtype().as_str())));
    }
    if tensor.shape() != shape {
        let detail = format!("tensor `{name}` has shape {:?}, not {:?}", tensor.dims(), shape.dims());
        return Err(invalid(path, detail));
    }
    // Zero times a number is zero; times infinity or NaN it is not.
    if (tensor * 0.0)?.sum_all()?.to_scalar::<f32>()? != 0.0 {
        return Err(invalid(path, format!("tensor `{name}` holds a value that is not finite")));
    }
    Ok(())
}

/// Writes one safetensors file; `format: pt` is what Hugging Face's loaders look for.
pub fn save(path: &Path, weights: &Weights) -> Result<(), Error> {
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(weights, Some(metadata))
        .map_err(|error| invalid(path, format!("cannot be encoded ({error})")))?;
    crate::layout::write(path, &bytes)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::unreadable(folder))? {
        let path = entry.map_err(Error::unreadable(folder))?.path();
        if path.extension().is_some_and(|extension| extension == "safetensors") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn invalid(path: &Path, detail: String) -> Error {
    Error::WeightsInvalid { path: path.to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> BTreeMap<String, Shape> {
        BTreeMap::from([("a".to_owned(), Shape::from((2, 3))), ("b".to_owned(), Shape::from(4))])
    }

    fn tensor(shape: impl Into<Shape>) -> Tensor {
        Tensor::ones(shape.into(), DType::F32, &Device::Cpu).unwrap()
    }

    fn refusal(weights: &[(&str, Tensor)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let weights = weights.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect();
        save(&folder.path().join("model.safetensors"), &weights).unwrap();
        load(folder.path(), &expected()).unwrap_err().to_string()
    }

    #[test]
    fn shards_are_read_together_and_come_back_equal() {
        let folder = tempfile::tempdir().unwrap();
        for (name, tensor) in [("a", tensor((2, 3))), ("b", tensor(4))] {
            let shard = Weights::from([(name.to_owned(), tensor)]);
            save(&folder.path().join(format!("model-{name}.safetensors")), &shard).unwrap();
        }
        let weights = load(folder.path(), &expected()).unwrap();
        assert_eq!(weights.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(weights["a"].to_vec2::<f32>().unwrap(), vec![vec![1.0; 3]; 2]);
    }

    #[test]
    fn other_tensors_than_the_expected_ones_are_refused() {
        assert!(refusal(&[("a", tensor((2, 3)))]).contains("lacks tensor `b`"));
        assert!(refusal(&[("a", tensor((3, 2)))]).contains("shape [3, 2], not [2, 3]"));
        assert!(refusal(&[("c", tensor(1))]).contains("`c`, which config.json does not ask for"));
        let half = tensor(4).to_dtype(DType::F16).unwrap();
        assert!(refusal(&[("b", half)]).contains("dtype f16, not f32"));
        let nan = (tensor(4) * f64::NAN).unwrap();
        assert!(refusal(&[("b", nan)]).contains("not finite"));
    }

    #[test]
    fn what_is_no_safetensors_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(folder.path(), &expected()).unwrap_err().to_string().contains("holds no *.safetensors"));
        let path = folder.path().join("model.safetensors");
        for bytes in [&b""[..], b"\x80\x04K\x01.", &[0xff; 64], b"PK\x03\x04"] {
            std::fs::write(&path, bytes).unwrap();
            let message = load(folder.path(), &expected()).unwrap_err().to_string();
            assert!(message.contains("no valid safetensors"), "{message}");
        }
        std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
        assert!(load(folder.path(), &expected()).unwrap_err().to_string().contains("has 1073741824 bytes"));
    }
}
