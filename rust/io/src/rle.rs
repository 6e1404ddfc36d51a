//! Reader of Parquet's RLE / bit-packed hybrid: definition levels, dictionary indices, booleans.
//!
//! Runs are read as runs and packed groups 32 values at a time, streamed into the caller's buffer,
//! so that a page of a billion equal values costs no memory.
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE>.

/// What is wrong with an encoded stream.
pub type Result<T> = std::result::Result<T, String>;

/// Position in a stream of `width`-bit values.
#[derive(Debug, Clone)]
pub struct Hybrid<'a> {
    data: &'a [u8],
    width: u32,
    run: Run<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Run<'a> {
    Repeated {
        left: usize,
        value: u32,
    },
    /// Values `at..end` of the groups at the start of `bytes`, which goes on to the end of the page.
    Packed {
        bytes: &'a [u8],
        at: usize,
        end: usize,
    },
}

impl<'a> Hybrid<'a> {
    /// Reads `data`, values of `width <= 32` bits.
    pub fn new(data: &'a [u8], width: u8) -> Result<Self> {
        if width > 32 {
            return Err(format!(
                "bit width {width} of a run-length stream, at most 32 is possible"
            ));
        }
        Ok(Self {
            data,
            width: width.into(),
            run: Run::Repeated { left: 0, value: 0 },
        })
    }

    /// The next values, one for each slot of `out`.
    pub fn read(&mut self, mut out: &mut [u32]) -> Result<()> {
        while !out.is_empty() {
            let n = self.ready(out.len())?;
            let (head, tail) = std::mem::take(&mut out).split_at_mut(n);
            match self.run {
                Run::Repeated { value, .. } => head.fill(value),
                Run::Packed { bytes, at, .. } => unpack(bytes, self.width, at, head),
            }
            self.skip(n);
            out = tail;
        }
        Ok(())
    }

    /// Reads one-bit values as flags and returns how many are set.
    pub fn read_flags(&mut self, mut out: &mut [bool]) -> Result<usize> {
        debug_assert_eq!(self.width, 1);
        let mut ones = 0;
        while !out.is_empty() {
            let n = self.ready(out.len())?;
            let (head, tail) = std::mem::take(&mut out).split_at_mut(n);
            match self.run {
                Run::Repeated { value, .. } => {
                    head.fill(value != 0);
                    ones += if value != 0 { n } else { 0 };
                }
                Run::Packed { bytes, at, .. } => {
                    unpack_flags(bytes, at, head);
                    ones += count_ones(bytes, at, at + n);
                }
            }
            self.skip(n);
            out = tail;
        }
        Ok(ones)
    }

    /// Skips `n` one-bit values and returns how many are set.
    pub fn count_ones(&mut self, mut n: usize) -> Result<usize> {
        debug_assert_eq!(self.width, 1);
        let mut ones = 0;
        while n > 0 {
            let step = self.ready(n)?;
            ones += match self.run {
                Run::Repeated { value: 0, .. } => 0,
                Run::Repeated { .. } => step,
                Run::Packed { bytes, at, .. } => count_ones(bytes, at, at + step),
            };
            self.skip(step);
            n -= step;
        }
        Ok(ones)
    }

    /// Values of the current run that serve `wanted`; starts the next run when this one is used up.
    fn ready(&mut self, wanted: usize) -> Result<usize> {
        loop {
            let left = match self.run {
                Run::Repeated { left, .. } => left,
                Run::Packed { at, end, .. } => end - at,
            };
            if left > 0 {
                return Ok(left.min(wanted));
            }
            self.run = self.next_run()?;
        }
    }

    fn skip(&mut self, n: usize) {
        match &mut self.run {
            Run::Repeated { left, .. } => *left -= n,
            Run::Packed { at, .. } => *at += n,
        }
    }

    fn next_run(&mut self) -> Result<Run<'a>> {
        // A dictionary of one value needs no bits, and some writers then write nothing at all.
        if self.width == 0 {
            return Ok(Run::Repeated {
                left: usize::MAX,
                value: 0,
            });
        }
        if self.data.is_empty() {
            return Err("run-length stream ends before the last value of the page".into());
        }
        let header = uvarint(&mut self.data)?;
        let count = usize::try_from(header >> 1).unwrap_or(usize::MAX);
        let width = self.width as usize;
        if header & 1 == 1 {
            // Writers may cut the padding of the last group, so what is there decides.
            let length = count.saturating_mul(width).min(self.data.len());
            let bytes = self.data;
            self.data = &self.data[length..];
            let end = count
                .saturating_mul(8)
                .min(length.saturating_mul(8) / width);
            return Ok(Run::Packed { bytes, at: 0, end });
        }
        let bytes = width.div_ceil(8);
        let Some((value, rest)) = self.data.split_at_checked(bytes) else {
            return Err("run-length stream ends inside a run".into());
        };
        self.data = rest;
        let mut le = [0; 4];
        le[..bytes].copy_from_slice(value);
        Ok(Run::Repeated {
            left: count,
            value: u32::from_le_bytes(le),
        })
    }
}

/// Reads an unsigned LEB128 number off the front of `data`.
pub(crate) fn uvarint(data: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for (i, &byte) in data.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *data = &data[i + 1..];
            return Ok(value);
        }
    }
    Err("number of variable length does not end".into())
}

/// Bits `bit .. bit + width` (`width <= 64`), least significant first; bits past the end are zero.
pub(crate) fn bits(bytes: &[u8], bit: usize, width: u32) -> u64 {
    let from = bytes.get(bit / 8..).unwrap_or(&[]);
    let mut le = [0; 16];
    let n = from.len().min(9);
    le[..n].copy_from_slice(&from[..n]);
    let value = u128::from_le_bytes(le) >> (bit % 8);
    (value & ((1_u128 << width) - 1)) as u64
}

/// Values `at .. at + out.len()` of packed `width`-bit values, `1 <= width <= 32`.
fn unpack(bytes: &[u8], width: u32, at: usize, out: &mut [u32]) {
    // Groups of eight start on a byte; a start inside one is rare (pages whose batches have odd counts).
    let head = out.len().min((8 - at % 8) % 8);
    let (first, rest) = out.split_at_mut(head);
    for (i, slot) in first.iter_mut().enumerate() {
        *slot = bits(bytes, (at + i) * width as usize, width) as u32;
    }
    if rest.is_empty() {
        return;
    }
    let bytes = &bytes[(at + head) / 8 * width as usize..];
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width { $($w => unpack_groups::<$w>(bytes, rest),)* _ => {} }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

/// Unpacks from a byte boundary; one function per width, so that every shift is a constant.
fn unpack_groups<const W: usize>(mut bytes: &[u8], out: &mut [u32]) {
    let (blocks, tail) = out.as_chunks_mut::<32>();
    for block in blocks {
        if bytes.len() >= 4 * W + 8 {
            let (eights, _) = block.as_chunks_mut::<8>();
            for (i, eight) in eights.iter_mut().enumerate() {
                unpack_eight::<W>(&bytes[i * W..i * W + W + 8], eight);
            }
        } else {
            // The end of the page: no eight spare bytes to load from.
            for (i, slot) in block.iter_mut().enumerate() {
                *slot = bits(bytes, i * W, W as u32) as u32;
            }
        }
        bytes = bytes.get(4 * W..).unwrap_or(&[]);
    }
    let (eights, rest) = tail.as_chunks_mut::<8>();
    for eight in eights {
        if bytes.len() >= W + 8 {
            unpack_eight::<W>(&bytes[..W + 8], eight);
        } else {
            for (i, slot) in eight.iter_mut().enumerate() {
                *slot = bits(bytes, i * W, W as u32) as u32;
            }
        }
        bytes = bytes.get(W..).unwrap_or(&[]);
    }
    for (i, slot) in rest.iter_mut().enumerate() {
        *slot = bits(bytes, i * W, W as u32) as u32;
    }
}

/// Eight values from `W + 8` bytes.
#[inline(always)]
fn unpack_eight<const W: usize>(bytes: &[u8], out: &mut [u32; 8]) {
    let load = |at: usize| {
        let mut le = [0; 8];
        le.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(le)
    };
    let mask = (1_u64 << W) - 1;
    if W <= 8 {
        let word = load(0);
        for (i, slot) in out.iter_mut().enumerate() {
            *slot = ((word >> (i * W)) & mask) as u32;
        }
    } else {
        for (i, slot) in out.iter_mut().enumerate() {
            *slot = ((load(i * W / 8) >> (i * W % 8)) & mask) as u32;
        }
    }
}

/// Set bits among `from..to`.
pub(crate) fn count_ones(bytes: &[u8], from: usize, to: usize) -> usize {
    let (first, last) = (from / 8, to / 8);
    let mask = |bits: usize| (1_u32 << bits) - 1;
    let below = |byte: usize, bits: usize| match bits {
        0 => 0,
        n => (u32::from(bytes[byte]) & mask(n)).count_ones() as usize,
    };
    let (words, rest) = bytes[first..last].as_chunks::<8>();
    let whole: usize = words
        .iter()
        .map(|w| u64::from_le_bytes(*w).count_ones() as usize)
        .sum();
    let rest: usize = rest.iter().map(|b| b.count_ones() as usize).sum();
    whole + rest + below(last, to % 8) - below(first, from % 8)
}

/// Bits from `at` on as flags, one for each slot of `out`.
pub(crate) fn unpack_flags(bytes: &[u8], at: usize, out: &mut [bool]) {
    let bit = |i: usize| bytes[i / 8] >> (i % 8) & 1 == 1;
    let head = out.len().min((8 - at % 8) % 8);
    let (first, rest) = out.split_at_mut(head);
    for (i, slot) in first.iter_mut().enumerate() {
        *slot = bit(at + i);
    }
    let start = at + head;
    let (eights, tail) = rest.as_chunks_mut::<8>();
    for (eight, byte) in eights.iter_mut().zip(&bytes[start / 8..]) {
        for (i, slot) in eight.iter_mut().enumerate() {
            *slot = byte >> i & 1 == 1;
        }
    }
    let done = start + 8 * eights.len();
    for (i, slot) in tail.iter_mut().enumerate() {
        *slot = bit(done + i);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One run as a writer makes it.
    #[derive(Debug, Clone)]
    enum Written {
        Repeated(usize, u32),
        Packed(Vec<u32>),
    }

    fn mask(width: u8) -> u32 {
        (u64::from(u32::MAX) & ((1_u64 << width) - 1)) as u32
    }

    fn varint(mut n: u64, out: &mut Vec<u8>) {
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    }

    /// Naive writer: a vector of bits.
    fn encode(runs: &[Written], width: u8) -> (Vec<u8>, Vec<u32>) {
        let (mut bytes, mut values) = (Vec::new(), Vec::new());
        for run in runs {
            match run {
                Written::Repeated(n, v) => {
                    let v = v & mask(width);
                    varint((*n as u64) << 1, &mut bytes);
                    bytes.extend(&v.to_le_bytes()[..usize::from(width).div_ceil(8)]);
                    values.extend(std::iter::repeat_n(v, *n));
                }
                Written::Packed(packed) => {
                    let groups = packed.len().div_ceil(8);
                    let mut padded: Vec<u32> = packed.iter().map(|v| v & mask(width)).collect();
                    padded.resize(groups * 8, 0);
                    varint((groups as u64) << 1 | 1, &mut bytes);
                    let bits: Vec<bool> = padded
                        .iter()
                        .flat_map(|v| (0..width).map(move |i| v >> i & 1 == 1))
                        .collect();
                    bytes.extend(bits.chunks(8).map(|byte| {
                        byte.iter()
                            .enumerate()
                            .fold(0, |b, (i, &set)| b | u8::from(set) << i)
                    }));
                    values.extend(padded);
                }
            }
        }
        (bytes, values)
    }

    fn runs() -> impl Strategy<Value = Vec<Written>> {
        let run = prop_oneof![
            (1..200_usize, any::<u32>()).prop_map(|(n, v)| Written::Repeated(n, v)),
            prop::collection::vec(any::<u32>(), 1..300).prop_map(Written::Packed),
        ];
        prop::collection::vec(run, 1..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn values_match_the_naive_writer(runs in runs(), width in 1..=32_u8, steps in prop::collection::vec(1..400_usize, 1..9)) {
            let (bytes, values) = encode(&runs, width);
            let mut reader = Hybrid::new(&bytes, width).unwrap();
            let (mut got, mut steps) = (Vec::new(), steps.iter().cycle());
            while got.len() < values.len() {
                let n = (*steps.next().unwrap()).min(values.len() - got.len());
                let mut out = vec![0; n];
                reader.read(&mut out).unwrap();
                got.extend(out);
            }
            prop_assert_eq!(got, values);
            prop_assert!(reader.read(&mut [0]).is_err());
        }

        #[test]
        fn flags_and_counts_match(runs in runs(), steps in prop::collection::vec(1..100_usize, 1..9)) {
            let (bytes, values) = encode(&runs, 1);
            let (mut flags, mut counts) = (Hybrid::new(&bytes, 1).unwrap(), Hybrid::new(&bytes, 1).unwrap());
            let (mut at, mut steps) = (0, steps.iter().cycle());
            while at < values.len() {
                let n = (*steps.next().unwrap()).min(values.len() - at);
                let mut out = vec![false; n];
                let ones = flags.read_flags(&mut out).unwrap();
                let expected: Vec<bool> = values[at..at + n].iter().map(|&v| v == 1).collect();
                prop_assert_eq!(ones, expected.iter().filter(|&&v| v).count());
                prop_assert_eq!(counts.count_ones(n).unwrap(), ones);
                prop_assert_eq!(out, expected);
                at += n;
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), width in 0..40_u8) {
            if let Ok(mut reader) = Hybrid::new(&bytes, width) {
                let _ = reader.read(&mut [0; 1000]);
            }
            let mut flags = Hybrid::new(&bytes, 1).unwrap();
            let _ = flags.clone().read_flags(&mut [false; 1000]);
            let _ = flags.count_ones(1000);
        }
    }
}
