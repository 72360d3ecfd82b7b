//! Puts the explorer, if it was built, into the program: a table of the files under `explorer/dist/app`.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{Write as _, stdout},
    path::Path,
};

fn main() {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../../explorer/dist");
    // The folder is always there; what is in it comes and goes with the explorer's build.
    writeln!(stdout(), "cargo:rerun-if-changed={}", root.display()).expect("cargo reads what is written");
    let app = root.join("app");
    let list = fs::read_to_string(app.join("files.tsv")).unwrap_or_default();
    let mut table = String::from("&[\n");
    for line in list.lines() {
        let [path, media_type, etag] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("explorer/dist/app/files.tsv has a line that is not path, type, tag: {line}");
        };
        let file = |ending: &str| format!("include_bytes!({:?})", format!("{}/{path}{ending}", app.display()));
        let packed = |ending: &str| {
            let is_there = app.join(format!("{path}{ending}")).exists();
            if is_there { format!("Some({})", file(ending)) } else { "None".to_owned() }
        };
        let (plain, br, gzip) = (file(""), packed(".br"), packed(".gz"));
        writeln!(
            table,
            "    File {{ path: {path:?}, media_type: {media_type:?}, etag: {etag:?}, plain: {plain}, br: {br}, gzip: {gzip} }},"
        )
        .expect("writing to a text never fails");
    }
    table.push(']');
    let out = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("explorer.rs");
    fs::write(out, table).expect("the build's own folder can be written");
}
