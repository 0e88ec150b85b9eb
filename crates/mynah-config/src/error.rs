//! What is wrong, and where.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use crate::node::Node;
use crate::path::{Path, Segment};

/// Errors are not collected past so many: by then it is another kind of file.
pub(crate) const MAX_ERRORS: usize = 1000;

/// A key or message longer than this is told with its middle left out: it holds a value of the user's.
const MAX_TEXT: usize = 1200;

/// Something wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    origin: Origin,
    /// Line and column, from 1.
    place: Option<(u64, u64)>,
    /// The key, empty for the whole.
    key: String,
    message: String,
}

/// Everything that is wrong with a configuration, in the order of its places; at least one error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(Vec<ConfigError>);

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A file.
    File(PathBuf),
    /// The command line.
    Flags,
}

impl ConfigError {
    /// Line and column in the file, from 1.
    pub fn place(&self) -> Option<(u64, u64)> {
        self.place
    }

    /// The key, such as `mirrors.staging.ratio`; empty when it is about the whole file.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether this is about a part of what `cause` is about.
    pub(crate) fn is_within(&self, cause: &Self) -> bool {
        if cause.key.is_empty() {
            return cause.place.is_some() && cause.place == self.place;
        }
        let rest = self.key.strip_prefix(&cause.key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// What is wrong and what was expected.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl Errors {
    /// The errors.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    /// The errors in the order of their places, if there are any.
    pub(crate) fn from_list(mut errors: Vec<ConfigError>) -> Option<Self> {
        errors.sort_by_key(|error| error.place);
        (!errors.is_empty()).then_some(Self(errors))
    }
}

impl From<ConfigError> for Errors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl Origin {
    /// An error about the whole, or at a place in the file.
    pub(crate) fn error(&self, place: Option<(u64, u64)>, message: impl Into<String>) -> ConfigError {
        ConfigError {
            origin: self.clone(),
            place,
            key: String::new(),
            message: printable(&message.into()),
        }
    }

    /// An error about the key that `path` ends in, of this mapping.
    pub(crate) fn error_at_key(
        &self,
        mapping: &Node,
        key: &str,
        path: &Path,
        message: impl Into<String>,
    ) -> ConfigError {
        ConfigError {
            key: printable(&self.name(path)),
            ..self.error(mapping.place_of_key(key), message)
        }
    }

    /// An error about the value at `path`; its place is that of the nearest key that is there.
    pub(crate) fn error_at(&self, tree: &Node, path: &Path, message: impl Into<String>) -> ConfigError {
        ConfigError {
            key: printable(&self.name(path)),
            ..self.error(tree.place_of(path), message)
        }
    }

    /// What the user calls this place.
    fn name(&self, path: &Path) -> String {
        match self {
            Self::File(_) => path.to_string(),
            Self::Flags => match path.segments().first() {
                Some(Segment::Key(key)) if key == "listeners" => "--listen".to_owned(),
                Some(Segment::Key(key)) if key == "mirrors" => match path.segments().last() {
                    Some(Segment::Key(key)) if key == "ratio" => "--ratio".to_owned(),
                    _ => "--mirror".to_owned(),
                },
                Some(Segment::Key(key)) => format!("--{key}"),
                _ => String::new(),
            },
        }
    }

    /// The folder in which relative paths start.
    pub(crate) fn folder(&self) -> &FilePath {
        match self {
            Self::File(path) => path.parent().unwrap_or(FilePath::new("")),
            Self::Flags => FilePath::new(""),
        }
    }
}

/// The text on one line: nothing in it moves a terminal's cursor, and no value fills the screen.
fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    if line.len() > MAX_TEXT {
        let start = line.floor_char_boundary(MAX_TEXT / 3);
        let end = line.ceil_char_boundary(line.len() - MAX_TEXT / 3 * 2);
        line.replace_range(start..end, " … ");
    }
    line
}

/// `mynah.yaml:3:10: mirrors.staging.ratio: expected …`
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File(path) => write!(f, "{}", path.display())?,
            Origin::Flags => f.write_str("error")?,
        }
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// One error a line.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
impl std::error::Error for Errors {}
