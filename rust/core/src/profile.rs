//! Profiles: the states of every column and group, and the file that holds them.
//!
//! A file is `magic | content length | metadata length | content | metadata | BLAKE3 of all before`.
//! `content` (schema, grids, states) is canonical and [`Profile::digest`] is its hash; `metadata` (roles,
//! coverage, sources, errors) is JSON outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::{Reader, Writer};
use crate::column::{ColumnPlan, ColumnState, Frozen, Kind};
use crate::states::categories::Dictionary;
use crate::states::grid::{Frame, Grid};
use crate::states::keys::{K, K_SEGMENT, Keys};
use crate::value::Logical;
pub use crate::weights::WeightRule;
use crate::{Error, Result};

/// First bytes of every profile file; the last one is the format version.
pub const MAGIC: [u8; 8] = *b"TGPROF\x00\x01";

/// Which rows a set of states counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GroupKey {
    /// Start and end (exclusive) of the window, microseconds since 1970-01-01 UTC.
    pub window: Option<(i64, i64)>,
    /// Version of the model.
    pub model_version: Option<String>,
    /// Columns of the cut and the segment; a row without a value is in segment `(missing)`. Crossed names
    /// and values are joined by `, `, a comma or backslash in one of them after a backslash.
    pub segment: Option<(String, String)>,
}

impl GroupKey {
    pub(crate) fn encode(&self, w: &mut Writer) {
        w.u8(u8::from(self.window.is_some())
            | u8::from(self.model_version.is_some()) << 1
            | u8::from(self.segment.is_some()) << 2);
        if let Some((start, end)) = self.window {
            w.u64(start as u64);
            w.u64(end as u64);
        }
        if let Some(version) = &self.model_version {
            w.bytes(version.as_bytes());
        }
        if let Some((by, value)) = &self.segment {
            w.bytes(by.as_bytes());
            w.bytes(value.as_bytes());
        }
    }

    pub(crate) fn decode(r: &mut Reader<'_>) -> Result<Self> {
        let flags = r.u8()?;
        if flags > 7 {
            return Err(Error::corrupt("group flags"));
        }
        let mut key = GroupKey::default();
        if flags & 1 != 0 {
            key.window = Some((r.u64()? as i64, r.u64()? as i64));
        }
        if flags & 2 != 0 {
            key.model_version = Some(r.text()?);
        }
        if flags & 4 != 0 {
            key.segment = Some((r.text()?, r.text()?));
        }
        Ok(key)
    }
}

/// One column of a profile.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Logical type.
    pub logical: Logical,
    /// Kind.
    pub kind: Kind,
    /// Grid or dictionary of the reference.
    pub frozen: Frozen,
    /// Whether states count their rows by block too.
    pub blocked: bool,
    /// Whether rows have sampling weights.
    pub weighed: bool,
    /// What the compact states of segments are counted on.
    compact: Frozen,
}

impl Column {
    /// A column with what its reference froze.
    pub fn new(name: String, logical: Logical, kind: Kind, frozen: Frozen) -> Self {
        let compact = match &frozen {
            Frozen::Grid(frame) => Frozen::Grid(Frame::new(frame.grid.nest())),
            other => other.clone(),
        };
        Self {
            name,
            logical,
            kind,
            frozen,
            blocked: false,
            weighed: false,
            compact,
        }
    }

    /// Plan of the states of a group fed from a source of type `source`.
    pub fn plan(&self, source: Logical, compact: bool) -> ColumnPlan {
        ColumnPlan {
            name: self.name.clone(),
            logical: self.logical,
            source,
            kind: self.kind,
            frozen: if compact {
                self.compact.clone()
            } else {
                self.frozen.clone()
            },
            compact,
            exact: false,
            blocked: self.blocked,
            weighed: self.weighed,
        }
    }

    /// Content hash of the grid or dictionary.
    pub fn frozen_id(&self) -> String {
        match &self.frozen {
            Frozen::Grid(frame) => frame.grid.id(),
            Frozen::Dictionary(d) => d.id(),
            Frozen::Nothing => String::new(),
        }
    }

    fn same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.logical == other.logical
            && self.kind == other.kind
            && self.frozen_id() == other.frozen_id()
    }
}

/// Which rows are dependent: those of one block.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BlockRule {
    /// Rows of one stretch of time.
    Time {
        /// Time column.
        column: String,
        /// Length as in a window: a number and `h`, `d`, `w` or `mo`.
        length: String,
        /// Zone in which days, weeks and months begin.
        zone: String,
    },
    /// Rows of one value of a column, hashed into at most [`crate::states::blocks::KEY_BLOCKS`].
    Key {
        /// The column.
        column: String,
    },
}

impl BlockRule {
    /// `block:1d`, `block:customer`.
    pub fn label(&self) -> String {
        match self {
            BlockRule::Time { length, .. } => format!("block:{length}"),
            BlockRule::Key { column } => format!("block:{column}"),
        }
    }
}

/// What a profile of weighted rows writes in place of its rule of blocks.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    block: Option<BlockRule>,
    weight: WeightRule,
}

/// The rules of rows, as read.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyRules {
    Both(Rules),
    Block(BlockRule),
}

/// A column or unit that could not be profiled, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `column` (could not be profiled), `inexact` (its type does not convert), `type` (it converts),
    /// `extra` (not in the reference), `unit`, `weight` (rows without one) or `schema` (any other note).
    pub kind: String,
    /// Column or unit.
    pub name: String,
    /// What is wrong and what would be accepted.
    pub message: String,
    /// Rows concerned, when known.
    pub rows: Option<u64>,
}

/// What surrounds the content: never part of the digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Columns in the order of the source.
    pub order: Vec<String>,
    /// Role of each column.
    pub roles: BTreeMap<String, String>,
    /// Roles that were inferred rather than given.
    pub inferred: BTreeSet<String>,
    /// Units counted here.
    pub coverage: BTreeSet<String>,
    /// Sources as given, with sizes.
    pub sources: Vec<serde_json::Value>,
    /// Columns and units left out.
    pub problems: Vec<Problem>,
    /// Borders of windows (microseconds) as RFC 3339 in the zone they were cut in.
    pub times: BTreeMap<i64, String>,
    /// Options of the scan that readers need (cuts, time zone).
    pub options: serde_json::Value,
    /// Version of tidegauge that wrote the profile.
    pub version: String,
}

/// States of one group: one per column, in the order of the columns.
pub type States = Vec<ColumnState>;

/// Keys of rows: the columns that make a key, and the keys of each group.
#[derive(Debug, Clone, PartialEq)]
pub struct KeySet {
    /// Columns of the key, ascending.
    pub columns: Vec<String>,
    /// Keys by group; a group that is not here has none.
    pub groups: BTreeMap<GroupKey, Keys>,
}

impl KeySet {
    /// Name of the key: its column, or all of them.
    pub fn name(&self) -> String {
        self.columns.join(", ")
    }

    /// Most keys that a group holds.
    fn most(group: &GroupKey) -> usize {
        if group.segment.is_some() {
            K_SEGMENT
        } else {
            K
        }
    }

    /// Keys of a segment over all windows and versions, or, without one, of all rows.
    ///
    /// # Errors
    /// More rows than 64 bits count.
    pub fn total(&self, segment: Option<&(String, String)>) -> Result<Keys> {
        let mut total = Keys::new(if segment.is_some() { K_SEGMENT } else { K });
        let groups = self
            .groups
            .iter()
            .filter(|(k, _)| k.segment.as_ref() == segment);
        for (_, keys) in groups {
            total.merge(keys)?;
        }
        Ok(total)
    }
}

/// A profile.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Columns, ascending by name.
    pub columns: Vec<Column>,
    /// Rows that are dependent, where states count them by block.
    pub block: Option<BlockRule>,
    /// Sampling weights of the rows, where they have any.
    pub weight: Option<WeightRule>,
    /// States of each group.
    pub groups: BTreeMap<GroupKey, States>,
    /// Keys of the rows, where columns were given as `id`.
    pub keys: Option<KeySet>,
    /// What surrounds the content.
    pub metadata: Metadata,
}

impl Profile {
    /// Position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns
            .binary_search_by(|c| c.name.as_str().cmp(name))
            .ok()
    }

    /// One column with its states of every group: what numbers on it alone are made of.
    pub(crate) fn only(&self, at: usize) -> Self {
        let states = |(k, s): (&GroupKey, &States)| (k.clone(), s[at..=at].to_vec());
        Self {
            columns: self.columns[at..=at].to_vec(),
            block: self.block.clone(),
            weight: self.weight.clone(),
            groups: self.groups.iter().map(states).collect(),
            keys: None,
            metadata: Metadata {
                times: self.metadata.times.clone(),
                ..Metadata::default()
            },
        }
    }

    /// A border of a window as RFC 3339.
    pub fn time(&self, us: i64) -> String {
        self.metadata
            .times
            .get(&us)
            .cloned()
            .unwrap_or_else(|| crate::compare::rfc3339(us))
    }

    /// Rows of all groups that are not segments, each counted once whatever its sampling weight.
    pub fn rows(&self) -> u64 {
        let totals = self.groups.iter().filter(|(k, _)| k.segment.is_none());
        totals
            .filter_map(|(_, s)| s.first().map(|s| s.rows().rows()))
            .sum()
    }

    /// States of all rows: the merge of the groups that are not segments.
    pub fn total(&self) -> Result<States> {
        let mut total: States = self
            .columns
            .iter()
            .map(|c| c.plan(c.logical, false).empty())
            .collect();
        for (_, states) in self.groups.iter().filter(|(k, _)| k.segment.is_none()) {
            for (a, b) in total.iter_mut().zip(states) {
                a.merge(b)?;
            }
        }
        Ok(total)
    }

    /// Hash of the content.
    pub fn digest(&self) -> String {
        format!("b3:{}", blake3::hash(&self.content()).to_hex())
    }

    /// Adds the rows of another profile against the same reference.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.columns.len() != other.columns.len() {
            return Err(Error::incompatible(format!(
                "profiles of {} and {} columns; profile both against one reference",
                self.columns.len(),
                other.columns.len()
            )));
        }
        if let Some((a, b)) = self
            .columns
            .iter()
            .zip(&other.columns)
            .find(|(a, b)| !a.same(b))
        {
            return Err(Error::incompatible(format!(
                "column {:?} (grid {}) and {:?} (grid {}) differ; profile both against one reference",
                a.name,
                a.frozen_id(),
                b.name,
                b.frozen_id()
            )));
        }
        if let Some(unit) = self
            .metadata
            .coverage
            .intersection(&other.metadata.coverage)
            .next()
        {
            return Err(Error::Overlap(format!(
                "unit {unit:?} is in both profiles; it would be counted twice"
            )));
        }
        if self.block != other.block {
            return Err(Error::incompatible(format!(
                "blocks {:?} and {:?}; profile both against one reference",
                self.block.as_ref().map(BlockRule::label),
                other.block.as_ref().map(BlockRule::label)
            )));
        }
        let columns = |p: &Self| p.keys.as_ref().map(KeySet::name);
        if columns(self) != columns(other) {
            return Err(Error::incompatible(format!(
                "keys of {:?} and {:?}; profile both against one reference",
                columns(self),
                columns(other)
            )));
        }
        if self.weight != other.weight {
            let text = |rule: &Option<WeightRule>| match rule {
                None => "no weights".to_owned(),
                Some(r) => format!("weights {:?} in units of 2^{}", r.column, r.exponent),
            };
            return Err(Error::incompatible(format!(
                "{} and {}; profile both against one reference",
                text(&self.weight),
                text(&other.weight)
            )));
        }
        for (key, states) in &other.groups {
            match self.groups.get_mut(key) {
                None => {
                    self.groups.insert(key.clone(), states.clone());
                }
                Some(mine) => {
                    for (a, b) in mine.iter_mut().zip(states) {
                        a.merge(b)?;
                    }
                }
            }
        }
        if let (Some(mine), Some(other)) = (&mut self.keys, &other.keys) {
            for (key, keys) in &other.groups {
                match mine.groups.get_mut(key) {
                    None => {
                        mine.groups.insert(key.clone(), keys.clone());
                    }
                    Some(all) => all.merge(keys)?,
                }
            }
        }
        let meta = &other.metadata;
        self.metadata.coverage.extend(meta.coverage.iter().cloned());
        self.metadata
            .times
            .extend(meta.times.iter().map(|(k, v)| (*k, v.clone())));
        self.metadata.sources.extend(meta.sources.iter().cloned());
        self.metadata.problems.extend(meta.problems.iter().cloned());
        Ok(())
    }

    fn content(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.varint(self.columns.len() as u64);
        for c in &self.columns {
            w.bytes(c.name.as_bytes());
            // A logical type is a small JSON object with a fixed order of fields.
            w.bytes(&serde_json::to_vec(&c.logical).unwrap_or_default());
            w.u8(match c.kind {
                Kind::Numeric => 0,
                Kind::Categorical => 1,
            });
            match &c.frozen {
                Frozen::Nothing => w.u8(0),
                Frozen::Grid(frame) => {
                    w.u8(1);
                    frame.grid.encode(&mut w);
                }
                Frozen::Dictionary(d) => {
                    w.u8(2);
                    d.encode(&mut w);
                }
            }
        }
        // A rule is a small JSON object with a fixed order of fields; none is empty.
        let rule = match &self.weight {
            None => self.block.as_ref().map(serde_json::to_vec),
            Some(weight) => Some(serde_json::to_vec(&Rules {
                block: self.block.clone(),
                weight: weight.clone(),
            })),
        };
        w.bytes(&rule.and_then(std::result::Result::ok).unwrap_or_default());
        w.varint(self.groups.len() as u64);
        let text = |w: &mut Writer, s: &str| w.bytes(s.as_bytes());
        for (key, states) in &self.groups {
            key.encode(&mut w);
            for s in states {
                let mut inner = Writer::new();
                s.encode(&mut inner);
                w.bytes(&inner.into_bytes());
            }
        }
        // Profiles without keys end here.
        if let Some(keys) = &self.keys {
            w.varint(keys.columns.len() as u64);
            keys.columns.iter().for_each(|c| text(&mut w, c));
            for key in self.groups.keys() {
                match keys.groups.get(key) {
                    Some(keys) => keys.encode(&mut w),
                    None => Keys::new(KeySet::most(key)).encode(&mut w),
                }
            }
        }
        w.into_bytes()
    }

    /// The bytes of a profile file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let content = self.content();
        let metadata = serde_json::to_vec(&self.metadata).unwrap_or_default();
        let mut out = MAGIC.to_vec();
        out.extend((content.len() as u64).to_le_bytes());
        out.extend((metadata.len() as u64).to_le_bytes());
        out.extend(content);
        out.extend(metadata);
        out.extend(blake3::hash(&out).as_bytes());
        out
    }

    /// Reads a profile file. Never panics; accepted bytes re-encode to themselves.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are no profile of a version this build reads.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes);
        let magic = r.take(8)?;
        if magic[..7] != MAGIC[..7] {
            return Err(Error::corrupt(
                "not a tidegauge profile (other first bytes)",
            ));
        }
        if magic[7] != MAGIC[7] {
            return Err(Error::corrupt(format!(
                "profile format version {}; this build reads version {}",
                magic[7], MAGIC[7]
            )));
        }
        let size = |v: u64| usize::try_from(v).map_err(|_| Error::corrupt("length"));
        let (content, metadata) = (size(r.u64()?)?, size(r.u64()?)?);
        let content = r.take(content)?;
        let metadata = r.take(metadata)?;
        let checked = bytes.len() - r.remaining();
        let sum = r.take(32)?;
        r.finish()?;
        if blake3::hash(&bytes[..checked]).as_bytes() != sum {
            return Err(Error::corrupt(
                "checksum differs: the file was changed or cut",
            ));
        }
        let metadata: Metadata = serde_json::from_slice(metadata)
            .map_err(|e| Error::corrupt(format!("metadata: {e}")))?;
        let profile = Self::decode(content, metadata)?;
        if profile.content() != content {
            return Err(Error::corrupt("content is not in its canonical form"));
        }
        Ok(profile)
    }

    fn decode(content: &[u8], metadata: Metadata) -> Result<Self> {
        let mut r = Reader::new(content);
        let n = r.len(4)?;
        let mut columns: Vec<Column> = Vec::with_capacity(n);
        for _ in 0..n {
            let name = r.text()?;
            if columns.last().is_some_and(|c| c.name >= name) {
                return Err(Error::corrupt("columns out of order"));
            }
            let logical = serde_json::from_slice(r.bytes()?)
                .map_err(|e| Error::corrupt(format!("logical type: {e}")))?;
            let kind = match r.u8()? {
                0 => Kind::Numeric,
                1 => Kind::Categorical,
                k => return Err(Error::corrupt(format!("kind {k}; 0 or 1"))),
            };
            let frozen = match (r.u8()?, kind) {
                (1, Kind::Numeric) => Frozen::Grid(Frame::new(Grid::decode(&mut r)?)),
                (2, Kind::Categorical) => Frozen::Dictionary(Dictionary::decode(&mut r)?),
                (f, _) => {
                    return Err(Error::corrupt(format!(
                        "frozen part {f} of column {name:?}"
                    )));
                }
            };
            columns.push(Column::new(name, logical, kind, frozen));
        }
        let rules = match r.bytes()? {
            [] => None,
            json => Some(
                serde_json::from_slice(json)
                    .map_err(|e| Error::corrupt(format!("rule of rows: {e}")))?,
            ),
        };
        let (block, weight) = match rules {
            None => (None, None),
            Some(AnyRules::Block(block)) => (Some(block), None),
            Some(AnyRules::Both(rules)) => (rules.block, Some(rules.weight)),
        };
        for c in &mut columns {
            (c.blocked, c.weighed) = (block.is_some(), weight.is_some());
        }
        let n = r.len(1)?;
        let mut groups = BTreeMap::new();
        for _ in 0..n {
            let key = GroupKey::decode(&mut r)?;
            let mut states = Vec::with_capacity(columns.len());
            for c in &columns {
                let plan = c.plan(c.logical, key.segment.is_some());
                let mut inner = Reader::new(r.bytes()?);
                states.push(ColumnState::decode(&mut inner, &plan)?);
                inner.finish()?;
            }
            groups.insert(key, states);
        }
        let mut keys = None;
        if r.remaining() > 0 {
            let n = r.len(1)?;
            let names = (0..n).map(|_| r.text()).collect::<Result<Vec<_>>>()?;
            if n == 0 || names.windows(2).any(|w| w[0] >= w[1]) {
                return Err(Error::corrupt("columns of the key out of order"));
            }
            let mut held = BTreeMap::new();
            for key in groups.keys() {
                held.insert(key.clone(), Keys::decode(&mut r, KeySet::most(key))?);
            }
            keys = Some(KeySet {
                columns: names,
                groups: held,
            });
        }
        r.finish()?;
        Ok(Self {
            columns,
            block,
            weight,
            groups,
            keys,
            metadata,
        })
    }

    /// Builds the column of a reference once its keys are known: used by scans.
    pub fn frozen_column(
        name: &str,
        logical: Logical,
        kind: Kind,
        grid: Option<Grid>,
        dictionary: Option<Arc<Dictionary>>,
    ) -> Column {
        let frozen = match (grid, dictionary) {
            (Some(g), _) => Frozen::Grid(Frame::new(g)),
            (None, Some(d)) => Frozen::Dictionary(d),
            (None, None) => Frozen::Nothing,
        };
        Column::new(name.to_owned(), logical, kind, frozen)
    }
}

/// Whether a column is a time by its type and name.
pub fn is_time(name: &str, logical: Logical) -> bool {
    matches!(logical, Logical::Timestamp { .. } | Logical::Date)
        && matches!(
            name.to_ascii_lowercase().as_str(),
            "ts" | "timestamp" | "time" | "datetime" | "date" | "event_time" | "event_timestamp"
        )
}

/// Things that are numbered, not measured: a column of integers or strings that bears such a name, or
/// ends in one of the endings, and holds many values is an identity.
const NUMBERED: [&str; 26] = [
    "account",
    "booking",
    "case",
    "claim",
    "contract",
    "customer",
    "device",
    "email",
    "flight",
    "iban",
    "index",
    "invoice",
    "ip",
    "loan",
    "order",
    "passenger",
    "patient",
    "phone",
    "policy",
    "request",
    "session",
    "shipment",
    "ticket",
    "transaction",
    "trip",
    "user",
];
const ENDINGS: [&str; 9] = [
    "id", "uuid", "guid", "key", "hash", "number", "num", "no", "nr",
];
/// Fewest distinct values of such a column.
const MANY: f64 = 1000.0;

fn is_numbered(lower: &str) -> bool {
    let last = lower.rsplit(['_', '-', ' ', '.']).next().unwrap_or(lower);
    NUMBERED.contains(&lower) || NUMBERED.contains(&last) || ENDINGS.contains(&last)
}

/// Role of a column from its name, type and reference values, for roles that were not given.
///
/// Unique integers and strings are `id`, and so are those named after a numbered thing that hold
/// many values; the usual names of times, labels, scores and predictions are taken at their word;
/// everything else is a `feature`. Order plays no part: a profile is a function of rows, not of
/// files.
pub fn infer_role(name: &str, logical: Logical, state: &ColumnState) -> &'static str {
    let lower = name.to_ascii_lowercase();
    let rows = state.rows().finite;
    let (distinct, error) = state.distinct.estimate();
    let unique =
        rows >= 50 && distinct + 4.0 * error >= rows as f64 && distinct >= 0.8 * rows as f64;
    match logical {
        _ if is_time(name, logical) => "time",
        Logical::Int | Logical::UInt | Logical::String | Logical::Binary
            if unique || distinct >= MANY && is_numbered(&lower) =>
        {
            "id"
        }
        _ if matches!(lower.as_str(), "label" | "target" | "y") => "label",
        _ if lower == "score" || lower.starts_with("score_") => "score",
        _ if matches!(lower.as_str(), "prediction" | "predicted" | "y_pred") => "prediction",
        _ => "feature",
    }
}
