//! Reads a pickle as `pickletools` does, without running it: what it imports is what it would have run.
//!
//! Crates that read pickles build the values in them, stop at what they do not know, and keep what they build.
//! Here the opcodes of all six protocols are walked over at most 256 KiB, with a stack that holds no values but
//! the places of strings, which `STACK_GLOBAL` takes the names of its imports from. Opcodes and their arguments:
//! <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.

use std::{collections::BTreeMap, fmt, ops::Range};

use super::verdict::printable;

/// The imports that are told at most.
const TOLD_MAX: usize = 8;

/// What a pickle imports, safe to print, in the order of the pickle and each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imports {
    names: Vec<String>,
    /// How many more there are than are told.
    more: usize,
}

impl Imports {
    /// Whether nothing is imported, as far as could be read.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn add(&mut self, name: String) {
        if self.names.contains(&name) {
            return;
        }
        if self.names.len() < TOLD_MAX {
            self.names.push(name);
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for Imports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.as_slice() {
            names if self.more > 0 => write!(formatter, "{} and {} more", names.join(", "), self.more),
            [] => formatter.write_str("nothing"),
            [only] => formatter.write_str(only),
            [names @ .., last] => write!(formatter, "{} and {last}", names.join(", ")),
        }
    }
}

/// How far the opcodes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The opcode that ends a pickle; what follows it is not read. In bytes from the start.
    Stop(usize),
    /// Something that Python's reader refuses: what comes after it never runs.
    Broken,
    /// The bytes ended, between two opcodes.
    Between,
    /// The bytes ended within an opcode's argument, which would end here, if that is known.
    Within(Option<u64>),
}

/// What was read of a pickle.
#[derive(Debug)]
pub(super) struct Reading {
    pub imports: Imports,
    /// Whether something that was imported was called too.
    pub runs: bool,
    pub end: End,
}

/// Reads what may be a pickle from its first byte.
pub(super) fn read(bytes: &[u8]) -> Reading {
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        memo: BTreeMap::new(),
        imports: Imports::default(),
        runs: false,
    };
    let end = loop {
        if machine.at == bytes.len() {
            break End::Between;
        }
        match machine.step() {
            Ok(()) => {}
            Err(end) => break end,
        }
    };
    Reading { imports: machine.imports, runs: machine.runs, end }
}

/// What the stack holds, as far as matters.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Mark,
    Text(Range<usize>),
    Value,
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Item>,
    memo: BTreeMap<u64, Item>,
    imports: Imports,
    runs: bool,
}

impl Machine<'_> {
    fn step(&mut self) -> Result<(), End> {
        let opcode = self.bytes[self.at];
        self.at += 1;
        match opcode {
            // Values.
            b'N' | b']' | b')' | b'}' | 0x88 | 0x89 | 0x8f | 0x97 => self.push(Item::Value),
            b'K' => self.value(1),
            b'M' => self.value(2),
            b'J' => self.value(4),
            b'G' => self.value(8),
            b'I' | b'L' | b'F' => {
                let line = self.line()?;
                let number = &self.bytes[line];
                let plausible =
                    number.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-._ \t\r".contains(byte))
                        && (number.iter().any(u8::is_ascii_digit) || opcode == b'F');
                self.demand(plausible)?;
                self.push(Item::Value)
            }
            0x8a => self.counted(1, false),
            0x8b => self.counted(4, false),
            b'C' => self.counted(1, false),
            b'B' => self.counted(4, false),
            0x8e | 0x96 => self.counted(8, false),
            b'U' | 0x8c => self.counted(1, true),
            b'T' | b'X' => self.counted(4, true),
            0x8d => self.counted(8, true),
            b'V' => {
                let line = self.line()?;
                self.push(Item::Text(line))
            }
            b'S' => {
                let line = self.line()?;
                let quoted = self.bytes[line.clone()].trim_ascii_end();
                let sound = matches!(quoted, [b'\'', .., b'\''] | [b'"', .., b'"']);
                self.demand(sound)?;
                self.push(Item::Text(line.start + 1..line.start + quoted.len() - 1))
            }
            b'P' => {
                self.line()?;
                self.push(Item::Value)
            }
            b'Q' => self.replace(1, Item::Value),

            // The stack and the memo.
            b'(' => self.push(Item::Mark),
            b'0' => {
                let popped = self.stack.pop();
                self.demand(popped.is_some())
            }
            b'1' => self.pop_mark(),
            b'2' => {
                let top = self.top()?.clone();
                self.push(top)
            }
            b'p' | b'q' | b'r' => {
                let index = self.memo_index(opcode)?;
                let top = self.top()?.clone();
                self.memo.insert(index, top);
                Ok(())
            }
            0x94 => {
                let top = self.top()?.clone();
                self.memo.insert(self.memo.len() as u64, top);
                Ok(())
            }
            b'g' | b'h' | b'j' => {
                let index = self.memo_index(opcode)?;
                let item = self.memo.get(&index).cloned().ok_or(End::Broken)?;
                self.push(item)
            }

            // Containers.
            0x85 => self.replace(1, Item::Value),
            0x86 => self.replace(2, Item::Value),
            0x87 => self.replace(3, Item::Value),
            b't' | b'l' | b'd' | 0x91 => {
                self.pop_mark()?;
                self.push(Item::Value)
            }
            b'a' => self.pop(1).and_then(|()| self.top().map(drop)),
            b's' => self.pop(2).and_then(|()| self.top().map(drop)),
            b'e' | b'u' | 0x90 => self.pop_mark().and_then(|()| self.top().map(drop)),
            0x98 => self.top().map(drop),

            // Imports and calls.
            b'c' => {
                self.import_lines()?;
                self.push(Item::Value)
            }
            b'i' => {
                self.import_lines()?;
                self.pop_mark()?;
                self.call();
                self.push(Item::Value)
            }
            0x93 => self.import_from_stack(),
            0x82..=0x84 => {
                let code = self.take(if opcode == 0x84 { 4 } else { u64::from(opcode - 0x81) })?;
                let code = number(&self.bytes[code]);
                self.imports.add(format!("what is registered as extension {code}"));
                self.push(Item::Value)
            }
            b'R' | 0x81 => {
                self.replace(2, Item::Value)?;
                self.call();
                Ok(())
            }
            0x92 => {
                self.replace(3, Item::Value)?;
                self.call();
                Ok(())
            }
            b'o' => {
                self.pop_mark()?;
                self.call();
                self.push(Item::Value)
            }
            b'b' => {
                self.pop(1)?;
                self.top()?;
                self.call();
                Ok(())
            }

            // The stream.
            0x80 => {
                let version = self.take(1)?;
                let known = self.bytes[version.start] <= 5;
                self.demand(known)
            }
            0x95 => self.take(8).map(drop),
            b'.' => {
                self.top()?;
                Err(End::Stop(self.at))
            }
            _ => Err(End::Broken),
        }
    }

    fn demand(&self, sound: bool) -> Result<(), End> {
        if sound { Ok(()) } else { Err(End::Broken) }
    }

    fn push(&mut self, item: Item) -> Result<(), End> {
        self.stack.push(item);
        Ok(())
    }

    fn top(&self) -> Result<&Item, End> {
        self.stack.last().filter(|top| **top != Item::Mark).ok_or(End::Broken)
    }

    fn pop(&mut self, count: usize) -> Result<(), End> {
        for _ in 0..count {
            self.top()?;
            self.stack.pop();
        }
        Ok(())
    }

    fn pop_mark(&mut self) -> Result<(), End> {
        let mark = self.stack.iter().rposition(|item| *item == Item::Mark).ok_or(End::Broken)?;
        self.stack.truncate(mark);
        Ok(())
    }

    fn replace(&mut self, count: usize, item: Item) -> Result<(), End> {
        self.pop(count)?;
        self.push(item)
    }

    /// The next `length` bytes.
    fn take(&mut self, length: u64) -> Result<Range<usize>, End> {
        let end = (self.at as u64).checked_add(length).ok_or(End::Broken)?;
        if end > self.bytes.len() as u64 {
            return Err(End::Within(Some(end)));
        }
        let start = std::mem::replace(&mut self.at, end as usize);
        Ok(start..self.at)
    }

    /// The bytes up to the next newline, which is passed over.
    fn line(&mut self) -> Result<Range<usize>, End> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(End::Within(None))?;
        let start = self.at;
        self.at += length + 1;
        Ok(start..start + length)
    }

    fn value(&mut self, width: u64) -> Result<(), End> {
        self.take(width)?;
        self.push(Item::Value)
    }

    /// An argument that begins with its length, in `width` bytes.
    fn counted(&mut self, width: u64, text: bool) -> Result<(), End> {
        let length = self.take(width)?;
        let length = number(&self.bytes[length]);
        let argument = self.take(length)?;
        self.push(if text { Item::Text(argument) } else { Item::Value })
    }

    fn memo_index(&mut self, opcode: u8) -> Result<u64, End> {
        let width = match opcode {
            b'q' | b'h' => 1,
            b'r' | b'j' => 4,
            _ => {
                let line = self.line()?;
                let text = str::from_utf8(&self.bytes[line]).map_err(|_| End::Broken)?;
                // Python's `int` allows both.
                return text.trim().replace('_', "").parse().map_err(|_| End::Broken);
            }
        };
        let index = self.take(width)?;
        Ok(number(&self.bytes[index]))
    }

    /// `GLOBAL` and `INST`: a module on one line, a name in it on the next.
    fn import_lines(&mut self) -> Result<(), End> {
        let module = self.line()?;
        let name = self.line()?;
        for part in [&module, &name] {
            let part = &self.bytes[part.clone()];
            let importable =
                !part.is_empty() && !part.iter().any(|byte| *byte == b' ' || byte.is_ascii_control());
            self.demand(importable)?;
        }
        let (module, name) = (printable(&self.bytes[module]), printable(&self.bytes[name]));
        self.imports.add(format!("{module}.{name}"));
        Ok(())
    }

    /// `STACK_GLOBAL`: both are on the stack.
    fn import_from_stack(&mut self) -> Result<(), End> {
        let name = self.top()?.clone();
        self.pop(1)?;
        let module = self.top()?.clone();
        self.pop(1)?;
        let [module, name] = [module, name].map(|item| match item {
            Item::Text(text) => printable(&self.bytes[text]),
            // Computed by the pickle itself.
            _ => "?".to_owned(),
        });
        self.imports.add(format!("{module}.{name}"));
        self.push(Item::Value)
    }

    /// Something was called; it matters if it was imported.
    fn call(&mut self) {
        self.runs |= !self.imports.is_empty();
    }
}

/// A little-endian number of up to 8 bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> (String, bool, End) {
        let reading = read(bytes);
        (reading.imports.to_string(), reading.runs, reading.end)
    }

    #[test]
    fn each_way_to_import_is_found() {
        for (bytes, imports) in [
            (b"cos\nsystem\n(S'id'\ntR.".as_slice(), "os.system"),
            (b"(S'id'\nios\nsystem\n.", "os.system"),
            (b"(cos\nsystem\nS'id'\no.", "os.system"),
            (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.", "posix.system"),
            // Strings by way of the memo: MEMOIZE, BINPUT, PUT, then BINGET, LONG_BINGET, GET.
            (b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x9400h\x00h\x01\x93\x8c\x02id\x85R.", "posix.system"),
            (b"\x80\x04\x8c\x05posixq\x07\x8c\x06systemq\x0800h\x07j\x08\x00\x00\x00\x93)R.", "posix.system"),
            (b"Vposix\np0\nVsystem\np1_0\n00g0\ng10\n\x93)R.", "posix.system"),
            (b"S'posix'\n2\x930(Vnt\nX\x06\x00\x00\x00system\x93.", "posix.posix and nt.system"),
            (b"\x80\x02\x82\x07)R.", "what is registered as extension 7"),
            (b"\x80\x02\x84\x07\x01\x00\x00)R.", "what is registered as extension 263"),
            (b"\x80\x04NN\x93)R.", "?.?"),
            (b"\x80\x04cbuiltins\neval\n(\x8c\x01x\x8c\x01y\x86t\x81.", "builtins.eval"),
        ] {
            let (found, _, end) = told(bytes);
            assert_eq!(found, imports, "{bytes:?}");
            assert_eq!(end, End::Stop(bytes.len()), "{bytes:?}");
        }
    }

    #[test]
    fn what_runs_before_a_break_is_told_from_what_never_runs() {
        assert_eq!(told(b"cos\nsystem\n(S'id'\ntR\xff"), ("os.system".into(), true, End::Broken));
        assert_eq!(told(b"cat\ndog\nelephant\n"), ("at.dog".into(), false, End::Broken));
        assert_eq!(told(b"\xffcos\nsystem\n)R."), ("nothing".into(), false, End::Broken));
    }

    #[test]
    fn an_argument_that_is_cut_off_says_where_it_would_end() {
        assert_eq!(read(b"X\x00\x01\x00\x00abc").end, End::Within(Some(261)));
        assert_eq!(read(b"The quick brown fox").end, End::Within(Some(5 + 0x7120_6568)));
        assert_eq!(read(b"S'no end").end, End::Within(None));
        assert_eq!(read(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff").end, End::Broken);
        assert_eq!(read(b"NN").end, End::Between);
    }

    #[test]
    fn a_stack_that_python_would_find_too_short_breaks_off() {
        for bytes in
            [b"0".as_slice(), b"1", b"2", b"t", b"R", b"NR", b"(R", b"b", b"\x93", b"N\x93", b"h\x00", b"(."]
        {
            assert_eq!(read(bytes).end, End::Broken, "{bytes:?}");
        }
    }

    #[test]
    fn hostile_names_are_shown_harmless_and_not_all() {
        let mut bytes = b"c\x1b\xc2\x9b\nx\n".to_vec();
        assert_eq!(read(&bytes).end, End::Broken);
        bytes = b"\x80\x04\x8c\x03\x1b[m\x8c\x01\n\x93".to_vec();
        for index in 0..20 {
            bytes.extend_from_slice(format!("cm\nname{index}\n").as_bytes());
        }
        assert_eq!(
            told(&bytes).0,
            "?[m.?, m.name0, m.name1, m.name2, m.name3, m.name4, m.name5, m.name6 and 13 more"
        );
    }

    /// What a small program of Python 3.11 wrote with protocols 0 to 5: `pickle.dumps(Attack())`, whose
    /// `__reduce__` answers `(os.system, ("id",))`.
    #[test]
    fn every_protocol_is_read_as_python_writes_it() {
        for bytes in [
            b"cposix\nsystem\np0\n(Vid\np1\ntp2\nRp3\n.".as_slice(),
            b"cposix\nsystem\nq\x00(X\x02\x00\x00\x00idq\x01tq\x02Rq\x03.",
            b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.",
            b"\x80\x03cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.",
            b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.",
            b"\x80\x05\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85\x94R\x94.",
        ] {
            assert_eq!(told(bytes), ("posix.system".into(), true, End::Stop(bytes.len())));
        }
    }
}
