//! Bytes of states of performance, by which a store keeps them.

use std::collections::BTreeMap;

use super::{Group, MAX_PROTECTED, Measure, Performance};
use crate::codec::{Reader, Writer};
use crate::metrics::{Fairness, State};
use crate::profile::GroupKey;
use crate::{Error, Result};

/// First bytes; the last of them is the version.
const MAGIC: &[u8; 8] = b"TGPERF\0\x01";

impl Performance {
    /// Canonical bytes, equal for equal rows, and their hash.
    ///
    /// # Errors
    /// When counts leave their range.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut out = self.content()?;
        let sum = blake3::hash(&out);
        out.extend(sum.as_bytes());
        Ok(out)
    }

    /// Reads what [`Performance::to_bytes`] wrote. Never panics; accepted bytes re-encode to themselves.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let Some((content, sum)) = bytes.split_last_chunk::<32>() else {
            return Err(Error::corrupt("too few bytes for states of performance"));
        };
        if content.get(..7) != Some(&MAGIC[..7]) {
            return Err(Error::corrupt(
                "no states of performance (other first bytes)",
            ));
        }
        if content.get(7) != MAGIC.get(7) {
            return Err(Error::corrupt(
                "states of performance of another version of the format; this build reads version 1",
            ));
        }
        if blake3::hash(content).as_bytes() != sum {
            return Err(Error::corrupt(
                "checksum differs: the file was changed or cut",
            ));
        }
        let mut r = Reader::new(content);
        r.take(MAGIC.len())?;
        let found = Self::decode(&mut r)?;
        r.finish()?;
        if found.content()? != content {
            return Err(Error::corrupt("content is not in its canonical form"));
        }
        Ok(found)
    }

    /// `b3:` and the hash of the canonical bytes.
    ///
    /// # Errors
    /// Of [`Performance::to_bytes`].
    pub fn digest(&self) -> Result<String> {
        Ok(format!("b3:{}", blake3::hash(&self.content()?).to_hex()))
    }

    fn content(&self) -> Result<Vec<u8>> {
        let mut w = Writer::new();
        MAGIC.iter().for_each(|b| w.u8(*b));
        // A measure is a small JSON object with a fixed order of fields.
        let measure = serde_json::to_vec(&self.measure);
        w.bytes(&measure.map_err(|e| Error::invalid(format!("measure: {e}")))?);
        w.bytes(self.block.as_deref().unwrap_or_default().as_bytes());
        w.varint(self.protected.len() as u64);
        for names in &self.protected {
            w.varint(names.len() as u64);
            names.iter().for_each(|n| w.bytes(n.as_bytes()));
        }
        w.varint(self.groups.len() as u64);
        for (key, group) in &self.groups {
            key.encode(&mut w);
            group.encode(&mut w)?;
        }
        Ok(w.into_bytes())
    }

    fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let measure: Measure = serde_json::from_slice(r.bytes()?)
            .map_err(|e| Error::corrupt(format!("measure: {e}")))?;
        let block = Some(r.text()?).filter(|b| !b.is_empty());
        let columns = r.len(1)?;
        let mut protected = Vec::with_capacity(columns);
        for _ in 0..columns {
            let names = r.len(1)?;
            if names > MAX_PROTECTED {
                return Err(Error::corrupt(format!("{names} protected groups")));
            }
            let names: Vec<String> = (0..names).map(|_| r.text()).collect::<Result<_>>()?;
            if names.windows(2).any(|n| n[0] >= n[1]) {
                return Err(Error::corrupt("protected groups out of order"));
            }
            protected.push(names);
        }
        if columns != measure.protected.len() {
            return Err(Error::corrupt(
                "groups of another number of protected columns",
            ));
        }
        let wrong = |e: Error| Error::corrupt(e.to_string());
        let mut found = Self::empty(measure, protected, block).map_err(wrong)?;
        let groups = r.len(1)?;
        for _ in 0..groups {
            let key = GroupKey::decode(r)?;
            let segment = key.segment.is_some();
            let empty = found.group(segment).map_err(wrong)?;
            let block = State::empty(found.measure.plan(segment, true).map_err(wrong)?);
            let group = Group::decode(r, &empty, &block.map_err(wrong)?)?;
            if found.groups.insert(key, group).is_some() {
                return Err(Error::corrupt("a group twice"));
            }
        }
        Ok(found)
    }
}

impl Group {
    fn encode(&self, w: &mut Writer) -> Result<()> {
        self.whole.encode(w)?;
        w.varint(self.blocks.len() as u64);
        for (block, state) in &self.blocks {
            w.u64(*block as u64);
            state.encode(w)?;
        }
        for (whole, blocks) in &self.fairness {
            whole.encode(w);
            w.varint(blocks.len() as u64);
            for (block, state) in blocks {
                w.u64(*block as u64);
                state.encode(w);
            }
        }
        w.varint(self.strange.0);
        w.bytes(self.strange.1.as_deref().unwrap_or_default().as_bytes());
        Ok(())
    }

    /// A group of the plans of `empty`, with blocks of the plan of `block`.
    fn decode(r: &mut Reader<'_>, empty: &Self, block: &State) -> Result<Self> {
        let state = |r: &mut Reader<'_>, like: &State| {
            let found = State::decode(r)?;
            match found.plan() == like.plan() {
                true => Ok(found),
                false => Err(Error::corrupt("a state of another plan than its group's")),
            }
        };
        let fair = |r: &mut Reader<'_>, like: &Fairness| {
            let found = Fairness::decode(r)?;
            match found.is_like(like) {
                true => Ok(found),
                false => Err(Error::corrupt("rates of other groups than the column's")),
            }
        };
        let whole = state(r, &empty.whole)?;
        let blocks = by_block(r, |r| state(r, block))?;
        let mut fairness = Vec::with_capacity(empty.fairness.len());
        for (like, _) in &empty.fairness {
            fairness.push((fair(r, like)?, by_block(r, |r| fair(r, like))?));
        }
        let strange = (r.varint()?, r.text()?);
        Ok(Self {
            whole,
            blocks,
            fairness,
            strange: (strange.0, Some(strange.1).filter(|_| strange.0 > 0)),
        })
    }
}

/// States by block.
fn by_block<T>(
    r: &mut Reader<'_>,
    state: impl Fn(&mut Reader<'_>) -> Result<T>,
) -> Result<BTreeMap<i64, T>> {
    let n = r.len(8)?;
    let mut found = BTreeMap::new();
    for _ in 0..n {
        let block = r.u64()? as i64;
        if found.insert(block, state(r)?).is_some() {
            return Err(Error::corrupt("a block twice"));
        }
    }
    Ok(found)
}
