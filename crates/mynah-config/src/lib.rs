//! The configuration: a YAML file, or a few flags, become a validated [`model::Config`].
//!
//! In this order: `node` reads YAML into a tree that knows every place and puts environment variables in; `shape` holds
//! the tree against the JSON Schema of the `file` types, so unknown keys, wrong kinds of value and unreadable values are
//! all found at once; `validate` checks what goes beyond single values and builds the model. Flags become the same kind
//! of tree, so that there is one validation. The schema also writes the reference that users read. A [`Source`] can be read
//! again, and [`watch`] tells when it is time to.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod env;
mod error;
mod file;
mod flags;
pub mod model;
mod node;
mod path;
mod reference;
mod shape;
mod source;
pub mod token;
mod validate;
mod value;
pub mod watch;

use std::fs;
use std::io::{self, Read};
use std::path::Path as FilePath;

pub use crate::error::{ConfigError, Errors};
pub use crate::flags::{Flags, named_mirror};
pub use crate::reference::reference;
pub use crate::source::{Loaded, Source};

use crate::error::Origin;
use crate::file::File;
use crate::model::Config;
use crate::node::Node;

/// Files larger than this are refused.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Reads and validates a file. Every error is reported, not only the first.
pub fn load(path: &FilePath) -> Result<Config, Errors> {
    let origin = Origin::File(path.to_owned());
    Ok(understand_text(&read(path, &origin)?, &origin)?.1)
}

/// The file's configuration with every default filled in, as YAML that [`load`] reads to the same model. Environment
/// variables are replaced by their values.
pub fn effective(path: &FilePath) -> Result<String, Errors> {
    let origin = Origin::File(path.to_owned());
    effective_text(&read(path, &origin)?, path)
}

/// The same of a text, as if it were a file of that name.
pub fn effective_text(text: &str, name: &FilePath) -> Result<String, Errors> {
    let origin = Origin::File(name.to_owned());
    let (file, config) = understand_text(text, &origin)?;
    effective_file(file, &config, &origin)
}

fn effective_file(mut file: File, config: &Config, origin: &Origin) -> Result<String, Errors> {
    file.workers = Some(config.workers as u32);
    file.routes.get_or_insert_with(|| {
        vec![file::Route {
            mirrors: Some(file.mirrors.keys().cloned().collect()),
            ..file::Route::default()
        }]
    });
    serde_saphyr::to_string(&file)
        .map(|text| env::escape(&text))
        .map_err(|error| origin.error(None, error.to_string()).into())
}

/// Validates what was said with flags.
pub fn from_flags(flags: Flags) -> Result<Config, Errors> {
    let tree = flags.into_tree()?;
    Ok(understand(&tree, Vec::new(), &Origin::Flags)?.1)
}

/// Validates a text as if it were a file of that name.
pub fn parse(text: &str, name: &FilePath) -> Result<Config, Errors> {
    Ok(understand_text(text, &Origin::File(name.to_owned()))?.1)
}

/// The JSON Schema of the file.
pub fn schema() -> serde_json::Value {
    shape::public_schema()
}

fn read(path: &FilePath, origin: &Origin) -> Result<String, Errors> {
    let read = || {
        let mut text = String::new();
        // A pipe does not say how long it is.
        fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE {
            return Err(io::Error::other(format!("larger than {MAX_FILE} bytes")));
        }
        Ok(text)
    };
    read().map_err(|error| origin.error(None, format!("cannot read: {error}")).into())
}

fn understand_text(text: &str, origin: &Origin) -> Result<(File, Config), Errors> {
    let (tree, errors) = node::parse(text, origin, |name| std::env::var(name).ok())?;
    understand(&tree, errors, origin)
}

/// Goes on after errors, so that all are told at once: what could not be read is stood in for by something harmless, and
/// what follows from that is not told.
fn understand(tree: &Node, errors: Vec<ConfigError>, origin: &Origin) -> Result<(File, Config), Errors> {
    let (file, mut errors) = shape::read(tree, errors, origin);
    let (config, further) = validate::validate(&file, tree, origin);
    let follows = |error: &ConfigError| errors.iter().any(|cause| error.is_within(cause));
    let further: Vec<_> = further.into_iter().filter(|error| !follows(error)).collect();
    errors.extend(further);
    match Errors::from_list(errors) {
        Some(errors) => Err(errors),
        None => Ok((file, config)),
    }
}

#[cfg(test)]
mod tests;
