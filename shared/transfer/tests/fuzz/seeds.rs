//! The seeds of the fuzz targets: sound files, each refusal, and attacks that are known.

/// Names and bytes.
pub type Seeds = Vec<(String, Vec<u8>)>;

/// The seeds of safetensors, GGUF, JSON, text and pickle.
pub fn all() -> [Seeds; 5] {
    [safetensors(), gguf(), json(), text(), pickle()]
}

fn named<const N: usize>(seeds: [(&str, Vec<u8>); N]) -> Seeds {
    seeds.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn safetensors() -> Seeds {
    const SOUND: &str = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}"#;
    let altered = |from: &str, to: &str| with_header(&SOUND.replacen(from, to, 1), 11);
    // As `safetensors_abuse_attempt_2` has it with ten million: every tensor claims the same bytes.
    let many: Vec<_> = (0..40)
        .map(|index| format!(r#""weight_{index}":{{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#))
        .collect();
    named([
        ("sound", with_header(SOUND, 11)),
        ("sound-padded-like-a-pickle", with_header(&format!("{SOUND:<640}"), 11)),
        ("sound-without-tensors", with_header("{}", 0)),
        (
            "sound-unordered",
            with_header(
                r#"{"z":{"dtype":"I64","shape":[1],"data_offsets":[3,11]},"y":{"dtype":"F4","shape":[6],"data_offsets":[0,3]},"x":{"dtype":"BF16","shape":[0,4],"data_offsets":[3,3]}}"#,
                11,
            ),
        ),
        ("trailing-byte", with_header(SOUND, 12)),
        ("missing-byte", with_header(SOUND, 10)),
        ("overlap", altered("[8,11]", "[7,10]")),
        ("gap", altered("[8,11]", "[9,12]")),
        ("backwards", altered("[8,11]", "[11,8]")),
        ("unknown-dtype", altered("F32", "Q9")),
        ("partial-byte", altered("\"F32\",\"shape\":[2]", "\"F4\",\"shape\":[3]")),
        ("shape-differs", altered("[2]", "[3]")),
        ("shape-overflows", altered("[2]", "[18446744073709551615,2]")),
        ("shape-overflows-in-bits", altered("[2]", "[2305843009213693952]")),
        ("shape-negative", altered("[2]", "[-2]")),
        ("shape-of-65-dimensions", altered("[2]", &format!("[2{}]", ",1".repeat(64)))),
        ("offsets-of-2-63", altered("[8,11]", "[8,9223372036854775808]")),
        ("name-twice", altered("\"b\":", "\"a\":")),
        ("name-twice-escaped", altered("\"b\":", "\"\\u0061\":")),
        ("dtype-twice", altered("\"dtype\":", "\"dtype\":\"U8\",\"dtype\":")),
        ("metadata-null", altered("{\"format\":\"pt\"}", "null")),
        ("metadata-not-strings", altered("\"pt\"", "{\"a\":1}")),
        ("metadata-key-twice", altered("\"pt\"", "\"pt\",\"format\":\"np\"")),
        ("space-before-header", with_header(&format!(" {SOUND}"), 11)),
        ("two-headers", with_header(&format!("{SOUND}{SOUND}"), 22)),
        ("not-json", with_header("{", 0)),
        ("not-utf-8", [&4_u64.to_le_bytes()[..], b"{\"\xff\""].concat()),
        ("attack-1-length-past-end", [&1000_u64.to_le_bytes()[..], SOUND.as_bytes()].concat()),
        ("attack-2-same-bytes-many-times", with_header(&format!("{{{}}}", many.join(",")), 16)),
        ("header-of-2-63-bytes", [&(1_u64 << 63).to_le_bytes()[..], SOUND.as_bytes()].concat()),
        ("header-of-all-ones", vec![0xff; 8]),
        ("header-empty", vec![0; 8]),
        ("empty", Vec::new()),
    ])
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn entry(key: &str, value_type: u32, value: &[u8]) -> Vec<u8> {
    [&string(key), &value_type.to_le_bytes()[..], value].concat()
}

fn array(element: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    [&element.to_le_bytes()[..], &count.to_le_bytes(), elements].concat()
}

fn tensor(name: &str, shape: &[u64], tensor_type: u32, offset: u64) -> Vec<u8> {
    let mut bytes = string(name);
    bytes.extend((shape.len() as u32).to_le_bytes());
    bytes.extend(shape.iter().flat_map(|length| length.to_le_bytes()));
    bytes.extend(tensor_type.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

fn gguf_file(version: u32, entries: &[Vec<u8>], tensors: &[Vec<u8>], data: usize) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((entries.len() as u64).to_le_bytes());
    bytes.extend(entries.concat());
    bytes.extend(tensors.concat());
    bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
    bytes
}

fn gguf() -> Seeds {
    let tokens = array(8, 2, &[string("<s>"), string("a")].concat());
    let entries = [
        entry("general.architecture", 8, &string("llama")),
        entry("tokenizer.chat_template", 8, &string("{{ messages }}")),
        entry("tokenizer.ggml.tokens", 9, &tokens),
        entry("tokenizer.ggml.scores", 9, &array(6, 2, &[0; 8])),
        entry("tokenizer.ggml.add_bos_token", 7, &[1]),
    ];
    let tensors = [tensor("token_embd.weight", &[256, 2], 12, 0), tensor("norm.weight", &[3], 0, 288)];
    let one = |entry: Vec<u8>| gguf_file(3, &[entry], &[], 0);
    let shaped = |shape: &[u64], tensor_type| gguf_file(3, &[], &[tensor("a", shape, tensor_type, 0)], 32);
    let deep = (0..6).fold(Vec::new(), |inner, _| array(9, 1, &inner));
    let mut padding = shaped(&[8], 0);
    let last = padding.len() - 33;
    padding[last] = 1;
    named([
        ("sound", gguf_file(3, &entries, &tensors, 320)),
        ("sound-unpadded", gguf_file(3, &entries, &tensors, 300)),
        ("sound-version-2", gguf_file(2, &entries, &tensors, 320)),
        ("sound-without-tensors", gguf_file(3, &entries, &[], 0)),
        (
            "sound-aligned",
            gguf_file(
                3,
                &[entry("general.alignment", 4, &8_u32.to_le_bytes())],
                &[tensor("a", &[1], 0, 0), tensor("b", &[1, 1, 1, 1], 24, 8)],
                16,
            ),
        ),
        ("version-1", gguf_file(1, &entries, &tensors, 320)),
        ("big-endian", gguf_file(3_u32.swap_bytes(), &entries, &tensors, 320)),
        ("tensors-of-all-ones", [b"GGUF\x03\0\0\0".as_slice(), &[0xff; 16]].concat()),
        ("string-of-2-63", one(entry("k", 8, &(1_u64 << 63).to_le_bytes()))),
        ("array-of-2-61-numbers", one(entry("k", 9, &array(12, 1 << 61, &[])))),
        ("array-of-endless-strings", one(entry("k", 9, &array(8, u64::MAX, &[])))),
        ("arrays-nested", one(entry("k", 9, &deep))),
        ("boolean-of-2", one(entry("k", 7, &[2]))),
        ("unknown-value", one(entry("k", 13, &[0; 8]))),
        ("key-twice", gguf_file(3, &[entry("k", 7, &[0]), entry("k", 7, &[1])], &[], 0)),
        ("key-not-text", one(entry("k\u{1b}[2J", 7, &[0]))),
        ("alignment-0", one(entry("general.alignment", 4, &[0; 4]))),
        ("alignment-48", one(entry("general.alignment", 4, &48_u32.to_le_bytes()))),
        ("tensor-twice", gguf_file(3, &[], &[tensor("a", &[8], 0, 0), tensor("a", &[8], 0, 32)], 64)),
        ("tensors-overlap", gguf_file(3, &[], &[tensor("a", &[8], 0, 0), tensor("b", &[8], 0, 0)], 64)),
        ("tensors-apart", gguf_file(3, &[], &[tensor("a", &[8], 0, 0), tensor("b", &[8], 0, 64)], 96)),
        ("five-dimensions", shaped(&[1; 5], 0)),
        ("type-withdrawn", shaped(&[32], 4)),
        ("partial-block", shaped(&[16, 2], 2)),
        ("shape-overflows", shaped(&[1 << 32, 1 << 32], 0)),
        ("padding-in-use", padding),
        ("trailing", shaped(&[1], 0)),
        ("empty", Vec::new()),
    ])
}

fn json() -> Seeds {
    let text = |text: &str| text.as_bytes().to_vec();
    named([
        (
            "sound",
            text(
                r#"{"model_type": "tiny", "layers": 2, "rope": [1e-5, -0.5, true, null], "trust_remote_code": false}"#,
            ),
        ),
        ("sound-escapes", text(r#" ["\ud834\udd1e\u00e9\n\"\\\/", "é𝄞"] "#)),
        ("sound-vocabulary", text(&format!("{{\"vocab\": {{{}\"x\": 0}}}}\r\n", r#""Ġa": 1, "#.repeat(60)))),
        ("auto-map", text(r#"{"auto_map": {"AutoModel": "modeling.Tiny"}}"#)),
        ("auto-map-hidden", text(r#"{"a": {"auto\u005fmap": {}}, "a": {}}"#)),
        ("auto-map-as-value", text(r#"["auto_map", {"a": "auto_map"}]"#)),
        ("trust", text(r#"{"a": [{"trust_remote_code": true}]}"#)),
        ("trust-hidden", text(r#"{"trust_remote_code": true, "trust_remote_code": false}"#)),
        ("trust-nested", text(r#"{"trust_remote_code": [false]}"#)),
        ("deep", text(&["[".repeat(128), "]".repeat(128)].concat())),
        ("too-deep", text(&["[".repeat(200), "]".repeat(200)].concat())),
        ("number-too-large", text("[1e400]")),
        ("byte-order-mark", text("\u{feff}{}")),
        ("lone-surrogate", text(r#"["\ud800"]"#)),
        ("control-character", text("[\"\u{1}\"]")),
        ("not-utf-8", b"[\"\xff\"]".to_vec()),
        ("trailing-comma", text("[1,]")),
        ("two-values", text("{} {}")),
        ("nan", text("[NaN, Infinity]")),
        ("cut", text(r#"{"a": "b"#)),
        ("empty", Vec::new()),
    ])
}

fn text() -> Seeds {
    let text = |text: &str| text.as_bytes().to_vec();
    let mut tar = vec![0; 600];
    tar[..8].copy_from_slice(b"data.pkl");
    tar[257..263].copy_from_slice(b"ustar\0");
    named([
        ("sound", text("# Größe\n\nA model card. 𝄞\n")),
        ("sound-merges", text("#version: 0.2\nĠ t\nh e\n")),
        ("sound-vocabulary", text("cat\ndog\nelephant\n")),
        ("sound-long", text(&"The quick brown fox jumps over the lazy dög. ".repeat(30))),
        ("script", text("#!/bin/sh\nid\n")),
        ("script-after-mark", text("\u{feff}#!/bin/sh\nid\n")),
        ("lfs-pointer", text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")),
        ("nul", b"a\0b".to_vec()),
        ("utf-16", b"\xff\xfea\0".to_vec()),
        ("cut-character", b"half \xc3".to_vec()),
        ("overlong-character", b"\xc0\xaf".to_vec()),
        ("tar", tar),
        ("elf", b"\x7fELF\x02\x01\x01\0\0\0\0\0".to_vec()),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
        ("hdf5", b"\x89HDF\r\n\x1a\n\0\0".to_vec()),
        ("compiled-python", b"\xa7\r\r\n\0\0\0\0".to_vec()),
        ("empty", Vec::new()),
    ])
}

fn zip_entry(name: &str, method: u16, flags: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04\x14\0".to_vec();
    bytes.extend(flags.to_le_bytes());
    bytes.extend(method.to_le_bytes());
    bytes.extend([0; 8]);
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(name.as_bytes());
    bytes.extend(content);
    bytes
}

fn pickle() -> Seeds {
    // `pickle.dumps` of an object whose `__reduce__` answers `(os.system, ("id",))`.
    let protocol_2 = b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.".to_vec();
    named([
        ("protocol-0", b"cposix\nsystem\np0\n(Vid\np1\ntp2\nRp3\n.".to_vec()),
        ("protocol-1", b"cposix\nsystem\nq\x00(X\x02\x00\x00\x00idq\x01tq\x02Rq\x03.".to_vec()),
        ("protocol-2", protocol_2.clone()),
        (
            "protocol-4",
            b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94."
                .to_vec(),
        ),
        ("memo", b"\x80\x04\x8c\x05posixq\x07\x8c\x06systemq\x0800h\x07j\x08\0\0\0\x93)R.".to_vec()),
        ("instance", b"(S'id'\nios\nsystem\n.".to_vec()),
        ("object", b"(cos\nsystem\nS'id'\no.".to_vec()),
        ("extension", b"\x80\x02\x82\x07)R.".to_vec()),
        ("new-object", b"\x80\x04cbuiltins\neval\n)}\x92.".to_vec()),
        ("build", b"cbuiltins\neval\n)R}S'a'\nI1\nsb.".to_vec()),
        ("begins-like-gguf", b"GGUF 1234cos\nsystem\n(S'id'\ntR.".to_vec()),
        ("runs-then-breaks", b"cos\nsystem\n(S'id'\ntR\xff".to_vec()),
        ("imports-late", [b"I1\n0".repeat(200).as_slice(), b"cos\nsystem\n(S'id'\ntR."].concat()),
        ("numbers", b"(I01\nL5L\nF1.5\nG\0\0\0\0\0\0\0\0K\x01M\x01\0J\x01\0\0\0\x8a\x01\x05\x8b\x01\0\0\0\x05t.".to_vec()),
        ("containers", b"\x80\x05]K\x01a(K\x02e}S'a'\nNs(U\x01bNu0\x8f(K\x01\x90(N\x91(Nl(NNd\x96\x01\0\0\0\0\0\0\0x1.".to_vec()),
        ("names-with-escapes", b"\x80\x04\x8c\x05\x1b[2Jm\x8c\x02\r\n\x93.".to_vec()),
        ("name-of-300-bytes", [b"\x80\x04\x8c\xff".as_slice(), &[b'm'; 255], b"\x8c\x01n\x93."].concat()),
        ("length-of-all-ones", [b"\x80\x04\x8d".as_slice(), &[0xff; 8]].concat()),
        ("cut", protocol_2[..12].to_vec()),
        (
            "checkpoint",
            [zip_entry("archive/version", 0, 0, b"3\n"), zip_entry("archive/data.pkl", 0, 8, &protocol_2)].concat(),
        ),
        ("checkpoint-deflated", zip_entry("archive/data.pkl", 8, 0, &protocol_2)),
        ("proto-only", b"\x80\x05".to_vec()),
    ])
}
