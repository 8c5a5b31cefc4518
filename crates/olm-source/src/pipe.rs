//! A bounded pipe from an asynchronous stream to a blocking reader.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc;

/// Pieces on the way at most. A piece is what the network gave, tens of KiB.
const DEPTH: usize = 8;

/// The writing end.
#[derive(Debug)]
pub(crate) struct Writer(mpsc::Sender<Result<Bytes, ()>>);

/// The reading end, for a blocking task.
#[derive(Debug)]
pub(crate) struct Reader {
    pieces: mpsc::Receiver<Result<Bytes, ()>>,
    current: Bytes,
}

pub(crate) fn pipe() -> (Writer, Reader) {
    let (sender, pieces) = mpsc::channel(DEPTH);
    (
        Writer(sender),
        Reader {
            pieces,
            current: Bytes::new(),
        },
    )
}

impl Writer {
    /// Hands a piece over; `false` when nobody reads any more.
    pub(crate) async fn write(&self, bytes: Bytes) -> bool {
        self.0.send(Ok(bytes)).await.is_ok()
    }

    /// Tells the reader that there will be no proper end.
    pub(crate) async fn fail(self) {
        let _nobody_reads = self.0.send(Err(())).await;
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(bytes)) => self.current = bytes,
                Some(Err(())) => return Err(io::Error::other("the stream broke off")),
                None => return Ok(0),
            }
        }
        let n = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}
