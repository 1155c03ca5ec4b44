//! What the linker must know of the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // As install.sh names it; the number changes when old programs cannot go on with it.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libetlring.so.0");
        // A session's threads and the thread-locals of writers outlive a dlclose.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
