//! Puts new objects in front of the workload, in the form that the text has there, and takes them away again.

use serde_json::Value;

use crate::yaml::edit::{EditError, Place, line_break};
use crate::yaml::{self, Document, Kind, Node, Path, Segment, emit};

/// A new object.
#[derive(Debug, Clone)]
pub(crate) enum Addition {
    /// What is written from scratch.
    Written(Value),
    /// Text in the form that [`copy`] gave it.
    Copied(String),
}

/// Where an object stands in its text.
enum Form<'n> {
    Document(&'n Document),
    /// An item in lines; the dash stands at this byte.
    Item(usize),
    /// An item in brackets.
    FlowItem(&'n Node),
}

/// The text of an object by itself, and the place of the object in that text.
pub(crate) fn copy(text: &str, place: &Place) -> Result<(String, Place), EditError> {
    let documents = yaml::parse(text)?;
    let node = object(&documents, place)?;
    Ok(match form(text, &documents, place)? {
        Form::Document(document) if opens_behind_marker(text, document) => {
            (text[node.start..node.end].to_owned(), Place::default())
        }
        Form::Document(_) => {
            let start = content_start(text, &documents, place.document);
            let mut copy = text[start..content_end(text, &documents, place.document)].to_owned();
            if !copy.ends_with('\n') {
                copy.push_str(line_break(text));
            }
            (copy, Place::default())
        }
        Form::Item(dash) => {
            let start = line_start(text, dash);
            let end = text[node.end..]
                .find('\n')
                .map_or(text.len(), |newline| node.end + newline + 1);
            let mut copy = text[start..end].to_owned();
            if !copy.ends_with('\n') {
                copy.push_str(line_break(text));
            }
            let prefix = Path(vec![Segment::Index(0)]);
            (copy, Place { document: 0, prefix })
        }
        Form::FlowItem(node) => (text[node.start..node.end].to_owned(), Place::default()),
    })
}

/// Puts objects in front of the one at `place`.
pub(crate) fn put_before(text: &str, place: &Place, additions: &[Addition]) -> Result<String, EditError> {
    let documents = yaml::parse(text)?;
    let newline = line_break(text);
    let lines = |written: String| written.replace('\n', newline);
    let mut insertion = String::new();
    let at = match form(text, &documents, place)? {
        Form::Document(document) => {
            let behind = opens_behind_marker(text, document);
            for addition in additions {
                let written = match addition {
                    Addition::Written(value) => lines(emit::block(value, 0)),
                    Addition::Copied(text) if text.ends_with('\n') => text.clone(),
                    Addition::Copied(text) => format!("{text}{newline}"),
                };
                if behind {
                    insertion.push_str(&format!("---{newline}{written}"));
                } else {
                    insertion.push_str(&format!("{written}---{newline}"));
                }
            }
            match &document.marker {
                Some(marker) if behind => marker.start,
                _ => content_start(text, &documents, place.document),
            }
        }
        Form::Item(dash) => {
            let start = line_start(text, dash);
            for addition in additions {
                insertion.push_str(&match addition {
                    Addition::Written(value) => lines(emit::item(value, dash - start)),
                    Addition::Copied(text) => text.clone(),
                });
            }
            start
        }
        Form::FlowItem(node) => {
            for addition in additions {
                match addition {
                    Addition::Written(value) => insertion.push_str(&emit::flow(value)),
                    Addition::Copied(text) => insertion.push_str(text),
                }
                insertion.push_str(", ");
            }
            node.start
        }
    };
    let mut result = text.to_owned();
    result.insert_str(at, &insertion);
    Ok(result)
}

/// Takes away an object that [`put_before`] has put there.
pub(crate) fn take_away(text: &str, place: &Place) -> Result<String, EditError> {
    let documents = yaml::parse(text)?;
    let index = place.document;
    let range = match form(text, &documents, place)? {
        Form::Document(document) => {
            let next = documents.get(index + 1);
            let bare = next.and_then(|next| next.marker.as_ref()).and_then(|marker| {
                let end = text[marker.end..]
                    .find('\n')
                    .map_or(text.len(), |newline| marker.end + newline + 1);
                text[marker.end..end].trim().is_empty().then_some(end)
            });
            match (bare, &document.marker) {
                (Some(end), _) => content_start(text, &documents, index)..end,
                (None, Some(marker)) => marker.start..content_end(text, &documents, index),
                (None, None) => 0..content_end(text, &documents, index),
            }
        }
        Form::Item(dash) => {
            let start = line_start(text, dash);
            let node = object(&documents, place)?;
            start
                ..text[node.end..]
                    .find('\n')
                    .map_or(text.len(), |newline| node.end + newline + 1)
        }
        Form::FlowItem(node) => {
            let next = Path(next_sibling(&place.prefix).ok_or_else(|| EditError::Form(place.prefix.clone()))?);
            let next = object(
                &documents,
                &Place {
                    document: index,
                    prefix: next,
                },
            );
            node.start..next.map_or(node.end, |next| next.start)
        }
    };
    let mut result = text.to_owned();
    result.replace_range(range, "");
    Ok(result)
}

fn next_sibling(path: &Path) -> Option<Vec<Segment>> {
    let (Segment::Index(index), parent) = path.0.split_last()? else {
        return None;
    };
    Some(parent.iter().cloned().chain([Segment::Index(index + 1)]).collect())
}

fn form<'d>(text: &str, documents: &'d [Document], place: &Place) -> Result<Form<'d>, EditError> {
    if place.prefix.0.is_empty() {
        return Ok(Form::Document(&documents[place.document]));
    }
    let unclear = || EditError::Form(place.prefix.clone());
    let (_, parent) = place.prefix.0.split_last().ok_or_else(unclear)?;
    let holder = Place {
        document: place.document,
        prefix: Path(parent.to_vec()),
    };
    let node = object(documents, place)?;
    let list = object(documents, &holder)?;
    let Kind::List { flow: false, .. } = list.kind else {
        return Ok(Form::FlowItem(node));
    };
    // The item's dash stands under that of the first.
    let column = list.start - line_start(text, list.start);
    let mut line = line_start(text, node.start);
    loop {
        let dash = line + column;
        if text[line..].len() > column && text[line..dash].bytes().all(|b| b == b' ') && text[dash..].starts_with('-') {
            return Ok(Form::Item(dash));
        }
        line = line_start(text, line.checked_sub(1).ok_or_else(unclear)?);
    }
}

fn object<'d>(documents: &'d [Document], place: &Place) -> Result<&'d Node, EditError> {
    let missing = || EditError::Missing(place.prefix.clone());
    let root = documents
        .get(place.document)
        .and_then(|document| document.root.as_ref());
    let mut node = root.ok_or_else(missing)?;
    for segment in &place.prefix.0 {
        node = match (&node.kind, segment) {
            (Kind::Map { entries, .. }, Segment::Key(key)) => {
                let entry = entries.iter().find(|entry| entry.key.text() == Some(key));
                &entry.ok_or_else(missing)?.value
            }
            (Kind::List { items, .. }, Segment::Index(index)) => items.get(*index).ok_or_else(missing)?,
            _ => return Err(missing()),
        };
    }
    Ok(node)
}

/// Whether the content starts on the line of the `---`.
fn opens_behind_marker(text: &str, document: &Document) -> bool {
    document.marker.as_ref().is_some_and(|marker| {
        let line = text[marker.end..].split('\n').next().unwrap_or_default().trim();
        !line.is_empty() && !line.starts_with('#')
    })
}

/// The first byte of a document past its marker's line.
fn content_start(text: &str, documents: &[Document], index: usize) -> usize {
    match &documents[index].marker {
        Some(marker) => text[marker.end..]
            .find('\n')
            .map_or(text.len(), |newline| marker.end + newline + 1),
        // A byte order mark stays in front.
        None if index == 0 => text.len() - text.trim_start_matches('\u{feff}').len(),
        None => documents[index - 1].root.as_ref().map_or(0, |root| root.end),
    }
}

/// The first byte past a document: its end marker, or the directives or the marker of the next one.
fn content_end(text: &str, documents: &[Document], index: usize) -> usize {
    let next = documents.get(index + 1).and_then(|next| next.marker.as_ref());
    let limit = next.map_or(text.len(), |marker| marker.start);
    let mut at = documents[index].root.as_ref().map_or(limit, |root| root.end);
    while let Some(newline) = text[at..limit].find('\n') {
        at += newline + 1;
        if text[at..limit].starts_with("...") || text[at..limit].starts_with('%') {
            return at;
        }
    }
    limit
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}
