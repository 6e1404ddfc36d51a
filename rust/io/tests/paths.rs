//! Files, patterns, folders and lists.

use std::fs;

use tidegauge_io::paths::{ResolvedFile, resolve};

fn names(files: &[ResolvedFile]) -> Vec<String> {
    files
        .iter()
        .map(|f| f.path.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn folders_patterns_and_lists_in_byte_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::create_dir_all(at("sub/deep")).unwrap();
    fs::create_dir_all(at("_temporary")).unwrap();
    for name in [
        "b.parquet",
        "B.PARQUET",
        "a[1].parquet",
        "sub/c.parquet",
        "sub/deep/d.parquet",
        "x.csv",
        "_metadata.parquet",
        ".e.parquet",
        "_temporary/f.parquet",
    ] {
        fs::write(at(name), "12345").unwrap();
    }
    let all = resolve(&[at("")]).unwrap();
    assert_eq!(
        names(&all),
        [
            "B.PARQUET",
            "a[1].parquet",
            "b.parquet",
            "c.parquet",
            "d.parquet"
        ]
    );
    assert!(all.iter().all(|f| f.bytes == 5 && f.partitions.is_empty()));
    assert_eq!(
        names(&resolve(&[at("*.parquet")]).unwrap()),
        ["a[1].parquet", "b.parquet"]
    );
    assert_eq!(
        names(&resolve(&[at("**/[cd].parquet")]).unwrap()),
        ["c.parquet", "d.parquet"]
    );
    assert_eq!(
        names(&resolve(&[at("a[1].parquet")]).unwrap()),
        ["a[1].parquet"]
    );
    assert_eq!(
        names(&resolve(&[at("sub/c.parquet"), at("?.parquet")]).unwrap()),
        ["b.parquet", "c.parquet"]
    );
}

#[test]
fn what_cannot_be_read_says_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("a.parquet"), "").unwrap();
    fs::create_dir(at("empty")).unwrap();
    let message = |inputs: &[String]| resolve(inputs).unwrap_err().to_string();
    assert!(message(&[]).contains("no path given"));
    assert!(
        message(&[at("b.parquet")]).contains("b.parquet: no such file or folder; a file, a folder")
    );
    assert!(
        message(&[at("*.csv")]).contains("*.csv: no file matches this pattern; a file, a folder")
    );
    assert!(message(&[at("***")]).contains("is accepted"));
    assert!(
        message(&[at("empty")]).contains("empty: folder without a .parquet file; a file, a folder")
    );
    assert!(message(&[at("a.parquet"), at("*.parquet")]).contains("the same file as"));
    assert!(message(&[at("a.parquet"), at("empty/../a.parquet")]).contains("give it once"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(at("a.parquet"), at("link.parquet")).unwrap();
        assert!(message(&[at("")]).contains("the same file as"));
        // A hard link is a file of its own.
        fs::remove_file(at("link.parquet")).unwrap();
        fs::hard_link(at("a.parquet"), at("link.parquet")).unwrap();
        assert_eq!(resolve(&[at("")]).unwrap().len(), 2);
    }
}

#[test]
fn partitions_are_unescaped_and_only_below_what_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("year=2024/site=a%2Fb%zz");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("x.parquet"), "").unwrap();
    let of = |path: &std::path::Path| {
        resolve(&[path.display().to_string()])
            .unwrap()
            .remove(0)
            .partitions
    };
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(
        of(folder.path()),
        [pair("year", "2024"), pair("site", "a/b%zz")]
    );
    assert_eq!(
        of(&folder.path().join("year=2024")),
        [pair("site", "a/b%zz")]
    );
    assert_eq!(
        of(&folder.path().join("year=*/**/*.parquet")),
        [pair("year", "2024"), pair("site", "a/b%zz")]
    );
    assert_eq!(of(&deep.join("x.parquet")), []);
}

#[test]
fn a_folder_key_with_two_values_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let of = |inner: &str| {
        let deep = folder.path().join(inner);
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("x.parquet"), "").unwrap();
        let top = folder.path().join(inner.split('/').next().unwrap());
        resolve(&[folder.path().display().to_string()])
            .inspect(|_| fs::remove_dir_all(top).unwrap())
    };
    let twice = of("day=1/day=1").unwrap();
    assert_eq!(twice[0].partitions, [("day".to_owned(), "1".to_owned())]);
    let error = of("day=1/site=a/day=2").unwrap_err().to_string();
    assert!(
        error.contains("folders day=1 and day=2 give two values"),
        "{error}"
    );
}
