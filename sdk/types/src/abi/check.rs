//! What must hold for a description to be usable.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ABI_VERSION, Abi, AbiError, DEPTH_MAX, FIELDS_MAX, Field, ITEMS_MAX, NAME_BYTES_MAX, Shape, TITLE_BYTES_MAX, Title,
    Type, Variant,
};

impl Abi {
    /// Checks version, sizes, names, that every named type exists and that every value of every type comes to an end.
    ///
    /// # Errors
    /// [`AbiError`], the first fault found.
    pub fn validate(&self) -> Result<(), AbiError> {
        if self.abi != ABI_VERSION {
            return Err(AbiError::Version(self.abi));
        }
        check_name("name", &self.name, is_label)?;
        check_count("version", self.version.len(), 1, NAME_BYTES_MAX)?;
        check_title("title", &self.title)?;
        self.check_methods()?;
        check_count("events", self.events.len(), 0, ITEMS_MAX)?;
        check_unique("events", self.events.iter().map(|e| e.name.as_str()), is_identifier)?;
        for event in &self.events {
            let path = format!("events.{}", event.name);
            check_title(&path, &event.title)?;
            self.check_fields(&path, &event.fields, 0)?;
        }
        check_count("errors", self.errors.len(), 0, ITEMS_MAX)?;
        check_unique("errors", self.errors.iter().map(|e| e.code.as_str()), is_label)?;
        for error in &self.errors {
            check_title(&format!("errors.{}", error.code), &error.title)?;
        }
        self.check_types()
    }

    fn check_methods(&self) -> Result<(), AbiError> {
        check_count("methods", self.methods.len(), 0, ITEMS_MAX)?;
        check_unique("methods", self.methods.iter().map(|m| m.name.as_str()), is_identifier)?;
        for method in &self.methods {
            let path = format!("methods.{}", method.name);
            check_title(&path, &method.title)?;
            self.check_fields(&format!("{path}.arguments"), &method.arguments, 0)?;
            if let Some(result) = &method.result {
                self.check_type(&format!("{path}.result"), result)?;
            }
        }
        Ok(())
    }

    fn check_types(&self) -> Result<(), AbiError> {
        check_count("types", self.types.len(), 0, ITEMS_MAX)?;
        for (name, definition) in &self.types {
            let path = format!("types.{name}");
            check_name(&path, name, is_identifier)?;
            check_title(&path, &definition.title)?;
            match &definition.shape {
                // A struct of no bytes would let a short list claim any length.
                Shape::Struct(fields) => self.check_fields(&path, fields, 1)?,
                Shape::Enum(variants) => self.check_variants(&path, variants)?,
            }
        }
        let mut depths = BTreeMap::new();
        for name in self.types.keys() {
            self.check_ends(name, &mut BTreeSet::new(), &mut depths)?;
        }
        Ok(())
    }

    fn check_variants(&self, path: &str, variants: &[Variant]) -> Result<(), AbiError> {
        check_count(path, variants.len(), 1, FIELDS_MAX)?;
        check_unique(path, variants.iter().map(|v| v.name.as_str()), is_identifier)?;
        for variant in variants {
            let path = format!("{path}.{}", variant.name);
            check_title(&path, &variant.title)?;
            self.check_fields(&path, &variant.fields, 0)?;
        }
        Ok(())
    }

    fn check_fields(&self, path: &str, fields: &[Field], min: usize) -> Result<(), AbiError> {
        check_count(path, fields.len(), min, FIELDS_MAX)?;
        check_unique(path, fields.iter().map(|f| f.name.as_str()), is_identifier)?;
        for field in fields {
            let path = format!("{path}.{}", field.name);
            check_title(&path, &field.title)?;
            self.check_type(&path, &field.ty)?;
        }
        Ok(())
    }

    fn check_type(&self, path: &str, ty: &Type) -> Result<(), AbiError> {
        let mut ty = ty;
        for _ in 0..DEPTH_MAX {
            ty = match ty {
                Type::Option(inner) if matches!(**inner, Type::Option(_)) => {
                    return Err(AbiError::DoubleOption { path: path.to_owned() });
                }
                Type::List(inner) | Type::Option(inner) => inner,
                Type::Named(name) if !self.types.contains_key(name) => {
                    return Err(AbiError::UnknownType { path: path.to_owned(), name: name.clone() });
                }
                _ => return Ok(()),
            };
        }
        Err(AbiError::Depth { path: path.to_owned() })
    }

    /// Depth of the smallest nesting every value of the type has; follows only what no list or option interrupts.
    fn check_ends<'a>(
        &'a self,
        name: &'a str,
        open: &mut BTreeSet<&'a str>,
        depths: &mut BTreeMap<&'a str, usize>,
    ) -> Result<usize, AbiError> {
        if let Some(depth) = depths.get(name) {
            return Ok(*depth);
        }
        if !open.insert(name) {
            return Err(AbiError::Endless { name: name.to_owned() });
        }
        if open.len() > DEPTH_MAX {
            return Err(AbiError::Depth { path: format!("types.{name}") });
        }
        let mut depth = 0;
        for inner in self.types.get(name).into_iter().flat_map(|t| t.shape.contained()) {
            depth = depth.max(self.check_ends(inner, open, depths)?);
        }
        open.remove(name);
        if depth >= DEPTH_MAX {
            return Err(AbiError::Depth { path: format!("types.{name}") });
        }
        depths.insert(name, depth + 1);
        Ok(depth + 1)
    }
}

impl Shape {
    /// Named types that a value of this shape holds without a list or option in between.
    fn contained(&self) -> Vec<&str> {
        let fields: Vec<&Field> = match self {
            Self::Struct(fields) => fields.iter().collect(),
            Self::Enum(variants) => variants.iter().flat_map(|v| &v.fields).collect(),
        };
        let types = fields.into_iter().map(|f| &f.ty);
        types.filter_map(|ty| if let Type::Named(name) = ty { Some(name.as_str()) } else { None }).collect()
    }
}

/// Names of methods, fields, events, variants, types: as in programming languages.
fn is_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Names of contracts and codes of errors.
fn is_label(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b))
}

fn check_name(path: &str, name: &str, rule: fn(&str) -> bool) -> Result<(), AbiError> {
    check_count(path, name.len(), 1, NAME_BYTES_MAX)?;
    if rule(name) { Ok(()) } else { Err(AbiError::Name { path: path.to_owned(), name: name.to_owned() }) }
}

fn check_unique<'a>(path: &str, names: impl Iterator<Item = &'a str>, rule: fn(&str) -> bool) -> Result<(), AbiError> {
    let mut seen = BTreeSet::new();
    for name in names {
        check_name(path, name, rule)?;
        if !seen.insert(name) {
            return Err(AbiError::Duplicate { path: path.to_owned(), name: name.to_owned() });
        }
    }
    Ok(())
}

fn check_title(path: &str, title: &Title) -> Result<(), AbiError> {
    check_count(&format!("{path}.title.en"), title.en.len(), 0, TITLE_BYTES_MAX)?;
    check_count(&format!("{path}.title.zh"), title.zh.len(), 0, TITLE_BYTES_MAX)
}

fn check_count(path: &str, actual: usize, min: usize, max: usize) -> Result<(), AbiError> {
    if (min..=max).contains(&actual) {
        Ok(())
    } else {
        Err(AbiError::Count { path: path.to_owned(), actual, min, max })
    }
}
