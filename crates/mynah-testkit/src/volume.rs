//! A folder that is written as kubelet writes the volume of a ConfigMap or Secret.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Every file leads through the link `..data` to a folder of its revision; a new revision replaces the link.
#[derive(Debug)]
pub struct Volume {
    folder: TempDir,
    revision: u64,
}

impl Volume {
    /// A volume with these files.
    pub fn new(files: &[(&str, &str)]) -> io::Result<Self> {
        let mut volume = Self {
            folder: tempfile::tempdir()?,
            revision: 0,
        };
        volume.update(files)?;
        Ok(volume)
    }

    /// Replaces all files at once, in kubelet's order: new folder, new link to it, rename, links to the files, old folder
    /// removed.
    pub fn update(&mut self, files: &[(&str, &str)]) -> io::Result<()> {
        let root = self.folder.path();
        let old = fs::read_link(root.join("..data")).ok();
        self.revision += 1;
        let revision = format!("..2026_11_25_00_00_00.{}", self.revision);
        fs::create_dir(root.join(&revision))?;
        for (name, text) in files {
            fs::write(root.join(&revision).join(name), text)?;
        }
        symlink(&revision, root.join("..data_tmp"))?;
        fs::rename(root.join("..data_tmp"), root.join("..data"))?;
        for (name, _) in files {
            if fs::symlink_metadata(root.join(name)).is_err() {
                symlink(Path::new("..data").join(name), root.join(name))?;
            }
        }
        match old {
            Some(old) => fs::remove_dir_all(root.join(old)),
            None => Ok(()),
        }
    }

    /// Where a file is.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
