//! Who may make an object: one of all that want to, at a time.
//!
//! Server-side apply cannot say "only where there is none", and all owners write as one field
//! manager, so that the API server sees no conflict between them. Whoever makes an object claims it
//! first and looks once more.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tokio::sync::{Mutex, MutexGuard};

use crate::identity::ObjectId;

/// Objects share claims by their hash; more than are ever written at once, so that few wait for
/// others in vain.
const CLAIMS: usize = 128;

/// The claims of one process.
pub(crate) struct Claims([Mutex<()>; CLAIMS]);

impl Default for Claims {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Claims {
    /// Waits until nobody else of this process is making the object; for as long as the guard lives.
    pub(crate) async fn claim(&self, id: &ObjectId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        id.key().hash(&mut hasher);
        let number = usize::try_from(hasher.finish() % CLAIMS as u64).unwrap_or_default();
        self.0[number].lock().await
    }
}
