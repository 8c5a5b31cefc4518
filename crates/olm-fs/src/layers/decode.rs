//! From the bytes of a layer to the bytes of its tar: detection by magic, and the meters that
//! every byte passes.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::caps::{Cap, Caps, RATIO_FLOOR};

const BUFFER: usize = 64 << 10;

/// Largest zstd window, as a power of two: 32 MiB. Encoders reach it only at their highest levels;
/// larger ones would let an image choose how much memory it is unpacked with.
const ZSTD_WINDOW_LOG: u32 = 25;

/// What both meters know about a layer.
#[derive(Debug)]
pub(super) struct Meter {
    compressed: Cell<u64>,
    expanded: Cell<u64>,
    breach: Cell<Option<(Cap, u64)>>,
    broken: Cell<bool>,
    caps: Caps,
}

impl Meter {
    /// A meter that goes on from the sums of earlier layers.
    pub(super) fn new(caps: Caps, compressed: u64, expanded: u64) -> Self {
        Self {
            compressed: Cell::new(compressed),
            expanded: Cell::new(expanded),
            breach: Cell::new(None),
            broken: Cell::new(false),
            caps,
        }
    }

    pub(super) fn compressed(&self) -> u64 {
        self.compressed.get()
    }

    pub(super) fn expanded(&self) -> u64 {
        self.expanded.get()
    }

    /// The limit that was crossed: decoders replace the errors that pass through them, so it is
    /// kept here.
    pub(super) fn breach(&self) -> Option<(Cap, u64)> {
        self.breach.get()
    }

    /// Whether the source itself failed, rather than what it carries.
    pub(super) fn source_failed(&self) -> bool {
        self.broken.get()
    }

    fn over(&self, cap: Cap, limit: u64) -> io::Error {
        self.breach.set(Some((cap, limit)));
        io::Error::other("limit crossed")
    }

    fn take_compressed(&self, n: usize) -> io::Result<()> {
        let sum = self.compressed.get().saturating_add(n as u64);
        self.compressed.set(sum);
        if sum > self.caps.compressed_bytes {
            return Err(self.over(Cap::CompressedBytes, self.caps.compressed_bytes));
        }
        Ok(())
    }

    fn take_expanded(&self, n: usize) -> io::Result<()> {
        let sum = self.expanded.get().saturating_add(n as u64);
        self.expanded.set(sum);
        if sum > self.caps.expanded_bytes {
            return Err(self.over(Cap::ExpandedBytes, self.caps.expanded_bytes));
        }
        let allowed = self
            .compressed
            .get()
            .saturating_mul(self.caps.ratio)
            .max(RATIO_FLOOR);
        if sum > allowed {
            return Err(self.over(Cap::Ratio, self.caps.ratio));
        }
        Ok(())
    }
}

/// The layer's bytes, counted.
#[derive(Debug)]
pub(super) struct Source<'m, R> {
    inner: R,
    meter: &'m Meter,
}

impl<R: Read> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = match self.inner.read(buffer) {
            Ok(n) => n,
            Err(e) => {
                if e.kind() != io::ErrorKind::Interrupted {
                    self.meter.broken.set(true);
                }
                return Err(e);
            }
        };
        self.meter.take_compressed(n)?;
        Ok(n)
    }
}

/// The layer's bytes, buffered, with its first four put back in front.
pub(super) type Head<'m, R> = Chain<Cursor<Vec<u8>>, BufReader<Source<'m, R>>>;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
    None,
}

/// Looks at the first bytes, which the media type may be wrong about.
pub(super) fn detect<R: Read>(layer: R, meter: &Meter) -> io::Result<(Compression, Head<'_, R>)> {
    let mut source = BufReader::with_capacity(
        BUFFER,
        Source {
            inner: layer,
            meter,
        },
    );
    let mut magic = Vec::with_capacity(4);
    Read::by_ref(&mut source).take(4).read_to_end(&mut magic)?;
    let compression = match magic[..] {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        // A frame, or one of the sixteen kinds of skippable frames (RFC 8878, 3.1).
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
        _ => Compression::None,
    };
    Ok((compression, Cursor::new(magic).chain(source)))
}

/// The tar stream, counted.
pub(super) struct Expanded<'m, R> {
    inner: R,
    meter: &'m Meter,
}

impl<R: Read> Read for Expanded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.meter.take_expanded(n)?;
        Ok(n)
    }
}

/// The decoder for `head`.
pub(super) fn expand<'a, 'm: 'a, H: BufRead + 'a>(
    compression: Compression,
    head: H,
    meter: &'m Meter,
) -> io::Result<Expanded<'m, Box<dyn Read + 'a>>> {
    let inner: Box<dyn Read + 'a> = match compression {
        Compression::Gzip => Box::new(MultiGzDecoder::new(head)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(head)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Compression::None => Box::new(head),
    };
    Ok(Expanded { inner, meter })
}
