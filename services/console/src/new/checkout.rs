//! Which Roadshow a project is built against: a checkout on this disk.

use std::fs;
use std::path::{Path, PathBuf};

/// A checkout of Roadshow.
#[derive(Debug)]
pub(crate) struct Checkout {
    root: PathBuf,
}

impl Checkout {
    /// The checkout that this program was built in, if it was built in one and that is still there.
    pub(crate) fn of_this_build() -> Option<Self> {
        let console = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = console.parent()?.parent()?;
        Self::at(root).ok()
    }

    /// The checkout in a folder.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) fn at(folder: &Path) -> Result<Self, String> {
        let none = |why: &str| format!("{} is no checkout of Roadshow: {why}", folder.display());
        let root = folder.canonicalize().map_err(|error| none(&error.to_string()))?;
        let manifest =
            fs::read_to_string(root.join("Cargo.toml")).map_err(|error| none(&format!("Cargo.toml: {error}")))?;
        if !manifest.lines().any(|line| line.trim() == "name = \"roadshow\"") {
            return Err(none("its Cargo.toml names another package"));
        }
        Ok(Self { root })
    }

    /// The checkout's folder as text.
    ///
    /// # Errors
    ///
    /// It is no UTF-8, which a manifest cannot hold.
    pub(crate) fn root(&self) -> Result<&str, String> {
        self.root
            .to_str()
            .ok_or_else(|| format!("a manifest cannot name {}: its path is no UTF-8", self.root.display()))
    }

    /// A file of the checkout, where it has that.
    pub(crate) fn file(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.root.join(name)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_of_this_build_is_found_and_another_folder_is_refused() {
        let checkout = Checkout::of_this_build().expect("tests are built in a checkout");
        assert!(checkout.file("Cargo.lock").is_some());
        assert!(checkout.file("no-such-file").is_none());
        let refused = Checkout::at(Path::new(env!("CARGO_MANIFEST_DIR"))).expect_err("the console is no checkout");
        assert!(refused.contains("names another package"), "{refused}");
        let refused = Checkout::at(Path::new("/no/such/folder")).expect_err("nothing there");
        assert!(refused.contains("/no/such/folder is no checkout"), "{refused}");
    }
}
