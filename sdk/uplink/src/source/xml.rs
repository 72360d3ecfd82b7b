//! XML, an element at a time. No document type, so no entities of its own; only those that every XML has.

use std::{
    io::{BufReader, Read},
    sync::Arc,
};

use quick_xml::{
    Reader,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event},
};
use vouch_privacy::stream::{Decoded, Encoding};

use super::{Broken, COLUMNS_MAX, DEPTH_MAX, Item, Text, csv::bad_encoding, guard::Guard};
use crate::{
    Fault, Node, Place, Record,
    reason::{DEEP, XML_DOCTYPE, XML_ENDS, XML_ENTITY, XML_MANY},
};

/// Elements of a file.
pub(super) struct Elements {
    reader: Reader<Guard<Text>>,
    file: Arc<str>,
    /// Name of the elements that are records; those below the root if none is named.
    name: Option<String>,
    depth: usize,
    record: u64,
    columns: Arc<[String]>,
    buffer: Vec<u8>,
}

/// What the declaration at the beginning says it is written in.
pub(super) fn declared_encoding(beginning: &[u8]) -> Option<Encoding> {
    let head = beginning.get(..beginning.len().min(200))?;
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = String::from_utf8_lossy(head.strip_prefix(b"<?xml")?).to_ascii_lowercase();
    let (declaration, _) = text.split_once("?>")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    match value.get(1..)?.split(quote).next()? {
        "gbk" | "gb2312" | "gb18030" => Some(Encoding::Gb18030),
        _ => None,
    }
}

impl Elements {
    pub(super) fn open(input: Decoded<Box<dyn Read + Send>>, file: Arc<str>, name: Option<String>) -> Self {
        let mut reader = Reader::from_reader(Guard::new(BufReader::new(input)));
        reader.config_mut().expand_empty_elements = true;
        Self { reader, file, name, depth: 0, record: 0, columns: Arc::from([]), buffer: Vec::new() }
    }

    fn place(&self) -> String {
        format!("{}, line {}", self.file, self.reader.get_ref().line)
    }

    fn event(&mut self) -> Result<Event<'static>, Fault> {
        self.buffer.clear();
        match self.reader.read_event_into(&mut self.buffer) {
            Ok(event) => Ok(event.into_owned()),
            Err(quick_xml::Error::Io(error)) => Err(self.reader.get_ref().fault(&self.file, &error)),
            Err(error) => Err(Fault::new("uplink.format", self.place(), error.to_string())),
        }
    }

    fn read(&mut self) -> Result<Option<Record>, Fault> {
        loop {
            self.reader.get_mut().allow();
            match self.event()? {
                Event::Start(start) => {
                    let name = start.local_name().into_inner().to_owned();
                    let is_record = self.name.as_ref().map_or(self.depth == 1, |wanted| *wanted == name);
                    if is_record {
                        return self.element(&start).map(Some);
                    }
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err(self.too_deep());
                    }
                }
                Event::End(_) => self.depth = self.depth.saturating_sub(1),
                Event::DocType(_) => return Err(self.doctype()),
                Event::Eof if self.depth > 0 => {
                    return Err(Fault::new("uplink.format", self.place(), XML_ENDS));
                }
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }

    fn doctype(&self) -> Fault {
        Fault::new("uplink.xml_doctype", self.place(), XML_DOCTYPE)
    }

    fn too_deep(&self) -> Fault {
        Fault::new("uplink.too_deep", self.place(), DEEP.with(&[&DEPTH_MAX]))
    }

    /// Of other names; elements of one name are a list.
    fn check_count(&self, entries: &[(String, Node)]) -> Result<(), Fault> {
        if entries.len() < COLUMNS_MAX {
            return Ok(());
        }
        let reason = XML_MANY.with(&[&COLUMNS_MAX]);
        Err(Fault::new("uplink.too_long", self.place(), reason))
    }

    fn check_text(&self, text: &str) -> Result<(), Fault> {
        let is_bad = text.contains('\u{fffd}') && self.reader.get_ref().get_ref().get_ref().had_errors;
        if is_bad { Err(bad_encoding(self.place())) } else { Ok(()) }
    }

    fn element(&mut self, start: &BytesStart<'_>) -> Result<Record, Fault> {
        self.record += 1;
        let (line, byte) = (self.reader.get_ref().line, self.reader.get_ref().byte);
        let entries = match self.content(start, 0)? {
            Node::Map(entries) => entries,
            Node::Null => Vec::new(),
            other => vec![("#text".to_owned(), other)],
        };
        let (names, values): (Vec<String>, Vec<Node>) = entries.into_iter().unzip();
        if names[..] != self.columns[..] {
            self.columns = names.into();
        }
        let place = Place { file: Arc::clone(&self.file), sheet: None, record: self.record, line, byte };
        Ok(Record { place, columns: Arc::clone(&self.columns), values })
    }

    /// What is within an element: text, or attributes as `@name` and elements by name, those of one name as a list.
    fn content(&mut self, start: &BytesStart<'_>, depth: usize) -> Result<Node, Fault> {
        if depth > DEPTH_MAX {
            return Err(self.too_deep());
        }
        let mut entries: Vec<(String, Node)> = Vec::new();
        for attribute in start.attributes() {
            let wrong = |this: &Self, why: String| Fault::new("uplink.format", this.place(), why);
            let attribute = attribute.map_err(|error| wrong(self, error.to_string()))?;
            let name = attribute.key.into_inner().to_owned();
            self.check_count(&entries)?;
            if name == "xmlns" || name.starts_with("xmlns:") {
                continue;
            }
            let value =
                quick_xml::escape::unescape(&attribute.value).map_err(|error| wrong(self, error.to_string()))?;
            self.check_text(&value)?;
            entries.push((format!("@{name}"), plain(&value)));
        }
        let mut text = String::new();
        loop {
            match self.event()? {
                Event::Start(child) => {
                    let name = child.local_name().into_inner().to_owned();
                    self.check_count(&entries)?;
                    let node = self.content(&child, depth + 1)?;
                    add(&mut entries, name, node);
                }
                Event::End(_) => break,
                Event::Text(piece) => text.push_str(&piece.xml10_content()),
                Event::CData(piece) => text.push_str(&piece.xml10_content()),
                Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                    Ok(Some(character)) => text.push(character),
                    _ => match resolve_predefined_entity(&reference.into_inner()) {
                        Some(known) => text.push_str(known),
                        None => {
                            return Err(Fault::new("uplink.format", self.place(), XML_ENTITY));
                        }
                    },
                },
                Event::DocType(_) => return Err(self.doctype()),
                Event::Eof => return Err(Fault::new("uplink.format", self.place(), XML_ENDS)),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
        self.check_text(&text)?;
        let text = plain(text.trim());
        Ok(match (entries.is_empty(), &text) {
            (true, _) => text,
            (false, Node::Null) => Node::Map(entries),
            (false, _) => {
                entries.push(("#text".into(), text));
                Node::Map(entries)
            }
        })
    }
}

fn plain(text: &str) -> Node {
    if text.is_empty() { Node::Null } else { Node::Text(text.to_owned()) }
}

fn add(entries: &mut Vec<(String, Node)>, name: String, node: Node) {
    match entries.iter_mut().find(|(known, _)| *known == name) {
        None => entries.push((name, node)),
        Some((_, Node::List(items))) => items.push(node),
        Some((_, first)) => {
            let before = std::mem::replace(first, Node::Null);
            *first = Node::List(vec![before, node]);
        }
    }
}

impl Iterator for Elements {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        self.read().map_err(Broken::Stop).transpose()
    }
}
