//! Server-sent events out of bytes (the WHATWG rules, as far as a server of ours uses them).

/// Longest line that is kept, in bytes: an event of a transaction with the largest output in hexadecimal and room around.
const LINE_BYTES_MAX: usize = 16 << 20;

/// One message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: Option<String>,
    pub(crate) event: String,
    pub(crate) data: String,
}

/// A line is longer than any that a node sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Takes bytes as they come, in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    message: Message,
    /// A line feed after a carriage return ends no second line.
    after_return: bool,
}

impl Parser {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Message>, TooLong> {
        let mut out = Vec::new();
        for byte in bytes {
            let after_return = std::mem::take(&mut self.after_return);
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => {
                    self.after_return = *byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    out.extend(self.end_of_line(&String::from_utf8_lossy(&line)));
                }
                byte if self.line.len() < LINE_BYTES_MAX => self.line.push(*byte),
                _ => return Err(TooLong),
            }
        }
        Ok(out)
    }

    fn end_of_line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let mut message = std::mem::take(&mut self.message);
            if message.data.ends_with('\n') {
                message.data.pop();
            }
            return (message != Message::default()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.message.id = Some(value.into()),
            "event" => self.message.event = value.into(),
            "data" => {
                self.message.data.push_str(value);
                self.message.data.push('\n');
            }
            // Comments (an empty field) keep the connection alive; `retry` is ours to decide.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: Option<&str>, event: &str, data: &str) -> Message {
        Message { id: id.map(Into::into), event: event.into(), data: data.into() }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_messages() {
        let text =
            b": hi\n\nid: 1-0\nevent: block\ndata: {\"a\":1}\n\nid:9-9\r\n\r\ndata: x\ndata: y\n\ndata: unfinished";
        let expected =
            vec![message(Some("1-0"), "block", "{\"a\":1}"), message(Some("9-9"), "", ""), message(None, "", "x\ny")];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let got: Vec<Message> =
                text.chunks(size).flat_map(|piece| parser.push(piece).expect("short lines")).collect();
            assert_eq!(got, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..20).find_map(|_| parser.push(&piece).err());
        assert_eq!(refused, Some(TooLong));
    }
}
