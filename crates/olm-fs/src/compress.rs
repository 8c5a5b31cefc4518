//! Compressed copies of large files.

use std::fs::File;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes that are read at a time.
const PIECE: usize = 64 << 10;
/// Level of both compressions: beyond it, time grows more than size shrinks.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;
/// Window of Zstandard as a power of two: 1 MiB, which bounds the memory of both ends.
const ZSTD_WINDOW_LOG: u32 = 20;

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// gzip (RFC 1952), without name and time.
    Gzip,
    /// Zstandard (RFC 8878), with a window of at most 1 MiB.
    Zstd,
}

/// Compresses the `length` bytes of a file into `to`, in constant memory. Reads by offset, so that
/// others may read the same handle. `go_on` is asked now and then, and may break it off.
///
/// # Errors
/// Those of both ends; [`io::ErrorKind::UnexpectedEof`] when the file is shorter, and
/// [`io::ErrorKind::Interrupted`] when it is broken off.
pub fn compress(
    from: &File,
    length: u64,
    form: Form,
    to: impl Write,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> io::Result<()> {
    match form {
        Form::Gzip => {
            let mut encoder = GzEncoder::new(to, Compression::new(GZIP_LEVEL));
            copy(from, length, &mut encoder, go_on)?;
            encoder.finish()?.flush()
        }
        Form::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(to, ZSTD_LEVEL)?;
            encoder.window_log(ZSTD_WINDOW_LOG)?;
            encoder.include_checksum(true)?;
            encoder.set_pledged_src_size(Some(length))?;
            copy(from, length, &mut encoder, go_on)?;
            encoder.finish()?.flush()
        }
    }
}

fn copy(
    from: &File,
    length: u64,
    to: &mut impl Write,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    while at < length {
        if go_on().is_break() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = usize::try_from(length - at).map_or(PIECE, |left| left.min(PIECE));
        let bytes = piece.get_mut(..count).unwrap_or_default();
        from.read_exact_at(bytes, at)?;
        to.write_all(bytes)?;
        at += count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Read;

    use rstest::rstest;

    use super::*;

    fn sample() -> (File, Vec<u8>) {
        let content = b"{\"schema\":\"olm.bundle\"}\n".repeat(10_000);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        (file, content)
    }

    #[rstest]
    fn what_is_compressed_expands_to_the_same(
        #[values(Form::Gzip, Form::Zstd)] form: Form,
        #[values(0, 1, 65_536, 240_000)] length: usize,
    ) {
        let (file, content) = sample();
        let mut compressed = Vec::new();
        let mut go_on = || ControlFlow::Continue(());
        compress(&file, length as u64, form, &mut compressed, &mut go_on).unwrap();
        let mut expanded = Vec::new();
        match form {
            Form::Gzip => {
                let mut decoder = flate2::read::GzDecoder::new(compressed.as_slice());
                decoder.read_to_end(&mut expanded).unwrap();
            }
            Form::Zstd => {
                expanded = zstd::stream::decode_all(compressed.as_slice()).unwrap();
            }
        }
        assert_eq!(expanded, content[..length]);
        assert!(length < 100 || compressed.len() < length / 10);
    }

    #[test]
    fn it_can_be_broken_off_and_sees_a_file_that_is_too_short() {
        let (file, content) = sample();
        let mut pieces = 0;
        let mut go_on = || {
            pieces += 1;
            if pieces == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let length = content.len() as u64;
        let broken = compress(&file, length, Form::Gzip, io::sink(), &mut go_on);
        assert_eq!(broken.unwrap_err().kind(), io::ErrorKind::Interrupted);
        let mut go_on = || ControlFlow::Continue(());
        let short = compress(&file, length + 1, Form::Zstd, io::sink(), &mut go_on);
        assert_eq!(short.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
