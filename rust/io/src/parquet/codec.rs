//! Decompression into buffers of known size.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::rle::Result;

/// Decompressors that are worth keeping from page to page.
#[derive(Default)]
pub struct Codecs {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    snappy: snap::raw::Decoder,
}

impl Codecs {
    /// Decompresses `from` with the format's codec number; it must fill `to`.
    pub fn decompress(&mut self, codec: i32, from: &[u8], to: &mut [u8]) -> Result<()> {
        let wanted = to.len();
        // A decompressor that panics on foreign bytes is a bug of its crate, not a reason to end the run.
        let found = catch_unwind(AssertUnwindSafe(|| self.run(codec, from, to)))
            .map_err(|_| "decompressor panicked".to_owned())??;
        if found != wanted {
            return Err(format!(
                "page decompresses to {found} bytes, its header says {wanted}"
            ));
        }
        Ok(())
    }

    fn run(&mut self, codec: i32, from: &[u8], to: &mut [u8]) -> Result<usize> {
        match codec {
            1 => self.snappy.decompress(from, to).map_err(|e| e.to_string()),
            2 => filled(flate2::read::MultiGzDecoder::new(from), to),
            4 => filled(brotli::Decompressor::new(from, 4096), to),
            5 => hadoop_lz4(from, to),
            6 => {
                let zstd = match &mut self.zstd {
                    Some(zstd) => zstd,
                    none => {
                        none.insert(zstd::bulk::Decompressor::new().map_err(|e| e.to_string())?)
                    }
                };
                zstd.decompress_to_buffer(from, to)
                    .map_err(|e| e.to_string())
            }
            7 => lz4(from, to),
            other => Err(format!(
                "codec {other} is not supported; none, snappy, gzip, brotli, lz4, lz4_raw and zstd are"
            )),
        }
    }
}

fn filled(mut reader: impl Read, to: &mut [u8]) -> Result<usize> {
    reader.read_exact(to).map_err(|e| e.to_string())?;
    Ok(to.len())
}

fn lz4(from: &[u8], to: &mut [u8]) -> Result<usize> {
    lz4_flex::block::decompress_into(from, to).map_err(|e| e.to_string())
}

/// The deprecated codec `LZ4`: Hadoop's blocks with two big-endian lengths, or, from old writers, one raw block.
fn hadoop_lz4(from: &[u8], to: &mut [u8]) -> Result<usize> {
    fn blocks(mut from: &[u8], to: &mut [u8]) -> Option<usize> {
        let mut done = 0;
        while let Some((head, rest)) = from.split_first_chunk::<8>() {
            let [a, b, c, d, e, f, g, h] = *head;
            let size = u32::from_be_bytes([a, b, c, d]) as usize;
            let (block, rest) = rest.split_at_checked(u32::from_be_bytes([e, f, g, h]) as usize)?;
            let slot = to.get_mut(done..)?.get_mut(..size)?;
            (lz4(block, slot).ok()? == size).then_some(())?;
            (from, done) = (rest, done + size);
        }
        (from.is_empty() && done == to.len()).then_some(done)
    }
    match blocks(from, to) {
        Some(n) => Ok(n),
        None => lz4(from, to),
    }
}
