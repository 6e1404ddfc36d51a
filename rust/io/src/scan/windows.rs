//! Calendar windows in a time zone.

use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};

use super::invalid;
use crate::Result;

/// A calendar window.
#[derive(Debug, Clone, Copy)]
pub(super) enum Window {
    Hours(i64),
    Days(i64),
    Months(i64),
}

/// Reads a number and a unit.
pub(super) fn parse_window(text: &str) -> Result<Window> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let n: i64 = if number.is_empty() {
        1
    } else {
        number.parse().unwrap_or(0)
    };
    match unit {
        "h" if n > 0 && n <= 24 && 24 % n == 0 => Ok(Window::Hours(n)),
        "d" if n > 0 && n <= 366 => Ok(Window::Days(n)),
        "w" if n > 0 && n <= 52 => Ok(Window::Days(7 * n)),
        "mo" if n > 0 && n <= 12 && 12 % n == 0 => Ok(Window::Months(n)),
        _ => Err(invalid(format!(
            "window {text:?}; a number and h, d, w or mo would be accepted (hours dividing a day, months dividing a year), such as \"1d\" or \"1mo\""
        ))),
    }
}

/// Start and end of the window that holds an instant.
pub(super) fn window_of(us: i64, window: Window, zone: chrono_tz::Tz) -> Option<(i64, i64)> {
    let local = zone
        .from_utc_datetime(&DateTime::<Utc>::from_timestamp_micros(us)?.naive_utc())
        .naive_local();
    let midnight = |d: NaiveDate| d.and_time(NaiveTime::MIN);
    let (start, end): (NaiveDateTime, NaiveDateTime) = match window {
        Window::Hours(n) => {
            let day = midnight(local.date());
            let at = (local - day).num_hours() / n * n;
            (day + Duration::hours(at), day + Duration::hours(at + n))
        }
        Window::Days(n) => {
            // Weeks begin on Monday; 1969-12-29 was one.
            let epoch = NaiveDate::from_ymd_opt(1969, 12, 29)?;
            let at = (local.date() - epoch).num_days().div_euclid(n) * n;
            (
                midnight(epoch + Duration::days(at)),
                midnight(epoch + Duration::days(at + n)),
            )
        }
        Window::Months(n) => {
            let month = i64::from(local.year()) * 12 + i64::from(local.month0());
            let first = |m: i64| {
                NaiveDate::from_ymd_opt(
                    i32::try_from(m.div_euclid(12)).ok()?,
                    m.rem_euclid(12) as u32 + 1,
                    1,
                )
            };
            let at = month.div_euclid(n) * n;
            (midnight(first(at)?), midnight(first(at + n)?))
        }
    };
    let utc = |t: NaiveDateTime| {
        let at = zone.from_local_datetime(&t).earliest().or_else(|| {
            zone.from_local_datetime(&(t + Duration::hours(1)))
                .earliest()
        });
        at.map(|t| t.timestamp_micros())
    };
    Some((utc(start)?, utc(end)?))
}
