//! Any file as a record by itself: what its name says, and the file as something to attach.

use std::sync::Arc;

use super::{Broken, Item};
use crate::{Fault, Found, Node, Place, Record};

/// The one record of a file: `name`, `stem`, `extension`, `bytes`, `file`.
pub(super) fn record(found: &Found) -> std::iter::Once<Item> {
    let name = found.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, extension) = name.rsplit_once('.').map_or((name.as_str(), ""), |(stem, extension)| (stem, extension));
    let item = match std::fs::metadata(&found.path) {
        Err(error) => Err(Broken::Stop(Fault::io(&*found.name, &error))),
        Ok(data) if data.len() == 0 => {
            Err(Broken::Stop(Fault::new("uplink.empty", &*found.name, "there is nothing in it")))
        }
        Ok(data) => {
            let values = [stem, extension].map(|text| Node::Text(text.to_owned()));
            let [stem, extension] = values;
            let place = Place { file: Arc::clone(&found.name), sheet: None, record: 1, line: 0, byte: 0 };
            let columns = ["name", "stem", "extension", "bytes", "file"].map(str::to_owned);
            let bytes = Node::Number(data.len().to_string());
            let values = vec![Node::Text(name.clone()), stem, extension, bytes, Node::Text(name)];
            Ok(Record { place, columns: Arc::from(columns), values })
        }
    };
    std::iter::once(item)
}
