//! What a group is compared with: the reference, other windows, other segments, another version.
//!
//! States are mergeable, so every baseline is a merge of states that the two profiles hold already;
//! nothing is read again. Windows are those of the current profile that hold a row, in the order of
//! time. A segment or model version is compared with the same segment and version of the windows
//! of its baseline. Merges are incremental: `expanding` costs one merge a window, `rolling:k` at most
//! k, `rest` three a segment.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::profile::{GroupKey, Profile, States};
use crate::{Error, Result};

/// What would be accepted as a baseline.
const ACCEPTED: &str = "reference, previous, rolling:<windows>, rolling:<length>, expanding, \
     seasonal:<length>, segment:<column>=<value>, rest and version:<version>, a length being a number \
     and h, d, w, mo or y";

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// A length on the calendar: months, and time of equal hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    months: i64,
    micros: i64,
}

impl Length {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let n = if number.is_empty() {
            1
        } else {
            number.parse().ok().filter(|n| (1..=10_000).contains(n))?
        };
        let (months, micros) = match unit {
            "h" => (0, n * HOUR),
            "d" => (0, n * DAY),
            "w" => (0, n * 7 * DAY),
            "mo" => (n, 0),
            "y" => (12 * n, 0),
            _ => return None,
        };
        Some(Length { months, micros })
    }

    /// The local time that lies this length before; a day that a month does not have is its last.
    fn before(self, local: i64) -> i64 {
        let (day, rest) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let (y, m, d) = super::civil(day);
        let month = y * 12 + m - 1 - self.months;
        let (y, m) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let (next_y, next_m) = if m == 12 { (y + 1, 1) } else { (y, m + 1) };
        let last = super::days(next_y, next_m, 1) - super::days(y, m, 1);
        super::days(y, m, d.min(last)) * DAY + rest - self.micros
    }
}

/// What each group of the current profile is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Baseline {
    /// The reference; a segment of it for a segment.
    Reference,
    /// The window before.
    Previous,
    /// That many windows before, all of which must be there.
    Rolling(usize),
    /// The windows that begin within this length before the window, as many as there are.
    RollingLength(Length),
    /// All windows before.
    Expanding,
    /// The window that lies this length earlier on the calendar of the windows' zone.
    Seasonal(Length),
    /// One segment of the same window and version, for the other segments of its cut.
    Segment(String, String),
    /// The other segments of the same cut, window and version.
    Rest,
    /// Another model version of the same window.
    Version(String),
}

impl FromStr for Baseline {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (head, rest) = text
            .split_once(':')
            .map_or((text, None), |(head, rest)| (head, Some(rest)));
        let found = match (head, rest) {
            ("reference", None) => Some(Baseline::Reference),
            ("previous", None) => Some(Baseline::Previous),
            ("expanding", None) => Some(Baseline::Expanding),
            ("rest", None) => Some(Baseline::Rest),
            ("rolling", Some(n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => {
                let n = n.parse().ok();
                n.filter(|n| (1..=10_000).contains(n))
                    .map(Baseline::Rolling)
            }
            ("rolling", Some(length)) => Length::parse(length).map(Baseline::RollingLength),
            ("seasonal", Some(length)) => Length::parse(length).map(Baseline::Seasonal),
            ("segment", Some(cut)) => cut
                .split_once('=')
                .filter(|(by, _)| !by.trim().is_empty())
                .map(|(by, value)| Baseline::Segment(by.trim().into(), value.into())),
            ("version", Some(version)) if !version.is_empty() => {
                Some(Baseline::Version(version.into()))
            }
            _ => None,
        };
        found.ok_or_else(|| Error::invalid(format!("baseline {text:?}; accepted are {ACCEPTED}")))
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Baseline::Reference => "the reference",
            Baseline::Previous => "the window before",
            Baseline::Rolling(_) | Baseline::RollingLength(_) => "the windows before",
            Baseline::Expanding => "all windows before",
            Baseline::Seasonal(_) => "the window of the season before",
            Baseline::Segment(..) => "the other segment",
            Baseline::Rest => "the other segments",
            Baseline::Version(_) => "the other version",
        })
    }
}

/// What a baseline is for one group.
pub(super) enum Found<'a> {
    /// These states.
    States(Cow<'a, States>),
    /// Nothing to compare with, and why.
    Nothing(String),
    /// This baseline says nothing of such a group, or the row of the whole window says why.
    NotMeant,
}

/// The rest of a cut in one window and version.
type Cut = (Option<(i64, i64)>, Option<String>, String);

/// Finds baselines, holding the merges that later windows build on.
pub(super) struct Baselines<'a> {
    current: &'a Profile,
    total: States,
    segments: BTreeMap<(String, String), Cow<'a, States>>,
    windows: Vec<(i64, i64)>,
    expanding: BTreeMap<GroupKey, States>,
    rest: Option<(Cut, BTreeMap<String, States>)>,
}

impl<'a> Baselines<'a> {
    pub(super) fn new(reference: &'a Profile, current: &'a Profile) -> Result<Self> {
        let mut segments: BTreeMap<_, Vec<&States>> = BTreeMap::new();
        for (key, states) in &reference.groups {
            if let Some(segment) = &key.segment {
                segments.entry(segment.clone()).or_default().push(states);
            }
        }
        let merged = segments.into_iter();
        let merged = merged.map(|(segment, states)| Ok((segment, merge(&states)?)));
        let windows: BTreeSet<_> = current.groups.keys().filter_map(|k| k.window).collect();
        Ok(Baselines {
            current,
            total: reference.total()?,
            segments: merged.collect::<Result<_>>()?,
            windows: windows.into_iter().collect(),
            expanding: BTreeMap::new(),
            rest: None,
        })
    }

    /// Refuses what no group of the current profile could ever be compared with.
    pub(super) fn check(&self, name: &str, baseline: &Baseline) -> Result<()> {
        let keys = || self.current.groups.keys();
        match baseline {
            Baseline::Segment(by, value) => {
                let cuts: BTreeSet<_> = keys().filter_map(|k| k.segment.as_ref()).collect();
                if cuts.iter().any(|(b, v)| b == by && v == value) {
                    return Ok(());
                }
                let told: Vec<_> = cuts
                    .iter()
                    .map(|(b, v)| format!("segment:{b}={v}"))
                    .collect();
                Err(none_such(
                    name,
                    "the current data has no such segment",
                    &told,
                ))
            }
            Baseline::Version(version) => {
                let versions: BTreeSet<_> =
                    keys().filter_map(|k| k.model_version.as_ref()).collect();
                if versions.contains(version) {
                    return Ok(());
                }
                let told: Vec<_> = versions.iter().map(|v| format!("version:{v}")).collect();
                Err(none_such(
                    name,
                    "the current data has no such version",
                    &told,
                ))
            }
            Baseline::Rest if keys().all(|k| k.segment.is_none()) => Err(none_such(
                name,
                "the current data is not cut into segments",
                &[],
            )),
            Baseline::Seasonal(length) => {
                let own = self
                    .windows
                    .iter()
                    .find(|w| self.earlier(**w, *length) == Some(**w));
                own.map_or(Ok(()), |_| {
                    Err(Error::invalid(format!(
                        "baseline {name:?} is shorter than a window; accepted is a season of at least one window"
                    )))
                })
            }
            _ => Ok(()),
        }
    }

    /// The states that the group is compared with.
    pub(super) fn find(&mut self, baseline: &Baseline, group: &GroupKey) -> Result<Found<'_>> {
        let nothing = |why: &str| Ok(Found::Nothing(why.into()));
        match baseline {
            Baseline::Reference => Ok(match &group.segment {
                None => Found::States(Cow::Borrowed(&self.total)),
                Some(segment) => self.segments.get(segment).map_or_else(
                    || Found::Nothing("this segment is not in the reference".into()),
                    |states| Found::States(Cow::Borrowed(states.as_ref())),
                ),
            }),
            Baseline::Segment(by, value) => {
                let Some((cut, own)) = &group.segment else {
                    return Ok(Found::NotMeant);
                };
                if cut != by || own == value {
                    return Ok(Found::NotMeant);
                }
                let key = GroupKey {
                    segment: Some((by.clone(), value.clone())),
                    ..group.clone()
                };
                Ok(self.group(&key, || {
                    format!("segment {by} {value} is not in this window")
                }))
            }
            Baseline::Version(version) => {
                if group.model_version.as_ref() == Some(version) {
                    return Ok(Found::NotMeant);
                }
                let key = GroupKey {
                    model_version: Some(version.clone()),
                    ..group.clone()
                };
                let whole = GroupKey {
                    segment: None,
                    ..key.clone()
                };
                if group.segment.is_some() && !self.current.groups.contains_key(&whole) {
                    return Ok(Found::NotMeant);
                }
                Ok(self.group(&key, || format!("version {version} is not in this window")))
            }
            Baseline::Rest => self.rest(group),
            Baseline::Previous
            | Baseline::Rolling(_)
            | Baseline::RollingLength(_)
            | Baseline::Expanding
            | Baseline::Seasonal(_) => {
                let Some(window) = group.window else {
                    return if group.segment.is_some() {
                        Ok(Found::NotMeant)
                    } else {
                        nothing("the current data is not cut into windows")
                    };
                };
                let before = match self.before(baseline, window) {
                    Ok(windows) => windows,
                    // Told once, by the row of the whole window.
                    Err(_) if group.segment.is_some() => return Ok(Found::NotMeant),
                    Err(why) => return Ok(Found::Nothing(why)),
                };
                let key = |window| GroupKey {
                    window,
                    ..group.clone()
                };
                if matches!(baseline, Baseline::Expanding) {
                    return Ok(self.expanding.get(&key(None)).map_or_else(
                        || absent(baseline, group),
                        |states| Found::States(Cow::Borrowed(states)),
                    ));
                }
                let states: Vec<&States> = before
                    .iter()
                    .filter_map(|w| self.current.groups.get(&key(Some(*w))))
                    .collect();
                if states.is_empty() {
                    return Ok(absent(baseline, group));
                }
                Ok(Found::States(merge(&states)?))
            }
        }
    }

    /// Notes that a window is done, for the windows after it.
    pub(super) fn done(&mut self, group: &GroupKey, states: &States) -> Result<()> {
        let key = GroupKey {
            window: None,
            ..group.clone()
        };
        match self.expanding.get_mut(&key) {
            Some(all) => add(all, states),
            None => {
                self.expanding.insert(key, states.clone());
                Ok(())
            }
        }
    }

    fn group(&self, key: &GroupKey, why: impl Fn() -> String) -> Found<'_> {
        self.current.groups.get(key).map_or_else(
            || Found::Nothing(why()),
            |states| Found::States(Cow::Borrowed(states)),
        )
    }

    /// The windows of a baseline, at least one, or why there is none.
    fn before(&self, baseline: &Baseline, window: (i64, i64)) -> Result<Vec<(i64, i64)>, String> {
        let at = self.windows.partition_point(|w| *w < window);
        let earlier = &self.windows[..at];
        let found = match baseline {
            Baseline::Rolling(k) if earlier.len() < *k => {
                return Err(format!(
                    "{} of the {k} windows before this one are there",
                    earlier.len()
                ));
            }
            Baseline::Rolling(k) => &earlier[at - k..],
            Baseline::RollingLength(length) => {
                let since = length.before(self.local(window).0);
                let first = earlier.partition_point(|w| self.local(*w).0 < since);
                &earlier[first..]
            }
            Baseline::Expanding => earlier,
            Baseline::Seasonal(length) => {
                let found = self.earlier(window, *length);
                return found
                    .map(|w| vec![w])
                    .ok_or_else(|| "there is no window of the season before".into());
            }
            _ => &earlier[at.saturating_sub(1)..],
        };
        if found.is_empty() {
            return Err("there is no window before this one".into());
        }
        Ok(found.to_vec())
    }

    /// The window that holds the local time of this window's middle less the length.
    fn earlier(&self, window: (i64, i64), length: Length) -> Option<(i64, i64)> {
        let (start, end) = self.local(window);
        let then = length.before(start + (end - start) / 2);
        let holds = |w: &&(i64, i64)| {
            let (start, end) = self.local(**w);
            start <= then && then < end
        };
        self.windows.iter().find(holds).copied()
    }

    /// Start and end on the clock of the windows' zone, by its distance from UTC at the start.
    fn local(&self, window: (i64, i64)) -> (i64, i64) {
        let offset = self.current.metadata.times.get(&window.0);
        let offset = offset.and_then(|t| super::offset(t)).unwrap_or(0);
        (window.0 + offset, window.1 + offset)
    }

    fn rest(&mut self, group: &GroupKey) -> Result<Found<'_>> {
        let Some((by, value)) = &group.segment else {
            return Ok(Found::NotMeant);
        };
        let cut = (group.window, group.model_version.clone(), by.clone());
        if self.rest.as_ref().is_none_or(|(at, _)| *at != cut) {
            let all: Vec<(&String, &States)> = self
                .current
                .groups
                .iter()
                .filter(|(k, _)| k.window == cut.0 && k.model_version == cut.1)
                .filter_map(|(k, states)| k.segment.as_ref().map(|s| (s, states)))
                .filter(|(s, _)| s.0 == *by)
                .map(|(s, states)| (&s.1, states))
                .collect();
            self.rest = Some((cut, others(&all)?));
        }
        let found = self.rest.as_ref().and_then(|(_, rest)| rest.get(value));
        Ok(found.map_or_else(
            || Found::Nothing("this window has no other segment".into()),
            |states| Found::States(Cow::Borrowed(states)),
        ))
    }
}

fn none_such(name: &str, why: &str, accepted: &[String]) -> Error {
    let told = if accepted.is_empty() {
        "profile it with by= or model_version=".to_owned()
    } else {
        let more = if accepted.len() > 20 { " ..." } else { "" };
        let shown: Vec<_> = accepted.iter().take(20).map(String::as_str).collect();
        format!("accepted are {}{more}", shown.join(", "))
    };
    Error::invalid(format!("baseline {name:?}: {why}; {told}"))
}

fn absent(baseline: &Baseline, group: &GroupKey) -> Found<'static> {
    let what = match (&group.segment, &group.model_version) {
        (Some(_), _) => "this segment",
        (None, Some(_)) => "this version",
        (None, None) => "this group",
    };
    Found::Nothing(format!("{what} is not in {baseline}"))
}

/// The union of the rows of several groups of one form; there is at least one.
pub(super) fn merge<'a>(groups: &[&'a States]) -> Result<Cow<'a, States>> {
    let mut all = Cow::Borrowed(groups[0]);
    for states in &groups[1..] {
        add(all.to_mut(), states)?;
    }
    Ok(all)
}

fn add(all: &mut States, states: &States) -> Result<()> {
    all.iter_mut().zip(states).try_for_each(|(a, b)| a.merge(b))
}

/// For each of several groups the union of the others, by merges of those before and those after.
fn others(all: &[(&String, &States)]) -> Result<BTreeMap<String, States>> {
    let mut found = BTreeMap::new();
    let mut after: Vec<Option<States>> = vec![None; all.len()];
    for i in (1..all.len()).rev() {
        let mut states = all[i].1.clone();
        if let Some(rest) = &after[i] {
            add(&mut states, rest)?;
        }
        after[i - 1] = Some(states);
    }
    let mut before: Option<States> = None;
    for ((name, states), after) in all.iter().zip(after) {
        let mut rest = before.clone();
        match (&mut rest, after) {
            (Some(rest), Some(after)) => add(rest, &after)?,
            (none, Some(after)) => *none = Some(after),
            _ => {}
        }
        if let Some(rest) = rest {
            found.insert((*name).clone(), rest);
        }
        match &mut before {
            Some(all) => add(all, states)?,
            none => *none = Some((*states).clone()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(text: &str) -> i64 {
        super::super::instant(text).unwrap()
    }

    #[test]
    fn lengths_are_those_of_the_calendar() {
        for (length, at, before) in [
            ("1y", "2016-02-29T12:00:00Z", "2015-02-28T12:00:00Z"),
            ("1mo", "2015-03-31T00:00:00Z", "2015-02-28T00:00:00Z"),
            ("2mo", "2015-01-15T01:00:00Z", "2014-11-15T01:00:00Z"),
            ("w", "2015-01-03T01:00:00Z", "2014-12-27T01:00:00Z"),
            ("36h", "1970-01-01T00:00:00Z", "1969-12-30T12:00:00Z"),
        ] {
            let length = Length::parse(length).unwrap();
            assert_eq!(length.before(local(at)), local(before), "{at}");
        }
    }

    #[test]
    fn what_is_no_baseline_is_refused_with_what_is() {
        for text in [
            "",
            "refernce",
            "rolling",
            "rolling:",
            "rolling:0",
            "rolling:4x",
            "rolling:-1",
            "seasonal:",
            "seasonal:4",
            "segment:",
            "segment:a",
            "segment:=b",
            "version:",
            "previous:1",
            "rest:a",
            "rolling:99999999999999999999",
            "seasonal:0d",
        ] {
            let error = text.parse::<Baseline>().unwrap_err().to_string();
            assert!(error.contains("accepted are reference"), "{text}: {error}");
        }
        assert_eq!(
            "segment:a, b=x=y".parse::<Baseline>().unwrap(),
            Baseline::Segment("a, b".into(), "x=y".into())
        );
    }
}
