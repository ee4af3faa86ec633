//! Notes which compiler builds the console, for `bench` to print beside its numbers.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC");
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let Ok(output) = Command::new(compiler).arg("--version").output() else {
        return;
    };
    if let Ok(version) = String::from_utf8(output.stdout) {
        println!("cargo:rustc-env=ROADSHOW_RUSTC={}", version.trim());
    }
}
