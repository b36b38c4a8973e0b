//! `poker-lab vectors hpa DIR`: runs test vectors of the Kubernetes autoscaler.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::hpa_vectors::{self, FileReport, VectorError};
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

/// Compare the operator's decisions with test vectors
#[derive(Args, Debug)]
pub struct VectorsArgs {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Subcommand, Debug)]
enum Suite {
    /// Vectors of the Kubernetes horizontal pod autoscaler (format hpa-vectors/1)
    Hpa(HpaArgs),
}

#[derive(Args, Debug)]
struct HpaArgs {
    /// Folder of vector files (*.json)
    dir: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct VectorsReport {
    files: BTreeMap<String, FileReport>,
}

/// The exit code is 1 if a vector fails that upstream does not mark as broken.
///
/// # Errors
/// The folder cannot be read or holds no vector file.
pub fn run(args: VectorsArgs) -> anyhow::Result<ExitCode> {
    let Suite::Hpa(args) = args.suite;
    let report = VectorsReport {
        files: run_folder(&args.dir)?,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table(&report));
    }
    let ok = report.files.values().all(FileReport::is_ok);
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Runs the vector files of a folder. Files of another format are skipped.
fn run_folder(dir: &Path) -> anyhow::Result<BTreeMap<String, FileReport>> {
    let mut files = BTreeMap::new();
    let entries = std::fs::read_dir(dir).with_context(|| format!("cannot read folder {}", dir.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot read folder {}", dir.display()))?
            .path();
        if path.extension().is_none_or(|e| e != "json") || !path.is_file() {
            continue;
        }
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read file {}", path.display()))?;
        match hpa_vectors::run_file(&text) {
            Ok(report) => {
                let name = path
                    .file_name()
                    .map(|n| n.to_string_lossy().into_owned())
                    .unwrap_or_default();
                files.insert(name, report);
            }
            Err(VectorError::Format(format)) if format.is_empty() => {}
            Err(VectorError::Format(format)) => {
                eprintln!("skipped: {}: its format is {format}", path.display());
            }
            Err(error) => return Err(error).with_context(|| format!("cannot use file {}", path.display())),
        }
    }
    if files.is_empty() {
        bail!(
            "no vector files (*.json with format {}) in {}",
            hpa_vectors::FORMAT,
            dir.display()
        );
    }
    Ok(files)
}

fn table(report: &VectorsReport) -> String {
    let width = report
        .files
        .keys()
        .map(String::len)
        .max()
        .unwrap_or(0)
        .max("file".len());
    let row = |name: &str, passed: &str, failed: &str, broken: &str| {
        format!("{name:width$}  {passed:>6}  {failed:>6}  {broken:>15}\n")
    };
    let counts = |name: &str, r: &FileReport| {
        row(
            name,
            &r.passed.to_string(),
            &r.failed.to_string(),
            &r.upstream_broken.to_string(),
        )
    };
    let mut text = row("file", "passed", "failed", "upstream broken");
    let mut total = FileReport::default();
    for (name, file) in &report.files {
        text += &counts(name, file);
        total.passed += file.passed;
        total.failed += file.failed;
        total.upstream_broken += file.upstream_broken;
    }
    text += &counts("total", &total);
    for (name, file) in &report.files {
        for failure in &file.failures {
            let broken = if failure.upstream_broken {
                " (upstream marks it as broken)"
            } else {
                ""
            };
            text += &format!("\n{name}: {}{broken}\n  {}\n", failure.name, failure.why);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every vector file of the repository.
    fn known() -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir("testdata/hpa")
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let json = entries.filter(|path| path.extension().is_some_and(|end| end == "json"));
        let read = |path: PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        };
        let mut files: Vec<_> = json.map(read).collect();
        files.sort();
        files
    }

    /// Nothing panics, and an unusable file is an error in one line with its name.
    fn is_one_line_error_or_harmless(name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("good.json"), GOOD).unwrap();
        std::fs::write(dir.path().join(name), bytes).unwrap();
        match run_folder(dir.path()) {
            Ok(files) => prop_assert!(files.contains_key("good.json")),
            Err(error) => {
                let text = format!("{error:#}");
                prop_assert!(text.contains(name) && !text.contains('\n'), "{text:?}");
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_error(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            r#"\{"format": ?"hpa-vectors/1", ?"vectors": ?[\[\]{}":,a-z0-9 .-]{0,80}"#.prop_map(String::into_bytes),
        ]) {
            is_one_line_error_or_harmless("any.json", &bytes)?;
        }

        #[test]
        fn any_damage_to_a_file_is_an_error_or_fails_its_vectors(
            file in any::<prop::sample::Index>(),
            at in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![
                any::<u8>(),
                prop::sample::select(b"0123456789-.eE\"[]{},:".to_vec()),
            ]), 1..8),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            let files = known();
            let (name, mut bytes) = files[file.index(files.len())].clone();
            for (at, new) in at {
                let at = at.index(bytes.len());
                bytes[at] = new;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            is_one_line_error_or_harmless(&name, &bytes)?;
        }

        /// Any number may have any value.
        #[test]
        fn any_changed_number_causes_no_panic(
            file in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            new in prop::sample::select(vec![
                "0", "-1", "9223372036854775807", "-9223372036854775808", "2147483647", "-2147483648",
                "18446744073709551615", "1e308", "-0.0", "1e-308", "null", "\"\"",
            ]),
        ) {
            let files = known();
            let (name, bytes) = &files[file.index(files.len())];
            let text = String::from_utf8(bytes.clone()).unwrap();
            let numbers = regex::Regex::new(r"-?\b\d+(\.\d+)?\b").unwrap();
            let found: Vec<_> = numbers.find_iter(&text).map(|found| found.range()).collect();
            let mut text = text.clone();
            text.replace_range(found[at.index(found.len())].clone(), new);
            is_one_line_error_or_harmless(name, text.as_bytes())?;
        }
    }

    const GOOD: &str = r#"{"format": "hpa-vectors/1", "vectors": [{"name": "a", "kind": "per_pod_usage",
        "usage": 1000, "status_replicas": 3, "expect": {"usage": 334}}]}"#;

    fn hpa(dir: &Path) -> anyhow::Result<ExitCode> {
        run(VectorsArgs {
            suite: Suite::Hpa(HpaArgs {
                dir: dir.to_owned(),
                json: true,
            }),
        })
    }

    #[test]
    fn a_folder_is_run_file_by_file_and_other_files_are_skipped() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("good.json"), GOOD).unwrap();
        std::fs::write(dir.path().join("other.json"), "{}").unwrap();
        std::fs::write(dir.path().join("README.md"), "text").unwrap();
        let files = run_folder(dir.path()).unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["good.json"]);
        assert_eq!((files["good.json"].passed, files["good.json"].failed), (1, 0));
        assert_eq!(hpa(dir.path()).unwrap(), ExitCode::SUCCESS);
    }

    #[test]
    fn a_failure_counts_unless_upstream_marks_it_as_broken() {
        let dir = tempfile::tempdir().unwrap();
        let bad = GOOD.replace("334", "335");
        std::fs::write(dir.path().join("bad.json"), &bad).unwrap();
        assert_eq!(hpa(dir.path()).unwrap(), ExitCode::from(1));
        let files = run_folder(dir.path()).unwrap();
        let report = serde_json::to_value(VectorsReport { files }).unwrap();
        let file = &report["files"]["bad.json"];
        assert_eq!(
            (&file["passed"], &file["failed"], &file["upstream_broken"]),
            (&0.into(), &1.into(), &0.into())
        );
        let failure = &file["failures"][0];
        assert!(failure["name"] == "a" && failure["why"].is_string(), "{report}");
        let broken = bad.replace("\"name\"", "\"upstream_broken\": true, \"name\"");
        std::fs::write(dir.path().join("bad.json"), broken).unwrap();
        assert_eq!(hpa(dir.path()).unwrap(), ExitCode::SUCCESS);
    }

    #[test]
    fn a_folder_without_vectors_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        assert!(hpa(dir.path()).is_err());
        assert!(hpa(&dir.path().join("absent")).is_err());
        std::fs::write(dir.path().join("broken.json"), "[").unwrap();
        assert!(hpa(dir.path()).is_err());
    }
}
