//! The way to a value: `spec/template/spec/containers/[name=app]/ports/0`.

use std::fmt;
use std::str::FromStr;

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// The value of this key.
    Key(String),
    /// The item of a list at this place.
    Index(usize),
    /// The item of a list whose `name` is this.
    Named(String),
}

/// The way from an object to a value in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Segment>);

impl Path {
    /// A way through keys alone.
    pub(crate) fn keys(keys: &str) -> Self {
        Self(keys.split('/').map(|key| Segment::Key(key.to_owned())).collect())
    }

    /// One step further.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }

    /// One step further.
    pub(crate) fn named(&self, name: &str) -> Self {
        self.with(Segment::Named(name.to_owned()))
    }

    /// One step further.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, segment) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            match segment {
                // As in a JSON pointer (RFC 6901 §3), and a bracket in front stands for the other two kinds.
                Segment::Key(key) => {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    f.write_str(&key.strip_prefix('[').map_or(key.clone(), |rest| format!("~2{rest}")))?;
                }
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Named(name) => write!(f, "[name={name}]")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Path {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let segment = |part: &str| match part.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inside) => match inside.strip_prefix("name=") {
                Some(name) => Ok(Segment::Named(name.to_owned())),
                None => inside
                    .parse()
                    .map(Segment::Index)
                    .map_err(|_| format!("'{part}' is no place in a list")),
            },
            None => Ok(Segment::Key(
                part.replace("~2", "[").replace("~1", "/").replace("~0", "~"),
            )),
        };
        text.split('/').map(segment).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_back_as_it_was_written() {
        for text in [
            "spec/containers/[name=app]/ports/[0]",
            "metadata/annotations/mynah.dev~1injected",
            "a~0b/~2c",
        ] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        assert_eq!(Path::keys("a").key("x/y").to_string(), "a/x~1y");
        assert!("a/[b]".parse::<Path>().is_err());
    }
}
