//! Universal Binary JSON (draft 12, big-endian) as JSON values: how XGBoost stores models.

use serde_json::{Map, Number, Value};

use crate::codec::Reader;
use crate::{Error, Result};

/// Deepest nesting: XGBoost models need 7.
const DEPTH: usize = 64;

fn bad(message: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("UBJSON: {message}"))
}

/// Reads one value that fills `bytes`.
///
/// # Errors
/// When the bytes are not a complete value, nest too deep, or announce more than they hold.
pub fn read(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader::new(bytes);
    let kind = marker(&mut reader)?;
    let value = value(&mut reader, kind, 0)?;
    reader.finish()?;
    Ok(value)
}

/// The next marker that is not padding.
fn marker(r: &mut Reader<'_>) -> Result<u8> {
    loop {
        match r.u8()? {
            b'N' => {}
            kind => return Ok(kind),
        }
    }
}

fn integer(r: &mut Reader<'_>, kind: u8) -> Result<i64> {
    Ok(match kind {
        b'i' => i64::from(r.u8()? as i8),
        b'U' => i64::from(r.u8()?),
        b'I' => i64::from(i16::from_be_bytes(bytes(r)?)),
        b'l' => i64::from(i32::from_be_bytes(bytes(r)?)),
        b'L' => i64::from_be_bytes(bytes(r)?),
        other => {
            return Err(bad(format!(
                "marker {:?} for an integer",
                char::from(other)
            )));
        }
    })
}

fn bytes<const N: usize>(r: &mut Reader<'_>) -> Result<[u8; N]> {
    let mut out = [0; N];
    out.copy_from_slice(r.take(N)?);
    Ok(out)
}

/// A length, at most the bytes that are left.
fn length(r: &mut Reader<'_>) -> Result<usize> {
    let kind = r.u8()?;
    let n = integer(r, kind)?;
    usize::try_from(n)
        .ok()
        .filter(|n| *n <= r.remaining())
        .ok_or_else(|| bad(format!("length {n} of {} bytes left", r.remaining())))
}

fn text(r: &mut Reader<'_>) -> Result<String> {
    let n = length(r)?;
    String::from_utf8(r.take(n)?.to_vec()).map_err(|_| bad("text that is not UTF-8"))
}

fn number(x: f64) -> Value {
    // JSON has no such number; text makes the reader of the model name it.
    Number::from_f64(x).map_or_else(|| Value::String(x.to_string()), Value::Number)
}

fn value(r: &mut Reader<'_>, kind: u8, depth: usize) -> Result<Value> {
    if depth > DEPTH {
        return Err(bad(format!("nested deeper than {DEPTH}")));
    }
    Ok(match kind {
        b'Z' => Value::Null,
        b'T' => Value::Bool(true),
        b'F' => Value::Bool(false),
        b'd' => number(f64::from(f32::from_be_bytes(bytes(r)?))),
        b'D' => number(f64::from_be_bytes(bytes(r)?)),
        b'C' => Value::String(char::from(r.u8()?).to_string()),
        b'S' | b'H' => Value::String(text(r)?),
        b'[' => array(r, depth)?,
        b'{' => object(r, depth)?,
        other => Value::from(integer(r, other)?),
    })
}

/// Type and count in front of a container, `$t#n` or `#n`.
fn announced(r: &mut Reader<'_>) -> Result<(Option<u8>, Option<usize>, u8)> {
    let mut next = marker(r)?;
    let mut kind = None;
    if next == b'$' {
        kind = Some(r.u8()?);
        next = r.u8()?;
        if next != b'#' {
            return Err(bad("a type without a count"));
        }
    }
    if next != b'#' {
        return Ok((None, None, next));
    }
    let n = length(r)?;
    // Values without bytes of their own could announce any number of items.
    if matches!(kind, Some(b'Z' | b'T' | b'F' | b'N')) {
        return Err(bad("a container of constants"));
    }
    Ok((kind, Some(n), 0))
}

fn array(r: &mut Reader<'_>, depth: usize) -> Result<Value> {
    let (kind, count, mut next) = announced(r)?;
    let mut items = Vec::new();
    match count {
        Some(n) => {
            for _ in 0..n {
                let kind = match kind {
                    Some(k) => k,
                    None => marker(r)?,
                };
                items.push(value(r, kind, depth + 1)?);
            }
        }
        None => {
            while next != b']' {
                items.push(value(r, next, depth + 1)?);
                next = marker(r)?;
            }
        }
    }
    Ok(Value::Array(items))
}

fn object(r: &mut Reader<'_>, depth: usize) -> Result<Value> {
    let (kind, count, mut next) = announced(r)?;
    let mut items = Map::new();
    let mut left = count;
    loop {
        match left {
            Some(0) => break,
            Some(n) => left = Some(n - 1),
            None if next == b'}' => break,
            None => {}
        }
        // The first byte of a key's length has been read where no count was announced.
        let key = if count.is_some() {
            text(r)?
        } else {
            let n = integer(r, next)?;
            let n = usize::try_from(n).map_err(|_| bad(format!("length {n} of a key")))?;
            String::from_utf8(r.take(n)?.to_vec()).map_err(|_| bad("a key that is not UTF-8"))?
        };
        let kind = match kind {
            Some(k) => k,
            None => marker(r)?,
        };
        items.insert(key, value(r, kind, depth + 1)?);
        if count.is_none() {
            next = marker(r)?;
        }
    }
    Ok(Value::Object(items))
}
