//! Every kind of folder that somebody may name, and every way in which writing may fail.

use std::collections::BTreeSet;

use tempfile::TempDir;

use super::*;

fn scratch() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn file(path: &'static str) -> ProjectFile {
    ProjectFile {
        path,
        text: format!("this is {path}\n"),
    }
}

/// Everything below a folder, hidden entries included.
fn listing(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path.clone());
            }
            let relative = path.strip_prefix(root).expect("below");
            found.insert(relative.to_string_lossy().into_owned());
        }
    }
    found
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn write(dir: &Path, files: &[ProjectFile]) -> Result<String, String> {
    let place = Place::survey(dir)?;
    place.write(files)?;
    Ok(place.name())
}

#[test]
fn a_folder_that_is_missing_is_made_with_those_above_it() {
    for (dir, name) in [
        ("shop", "shop"),
        ("shop/", "shop"),
        ("a/b/c", "c"),
        ("./über uns//", "über uns"),
    ] {
        let scratch = scratch();
        let dir = scratch.path().join(dir);
        assert_eq!(
            write(&dir, &[file("src/lib.rs"), file("README.md")]),
            Ok(name.to_owned())
        );
        assert_eq!(listing(&dir), set(&["README.md", "src", "src/lib.rs"]));
        assert_eq!(
            fs::read_dir(scratch.path()).expect("a folder").count(),
            1,
            "nothing beside it"
        );
    }
}

#[test]
fn an_empty_folder_is_filled_and_stays_the_same_folder() {
    let scratch = scratch();
    let dir = scratch.path().join("shop");
    fs::create_dir(&dir).expect("made");
    let held = fs::read_dir(&dir).expect("a folder");
    assert_eq!(write(&dir, &[file("a/b/c"), file("a/d")]), Ok("shop".to_owned()));
    assert_eq!(listing(&dir), set(&["a", "a/b", "a/b/c", "a/d"]));
    // Who stood in the folder before stands in the project now.
    assert_eq!(held.count(), 1);
}

#[test]
fn a_folder_in_use_is_refused_and_nothing_is_touched() {
    let scratch = scratch();
    fs::write(scratch.path().join(".hidden"), "mine").expect("written");
    let refused = write(scratch.path(), &[file("a")]).expect_err("in use");
    assert!(refused.contains("not empty"), "{refused}");
    let refused = write(&scratch.path().join(".hidden"), &[file("a")]).expect_err("a file");
    assert!(refused.contains("a file of this name"), "{refused}");
    let refused = write(&scratch.path().join(".hidden/x/y"), &[file("a")]).expect_err("below a file");
    assert!(refused.contains("in the path is a file"), "{refused}");
    assert!(write(&scratch.path().join("gone/../x"), &[file("a")]).is_err());
    assert_eq!(listing(scratch.path()), set(&[".hidden"]));
}

#[cfg(unix)]
#[test]
fn a_link_to_an_empty_folder_is_followed_and_one_to_nowhere_is_refused() {
    use std::os::unix::fs::symlink;
    let scratch = scratch();
    let (real, link, nowhere) = (
        scratch.path().join("real"),
        scratch.path().join("link"),
        scratch.path().join("nowhere"),
    );
    fs::create_dir(&real).expect("made");
    symlink(&real, &link).expect("linked");
    symlink(scratch.path().join("gone"), &nowhere).expect("linked");
    assert_eq!(write(&link, &[file("a")]), Ok("real".to_owned()));
    assert_eq!(listing(&real), set(&["a"]));
    assert!(link.is_symlink());
    for dir in [nowhere.clone(), scratch.path().join("nowhere/"), nowhere.join("deeper")] {
        let refused = write(&dir, &[file("a")]).expect_err("nowhere");
        assert!(refused.contains("leads nowhere"), "{refused}");
    }
    assert!(nowhere.is_symlink());
    let refused = write(&link, &[file("a")]).expect_err("in use by now");
    assert!(refused.contains("not empty"), "{refused}");
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing_behind() {
    // A file cannot lie in a file: the third one fails when two are written.
    let files = [file("src/lib.rs"), file("a"), file("a/b")];
    let scratch = scratch();
    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).expect("made");
    for dir in [empty, scratch.path().join("new"), scratch.path().join("x/y/z")] {
        let refused = write(&dir, &files).expect_err("a file in a file");
        assert!(refused.contains("cannot make"), "{refused}");
    }
    assert_eq!(listing(scratch.path()), set(&["empty"]));
}

/// Permissions do not hold back root, who may run the tests; this file system holds back everybody.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_in_which_nobody_may_write_is_named() {
    let refused = write(Path::new("/proc/shop"), &[file("a")]).expect_err("nobody may");
    assert!(refused.contains("/proc/.roadshow-new-"), "{refused}");
}
