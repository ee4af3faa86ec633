//! What the runs leave below `target/`: a file for each passed case, and one with what the adapter declares.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

use crate::adapter::Adapter;
use crate::case::Case;
use crate::cases;
use crate::page::{cell, text};

/// The folder of the results.
#[derive(Debug)]
pub(super) struct Results(PathBuf);

/// What is known of one adapter: rows with their cells.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) cells: Vec<(String, String)>,
}

impl Results {
    /// Beside the folder that this program was built into: `target/conformance`.
    pub(super) fn of_this_program() -> io::Result<Self> {
        let program = env::current_exe()?;
        let target = program.ancestors().nth(3);
        let target = target.ok_or_else(|| io::Error::other("cannot find the target directory of this program"))?;
        Ok(Self(target.join("conformance")))
    }

    pub(super) fn record(&self, adapter: &dyn Adapter, case: &Case, seed: u64) -> io::Result<()> {
        let folder = self.0.join(adapter.capability().name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(case.id), format!("passed with seed {seed}\n"))?;
        // Cases run in programs of their own: whoever writes last writes the same.
        let declared = text::declared(adapter, |case| cell(case, adapter));
        let unique = folder.join(format!(".declared-{}-{}", std::process::id(), case.id));
        fs::write(&unique, declared)?;
        fs::rename(unique, folder.join("declared"))
    }

    pub(super) fn forget(&self, adapter: &dyn Adapter, case: &Case) -> io::Result<()> {
        match fs::remove_file(self.0.join(adapter.capability().name).join(case.id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// What an adapter declares, with every declared case passed.
    pub(super) fn column(&self, name: &str) -> io::Result<Column> {
        let folder = self.0.join(name);
        let unknown = |error| io::Error::other(format!("no run of the suite over {name} has left results: {error}"));
        let declared = fs::read_to_string(folder.join("declared")).map_err(unknown)?;
        let cells: Vec<(String, String)> = declared
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(row, cell)| (row.to_owned(), cell.to_owned()))
            .collect();
        for case in cases::all() {
            let expected = cells.iter().any(|(row, cell)| row == case.id && cell == "pass");
            if expected && !folder.join(case.id).exists() {
                let text = format!("{} has not passed over {name}: run its suite first", case.id);
                return Err(io::Error::other(text));
            }
        }
        Ok(Column {
            name: name.to_owned(),
            cells,
        })
    }
}
