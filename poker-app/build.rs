//! Embeds the page, which is built separately. Without the page the program compiles too, and answers with one line that
//! says how to add it.

use std::{fs, path::Path};

const DIST: &str = "web/dist";

fn main() {
    println!("cargo:rustc-check-cfg=cfg(page)");
    println!("cargo:rerun-if-changed={DIST}");
    if Path::new(DIST).join("index.html").exists() {
        println!("cargo:rustc-cfg=page");
        return;
    }
    // The folder that is embedded must exist; Cargo would also run this script at every build while it is missing.
    if let Err(error) = fs::create_dir_all(DIST) {
        println!("cargo:error=cannot create poker-app/{DIST}: {error}");
    }
    println!("cargo:warning=built without the web page: run `make web`, then build again");
}
