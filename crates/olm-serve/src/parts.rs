//! The body of an answer: parts of an open file, read as they are sent.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::Stream;

/// Bytes read from the file at a time, and so held per answer.
const CHUNK: usize = 64 << 10;

/// Parts of a file, in the order in which they are sent; neighbours are joined.
#[derive(Debug)]
pub(crate) struct Parts {
    file: Arc<File>,
    /// What is left, the next one last.
    left: Vec<Range<u64>>,
    total: u64,
}

impl Parts {
    /// Parts of `file`, which are not read before they are sent.
    pub(crate) fn new(file: Arc<File>, parts: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut left: Vec<Range<u64>> = Vec::new();
        let mut total = 0_u64;
        for part in parts {
            if part.is_empty() {
                continue;
            }
            total = total.saturating_add(part.end - part.start);
            match left.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => left.push(part),
            }
        }
        left.reverse();
        Self { file, left, total }
    }

    /// The size of all of them together, in bytes.
    pub(crate) const fn length(&self) -> u64 {
        self.total
    }

    /// All bytes if they are few; itself again otherwise, or where they cannot be read.
    pub(crate) fn read_little(self) -> Result<Bytes, Self> {
        if self.total > CHUNK as u64 {
            return Err(self);
        }
        let piece: Vec<_> = self.left.iter().rev().cloned().collect();
        read(&self.file, &piece).map_err(|_told_by_the_stream| self)
    }

    /// The bytes, in pieces of some size. A file that turns out shorter is an error, which breaks
    /// the answer off instead of ending it early.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        // One buffer, taken up again once a piece of it has been sent: to get and to give back
        // memory for each piece costs more than to read it.
        let state = (self, BytesMut::new());
        futures::stream::try_unfold(state, async |(mut parts, mut buffer)| {
            let piece = parts.next_piece();
            if piece.is_empty() {
                return Ok(None);
            }
            let file = Arc::clone(&parts.file);
            let read = tokio::task::spawn_blocking(move || {
                fill(&file, &piece, &mut buffer)?;
                Ok::<_, io::Error>((buffer.split().freeze(), buffer))
            });
            let (bytes, buffer) = read.await.map_err(io::Error::other)??;
            Ok(Some((bytes, (parts, buffer))))
        })
    }

    /// Takes as many parts as fit into a piece.
    fn next_piece(&mut self) -> Vec<Range<u64>> {
        let mut room = CHUNK as u64;
        let mut piece = Vec::new();
        while room > 0
            && let Some(next) = self.left.pop()
        {
            let length = next.end - next.start;
            if length > room {
                self.left.push(next.start + room..next.end);
                piece.push(next.start..next.start + room);
                room = 0;
            } else {
                room -= length;
                piece.push(next);
            }
        }
        piece
    }
}

fn read(file: &File, piece: &[Range<u64>]) -> io::Result<Bytes> {
    let mut buffer = BytesMut::new();
    fill(file, piece, &mut buffer)?;
    Ok(buffer.freeze())
}

/// Reads a piece to the end of a buffer.
fn fill(file: &File, piece: &[Range<u64>], buffer: &mut BytesMut) -> io::Result<()> {
    let length = piece.iter().map(|part| part.end - part.start).sum::<u64>();
    buffer.reserve(usize::try_from(length).map_err(io::Error::other)?);
    for part in piece {
        let length = usize::try_from(part.end - part.start).map_err(io::Error::other)?;
        let start = buffer.len();
        buffer.resize(start + length, 0);
        file.read_exact_at(&mut buffer[start..], part.start)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Write as _;

    use futures::TryStreamExt as _;
    use rstest::rstest;

    use super::*;

    fn file(length: usize) -> (Arc<File>, Vec<u8>) {
        let bytes: Vec<u8> = (0..=250_u8).cycle().take(length).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (Arc::new(file), bytes)
    }

    #[rstest]
    #[case::nothing(vec![])]
    #[case::whole(vec![0..200_000])]
    #[case::neighbours(vec![0..10, 10..20, 20..70_000])]
    #[case::many_small((0..5000).map(|n| n * 40..n * 40 + 7).collect())]
    #[case::backwards(vec![150_000..200_000, 0..100_000])]
    #[case::empty_ones(vec![5..5, 7..9, 9..9])]
    #[tokio::test]
    async fn the_parts_come_in_their_order_and_in_small_pieces(#[case] parts: Vec<Range<u64>>) {
        let (file, bytes) = file(200_000);
        let at = |offset: u64| usize::try_from(offset).unwrap();
        let wanted: Vec<u8> = parts
            .iter()
            .flat_map(|part| bytes[at(part.start)..at(part.end)].to_vec())
            .collect();
        let parts = Parts::new(file, parts);
        assert_eq!(parts.length(), wanted.len() as u64);
        let parts = match parts.read_little() {
            Ok(bytes) => {
                assert!(wanted.len() <= CHUNK);
                return assert_eq!(bytes, wanted);
            }
            Err(parts) => parts,
        };
        let pieces: Vec<Bytes> = parts.into_stream().try_collect().await.unwrap();
        assert!(pieces.iter().all(|piece| piece.len() <= CHUNK));
        // As few as possible: small parts share a piece.
        assert_eq!(pieces.len(), wanted.len().div_ceil(CHUNK));
        assert_eq!(pieces.concat(), wanted);
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        let (file, _) = file(10);
        let parts = Parts::new(file, [std::ops::Range { start: 0, end: 11 }]);
        let parts = parts.read_little().unwrap_err();
        let outcome = parts.into_stream().try_collect::<Vec<_>>().await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
