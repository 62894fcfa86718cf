//! Builds again when the user interface, which is embedded, was built again.

fn main() {
    println!("cargo::rerun-if-changed=../ui/dist");
}
