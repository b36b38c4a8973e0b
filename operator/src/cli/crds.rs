//! `poker-operator crds`

use anyhow::{Context, Result};
use clap::Args;
use std::{fs, path::PathBuf, process::ExitCode};

/// File name of the definition, as committed in `crds/`.
const FILE: &str = "pokerclusters.yaml";

/// Print the resource definitions, or check that a directory holds the same.
///
/// Install them with `poker-operator crds | kubectl apply --server-side -f -`, or with the
/// poker-operator-crds chart.
#[derive(Args, Debug)]
pub struct CrdsArgs {
    /// Compare with the files in DIR instead of printing; exit 1 when they differ.
    #[arg(long, value_name = "DIR")]
    check: Option<PathBuf>,
}

pub fn run(args: &CrdsArgs) -> Result<ExitCode> {
    let generated = poker_operator_api::crd_yaml()?;
    let Some(dir) = &args.check else {
        print!("{generated}");
        return Ok(ExitCode::SUCCESS);
    };
    let path = dir.join(FILE);
    let committed = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if committed == generated {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "{} is out of date: write the output of `poker-operator crds` to it",
        path.display()
    );
    Ok(ExitCode::from(1))
}
