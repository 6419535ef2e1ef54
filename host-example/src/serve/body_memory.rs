//! The memory for the bodies of all requests together.
//!
//! A body takes its room before it is read and gives it back when its answer begins, because from then on the plugin does
//! not need it. A body that finds no room stays with its client.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connections::overloaded;
use super::problem::Problem;

/// A smaller body, in bytes, takes no room, so that no chat waits for large uploads: it costs little more than its
/// connection.
pub const SMALL_BYTES: u64 = 64 << 10;
/// How long a body waits for room.
const WAIT: Duration = Duration::from_secs(30);

pub struct BodyMemory {
    kib: Arc<Semaphore>,
    total_mib: u64,
    wait: Duration,
    /// The largest body, in bytes.
    pub max_bytes: u64,
}

/// The room of one body.
pub type Room = Option<OwnedSemaphorePermit>;

impl BodyMemory {
    /// - In: the largest body, and all of them together, which is at least that.
    pub fn new(max_body_mib: u64, total_mib: u64) -> Self {
        let total_mib = total_mib.max(max_body_mib);
        Self {
            kib: Arc::new(Semaphore::new(
                usize::try_from(total_mib << 10).unwrap_or(usize::MAX >> 3),
            )),
            total_mib,
            wait: WAIT,
            max_bytes: max_body_mib << 20,
        }
    }

    /// Waits for room for this many bytes, of which there are at most [`Self::max_bytes`].
    ///
    /// - Errors: none became free.
    pub async fn room(&self, n_bytes: u64) -> Result<Room, Problem> {
        if n_bytes <= SMALL_BYTES {
            return Ok(None);
        }
        let n_kib = u32::try_from(n_bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let waited = tokio::time::timeout(self.wait, Arc::clone(&self.kib).acquire_many_owned(n_kib)).await;
        // It is never closed.
        waited.map(Result::ok).map_err(|_| {
            overloaded(format!(
                "the request bodies in memory took up {} MiB for {} s",
                self.total_mib,
                self.wait.as_secs()
            ))
        })
    }
}

/// Gives back what a body of unknown length did not need.
pub fn shrink(room: &mut Room, n_bytes: usize) {
    if let Some(permit) = room {
        let unused = permit.num_permits().saturating_sub(n_bytes.div_ceil(1 << 10));
        drop(permit.split(unused));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_never_take_more_room_together_than_there_is() {
        let memory = BodyMemory {
            wait: Duration::ZERO,
            ..BodyMemory::new(16, 32)
        };
        let first = memory.room(16 << 20).await.expect("there is room");
        let mut second = memory.room(16 << 20).await.expect("there is room");
        assert!(memory.room(SMALL_BYTES).await.is_ok_and(|room| room.is_none()));
        let problem = memory.room(SMALL_BYTES + 1).await.expect_err("there is no room");
        assert_eq!(
            (problem.status.as_u16(), problem.message.as_str()),
            (503, "the request bodies in memory took up 32 MiB for 0 s")
        );
        shrink(&mut second, 1 << 20);
        let third = memory
            .room(15 << 20)
            .await
            .expect("the second is smaller than it might have been");
        assert_eq!(memory.kib.available_permits(), 0);
        drop((first, second, third));
        assert_eq!(memory.kib.available_permits(), 32 << 10);
    }
}
