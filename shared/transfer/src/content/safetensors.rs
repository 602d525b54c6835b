//! The header of a safetensors file: <https://github.com/huggingface/safetensors#format>.
//!
//! The `safetensors` crate's own reader takes the whole header for trusted: a hostile one of 16 MiB grows to
//! hundreds when it is turned into maps, and a key given twice hides its first value. So the header is walked
//! once instead, keeping two numbers and a name for each tensor. What a dtype is and how wide, the crate says;
//! that it accepts exactly what is accepted here, but for the limits, is tested.

use std::{borrow::Cow, collections::HashSet, fmt};

use safetensors::Dtype;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};

use super::{
    limits::{HEADER_MAX, TENSORS_MAX},
    verdict::printable,
};

/// The dimensions that a shape may have at most; PyTorch's limit.
const DIMENSIONS_MAX: usize = 64;

/// Why a safetensors file is not sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SafetensorsFault {
    /// Fewer than the 8 bytes that say how long the header is.
    #[error("it is shorter than its header's length")]
    NoHeader,
    /// The header would end after the file does.
    #[error("its header would be {0} bytes long, more than it holds")]
    HeaderPastEnd(u64),
    /// The format's public limit is 100 MB; what is longer than ours could not be checked.
    #[error("its header is {0} bytes long, more than the {HEADER_MAX} that are checked")]
    HeaderTooLong(u64),
    /// The format demands `{` as the header's first byte.
    #[error("its header does not begin with `{{`")]
    HeaderNotObject,
    /// The header is not UTF-8.
    #[error("its header is not UTF-8")]
    HeaderNotText,
    /// The header is not JSON of the form that the format demands, unknown dtypes included.
    #[error("its header cannot be read: {0}")]
    HeaderUnreadable(String),
    /// A name is given twice: readers differ in which they take.
    #[error("its header names `{0}` twice")]
    DuplicateName(String),
    /// More tensors than are kept track of.
    #[error("its header names more than the {TENSORS_MAX} tensors that are checked")]
    TooManyTensors,
    /// A shape with more dimensions than any library knows.
    #[error("the shape of `{0}` has more than {DIMENSIONS_MAX} dimensions")]
    TooManyDimensions(String),
    /// The size of a tensor is no 64-bit number.
    #[error("the shape of `{0}` is larger than any file")]
    ShapeOverflow(String),
    /// Elements smaller than a byte that do not fill their last one.
    #[error("the elements of `{0}` do not fill whole bytes")]
    PartialByte(String),
    /// Shape and dtype tell of another size than the offsets do, or the offsets run backwards.
    #[error("the offsets of `{0}` do not span what its shape and dtype take")]
    SpanDiffers(String),
    /// Bytes that belong to no tensor.
    #[error("no tensor holds the bytes of its data from {0} on")]
    Gap(u64),
    /// Bytes that belong to two tensors.
    #[error("two tensors hold the bytes of its data from {0} on")]
    Overlap(u64),
    /// The tensors end before or after the file does.
    #[error("its tensors end at byte {told}, and the file at {size}")]
    LengthDiffers {
        /// Where the header says that the last tensor ends.
        told: u64,
        /// The file's size in bytes.
        size: u64,
    },
}

/// Takes in a header, then judges it. The data after it can be anything.
#[derive(Debug)]
pub(super) struct SafetensorsCheck {
    /// The file's size in bytes.
    size: u64,
    /// The 8 bytes of the length, then the header.
    kept: Vec<u8>,
}

impl SafetensorsCheck {
    pub fn new(size: u64) -> Self {
        Self { size, kept: Vec::new() }
    }

    /// Takes the next bytes; true once the header is found sound, and no more is to be known.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<bool, SafetensorsFault> {
        loop {
            let told = self.kept.first_chunk().map(|length| u64::from_le_bytes(*length));
            let wanted = match told {
                None => 8,
                Some(header) if header > self.size.saturating_sub(8) => {
                    return Err(SafetensorsFault::HeaderPastEnd(header));
                }
                Some(header) if header > HEADER_MAX => return Err(SafetensorsFault::HeaderTooLong(header)),
                // Fits: it is at most HEADER_MAX.
                Some(header) => 8 + header as usize,
            };
            let missing = wanted - self.kept.len();
            if missing == 0 {
                return judge(&self.kept[8..], self.size).map(|()| true);
            }
            if bytes.is_empty() {
                return Ok(false);
            }
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            // Room is made for what came, not for what the file claims; and for no more than is wanted.
            let room = (self.kept.len() + taken.len()).max(self.kept.len() * 2).min(wanted);
            self.kept.reserve_exact(room - self.kept.len());
            self.kept.extend_from_slice(taken);
            bytes = rest;
        }
    }
}

fn judge(header: &[u8], size: u64) -> Result<(), SafetensorsFault> {
    if header.first() != Some(&b'{') {
        return Err(SafetensorsFault::HeaderNotObject);
    }
    let text = std::str::from_utf8(header).map_err(|_| SafetensorsFault::HeaderNotText)?;
    let mut tensors = Tensors { names: HashSet::new(), spans: Vec::new(), fault: None };
    let mut json = serde_json::Deserializer::from_str(text);
    if let Err(error) = tensors.deserialize(&mut json).and_then(|()| json.end()) {
        let fault = tensors.fault.take();
        return Err(fault
            .unwrap_or_else(|| SafetensorsFault::HeaderUnreadable(printable(error.to_string().as_bytes()))));
    }
    tensors.spans.sort_unstable();
    let mut end = 0;
    for (from, to) in tensors.spans {
        match from.cmp(&end) {
            std::cmp::Ordering::Less => return Err(SafetensorsFault::Overlap(from)),
            std::cmp::Ordering::Greater => return Err(SafetensorsFault::Gap(end)),
            std::cmp::Ordering::Equal => end = to,
        }
    }
    let told = (8 + header.len() as u64).saturating_add(end);
    if told == size { Ok(()) } else { Err(SafetensorsFault::LengthDiffers { told, size }) }
}

/// What is known of the tensors named so far.
struct Tensors<'a> {
    names: HashSet<Cow<'a, str>>,
    /// From and to, in bytes after the header.
    spans: Vec<(u64, u64)>,
    /// What stopped the walk, when it was not the JSON.
    fault: Option<SafetensorsFault>,
}

impl<'de> DeserializeSeed<'de> for &mut Tensors<'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Tensors<'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key()? {
            let stop = if name == "__metadata__" {
                map.next_value::<StringMap>()?.0.map(SafetensorsFault::DuplicateName)
            } else {
                let tensor: Tensor = map.next_value()?;
                tensor.span(&name).map(|span| self.spans.push(span)).err()
            };
            let stop =
                stop.or_else(|| (self.spans.len() > TENSORS_MAX).then_some(SafetensorsFault::TooManyTensors));
            let stop = stop.or_else(|| {
                self.names
                    .replace(name)
                    .map(|twice| SafetensorsFault::DuplicateName(printable(twice.as_bytes())))
            });
            if stop.is_some() {
                self.fault = stop;
                return Err(A::Error::custom("unsound"));
            }
        }
        Ok(())
    }
}

/// Text of the header, not copied unless it holds escapes.
#[derive(PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Tensor {
    dtype: Dtype,
    shape: Shape,
    data_offsets: (u64, u64),
}

impl Tensor {
    fn span(&self, name: &str) -> Result<(u64, u64), SafetensorsFault> {
        let name = || printable(name.as_bytes());
        let elements = match self.shape {
            Shape::Elements(elements) => elements,
            Shape::Overflow => return Err(SafetensorsFault::ShapeOverflow(name())),
            Shape::TooManyDimensions => return Err(SafetensorsFault::TooManyDimensions(name())),
        };
        let bits = elements
            .checked_mul(self.dtype.bitsize() as u64)
            .ok_or_else(|| SafetensorsFault::ShapeOverflow(name()))?;
        if bits % 8 != 0 {
            return Err(SafetensorsFault::PartialByte(name()));
        }
        let (from, to) = self.data_offsets;
        if to.checked_sub(from) == Some(bits / 8) {
            Ok((from, to))
        } else {
            Err(SafetensorsFault::SpanDiffers(name()))
        }
    }
}

/// A shape, of which only the number of elements matters: a hostile one could list millions of dimensions.
enum Shape {
    Elements(u64),
    Overflow,
    TooManyDimensions,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of sizes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sizes: A) -> Result<Shape, A::Error> {
        let mut shape = Shape::Elements(1);
        let mut dimensions = 0;
        while let Some(size) = sizes.next_element::<u64>()? {
            dimensions += 1;
            shape = match shape {
                _ if dimensions > DIMENSIONS_MAX => Shape::TooManyDimensions,
                Shape::Elements(elements) => {
                    elements.checked_mul(size).map_or(Shape::Overflow, Shape::Elements)
                }
                stopped => stopped,
            };
        }
        Ok(shape)
    }
}

/// A map from strings to strings, looked at and dropped: what is in it is free. Holds the name given twice.
struct StringMap(Option<String>);

impl<'de> Deserialize<'de> for StringMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StringMapVisitor)
    }
}

struct StringMapVisitor;

impl<'de> Visitor<'de> for StringMapVisitor {
    type Value = StringMap;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StringMap, A::Error> {
        let mut names = HashSet::new();
        let mut twice = None;
        while let Some(Text(name)) = map.next_key()? {
            let Text(_) = map.next_value()?;
            if names.len() >= TENSORS_MAX {
                return Err(A::Error::custom("too much metadata"));
            }
            if let Some(name) = names.replace(name) {
                twice.get_or_insert(printable(name.as_bytes()));
            }
        }
        Ok(StringMap(twice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, data: u64) -> Result<(), SafetensorsFault> {
        judge(header.as_bytes(), 8 + header.len() as u64 + data)
    }

    fn tensor(dtype: &str, shape: &str, from: u64, to: u64) -> String {
        format!(r#""{dtype}{from}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{from},{to}]}}"#)
    }

    #[test]
    fn tensors_may_be_listed_in_any_order_and_be_empty() {
        let header = format!(
            "{{{},{},{}}}",
            tensor("F32", "[2]", 4, 12),
            tensor("U8", "[4]", 0, 4),
            tensor("I64", "[0,9]", 4, 4)
        );
        assert_eq!(check(&header, 12), Ok(()));
        assert_eq!(check("{}", 0), Ok(()));
        assert_eq!(check(r#"{"__metadata__":{"format":"pt"}}   "#, 0), Ok(()));
    }

    #[test]
    fn elements_smaller_than_a_byte_fill_whole_bytes() {
        assert_eq!(check(&format!("{{{}}}", tensor("F4", "[2,3]", 0, 3)), 3), Ok(()));
        assert_eq!(check(&format!("{{{}}}", tensor("F6_E2M3", "[4]", 0, 3)), 3), Ok(()));
        assert_eq!(
            check(&format!("{{{}}}", tensor("F4", "[3]", 0, 2)), 2),
            Err(SafetensorsFault::PartialByte("F40".into()))
        );
    }

    #[test]
    fn each_fault_is_told_from_the_others() {
        let long = format!("[{}]", ["1"; 65].join(","));
        for (header, data, fault) in [
            (format!("{{{}}}", tensor("U8", "[3]", 1, 4)), 4, SafetensorsFault::Gap(0)),
            (
                format!("{{{},{}}}", tensor("U8", "[3]", 0, 3), tensor("I8", "[2]", 2, 4)),
                4,
                SafetensorsFault::Overlap(2),
            ),
            (
                format!("{{{}}}", tensor("U8", "[3]", 0, 3)),
                4,
                SafetensorsFault::LengthDiffers { told: 66, size: 67 },
            ),
            (format!("{{{}}}", tensor("U8", "[3]", 3, 0)), 3, SafetensorsFault::SpanDiffers("U83".into())),
            (
                format!("{{{}}}", tensor("F64", "[2305843009213693952]", 0, 0)),
                0,
                SafetensorsFault::ShapeOverflow("F640".into()),
            ),
            (
                format!("{{{}}}", tensor("U8", &long, 0, 1)),
                1,
                SafetensorsFault::TooManyDimensions("U80".into()),
            ),
            (
                format!("{{{0},{0}}}", tensor("U8", "[0]", 0, 0)),
                0,
                SafetensorsFault::DuplicateName("U80".into()),
            ),
            (
                r#"{"__metadata__":{"a":"","\u0061":""}}"#.to_owned(),
                0,
                SafetensorsFault::DuplicateName("a".into()),
            ),
            (" {}".to_owned(), 0, SafetensorsFault::HeaderNotObject),
        ] {
            assert_eq!(check(&header, data), Err(fault), "{header}");
        }
    }

    #[test]
    fn what_is_not_of_the_formats_form_is_unreadable() {
        for header in [
            "{",
            "{}{}",
            r#"{"__metadata__":null}"#,
            r#"{"__metadata__":{"a":1}}"#,
            r#"{"__metadata__":{"a":{}}}"#,
            r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,0]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1]}}"#,
            r#"{"a":{"dtype":"object","shape":[1],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F32","dtype":"U8","shape":[1],"data_offsets":[0,4]}}"#,
        ] {
            let verdict = check(header, 4);
            assert!(matches!(verdict, Err(SafetensorsFault::HeaderUnreadable(_))), "{header}: {verdict:?}");
        }
    }

    #[test]
    fn more_tensors_than_are_kept_track_of_could_not_be_checked() {
        let mut header = String::from("{");
        for index in 0..=TENSORS_MAX {
            header += &format!(r#""{index}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},"#);
        }
        assert_eq!(check(&header, 0), Err(SafetensorsFault::TooManyTensors));
    }

    #[test]
    fn a_claimed_length_reserves_nothing() {
        let mut check = SafetensorsCheck::new(u64::MAX);
        assert_eq!(check.feed(&HEADER_MAX.to_le_bytes()), Ok(false));
        assert!(check.kept.capacity() < 64);
        for (length, fault) in [
            (HEADER_MAX + 1, SafetensorsFault::HeaderTooLong(HEADER_MAX + 1)),
            (1 << 63, SafetensorsFault::HeaderTooLong(1 << 63)),
            (u64::MAX, SafetensorsFault::HeaderPastEnd(u64::MAX)),
        ] {
            assert_eq!(SafetensorsCheck::new(u64::MAX).feed(&length.to_le_bytes()), Err(fault));
        }
    }
}
