//! YAML as a tree over the bytes it came from.
//!
//! A manifest is edited by replacing ranges of its text ([`edit`]), so whatever an edit does not touch stays as it was:
//! comments, order, quoting, line ends. This module finds the ranges; `emit` writes what is put in.

pub(crate) mod edit;
pub(crate) mod emit;
mod path;
pub(crate) mod value;

use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

pub(crate) use self::path::{Path, Segment};

/// Nesting beyond this is refused.
const MAX_DEPTH: usize = 100;

/// Text that is not YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// A document of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// Its `---`, if it has one.
    pub(crate) marker: Option<Range<usize>>,
    /// Its content; none for a document of comments alone.
    pub(crate) root: Option<Node>,
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// First byte, after anchor and tag.
    pub(crate) start: usize,
    /// Past the last byte; for what has no brackets, past the last byte of its last value.
    pub(crate) end: usize,
    /// Its last line belongs to a block scalar whose value would change if text followed: `|+`, or no line end at all.
    pub(crate) open: bool,
    /// The number of its anchor; 0 without.
    pub(crate) anchor: usize,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Text, and whether it was written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List {
        flow: bool,
        items: Vec<Node>,
    },
    Map {
        flow: bool,
        entries: Vec<Entry>,
    },
    /// What stands at this anchor.
    Alias(usize),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Node,
    pub(crate) value: Node,
    /// The place past the colon; none where the key is written in the long form, `? key`.
    pub(crate) colon: Option<usize>,
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Calls `each` for this node and everything below it.
    pub(crate) fn walk<'n>(&'n self, each: &mut impl FnMut(&'n Self)) {
        each(self);
        match &self.kind {
            Kind::List { items, .. } => items.iter().for_each(|item| item.walk(each)),
            Kind::Map { entries, .. } => {
                for entry in entries {
                    entry.key.walk(each);
                    entry.value.walk(each);
                }
            }
            _ => {}
        }
    }
}

/// Reads a stream of documents.
pub(crate) fn parse(text: &str) -> Result<Vec<Document>, SyntaxError> {
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str(text),
        depth: 0,
    };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        if let Event::DocumentStart(explicit, _) = event {
            documents.push(reader.document(explicit, span)?);
        }
    }
    Ok(documents)
}

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, SyntaxError> {
        loop {
            match self.parser.next_event() {
                // What is between the values is kept without being understood.
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(Some(event)),
                None => return Ok(None),
                Some(Err(error)) => {
                    return Err(SyntaxError {
                        line: error.marker().line(),
                        column: error.marker().col() + 1,
                        message: error.info(),
                    });
                }
            }
        }
    }

    fn document(&mut self, explicit: bool, span: Span) -> Result<Document, SyntaxError> {
        let marker = explicit.then(|| bytes(span)).map(|range| {
            // The span may start at a directive in front of the marker.
            let start = self.text[range.start..]
                .find("---")
                .map_or(range.start, |at| range.start + at);
            start..start + "---".len()
        });
        let Some((event, span)) = self.next()? else {
            return Ok(Document { marker, root: None });
        };
        let root = self.node(event, span, marker.as_ref().map_or(0, |range| range.end))?;
        // A document of nothing but comments is told as an empty scalar.
        let empty = root.start == root.end && matches!(root.kind, Kind::Scalar { plain: true, .. });
        Ok(Document {
            marker,
            root: (!empty).then_some(root),
        })
    }

    /// The node that starts with this event; `after` is the place past the colon, dash or marker in front of it.
    fn node(&mut self, event: Event<'t>, span: Span, after: usize) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError {
                line: span.start.line(),
                column: span.start.col() + 1,
                message: format!("nested more than {MAX_DEPTH} deep"),
            });
        }
        let Range { start, end } = bytes(span);
        let node = match event {
            Event::Alias(id) => Node {
                kind: Kind::Alias(id),
                start,
                end,
                open: false,
                anchor: 0,
            },
            Event::Scalar(text, style, anchor, _) => self.scalar(&text, style, anchor, start..end, after),
            Event::SequenceStart(style, anchor, _) => {
                let (mut items, mut last, mut open) = (Vec::new(), start, false);
                let closing = loop {
                    match self.next()? {
                        Some((Event::SequenceEnd, span)) => break bytes(span).end,
                        Some((event, span)) => {
                            let item = self.node(event, span, last)?;
                            (last, open) = (item.end.max(last), item.open);
                            items.push(item);
                        }
                        None => break last,
                    }
                };
                let flow = matches!(style, StructureStyle::Flow);
                // In lines it starts at its first dash, which the event may stand past.
                let dash = self.text[..start]
                    .rfind('-')
                    .filter(|_| !flow && !self.text[start..].starts_with('-'));
                Node {
                    kind: Kind::List { flow, items },
                    start: dash.unwrap_or(start),
                    end: if flow { closing } else { last },
                    open: open && !flow,
                    anchor,
                }
            }
            Event::MappingStart(style, anchor, _) => {
                let (mut entries, mut last, mut open) = (Vec::new(), start, false);
                let closing = loop {
                    match self.next()? {
                        Some((Event::MappingEnd, span)) => break bytes(span).end,
                        Some((event, span)) => {
                            let entry = self.entry(event, span, last)?;
                            (last, open) = (entry.value.end, entry.value.open);
                            entries.push(entry);
                        }
                        None => break last,
                    }
                };
                let flow = matches!(style, StructureStyle::Flow);
                Node {
                    kind: Kind::Map { flow, entries },
                    start,
                    end: if flow { closing } else { last },
                    open: open && !flow,
                    anchor,
                }
            }
            _ => Node {
                kind: Kind::Scalar {
                    text: String::new(),
                    plain: true,
                },
                start: after,
                end: after,
                open: false,
                anchor: 0,
            },
        };
        self.depth -= 1;
        Ok(node)
    }

    fn entry(&mut self, event: Event<'t>, span: Span, after: usize) -> Result<Entry, SyntaxError> {
        let key = self.node(event, span, after)?;
        let rest = &self.text[key.end..];
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
        let colon = rest[blank..].starts_with(':').then_some(key.end + blank + 1);
        let value = match self.next()? {
            Some((event, span)) => self.node(event, span, colon.unwrap_or(key.end))?,
            None => self.node(Event::StreamEnd, span, key.end)?,
        };
        Ok(Entry { key, value, colon })
    }

    fn scalar(&self, text: &str, style: ScalarStyle, anchor: usize, range: Range<usize>, after: usize) -> Node {
        let (mut start, mut end, mut open) = (range.start, range.end, false);
        match style {
            ScalarStyle::Plain if start == end => (start, end) = (after, after),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let written = &self.text[start..end];
                // The sign stands in the header, behind the colon or dash, and the value may start past it.
                let header = self.text[after.min(start)..].split('\n').next().unwrap_or_default();
                end = range.start + written.trim_end_matches([' ', '\r', '\n']).len();
                let header_has = |sign| header.split(" #").next().unwrap_or_default().contains(sign);
                open = header_has('+') || !self.text[end..].contains('\n') && !header_has('-');
                start = start.min(after + header.len() - header.trim_start().len());
            }
            _ => {}
        }
        Node {
            kind: Kind::Scalar {
                text: text.to_owned(),
                plain: matches!(style, ScalarStyle::Plain),
            },
            start,
            end,
            open,
            anchor,
        }
    }
}

fn bytes(span: Span) -> Range<usize> {
    span.byte_range().expect("a parser over a string knows byte offsets")
}
