use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout};

use serde_json::{Value, json};

use crate::tree::{Tree, terminate};

struct Server {
    child: Child,
    address: String,
    // Held open: a closed pipe would be one more thing that a test changes.
    _out: BufReader<ChildStdout>,
}

impl Server {
    fn start(tree: &Tree) -> Self {
        Self::start_with(tree, &[])
    }

    fn start_with(tree: &Tree, environment: &[(&str, &str)]) -> Self {
        let mut command = tree.command("serve");
        let mut child = command
            .envs(environment.iter().copied())
            .env("MODEL_CONTAINER_HOST", "127.0.0.1")
            .env("SAGEMAKER_BIND_TO_PORT", "0")
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address =
            line.trim().strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, address, _out: out }
    }

    /// One request by hand: no client between the test and the bytes.
    fn request(&self, line: &str, media: &str, body: &[u8]) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(stream, "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n")
            .unwrap();
        // A refused body may be cut off; the answer still comes.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn invoke(&self, body: &Value) -> (u16, Value) {
        self.request("POST /invocations", "application/json; charset=utf-8", body.to_string().as_bytes())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_answers_refuses_and_ends_on_sigterm() {
    let tree = Tree::empty();
    tree.model("model");
    let mut server = Server::start(&tree);
    assert_eq!(server.request("GET /ping", "", b"").0, 200);

    let ask = |parameters: Value| {
        let (status, answer) =
            server.invoke(&json!({"inputs": "Q: Who opens the gate?\nA:", "parameters": parameters}));
        assert_eq!(status, 200, "{answer}");
        answer[0]["generated_text"].as_str().unwrap().to_owned()
    };
    let greedy = ask(json!({"max_new_tokens": 12, "temperature": 0.0}));
    assert!(!greedy.is_empty());
    assert_eq!(greedy, ask(json!({"max_new_tokens": 12})));
    assert!(greedy.starts_with(&ask(json!({"max_new_tokens": 4}))));
    let sampled = |seed: u64| ask(json!({"max_new_tokens": 12, "temperature": 1.5, "seed": seed}));
    assert_eq!(sampled(1), sampled(1));
    assert!((2..9).any(|seed| sampled(seed) != sampled(1)));
    assert_eq!(server.invoke(&json!({"inputs": "no parameters"})).0, 200);

    for (body, reason) in [
        (json!({"inputs": ""}), "`inputs` is empty"),
        (json!({"prompt": "x"}), "unknown field `prompt`"),
        (json!({"inputs": "x", "attributes": {"region": ["north"]}}), "expected a string"),
        (json!({"inputs": 3}), "invalid type"),
        (json!({"inputs": "x", "parameters": {"max_tokens": 3}}), "unknown field `max_tokens`"),
        (
            json!({"inputs": "x", "parameters": {"max_new_tokens": 0}}),
            "`parameters.max_new_tokens` is 0; give a number from 1 to 256",
        ),
        (json!({"inputs": "x", "parameters": {"temperature": -1.0}}), "`parameters.temperature` is -1"),
        (json!({"inputs": "x", "parameters": {"temperature": 1e300}}), "`parameters.temperature` is 1"),
    ] {
        let (status, answer) = server.invoke(&body);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(reason), "{answer}");
    }
    let (status, answer) = server.invoke(&json!({"inputs": "word ".repeat(3000)}));
    assert!(
        status == 413 && answer["error"].as_str().unwrap().contains("tokens; send 255 at most"),
        "{answer}"
    );
    let (status, answer) = server.request("POST /invocations", "application/json", b"{\"inputs\"");
    assert!(status == 400 && answer["error"].as_str().unwrap().contains("not a request"), "{answer}");
    let (status, answer) = server.request("POST /invocations", "text/plain", b"hello");
    assert!(status == 415 && answer["error"].as_str().unwrap().contains("send application/json"), "{answer}");
    let (status, answer) =
        server.request("POST /invocations", "application/json", &vec![b' '; (1 << 20) + 1]);
    assert!(
        status == 413 && answer["error"].as_str().unwrap().contains("larger than 1048576 bytes"),
        "{status} {answer}"
    );
    assert_eq!(server.request("GET /elsewhere", "", b"").0, 404);
    assert_eq!(server.request("GET /invocations", "", b"").0, 405);
    assert_eq!(server.request("GET /ping", "", b"").0, 200);

    terminate(&server.child);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn its_limits_are_its_environments() {
    let tree = Tree::empty();
    tree.model("model");
    let limits = [
        ("MODEL_CONTAINER_MAX_BODY_BYTES", "200"),
        ("MODEL_CONTAINER_MAX_PROMPT_TOKENS", "8"),
        ("MODEL_CONTAINER_MAX_NEW_TOKENS", "4"),
        ("MODEL_CONTAINER_CONCURRENCY", "1"),
        ("MODEL_CONTAINER_QUEUE", "0"),
    ];
    let server = Server::start_with(&tree, &limits);
    let short = json!({"inputs": "x", "parameters": {"max_new_tokens": 4}});
    assert_eq!(server.invoke(&short).0, 200);
    for (body, expected, reason) in [
        (json!({"inputs": "x".repeat(200)}), 413, "larger than 200 bytes"),
        (
            json!({"inputs": "gate ".repeat(12), "parameters": {"max_new_tokens": 1}}),
            413,
            "tokens; send 8 at most",
        ),
        (json!({"inputs": "x", "parameters": {"max_new_tokens": 5}}), 400, "give a number from 1 to 4"),
    ] {
        let (status, answer) = server.invoke(&body);
        assert!(
            status == expected && answer["error"].as_str().unwrap().contains(reason),
            "{status} {answer}"
        );
    }

    // A request that is let in, and whose body is still to come, holds the only place.
    let body = short.to_string();
    let mut first = TcpStream::connect(&server.address).unwrap();
    let length = body.len();
    write!(first, "POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n")
        .unwrap();
    let mut begun = [0; 25];
    first.read_exact(&mut begun).unwrap();
    assert_eq!(begun.as_slice(), b"HTTP/1.1 100 Continue\r\n\r\n");
    let (status, answer) = server.invoke(&short);
    assert!(
        status == 429 && answer["error"].as_str().unwrap().contains("try again later"),
        "{status} {answer}"
    );
    first.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(server.invoke(&short).0, 200);
}

#[test]
fn it_does_not_start_without_a_usable_model_or_address() {
    let tree = Tree::empty();
    let (code, _, err) = tree.run("serve");
    assert!(code == Some(1) && err.contains("config.json: cannot be read"), "{err}");
    let output = tree.command("serve").env("SAGEMAKER_BIND_TO_PORT", "http").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("SAGEMAKER_BIND_TO_PORT = \"http\" is invalid; give a port"), "{err}");
    let output = tree.command("serve").env("MODEL_CONTAINER_CONCURRENCY", "0").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("MODEL_CONTAINER_CONCURRENCY = \"0\" is invalid; give a whole number"), "{err}");
}
