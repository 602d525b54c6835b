//! What the inspector holds to, whatever the bytes. A property answers with what it was that did not hold.

use contract::ContentKind;
use serde_json::Value;
use transfer::content::{Disguise, Inspector, InspectorState, JsonFault, SafetensorsFault, UnsafeContent};

type Verdict = Result<(), UnsafeContent>;

fn whole(path: &str, bytes: &[u8]) -> Verdict {
    let mut inspector = Inspector::new(path, bytes.len() as u64);
    inspector.feed(bytes)?;
    inspector.finish()
}

/// The same, in pieces of lengths that `seed` decides, saved and resumed between them where that can be.
fn in_pieces(path: &str, bytes: &[u8], size: u64, mut seed: u64) -> Verdict {
    let mut inspector = Inspector::new(path, size);
    let mut rest = bytes;
    while !rest.is_empty() {
        // Knuth's generator for 64 bits; its high ones are the better ones.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let longest = [1, 7, 64, 1 << 20][(seed >> 62) as usize];
        let (piece, left) = rest.split_at(((seed >> 32) as usize % longest + 1).min(rest.len()));
        inspector.feed(piece)?;
        rest = left;
        if let Some(state) = inspector.save().filter(|_| seed >> 61 & 1 == 1) {
            let stored = serde_json::to_string(&state).unwrap();
            assert!(stored.len() < 200, "{stored}");
            let state: InspectorState = serde_json::from_str(&stored).unwrap();
            inspector = Inspector::resume(path, size, state);
        }
    }
    inspector.finish()
}

fn hold(condition: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(fault()) }
}

/// What a refusal says must be fit for a log and a terminal, and of a length to be read.
fn fit_to_print(verdict: &Verdict) -> Result<(), String> {
    let Err(refused) = verdict else { return Ok(()) };
    let said = refused.to_string();
    hold(said.len() < 2000 && said.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), || {
        format!("not fit to print: {said:?}")
    })
}

/// What the `safetensors` crate accepts is accepted, but for what is refused knowingly; and nothing else is.
pub fn safetensors(bytes: &[u8]) -> Result<(), String> {
    let verdict = whole("model.safetensors", bytes);
    fit_to_print(&verdict)?;
    let library = safetensors::SafeTensors::deserialize(bytes).map(drop);
    let stricter = match &verdict {
        Err(UnsafeContent::Safetensors(fault)) => match fault {
            SafetensorsFault::DuplicateName(_)
            | SafetensorsFault::TooManyDimensions(_)
            | SafetensorsFault::HeaderNotObject => true,
            SafetensorsFault::HeaderUnreadable(_) => contains(bytes, b"null"),
            _ => false,
        },
        // Whitespace before the header: its length is free to look like another format's first bytes.
        Err(UnsafeContent::Disguised(_)) => bytes.get(8) != Some(&b'{'),
        _ => false,
    };
    hold(verdict.is_ok() == library.is_ok() || (library.is_ok() && stricter), || {
        format!("the library says {library:?}, the inspector {verdict:?}")
    })
}

/// A sound file is sound at no other length, but for the padding of its last tensor, which writers may leave out.
pub fn gguf(bytes: &[u8]) -> Result<(), String> {
    let verdict = whole("model.gguf", bytes);
    fit_to_print(&verdict)?;
    if verdict.is_ok() {
        let mut longer = bytes.to_vec();
        let mut sound = 0;
        for _ in 0..100 {
            longer.push(0);
            sound += usize::from(whole("model.gguf", &longer).is_ok());
        }
        hold(sound <= 1, || format!("sound at {sound} more lengths"))?;
    }
    Ok(())
}

/// Whatever a pickle holds, what is said of it is fit to print; and one that begins with `PROTO` is never let by.
pub fn pickle(bytes: &[u8]) -> Result<(), String> {
    for path in ["model.bin", "vocab.txt", "model.safetensors", "config.json"] {
        let verdict = whole(path, bytes);
        fit_to_print(&verdict)?;
        let marked = matches!(bytes, [0x80, 0..=5, ..]) && bytes.get(8) != Some(&b'{');
        let told = matches!(
            verdict,
            Err(UnsafeContent::Disguised(Disguise::Pickle(_) | Disguise::ZippedPickle { .. }))
        );
        hold(!marked || told, || format!("{path}: {verdict:?}"))?;
    }
    Ok(())
}

/// What `serde_json` accepts is accepted, but for the keys that are refused, and nothing else is, but for numbers
/// that it finds too large.
pub fn json(bytes: &[u8]) -> Result<(), String> {
    let verdict = whole("config.json", bytes);
    fit_to_print(&verdict)?;
    let library = serde_json::from_slice::<Value>(bytes);
    match (&library, &verdict) {
        (Ok(value), Ok(())) => hold(!runs_code(value), || "it runs code".to_owned()),
        (Ok(_), Err(UnsafeContent::RemoteCode(_) | UnsafeContent::Json(JsonFault::TooDeep)))
        | (Err(_), Err(_)) => Ok(()),
        (Err(error), Ok(())) => {
            let limits = error.to_string();
            hold(limits.contains("out of range") || limits.contains("recursion limit"), || {
                format!("the library says {error}")
            })
        }
        (Ok(_), Err(refused)) => Err(format!("the library accepts what is refused: {refused}")),
    }
}

fn runs_code(value: &Value) -> bool {
    match value {
        Value::Object(map) => {
            map.contains_key("auto_map")
                || map.get("trust_remote_code").is_some_and(|flag| *flag != Value::Bool(false))
                || map.values().any(runs_code)
        }
        Value::Array(items) => items.iter().any(runs_code),
        _ => false,
    }
}

/// Text is text: UTF-8 without NUL, and not of a format that is something else.
pub fn text(bytes: &[u8]) -> Result<(), String> {
    let verdict = whole("README.md", bytes);
    fit_to_print(&verdict)?;
    let is_text = std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0);
    let as_expected = match &verdict {
        Ok(()) => is_text && !bytes.is_empty() && !bytes.starts_with(b"#!"),
        Err(UnsafeContent::Empty) => bytes.is_empty(),
        Err(UnsafeContent::NotText) => !is_text,
        Err(UnsafeContent::Disguised(_) | UnsafeContent::LfsPointer) => true,
        Err(_) => false,
    };
    hold(as_expected, || format!("{verdict:?}"))
}

/// The verdict depends on the bytes alone: not on how they were cut, nor on whether the check was resumed. A file
/// that is shorter or longer than told never passes.
pub fn inspector(bytes: &[u8]) -> Result<(), String> {
    let size = bytes.len() as u64;
    let seed = bytes.iter().fold(size, |seed, byte| seed.wrapping_mul(31).wrapping_add((*byte).into()));
    for path in ["model.safetensors", "model.gguf", "config.json", "README.md", "model.bin"] {
        let verdict = whole(path, bytes);
        fit_to_print(&verdict)?;
        hold(verdict.is_err() || ContentKind::of(path).is_some(), || "passed unchecked".to_owned())?;
        let slowly = in_pieces(path, bytes, size, seed);
        hold(slowly == verdict, || format!("{path}: {verdict:?} becomes {slowly:?} in pieces"))?;
        for told in [size + 1, size.saturating_sub(1), size / 2].into_iter().filter(|told| *told != size) {
            let verdicts = [seed, !seed].map(|seed| in_pieces(path, bytes, told, seed));
            hold(verdicts[0] == verdicts[1] && verdicts[0].is_err(), || {
                format!("{path}: {size} bytes told as {told}: {verdicts:?}")
            })?;
        }
    }
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
