//! Rows within one record: elements of a list, or one text taken apart.

use serde_json::Value;

use crate::{
    Node,
    group::ROWS_MAX,
    mapping::RowsMap,
    reason::{ROWS_CELLS, ROWS_MANY, ROWS_SPLIT},
    value::Wrong,
};

pub(super) fn rows(node: &Node, map: Option<&RowsMap>) -> Result<Value, Wrong> {
    let names: Vec<(&str, &str)> = map
        .map(|map| map.names.iter().map(|name| name.split_once('=').unwrap_or((name, name))).collect())
        .unwrap_or_default();
    let items: Vec<Value> = match node {
        Node::Null => return Ok(Value::Null),
        Node::List(items) => items.iter().map(|item| object(item, &names)).collect(),
        // XML does not tell one element from a list of one.
        Node::Map(entries) => match entries.as_slice() {
            [(_, Node::List(items))] => items.iter().map(|item| object(item, &names)).collect(),
            [(_, inner @ Node::Map(_))] => vec![object(inner, &names)],
            _ => vec![object(node, &names)],
        },
        plain => {
            let text = plain.text().unwrap_or_default();
            if text.trim().is_empty() {
                return Ok(Value::Null);
            }
            let Some(split) = map.and_then(|map| map.split.as_deref()) else {
                return Err(("uplink.rows", ROWS_SPLIT.into()));
            };
            let cells = map.and_then(|map| map.cells.as_deref());
            let lines = text.split(split).map(str::trim).filter(|line| !line.is_empty());
            lines.map(|line| split_row(line, cells, &names)).collect::<Result<_, _>>()?
        }
    };
    if items.len() > ROWS_MAX {
        return Err(("uplink.rows", ROWS_MANY.with(&[&ROWS_MAX])));
    }
    Ok(Value::Array(items))
}

fn object(item: &Node, names: &[(&str, &str)]) -> Value {
    match item {
        Node::Map(_) if !names.is_empty() => {
            let take = |(from, to): &(&str, &str)| item.at(from).map(|node| ((*to).to_owned(), node.json()));
            names.iter().filter_map(take).collect()
        }
        other => other.json(),
    }
}

fn split_row(line: &str, cells: Option<&str>, names: &[(&str, &str)]) -> Result<Value, Wrong> {
    let parts: Vec<&str> = cells.map_or_else(|| vec![line], |cells| line.split(cells).map(str::trim).collect());
    if names.is_empty() {
        return Ok(Value::from(parts));
    }
    if parts.len() != names.len() {
        return Err(("uplink.rows", ROWS_CELLS.with(&[&parts.len(), &names.len()])));
    }
    Ok(names.iter().zip(parts).map(|((_, name), part)| ((*name).to_owned(), Value::from(part))).collect())
}
