//! What a module must be before anyone compiles it.
//!
//! Bounds are checked on the counts that sections announce, before their entries are read. Features are an allow-list:
//! the WebAssembly of 2017 without floats, plus sign extension, `memory.copy` and `memory.fill`, which compilers emit.

use std::collections::BTreeMap;

use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef, ValType, ValidPayload, Validator, WasmFeatures};

use vouch_types::abi::{ABI_SECTION, Abi, AbiError, MethodKind};

use crate::{error::DeployError, imports::SIGNATURES, instrument::COUNTER_EXPORT, limits::VmLimits};

/// Module name of everything a contract may import.
pub const IMPORT_MODULE: &str = "vouch";
/// The function that runs a method: takes the number of input bytes, returns nothing.
pub const ENTRY_EXPORT: &str = "vouch_call";
/// The linear memory.
pub const MEMORY_EXPORT: &str = "memory";

const RESERVED_PREFIX: &str = "vouch:";
const PAGE_BYTES: u64 = 64 << 10;

/// What validation learned about a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleInfo {
    /// The ABI text, as in the module.
    pub abi_json: String,
    /// What it says.
    pub abi: Abi,
    /// Bytes of the module.
    pub code_bytes: usize,
    pub(crate) methods: BTreeMap<String, MethodKind>,
}

const fn features() -> WasmFeatures {
    WasmFeatures::MUTABLE_GLOBAL
        .union(WasmFeatures::SIGN_EXTENSION)
        .union(WasmFeatures::BULK_MEMORY_OPT)
        .union(WasmFeatures::CALL_INDIRECT_OVERLONG)
}

fn bound(what: &'static str, actual: u64, max: u64) -> Result<(), DeployError> {
    if actual > max { Err(DeployError::Limit { what, actual, max }) } else { Ok(()) }
}

#[derive(Default)]
struct Checker {
    types: Vec<FuncType>,
    /// Type index of every function, imported ones first.
    functions: Vec<u32>,
    imported: usize,
    abi: Option<String>,
    has_memory: bool,
    entry: Option<u32>,
}

/// Checks a module against `limits`; see the module's documentation.
///
/// # Errors
/// [`DeployError`] with what was wrong first.
pub(crate) fn validate(code: &[u8], limits: &VmLimits) -> Result<ModuleInfo, DeployError> {
    if code.len() > limits.module_bytes_max {
        return Err(DeployError::TooLarge { actual: code.len(), max: limits.module_bytes_max });
    }
    let mut checker = Checker::default();
    let mut validator = Validator::new_with_features(features());
    let mut allocations = Default::default();
    for payload in Parser::new(0).parse_all(code) {
        let payload = payload.map_err(invalid)?;
        checker.bounds(&payload, limits)?;
        match validator.payload(&payload).map_err(invalid)? {
            ValidPayload::Func(function, body) => {
                let mut function = function.into_validator(allocations);
                function.validate(&body).map_err(invalid)?;
                allocations = function.into_allocations();
            }
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::End(_) => {}
        }
        checker.contents(&payload, limits)?;
    }
    checker.finish(code.len())
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err hands it over")]
fn invalid(error: wasmparser::BinaryReaderError) -> DeployError {
    DeployError::Invalid(format!("{} at byte {}", error.message(), error.offset()))
}

impl Checker {
    /// Announced counts, before the section is validated.
    fn bounds(&self, payload: &Payload<'_>, limits: &VmLimits) -> Result<(), DeployError> {
        match payload {
            Payload::TypeSection(s) => bound("types", s.count().into(), limits.types_max.into()),
            Payload::ImportSection(s) => bound("imports", s.count().into(), SIGNATURES.len() as u64),
            Payload::FunctionSection(s) => bound("functions", s.count().into(), limits.functions_max.into()),
            Payload::TableSection(s) => bound("tables", s.count().into(), 1),
            Payload::MemorySection(s) => bound("memories", s.count().into(), 1),
            Payload::GlobalSection(s) => bound("globals", s.count().into(), limits.globals_max.into()),
            Payload::ExportSection(s) => bound("exports", s.count().into(), limits.exports_max.into()),
            Payload::ElementSection(s) => {
                bound("element segments", s.count().into(), limits.element_segments_max.into())
            }
            Payload::DataSection(s) => bound("data segments", s.count().into(), limits.data_segments_max.into()),
            Payload::CodeSectionEntry(body) => {
                bound("bytes in a function", body.as_bytes().len() as u64, limits.function_bytes_max as u64)?;
                let mut locals = 0u64;
                for group in body.get_locals_reader().map_err(invalid)? {
                    locals += u64::from(group.map_err(invalid)?.0);
                }
                bound("locals in a function", locals, limits.locals_max.into())
            }
            Payload::StartSection { .. } => Err(DeployError::StartFunction),
            _ => Ok(()),
        }
    }

    /// What the validated section says.
    fn contents(&mut self, payload: &Payload<'_>, limits: &VmLimits) -> Result<(), DeployError> {
        match payload {
            Payload::TypeSection(types) => {
                for ty in types.clone().into_iter_err_on_gc_types() {
                    let ty = ty.map_err(invalid)?;
                    bound("parameters in a function", ty.params().len() as u64, limits.parameters_max as u64)?;
                    self.types.push(ty);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    self.import(&import.map_err(invalid)?)?;
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions.clone() {
                    self.functions.push(ty.map_err(invalid)?);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables.clone() {
                    let initial = table.map_err(invalid)?.ty.initial;
                    bound("table elements", initial, limits.table_elements_max.into())?;
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories.clone() {
                    let initial = memory.map_err(invalid)?.initial;
                    bound("memory pages", initial, limits.memory_bytes_max as u64 / PAGE_BYTES)?;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    self.export(&export.map_err(invalid)?)?;
                }
            }
            Payload::CustomSection(section) if section.name() == ABI_SECTION => self.abi(section.data(), limits)?,
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: &wasmparser::Import<'_>) -> Result<(), DeployError> {
        let unknown = || DeployError::UnknownImport { module: import.module.to_owned(), name: import.name.to_owned() };
        if import.module != IMPORT_MODULE {
            return Err(unknown());
        }
        let signature = SIGNATURES.iter().find(|s| s.name == import.name).ok_or_else(unknown)?;
        let TypeRef::Func(ty) = import.ty else { return Err(unknown()) };
        let known = self.types.get(ty as usize);
        if known.is_some_and(|t| t.params() == signature.parameters && t.results() == signature.results) {
            self.functions.push(ty);
            self.imported += 1;
            Ok(())
        } else {
            Err(DeployError::ImportSignature { name: import.name.to_owned() })
        }
    }

    fn export(&mut self, export: &wasmparser::Export<'_>) -> Result<(), DeployError> {
        debug_assert!(COUNTER_EXPORT.starts_with(RESERVED_PREFIX));
        if export.name.starts_with(RESERVED_PREFIX) {
            return Err(DeployError::ReservedExport);
        }
        match (export.name, export.kind) {
            (MEMORY_EXPORT, ExternalKind::Memory) => self.has_memory = true,
            (ENTRY_EXPORT, ExternalKind::Func) => self.entry = Some(export.index),
            _ => {}
        }
        Ok(())
    }

    fn abi(&mut self, data: &[u8], limits: &VmLimits) -> Result<(), DeployError> {
        bound("bytes of ABI", data.len() as u64, limits.abi_bytes_max as u64)?;
        let text = core::str::from_utf8(data).map_err(|_| DeployError::Abi("not UTF-8".to_owned()))?;
        if self.abi.replace(text.to_owned()).is_some() {
            return Err(DeployError::Abi("more than one".to_owned()));
        }
        Ok(())
    }

    fn finish(self, code_bytes: usize) -> Result<ModuleInfo, DeployError> {
        if !self.has_memory {
            return Err(DeployError::MissingExport(MEMORY_EXPORT));
        }
        // An import under this name would be called without any code of the contract's own.
        let entry = self.entry.map(|i| i as usize).filter(|&i| i >= self.imported);
        let ty = entry.and_then(|i| self.functions.get(i)).and_then(|&t| self.types.get(t as usize));
        if !ty.is_some_and(|t| t.params() == [ValType::I32] && t.results().is_empty()) {
            return Err(DeployError::MissingExport(ENTRY_EXPORT));
        }
        let abi_json = self.abi.ok_or_else(|| DeployError::Abi("missing".to_owned()))?;
        let abi = Abi::from_json(&abi_json).map_err(|error| match error {
            // The JSON parser's own text may change with its version, and nodes agree on texts too.
            AbiError::Json(_) => DeployError::Abi("not the JSON of an ABI".to_owned()),
            other => DeployError::Abi(other.to_string()),
        })?;
        let methods = abi.methods.iter().map(|m| (m.name.clone(), m.kind)).collect();
        Ok(ModuleInfo { abi_json, abi, code_bytes, methods })
    }
}
