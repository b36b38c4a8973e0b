//! Embeds the page, which is built separately.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=web/dist");
    if !Path::new("web/dist/index.html").exists() {
        println!(
            "cargo:error=poker-app/web/dist has no index.html: run `make web` first, it builds the page"
        );
    }
}
