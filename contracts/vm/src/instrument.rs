//! Bounds recursion by counting, so that every node stops a call at the same place.
//!
//! How deep native code can recurse depends on compiler, processor and thread. So every function is rewritten before it
//! is compiled: on entry it takes its frame's size off a counter, on return it gives it back, and a counter below zero
//! ends the call. The size is an upper bound from the WebAssembly alone: 64 bytes, 8 per parameter and local, 16 per
//! instruction, which is more than a compiler can keep alive in a frame even when it shares values across the whole body.
//! The native limit is twice the counter's, so that it is never reached first.
//!
//! ```text
//! body  =>  counter -= size; if counter < 0 { unreachable }; block { body, return => br } ; counter += size
//! ```

use wasmparser::{FunctionBody, Operator, Parser, Payload, TypeRef};

/// Export of the counter: tells an exhausted stack from the contract's own `unreachable`.
pub(crate) const COUNTER_EXPORT: &str = "vouch:stack";

const FRAME_BASE_BYTES: u32 = 64;
const VARIABLE_BYTES: u32 = 8;
const INSTRUCTION_BYTES: u32 = 16;

mod opcode {
    pub const UNREACHABLE: u8 = 0x00;
    pub const BLOCK: u8 = 0x02;
    pub const IF: u8 = 0x04;
    pub const END: u8 = 0x0b;
    pub const BR: u8 = 0x0c;
    pub const GLOBAL_GET: u8 = 0x23;
    pub const GLOBAL_SET: u8 = 0x24;
    pub const I32_CONST: u8 = 0x41;
    pub const I32_LT_S: u8 = 0x48;
    pub const I32_ADD: u8 = 0x6a;
    pub const I32_SUB: u8 = 0x6b;
    pub const EMPTY_TYPE: u8 = 0x40;
    pub const I32: u8 = 0x7f;
    pub const MUTABLE: u8 = 0x01;
    pub const EXPORT_GLOBAL: u8 = 0x03;
}

const SECTION_GLOBAL: u8 = 6;
const SECTION_EXPORT: u8 = 7;
const SECTION_CODE: u8 = 10;

/// Parameters and result of a function type, as far as rewriting needs them.
#[derive(Clone, Copy)]
struct Shape {
    parameters: u32,
    /// The block type byte of the result.
    result: u8,
}

#[derive(Default)]
struct Rewriter {
    types: Vec<Shape>,
    /// Type of each function the module defines.
    functions: Vec<u32>,
    globals: u32,
    counter_written: bool,
    stack_bytes: u32,
    out: Vec<u8>,
    bodies: Vec<Vec<u8>>,
}

/// Rewrites a module that [`crate::validate`] accepted. Custom sections are left out.
///
/// # Errors
/// The parser's, which validation rules out.
pub(crate) fn instrument(code: &[u8], stack_bytes: u32) -> Result<Vec<u8>, wasmparser::BinaryReaderError> {
    let mut rewriter = Rewriter { stack_bytes, out: Vec::with_capacity(code.len() * 5 / 4), ..Rewriter::default() };
    rewriter.out.extend_from_slice(b"\0asm\x01\0\0\0");
    let mut bodies_left = 0;
    for payload in Parser::new(0).parse_all(code) {
        match payload? {
            Payload::CodeSectionStart { count, .. } => bodies_left = count,
            Payload::CodeSectionEntry(body) => {
                rewriter.body(code, &body)?;
                bodies_left -= 1;
                if bodies_left == 0 {
                    rewriter.code_section();
                }
            }
            payload => rewriter.section(code, &payload)?,
        }
    }
    Ok(rewriter.out)
}

impl Rewriter {
    fn section(&mut self, code: &[u8], payload: &Payload<'_>) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::TypeSection(types) => {
                for ty in types.clone().into_iter_err_on_gc_types() {
                    let ty = ty?;
                    let parameters = u32::try_from(ty.params().len()).unwrap_or(u32::MAX);
                    let result = ty.results().first().map_or(opcode::EMPTY_TYPE, value_type_byte);
                    self.types.push(Shape { parameters, result });
                }
            }
            Payload::FunctionSection(functions) => {
                self.functions = functions.clone().into_iter().collect::<Result<_, _>>()?;
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    if matches!(import?.ty, TypeRef::Global(_)) {
                        self.globals += 1;
                    }
                }
            }
            _ => {}
        }
        let Some((id, range)) = payload.as_section() else { return Ok(()) };
        let content = code.get(range).unwrap_or_default();
        match payload {
            Payload::GlobalSection(globals) => {
                self.globals += globals.count();
                let entries = &content[leb_len(content)..];
                self.globals_section(globals.count(), entries);
            }
            Payload::ExportSection(exports) => {
                if !self.counter_written {
                    self.globals_section(0, &[]);
                }
                let mut section = Vec::with_capacity(content.len() + 32);
                leb_u32(&mut section, exports.count() + 1);
                section.extend_from_slice(&content[leb_len(content)..]);
                leb_u32(&mut section, u32::try_from(COUNTER_EXPORT.len()).unwrap_or_default());
                section.extend_from_slice(COUNTER_EXPORT.as_bytes());
                section.push(opcode::EXPORT_GLOBAL);
                leb_u32(&mut section, self.globals);
                self.write_section(SECTION_EXPORT, &section);
            }
            Payload::CustomSection(_) => {}
            _ => self.write_section(id, content),
        }
        Ok(())
    }

    /// Writes the globals and, as the last of them, the counter; its index is `self.globals`.
    fn globals_section(&mut self, count: u32, entries: &[u8]) {
        let mut section = Vec::with_capacity(entries.len() + 16);
        leb_u32(&mut section, count + 1);
        section.extend_from_slice(entries);
        section.extend_from_slice(&[opcode::I32, opcode::MUTABLE, opcode::I32_CONST]);
        leb_i32(&mut section, i32::try_from(self.stack_bytes).unwrap_or(i32::MAX));
        section.push(opcode::END);
        self.counter_written = true;
        self.write_section(SECTION_GLOBAL, &section);
    }

    fn body(&mut self, code: &[u8], body: &FunctionBody<'_>) -> Result<(), wasmparser::BinaryReaderError> {
        let shape = self
            .functions
            .get(self.bodies.len())
            .and_then(|&ty| self.types.get(ty as usize))
            .copied()
            .unwrap_or(Shape { parameters: 0, result: opcode::EMPTY_TYPE });
        let mut locals = 0u32;
        for group in body.get_locals_reader()? {
            locals = locals.saturating_add(group?.0);
        }
        let reader = body.get_operators_reader()?;
        let start = reader.original_position();
        let (inner, instructions) = rewrite_operators(code, reader)?;
        let size = FRAME_BASE_BYTES
            .saturating_add(shape.parameters.saturating_add(locals).saturating_mul(VARIABLE_BYTES))
            .saturating_add(instructions.saturating_mul(INSTRUCTION_BYTES));
        let size = i32::try_from(size).unwrap_or(i32::MAX / 2);

        let mut out = Vec::with_capacity(inner.len() + 64);
        out.extend_from_slice(code.get(body.range().start..start).unwrap_or_default());
        self.add_to_counter(&mut out, size, opcode::I32_SUB);
        out.push(opcode::GLOBAL_GET);
        leb_u32(&mut out, self.globals);
        out.extend_from_slice(&[opcode::I32_CONST, 0, opcode::I32_LT_S]);
        out.extend_from_slice(&[opcode::IF, opcode::EMPTY_TYPE, opcode::UNREACHABLE, opcode::END]);
        out.extend_from_slice(&[opcode::BLOCK, shape.result]);
        out.extend_from_slice(&inner);
        out.push(opcode::END);
        self.add_to_counter(&mut out, size, opcode::I32_ADD);
        out.push(opcode::END);
        self.bodies.push(out);
        Ok(())
    }

    fn add_to_counter(&self, out: &mut Vec<u8>, size: i32, operation: u8) {
        out.push(opcode::GLOBAL_GET);
        leb_u32(out, self.globals);
        out.push(opcode::I32_CONST);
        leb_i32(out, size);
        out.extend_from_slice(&[operation, opcode::GLOBAL_SET]);
        leb_u32(out, self.globals);
    }

    fn code_section(&mut self) {
        let mut section = Vec::new();
        leb_u32(&mut section, u32::try_from(self.bodies.len()).unwrap_or_default());
        for body in core::mem::take(&mut self.bodies) {
            leb_u32(&mut section, u32::try_from(body.len()).unwrap_or_default());
            section.extend_from_slice(&body);
        }
        self.write_section(SECTION_CODE, &section);
    }

    fn write_section(&mut self, id: u8, content: &[u8]) {
        self.out.push(id);
        leb_u32(&mut self.out, u32::try_from(content.len()).unwrap_or_default());
        self.out.extend_from_slice(content);
    }
}

/// The operators without the last `end`, `return` replaced by a branch to the block around them; and their number.
fn rewrite_operators(
    code: &[u8],
    mut reader: wasmparser::OperatorsReader<'_>,
) -> Result<(Vec<u8>, u32), wasmparser::BinaryReaderError> {
    let mut out = Vec::new();
    let (mut depth, mut instructions) = (0u32, 0u32);
    while !reader.eof() {
        let start = reader.original_position();
        let operator = reader.read()?;
        let end = reader.original_position();
        instructions = instructions.saturating_add(1);
        match operator {
            Operator::Return => {
                out.push(opcode::BR);
                leb_u32(&mut out, depth);
                continue;
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
            Operator::End if depth == 0 => break,
            Operator::End => depth -= 1,
            _ => {}
        }
        out.extend_from_slice(code.get(start..end).unwrap_or_default());
    }
    Ok((out, instructions))
}

fn value_type_byte(ty: &wasmparser::ValType) -> u8 {
    match ty {
        wasmparser::ValType::I64 => 0x7e,
        // Validation lets nothing through but the two integer types.
        _ => opcode::I32,
    }
}

/// Bytes of the LEB128 number at the front.
fn leb_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| b & 0x80 == 0).map_or(bytes.len(), |at| at + 1)
}

fn leb_u32(out: &mut Vec<u8>, mut value: u32) {
    loop {
        let byte = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

fn leb_i32(out: &mut Vec<u8>, mut value: i32) {
    loop {
        let byte = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        let sign = byte & 0x40 != 0;
        if (value == 0 && !sign) || (value == -1 && sign) {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}
