//! Where a configuration comes from, so that it can be read again.

use std::hash::Hasher;
use std::path::{Path, PathBuf};

use siphasher::sip::SipHasher13;

use crate::error::{Errors, Origin};
use crate::file::{File, HIDDEN};
use crate::model::Config;
use crate::{Flags, effective_file, read, understand, understand_text};

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A YAML file.
    File(PathBuf),
    /// Flags of the command line.
    Flags(Flags),
}

/// A configuration that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// The same with every default as YAML, for people to look at: secrets are hidden.
    pub shown: String,
    /// The hash of the file's text as 16 hexadecimal digits, the same wherever the text is the same; empty without a file.
    pub hash: String,
}

impl Source {
    /// Reads and validates it, as it is now.
    pub fn load(&self) -> Result<Loaded, Errors> {
        match self {
            Self::File(path) => {
                let origin = Origin::File(path.clone());
                let text = read(path, &origin)?;
                let (file, config) = understand_text(&text, &origin)?;
                Ok(Loaded::new(file, config, &origin)?.with_hash(&text))
            }
            Self::Flags(flags) => {
                let tree = flags.clone().into_tree()?;
                let (file, config) = understand(&tree, Vec::new(), &Origin::Flags)?;
                Loaded::new(file, config, &Origin::Flags)
            }
        }
    }

    /// The file.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Flags(_) => None,
        }
    }
}

impl Loaded {
    fn new(mut file: File, config: Config, origin: &Origin) -> Result<Self, Errors> {
        for mirror in file.mirrors.values_mut() {
            let edits = &mut mirror.headers;
            for value in edits.set.values_mut().chain(edits.add.values_mut()) {
                HIDDEN.clone_into(value);
            }
        }
        Ok(Self {
            shown: effective_file(file, &config, origin)?,
            config,
            hash: String::new(),
        })
    }

    fn with_hash(mut self, text: &str) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(text.as_bytes());
        self.hash = format!("{:016x}", hasher.finish());
        self
    }
}
