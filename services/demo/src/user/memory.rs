//! The users of this process: a bounded memory that stands in for a database.
//!
//! One lock, held for two lookups and never over an await: of two users with one address that arrive together exactly
//! one is kept.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use roadshow_services::Failure;

use super::{CreateUser, User};

/// How many users are kept; one more is refused as `exhausted`.
pub const USERS_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct UserMemory(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    by_id: HashMap<String, User>,
    /// Addresses in small letters.
    ids_by_email: HashMap<String, String>,
}

impl UserMemory {
    /// Keeps a new user.
    ///
    /// # Errors
    ///
    /// `conflict` if the address is taken, `exhausted` if the memory is full.
    pub(crate) fn insert(&self, input: CreateUser) -> Result<User, Failure> {
        let CreateUser { name, email } = input;
        let mut tables = self.lock();
        let is_full = tables.by_id.len() >= USERS_MAX;
        let Tables { by_id, ids_by_email } = &mut *tables;
        let Entry::Vacant(place) = ids_by_email.entry(email.to_ascii_lowercase()) else {
            return Err(Failure::conflict("a user with this email exists already")
                .with_details(serde_json::json!({ "fields": [{ "field": "email", "problem": "is taken" }] })));
        };
        if is_full {
            return Err(Failure::exhausted(format!(
                "the memory holds {USERS_MAX} users and no more"
            )));
        }
        let id = random_uuid();
        place.insert(id.clone());
        let user = User { id, name, email };
        by_id.insert(user.id.clone(), user.clone());
        Ok(user)
    }

    pub(crate) fn find(&self, id: &str) -> Option<User> {
        self.lock().by_id.get(id).cloned()
    }

    pub(crate) fn remove(&self, id: &str) {
        let mut tables = self.lock();
        if let Some(user) = tables.by_id.remove(id) {
            tables.ids_by_email.remove(&user.email.to_ascii_lowercase());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A UUID of version 4: 122 bits from the system's generator.
fn random_uuid() -> String {
    let bits: u128 = rand::random();
    let bits = (bits & !(0xf << 76)) | (0x4 << 76);
    let bits = (bits & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use roadshow_services::Code;

    use super::*;

    fn user(email: &str) -> CreateUser {
        CreateUser {
            name: "Ada".to_owned(),
            email: email.to_owned(),
        }
    }

    #[test]
    fn of_two_users_with_one_address_that_race_one_is_refused() {
        let memory = UserMemory::default();
        let results: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = ["ada@example.org", "Ada@Example.org"]
                .map(|email| scope.spawn(|| memory.insert(user(email))))
                .into();
            racers.into_iter().map(|racer| racer.join().expect("joined")).collect()
        });
        let refused: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].code, Code::Conflict);
    }

    #[test]
    fn a_removed_user_frees_the_address() {
        let memory = UserMemory::default();
        let ada = memory.insert(user("ada@example.org")).expect("kept");
        assert_eq!(memory.find(&ada.id), Some(ada.clone()));
        memory.remove(&ada.id);
        assert_eq!(memory.find(&ada.id), None);
        assert!(memory.insert(user("ada@example.org")).is_ok());
    }

    #[test]
    fn a_full_memory_refuses_one_more() {
        let memory = UserMemory::default();
        for n in 0..USERS_MAX {
            memory.insert(user(&format!("u{n}@example.org"))).expect("kept");
        }
        let refused = memory.insert(user("one-more@example.org")).expect_err("full");
        assert_eq!(refused.code, Code::Exhausted);
    }

    #[test]
    fn ids_are_random_uuids_of_version_four() {
        let (one, other) = (random_uuid(), random_uuid());
        assert_ne!(one, other);
        for id in [one, other] {
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert_eq!(&id[14..15], "4");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }
}
