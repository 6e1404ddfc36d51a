//! From what a person names (files, patterns, folders) to the files to read.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::{Error, Result};

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedFile {
    /// Canonical path: what is opened, and the identity for coverage.
    pub path: PathBuf,
    /// Path for messages, relative if it was given so.
    pub display: String,
    /// Size when it was found.
    pub bytes: u64,
    /// `key=value` folders between the folder or pattern given and the file, unescaped, in order.
    pub partitions: Vec<(String, String)>,
}

const ACCEPTED: &str =
    "a file, a folder with .parquet files or a pattern (*, **, ?, [a-z]) is accepted";

/// Files behind `inputs`, sorted by the bytes of their paths.
///
/// A folder stands for the `.parquet` files in it at any depth; names that start with `_` or `.` are
/// left out, as every engine does with its own marks and unfinished files.
///
/// # Errors
/// A path that does not exist, a pattern or folder without a file, the same file twice.
///
/// # Examples
/// ```
/// let error = tidegauge_io::paths::resolve(&["no/such/file.parquet".to_owned()]).unwrap_err();
/// assert!(error.to_string().starts_with("no/such/file.parquet: no such file or folder"));
/// ```
pub fn resolve(inputs: &[String]) -> Result<Vec<ResolvedFile>> {
    if inputs.is_empty() {
        return Err(unreadable("", format!("no path given; {ACCEPTED}")));
    }
    let mut files = Vec::new();
    for input in inputs {
        expand(input, &mut files)?;
    }
    files.sort_by(|a, b| {
        a.path
            .as_os_str()
            .as_encoded_bytes()
            .cmp(b.path.as_os_str().as_encoded_bytes())
    });
    let mut seen: HashMap<&Path, &str> = HashMap::with_capacity(files.len());
    for file in &files {
        if let Some(before) = seen.insert(&file.path, &file.display) {
            let message =
                format!("the same file as {before:?}; every file counts once, give it once");
            return Err(unreadable(&file.display, message));
        }
    }
    Ok(files)
}

fn expand(input: &str, files: &mut Vec<ResolvedFile>) -> Result<()> {
    let path = Path::new(input);
    // A path that exists is meant literally, even with a bracket in its name.
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            let before = files.len();
            walk(path, path, files, 0)?;
            if files.len() == before {
                return Err(unreadable(
                    input,
                    format!("folder without a .parquet file; {ACCEPTED}"),
                ));
            }
            return Ok(());
        }
        Ok(_) => {
            files.push(file(path, path)?);
            return Ok(());
        }
        Err(e) if !is_pattern(input) => {
            let message = match e.kind() {
                std::io::ErrorKind::NotFound => format!("no such file or folder; {ACCEPTED}"),
                _ => e.to_string(),
            };
            return Err(unreadable(input, message));
        }
        Err(_) => {}
    }
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let paths = glob::glob_with(input, options)
        .map_err(|e| unreadable(input, format!("{e}; {ACCEPTED}")))?;
    let base = base(path);
    let before = files.len();
    for found in paths {
        let found = found
            .map_err(|e| unreadable(&e.path().display().to_string(), e.error().to_string()))?;
        // As in a folder: marks and unfinished files of other tools do not match a pattern.
        if found.is_file() && !is_hidden(&found) {
            files.push(file(&found, &base)?);
        }
    }
    if files.len() == before {
        return Err(unreadable(
            input,
            format!("no file matches this pattern; {ACCEPTED}"),
        ));
    }
    Ok(())
}

fn is_pattern(input: &str) -> bool {
    input.contains(['*', '?', '['])
}

/// The part of a pattern before its first wildcard.
fn base(pattern: &Path) -> PathBuf {
    let literal = |c: &Component<'_>| !is_pattern(&c.as_os_str().to_string_lossy());
    pattern.components().take_while(literal).collect()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_none_or(|name| matches!(name.as_encoded_bytes().first(), Some(b'_' | b'.')))
}

fn walk(folder: &Path, base: &Path, files: &mut Vec<ResolvedFile>, depth: usize) -> Result<()> {
    let fail = |e: std::io::Error| unreadable(&folder.display().to_string(), e.to_string());
    if depth > 64 {
        return Err(unreadable(
            &folder.display().to_string(),
            "folders nest more than 64 deep (a link to itself?)".into(),
        ));
    }
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if is_hidden(&path) {
            continue;
        }
        if path.is_dir() {
            walk(&path, base, files, depth + 1)?;
        } else if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("parquet"))
        {
            files.push(file(&path, base)?);
        }
    }
    Ok(())
}

fn file(path: &Path, base: &Path) -> Result<ResolvedFile> {
    let display = path.display().to_string();
    let canonical = fs::canonicalize(path).map_err(|e| unreadable(&display, e.to_string()))?;
    let meta = fs::metadata(&canonical).map_err(|e| unreadable(&display, e.to_string()))?;
    let folders = path.strip_prefix(base).ok().and_then(Path::parent);
    let partitions = folders
        .into_iter()
        .flat_map(Path::components)
        .filter_map(|c| {
            let name = c.as_os_str().to_str()?;
            let (key, value) = name.split_once('=').filter(|(key, _)| !key.is_empty())?;
            Some((unescape(key), unescape(value)))
        });
    let mut distinct: Vec<(String, String)> = Vec::new();
    for (key, value) in partitions {
        match distinct.iter().find(|(known, _)| *known == key) {
            None => distinct.push((key, value)),
            Some((_, before)) if *before == value => {}
            Some((_, before)) => {
                let message = format!(
                    "folders {key}={before} and {key}={value} give two values of {key:?}; one would be accepted"
                );
                return Err(unreadable(&display, message));
            }
        }
    }
    Ok(ResolvedFile {
        path: canonical,
        bytes: meta.len(),
        partitions: distinct,
        display,
    })
}

/// Undoes the `%xx` with which Hive writes characters that paths cannot hold.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = |b: u8| (b as char).to_digit(16).map(|d| d as u8);
        if let ([a, b, after @ ..], b'%') = (tail, first)
            && let (Some(high), Some(low)) = (hex(*a), hex(*b))
        {
            bytes.push(high << 4 | low);
            rest = after;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn unreadable(path: &str, message: String) -> Error {
    Error::Unreadable {
        path: path.to_owned(),
        message,
    }
}
