//! Limits of a footer, checked before the `parquet` crate reads it: it allocates for as many row
//! groups and fields as a footer claims, and follows groups as deep as they nest.

use std::fs::File;

use super::page::{Fields, I32, LIST, STRUCT, Stop, int, list, read_exact_at, skip};

/// Largest footer.
const MAX_FOOTER: usize = 512 << 20;
/// Groups in groups.
const MAX_DEPTH: usize = 64;

/// Checks the footer of a file of `length` bytes.
pub fn check(file: &File, length: u64) -> Result<(), String> {
    let mut tail = [0; 8];
    let Some(at) = length.checked_sub(8) else {
        return Ok(());
    };
    read_exact_at(file, &mut tail, at).map_err(|e| e.to_string())?;
    let [a, b, c, d, magic @ ..] = tail;
    let size = u32::from_le_bytes([a, b, c, d]) as usize;
    // What is no Parquet at all is for the crate to say.
    if &magic != b"PAR1" || size as u64 > at {
        return Ok(());
    }
    if size > MAX_FOOTER {
        return Err(format!(
            "footer of {size} bytes, at most {MAX_FOOTER} are accepted"
        ));
    }
    let mut bytes = vec![0; size];
    read_exact_at(file, &mut bytes, at - size as u64).map_err(|e| e.to_string())?;
    limits(&bytes).map_err(|stop| match stop {
        Stop::Short => "footer ends early".into(),
        Stop::Wrong(message) => message,
    })
}

fn limits(mut data: &[u8]) -> Result<(), Stop> {
    let mut fields = Fields::new(&mut data);
    while let Some((id, kind)) = fields.next()? {
        match (id, kind) {
            (2, LIST) => schema(fields.data)?,
            _ => skip(fields.data, kind, 12)?,
        }
    }
    Ok(())
}

/// Checks that groups have as many fields as there are, and do not nest too deep.
fn schema(data: &mut &[u8]) -> Result<(), Stop> {
    let (count, kind) = list(data)?;
    if kind != STRUCT || count > data.len() as u64 {
        return Err(Stop::Wrong("footer without a list of columns".into()));
    }
    // Fields still to come in each of the groups that are open.
    let mut open: Vec<u64> = Vec::new();
    for i in 0..count {
        let mut children = 0;
        let mut fields = Fields::new(data);
        while let Some((id, kind)) = fields.next()? {
            match (id, kind) {
                (5, I32) => children = u64::try_from(int(fields.data)?).unwrap_or(u64::MAX),
                _ => skip(fields.data, kind, 8)?,
            }
        }
        if children > count - i - 1 {
            return Err(Stop::Wrong(format!(
                "group of {children} fields in a footer of {count}"
            )));
        }
        if let Some(left) = open.last_mut() {
            *left = left.saturating_sub(1);
        }
        if children > 0 {
            open.push(children);
        }
        if open.len() > MAX_DEPTH {
            return Err(Stop::Wrong(format!(
                "columns nest more than {MAX_DEPTH} deep"
            )));
        }
        while open.last() == Some(&0) {
            open.pop();
        }
    }
    Ok(())
}
