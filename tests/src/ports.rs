//! Ports that nothing else takes, also while the server that uses them restarts.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context, Result, bail};

/// Below what the kernel hands out for outgoing connections (from 32768), so that no client's
/// connection can take a port between its choice and the server's start.
const FIRST: u16 = 21_000;
const COUNT: u16 = 9_000;

/// A reserved port; other processes of this harness leave it alone until this is dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a port that is free now on all IPv4 addresses.
    pub fn reserve() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let locks = locks()?;
        // Processes start at different places, so that they rarely meet.
        let start = u16::try_from(std::process::id() % 180).unwrap_or(0) * 50;
        for _ in 0..COUNT {
            let offset = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = FIRST + start.wrapping_add(offset) % COUNT;
            let lock = OpenOptions::new()
                .create(true)
                .append(true)
                .open(locks.join(number.to_string()))
                .with_context(|| format!("cannot open a lock in `{}`", locks.display()))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok()
            {
                return Ok(Self {
                    number,
                    _lock: lock,
                });
            }
        }
        bail!("no free port from {FIRST} to {}", FIRST + COUNT - 1)
    }

    /// The port's number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:NUMBER`.
    pub fn local(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

fn locks() -> Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let path = std::env::temp_dir().join(format!("olm-rs-ports-{user}"));
    std::fs::create_dir_all(&path)
        .with_context(|| format!("cannot create `{}`", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::Port;

    #[test]
    fn two_reservations_never_give_the_same_port_and_both_can_be_listened_on() -> anyhow::Result<()>
    {
        let (one, other) = (Port::reserve()?, Port::reserve()?);
        assert_ne!(one.number(), other.number());
        TcpListener::bind(one.local())?;
        TcpListener::bind(other.local())?;
        Ok(())
    }
}
