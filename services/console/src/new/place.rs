//! Where a project is written, and the writing: all files or none.
//!
//! A folder that is not there yet is made under another name beside it and renamed once it is whole, so nobody ever sees
//! half a project there. One that is there and empty is filled in place, because somebody may stand in it; what was made
//! is removed again if something goes wrong.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use super::project::ProjectFile;

/// A place for a project.
#[derive(Debug)]
pub(crate) enum Place {
    /// A folder that is there and empty.
    Empty(PathBuf),
    /// A folder that is not there: the nearest one above it that is, and the way down from there.
    Missing { base: PathBuf, way: PathBuf },
}

impl Place {
    /// Looks at a folder without changing anything.
    ///
    /// # Errors
    ///
    /// It holds something, is no folder, or cannot be reached.
    pub(crate) fn survey(dir: &Path) -> Result<Self, String> {
        // A slash at the end would make the system look behind a link.
        let dir: PathBuf = dir.components().collect();
        match fs::read_dir(&dir).map(|mut entries| entries.next()) {
            Ok(None) => dir.canonicalize().map(Place::Empty).map_err(words),
            Ok(Some(_)) => Err("the folder is not empty: choose another one, or empty it first".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::missing(&dir),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory && dir.exists() => {
                Err("there is a file of this name: choose another one".to_owned())
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                Err("something in the path is a file, no folder".to_owned())
            }
            Err(error) => Err(words(error)),
        }
    }

    fn missing(dir: &Path) -> Result<Self, String> {
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let above = dir.ancestors().find(|path| is_there(path)).unwrap_or(Path::new(""));
        let way = dir.strip_prefix(above).unwrap_or(dir).to_owned();
        let base = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        if !base.is_dir() {
            return Err(format!("{} is a link that leads nowhere, or no folder", base.display()));
        }
        if way.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err("the path leads up out of a folder that is not there".to_owned());
        }
        Ok(Place::Missing {
            base: base.to_owned(),
            way,
        })
    }

    /// The name of the folder; text that is no UTF-8 is shown as well as can be.
    pub(crate) fn name(&self) -> String {
        let path = match self {
            Place::Empty(path) | Place::Missing { way: path, .. } => path,
        };
        path.file_name()
            .map(OsStr::to_string_lossy)
            .unwrap_or_default()
            .into_owned()
    }

    /// Writes all files.
    ///
    /// # Errors
    ///
    /// One could not be written; then none is left.
    pub(crate) fn write(&self, files: &[ProjectFile]) -> Result<(), String> {
        let mut made = Made::default();
        match self {
            Place::Empty(dir) => made.files(dir, files)?,
            Place::Missing { base, way } => {
                let mut parts = way.components();
                let first = parts.next().ok_or("the path names no folder")?;
                let stage = base.join(format!(".roadshow-new-{}", std::process::id()));
                made.folder(&stage)?;
                let inner = parts.as_path();
                made.folders(&stage, inner)?;
                made.files(&stage.join(inner), files)?;
                let place = base.join(first);
                fs::rename(&stage, &place).map_err(|error| cannot("make", &place, &error))?;
            }
        }
        made.keep();
        Ok(())
    }
}

/// What was made so far; dropped, it is removed in reverse.
#[derive(Debug, Default)]
struct Made {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Made {
    fn files(&mut self, root: &Path, files: &[ProjectFile]) -> Result<(), String> {
        for file in files {
            let relative = Path::new(file.path);
            self.folders(root, relative.parent().unwrap_or(Path::new("")))?;
            let path = root.join(relative);
            // Whatever appeared there meanwhile is somebody else's.
            let opened = OpenOptions::new().write(true).create_new(true).open(&path);
            let mut opened = opened.map_err(|error| cannot("make", &path, &error))?;
            self.files.push(path.clone());
            opened
                .write_all(file.text.as_bytes())
                .map_err(|error| cannot("write", &path, &error))?;
        }
        Ok(())
    }

    /// Makes the folders of a way below `root`, as far as they were not made already.
    fn folders(&mut self, root: &Path, way: &Path) -> Result<(), String> {
        let mut path = root.to_owned();
        for part in way.components() {
            path.push(part);
            if !self.folders.contains(&path) {
                self.folder(&path)?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> Result<(), String> {
        fs::create_dir(path).map_err(|error| cannot("make", path, &error))?;
        self.folders.push(path.to_owned());
        Ok(())
    }

    fn keep(mut self) {
        self.files.clear();
        self.folders.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // What cannot be removed cannot be helped; the problem that led here is the one that is told.
        for file in self.files.iter().rev() {
            let _ = fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn cannot(act: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {act} {}: {error}", path.display())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn words(error: io::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
