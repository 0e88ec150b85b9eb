//! Edits of one object in a stream of YAML, and what takes each of them back.
//!
//! An edit replaces or inserts a range of text and leaves every other byte as it is. Its [`Undo`] names the place by its
//! path and not by an offset, so that it still works when something else in the file has changed meanwhile. Where an edit
//! would reach further than its place because the place is shared through an anchor, the aliases are written out first.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::value::Anchors;
use super::{Document, Entry, Kind, Node, Path, Segment, SyntaxError, emit, parse};

/// Why a place cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EditError {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("{0} is not there")]
    Missing(Path),
    #[error("{0} is there already")]
    Present(Path),
    #[error("{0} is shared with another object through an anchor; write it out there")]
    Shared(Path),
    #[error("{0} is written in a way that cannot be edited without changing something else; write it out plainly")]
    Form(Path),
}

/// What takes an edit back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Undo {
    /// The text that stood behind the colon, or in place of the item.
    Restore(String, String),
    /// What was added.
    Remove(String),
}

/// Where an object stands: in which document, and on which way in it, as in a `List`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) document: usize,
    pub(crate) prefix: Path,
}

/// An object being edited.
#[derive(Debug, Clone)]
pub(crate) struct Editor {
    text: String,
    /// The text, read.
    documents: Vec<Document>,
    place: Place,
    /// What takes the edits back, the first edit first.
    pub(crate) undo: Vec<Undo>,
}

/// The nodes on the way to a place, the object first.
struct Way<'n> {
    root: &'n Node,
    anchors: Anchors<'n>,
    nodes: Vec<&'n Node>,
}

impl<'n> Way<'n> {
    fn last(&self) -> &'n Node {
        self.nodes.last().copied().unwrap_or(self.root)
    }
}

impl Editor {
    pub(crate) fn new(text: impl Into<String>, place: Place) -> Result<Self, EditError> {
        let text = text.into();
        Ok(Self {
            documents: parse(&text)?,
            text,
            place,
            undo: Vec::new(),
        })
    }

    /// The text as it is now.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text as it is at the end.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn replace(&mut self, range: Range<usize>, written: &str) -> Result<(), EditError> {
        self.text.replace_range(range, written);
        self.documents = parse(&self.text)?;
        Ok(())
    }

    /// What stands at a path of the object.
    pub(crate) fn get(&self, path: &Path) -> Option<Value> {
        let way = self.way(path)?;
        Some(way.anchors.value(way.last()))
    }

    /// Replaces the value at a path.
    pub(crate) fn set(&mut self, path: &Path, value: &Value) -> Result<(), EditError> {
        self.write_out(path)?;
        let range = self.range(path)?;
        let behind_colon = matches!(path.0.last(), Some(Segment::Key(_)));
        let raw = self.text[range.clone()].to_owned();
        let written = match value {
            Value::Object(_) | Value::Array(_) => emit::flow(value),
            _ => emit::block(value, 0).trim_end().to_owned(),
        };
        let space = if behind_colon { " " } else { "" };
        self.replace(range, &format!("{space}{written}"))?;
        self.check(path, Some(value))?;
        self.undo.push(Undo::Restore(path.to_string(), raw));
        Ok(())
    }

    /// Adds a key to the mapping at a path; what is missing on the way there is made.
    pub(crate) fn insert(&mut self, path: &Path, key: &str, value: Value) -> Result<(), EditError> {
        let target = path.key(key);
        match self.get(path) {
            Some(Value::Object(map)) if map.contains_key(key) => return Err(EditError::Present(target)),
            Some(Value::Object(_)) => {}
            Some(Value::Null) => return self.set(path, &serde_json::json!({ key: value })),
            Some(_) => return Err(EditError::Form(path.clone())),
            None => {
                let Some((Segment::Key(last), parent)) = path.0.split_last() else {
                    return Err(EditError::Missing(path.clone()));
                };
                return self.insert(&Path(parent.to_vec()), last, serde_json::json!({ key: value }));
            }
        }
        self.write_out(path)?;
        let way = self.way(path).ok_or_else(|| EditError::Missing(path.clone()))?;
        let Kind::Map { flow, entries } = &way.last().kind else {
            return Err(EditError::Form(path.clone()));
        };
        let (at, insertion) = if *flow {
            let entry = format!("{}: {}", Value::from(key), emit::flow(&value));
            self.in_brackets(way.last(), entries.last().map(|entry| &entry.value), &entry)
        } else {
            let before = entries.iter().rev().find(|entry| !entry.value.open);
            let (Some(before), Some(first)) = (before, entries.first()) else {
                return Err(EditError::Form(path.clone()));
            };
            let indent = first.key.start - self.line_start(first.key.start);
            self.on_lines(before.value.end, &emit::entry(key, &value, indent))
        };
        self.replace(at..at, &insertion)?;
        self.check(&target, Some(&value))?;
        self.undo.push(Undo::Remove(target.to_string()));
        Ok(())
    }

    /// Adds an item that has a `name` to the end of the list at a path, which is made where it is missing.
    pub(crate) fn push(&mut self, path: &Path, value: Value) -> Result<(), EditError> {
        let name = value["name"].as_str().expect("what is added has a name").to_owned();
        let target = path.named(&name);
        match self.get(path) {
            Some(Value::Array(items)) if items.iter().any(|item| item["name"] == *name) => {
                return Err(EditError::Present(target));
            }
            Some(Value::Array(_)) => {}
            Some(Value::Null) => return self.set(path, &Value::from(vec![value])),
            Some(_) => return Err(EditError::Form(path.clone())),
            None => {
                let Some((Segment::Key(last), parent)) = path.0.split_last() else {
                    return Err(EditError::Missing(path.clone()));
                };
                return self.insert(&Path(parent.to_vec()), last, Value::from(vec![value]));
            }
        }
        self.write_out(path)?;
        let way = self.way(path).ok_or_else(|| EditError::Missing(path.clone()))?;
        let Kind::List { flow, items } = &way.last().kind else {
            return Err(EditError::Form(path.clone()));
        };
        let (at, insertion) = if *flow {
            self.in_brackets(way.last(), items.last(), &emit::flow(&value))
        } else {
            let last = items.last().filter(|last| !last.open);
            let last = last.ok_or_else(|| EditError::Form(path.clone()))?;
            let indent = way.last().start - self.line_start(way.last().start);
            self.on_lines(last.end, &emit::item(&value, indent))
        };
        self.replace(at..at, &insertion)?;
        self.check(&target, Some(&value))?;
        self.undo.push(Undo::Remove(target.to_string()));
        Ok(())
    }

    /// Takes away what stands at a path. This cannot be taken back; it is for undoing, and for objects of our own.
    pub(crate) fn remove(&mut self, path: &Path) -> Result<(), EditError> {
        self.write_out(path)?;
        let missing = || EditError::Missing(path.clone());
        let (_, parent) = path.0.split_last().ok_or_else(missing)?;
        let way = self.way(path).ok_or_else(missing)?;
        let holder = way
            .nodes
            .get(way.nodes.len().wrapping_sub(2))
            .copied()
            .unwrap_or(way.root);
        let target = way.last();
        let (flow, siblings): (bool, Vec<Range<usize>>) = match &holder.kind {
            Kind::Map { flow, entries } => (*flow, entries.iter().map(|e| e.key.start..e.value.end).collect()),
            Kind::List { flow, items } => (*flow, items.iter().map(|item| item.start..item.end).collect()),
            _ => return Err(EditError::Form(path.clone())),
        };
        let index = siblings
            .iter()
            .position(|range| range.end == target.end)
            .ok_or_else(missing)?;
        let range = if flow {
            match (index.checked_sub(1), siblings.get(index + 1)) {
                (Some(before), _) => siblings[before].end..siblings[index].end,
                (None, Some(after)) => siblings[index].start..after.start,
                (None, None) => siblings[index].clone(),
            }
        } else if siblings.len() == 1 {
            return self.remove(&Path(parent.to_vec()));
        } else {
            let is_list = matches!(holder.kind, Kind::List { .. });
            self.lines(siblings[index].clone(), is_list)
                .ok_or_else(|| EditError::Form(path.clone()))?
        };
        self.replace(range, "")?;
        self.check(path, None)
    }

    /// Takes one edit back.
    pub(crate) fn revert(&mut self, undo: &Undo) -> Result<(), EditError> {
        let unreadable = |_| EditError::Missing(Path::default());
        match undo {
            Undo::Remove(path) => self.remove(&path.parse().map_err(unreadable)?),
            Undo::Restore(path, raw) => {
                let path: Path = path.parse().map_err(unreadable)?;
                let range = self.range(&path)?;
                self.replace(range, raw)?;
                Ok(())
            }
        }
    }

    /// What stands between the colon, or the dash, and what follows the value.
    fn range(&self, path: &Path) -> Result<Range<usize>, EditError> {
        let missing = || EditError::Missing(path.clone());
        let way = self.way(path).ok_or_else(missing)?;
        let target = way.last();
        let holder = way
            .nodes
            .get(way.nodes.len().wrapping_sub(2))
            .copied()
            .unwrap_or(way.root);
        match (&holder.kind, path.0.last()) {
            (Kind::Map { entries, .. }, Some(Segment::Key(key))) => {
                let entry = find_entry(entries, key).ok_or_else(missing)?;
                let colon = entry.colon.ok_or_else(|| EditError::Form(path.clone()))?;
                Ok(colon..target.end.max(colon))
            }
            (Kind::List { .. }, Some(_)) => Ok(target.start..target.end),
            _ => Err(EditError::Form(path.clone())),
        }
    }

    /// Writes out the aliases on the way to a path, and those elsewhere in the object that stand for something on the way.
    fn write_out(&mut self, path: &Path) -> Result<(), EditError> {
        loop {
            let way = self.way(path).ok_or_else(|| EditError::Missing(path.clone()))?;
            let on_the_way = way.nodes.iter().position(|node| matches!(node.kind, Kind::Alias(_)));
            let (alias, value) = if let Some(at) = on_the_way {
                (Path(path.0[..at].to_vec()), way.anchors.value(way.nodes[at]))
            } else {
                let anchored: Vec<usize> = way.nodes.iter().map(|node| node.anchor).filter(|id| *id != 0).collect();
                let mut outside = 0;
                let root = self.documents[self.place.document].root.as_ref();
                root.into_iter().for_each(|root| {
                    root.walk(&mut |node| outside += usize::from(is_alias_of(node, &anchored)));
                });
                let object = way.nodes[0];
                let mut inside = Vec::new();
                aliases(object, &anchored, &Path::default(), &mut inside);
                if outside > inside.len() {
                    return Err(EditError::Shared(path.clone()));
                }
                let Some((alias, node)) = inside.into_iter().next() else {
                    return Ok(());
                };
                (alias, way.anchors.value(node))
            };
            let range = self.range(&alias)?;
            let raw = self.text[range.clone()].to_owned();
            let space = if raw.starts_with('*') { "" } else { " " };
            self.replace(range, &format!("{space}{}", emit::flow(&value)))?;
            self.check(&alias, Some(&value))?;
            self.undo.push(Undo::Restore(alias.to_string(), raw));
        }
    }

    /// The nodes from the object to a path below it; the object is the first.
    fn way(&self, path: &Path) -> Option<Way<'_>> {
        let root = self.documents.get(self.place.document)?.root.as_ref()?;
        let anchors = Anchors::of(root);
        let object = self
            .place
            .prefix
            .0
            .iter()
            .try_fold(root, |node, segment| step(node, segment, &anchors))?;
        let mut nodes = vec![object];
        for segment in &path.0 {
            nodes.push(step(nodes.last()?, segment, &anchors)?);
        }
        Some(Way { root, anchors, nodes })
    }

    fn check(&self, path: &Path, expected: Option<&Value>) -> Result<(), EditError> {
        match self.get(path) {
            found if found.as_ref() == expected => Ok(()),
            _ => Err(EditError::Form(path.clone())),
        }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The end of the line of this byte, without its line end.
    fn line_end(&self, at: usize) -> usize {
        let end = self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |newline| at + newline);
        end - usize::from(self.text[at..end].ends_with('\r'))
    }

    fn in_brackets(&self, holder: &Node, last: Option<&Node>, written: &str) -> (usize, String) {
        match last {
            Some(last) => (last.end, format!(", {written}")),
            None => (holder.start + 1, written.to_owned()),
        }
    }

    /// Lines to put behind the line of `end`.
    fn on_lines(&self, end: usize, written: &str) -> (usize, String) {
        let newline = line_break(&self.text);
        let written = written.trim_end_matches('\n').replace('\n', newline);
        (self.line_end(end), format!("{newline}{written}"))
    }

    /// The whole lines of an entry or item, with the line end in front of them.
    fn lines(&self, range: Range<usize>, is_list: bool) -> Option<Range<usize>> {
        let start = if is_list {
            // The dash may stand on a line above.
            range.start - self.text[..range.start].len() + self.text[..range.start].rfind('-')?
        } else {
            range.start
        };
        let line = self.line_start(start);
        if !self.text[line..start].bytes().all(|b| b == b' ') {
            return None;
        }
        let end = self.line_end(range.end);
        if line == 0 {
            let after = self.text[end..].find('\n').map_or(end, |newline| end + newline + 1);
            return Some(0..after);
        }
        let before = line - 1;
        Some(before - usize::from(self.text[..before].ends_with('\r'))..end)
    }
}

/// The line end that a text uses.
pub(crate) fn line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

fn find_entry<'n>(entries: &'n [Entry], key: &str) -> Option<&'n Entry> {
    entries.iter().rev().find(|entry| entry.key.text() == Some(key))
}

fn step<'n>(node: &'n Node, segment: &Segment, anchors: &Anchors<'n>) -> Option<&'n Node> {
    match (&anchors.follow(node).kind, segment) {
        (Kind::Map { entries, .. }, Segment::Key(key)) => find_entry(entries, key).map(|entry| &entry.value),
        (Kind::List { items, .. }, Segment::Index(index)) => items.get(*index),
        (Kind::List { items, .. }, Segment::Named(name)) => items.iter().find(|item| {
            let name_of = step(item, &Segment::Key("name".to_owned()), anchors);
            name_of.is_some_and(|found| anchors.follow(found).text() == Some(name))
        }),
        _ => None,
    }
}

fn is_alias_of(node: &Node, anchored: &[usize]) -> bool {
    matches!(node.kind, Kind::Alias(id) if anchored.contains(&id))
}

/// The aliases of these anchors below a node, with their paths.
fn aliases<'n>(node: &'n Node, anchored: &[usize], path: &Path, found: &mut Vec<(Path, &'n Node)>) {
    match &node.kind {
        Kind::Alias(_) if is_alias_of(node, anchored) => found.push((path.clone(), node)),
        Kind::List { items, .. } => {
            for (i, item) in items.iter().enumerate() {
                aliases(item, anchored, &path.index(i), found);
            }
        }
        Kind::Map { entries, .. } => {
            for entry in entries {
                if let Some(key) = entry.key.text() {
                    aliases(&entry.value, anchored, &path.key(key), found);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn editor(text: &str) -> Editor {
        Editor::new(text, Place::default()).unwrap()
    }

    #[test]
    fn an_item_goes_to_the_end_of_a_list_of_merged_mappings() {
        let mut editor = editor("b: &b\n  image: x\nl:\n- <<: *b\n  name: app\n- <<: *b\n  name: worker\n");
        editor.push(&Path::keys("l"), json!({"name": "new", "v": 1})).unwrap();
        assert!(
            editor.text.ends_with("  name: worker\n- name: new\n  v: 1\n"),
            "{}",
            editor.text
        );
    }

    #[test]
    fn an_edit_of_what_an_anchor_shares_changes_one_place_alone() {
        let mut editor = editor("a: &x {p: 1}\nb: *x\nc: {d: *x}\n");
        editor.set(&Path::keys("a/p"), &json!(2)).unwrap();
        assert_eq!(editor.text, "a: &x {p: 2}\nb: {\"p\":1}\nc: {d: {\"p\":1}}\n");
        let mut at_alias = self::editor("a: &x {p: 1}\nb: *x\n");
        at_alias.set(&Path::keys("b/p"), &json!(2)).unwrap();
        assert_eq!(at_alias.text, "a: &x {p: 1}\nb: {\"p\": 2}\n");
    }

    #[test]
    fn text_after_a_block_scalar_that_keeps_its_line_ends_would_change_it_so_it_goes_before() {
        let mut editor = editor("a: 1\nb: |+\n  kept\n\n");
        editor.insert(&Path::default(), "c", json!(2)).unwrap();
        assert_eq!(editor.text, "a: 1\nc: 2\nb: |+\n  kept\n\n");
    }

    #[test]
    fn an_edit_is_taken_back_after_something_else_has_changed() {
        let mut editor = editor("a: {x: 1} # one\nl:\n- name: y # two\n");
        editor.set(&Path::keys("a/x"), &json!("new")).unwrap();
        editor.push(&Path::keys("l"), json!({"name": "z"})).unwrap();
        let changed = editor.text.replace("# one", "# uno").replace("name: y", "name: why");
        editor.replace(0..editor.text.len(), &changed).unwrap();
        for undo in editor.undo.clone().iter().rev() {
            editor.revert(undo).unwrap();
        }
        assert_eq!(editor.text, "a: {x: 1} # uno\nl:\n- name: why # two\n");
    }
}
