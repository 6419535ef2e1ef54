//! Checks a library's structure as data, before any of its code runs.
//!
//! The dynamic linker trusts what it maps: it reads past the end of a truncated file, and writes wherever a damaged
//! relocation points, and the process dies. So every range is checked first. Damage inside code or constants goes
//! unnoticed.

use std::path::Path;

use object::read::{File, FileKind};
use object::{
    Architecture, Endianness, Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol, ObjectSymbolTable,
    RelocationTarget, SymbolKind,
};

use super::{REMOVE_OR_REPLACE, Refusal};
use crate::abi::export::MANIFEST_SECTIONS;

/// Parses the file as a library for this machine, and checks that all of its parts lie inside it.
pub fn library<'a>(file: &Path, bytes: &'a [u8]) -> Result<File<'a>, Refusal> {
    let kind = FileKind::parse(bytes)
        .map_err(|_| Refusal::new(file, "not_a_library", "it is not a shared library").with_hint(REMOVE_OR_REPLACE))?;
    let native = native_kind();
    if kind != native {
        let reason = format!("expected a library in the format {native:?}, found {kind:?}");
        return Err(Refusal::new(file, "wrong_format", reason).with_hint("get the build of the plugin for this system"));
    }
    let damaged = |what: &str| {
        Refusal::new(file, "damaged", format!("it is truncated or damaged: {what}"))
            .with_hint("copy it again; it may still have been incomplete")
    };
    let library = File::parse(bytes).map_err(|_| damaged("its headers promise more than the file holds"))?;
    let (theirs, ours) = (library.architecture(), native_architecture());
    let is_native = library.endianness() == Endianness::default();
    if theirs != ours || !is_native {
        let order = if is_native { "" } else { " with the other byte order" };
        let reason = format!("built for {theirs:?}{order}, this host runs on {ours:?}");
        return Err(
            Refusal::new(file, "wrong_machine", reason).with_hint("get the build of the plugin for this machine")
        );
    }
    if library.kind() != ObjectKind::Dynamic {
        let reason = format!(
            "expected a shared library, found a file of the kind {:?}",
            library.kind()
        );
        return Err(Refusal::new(file, "not_a_library", reason).with_hint(REMOVE_OR_REPLACE));
    }
    match flaw_in(&library, bytes.len() as u64) {
        Some(what) => Err(damaged(what)),
        None => Ok(library),
    }
}

/// The manifest's section.
pub fn manifest_section<'a>(library: &File<'a>) -> Option<Result<&'a [u8], ()>> {
    let section = MANIFEST_SECTIONS
        .iter()
        .find_map(|name| library.section_by_name(name))?;
    Some(section.data().map_err(drop))
}

/// The first part that lies outside the file, or outside what is mapped.
fn flaw_in(library: &File<'_>, length: u64) -> Option<&'static str> {
    let is_inside = |(offset, size): (u64, u64)| offset.checked_add(size).is_some_and(|end| end <= length);
    if !library.segments().all(|segment| is_inside(segment.file_range())) {
        return Some("a segment lies outside the file");
    }
    if !library
        .sections()
        .all(|section| section.file_range().is_none_or(is_inside))
    {
        return Some("a section lies outside the file");
    }
    let segments: Vec<(u64, u64)> = library
        .segments()
        .map(|segment| (segment.address(), segment.size()))
        .collect();
    // Symbols may mark the end of a segment.
    let is_mapped = |address: u64| {
        let is_within = |(start, size): &(u64, u64)| address.checked_sub(*start).is_some_and(|at| at <= *size);
        segments.iter().any(is_within)
    };
    for symbol in library.dynamic_symbols() {
        if symbol.name_bytes().is_err() {
            return Some("a symbol has no name");
        }
        let is_address = symbol.is_definition() && symbol.kind() != SymbolKind::Tls;
        if is_address && !is_mapped(symbol.address()) {
            return Some("a symbol lies outside of what is mapped");
        }
    }
    let symbols = library.dynamic_symbol_table();
    for (address, relocation) in library.dynamic_relocations().into_iter().flatten() {
        if !is_mapped(address) {
            return Some("a relocation lies outside of what is mapped");
        }
        if let RelocationTarget::Symbol(index) = relocation.target()
            && symbols
                .as_ref()
                .is_none_or(|symbols| symbols.symbol_by_index(index).is_err())
        {
            return Some("a relocation names a symbol that is missing");
        }
    }
    None
}

fn native_kind() -> FileKind {
    match (
        cfg!(target_vendor = "apple"),
        cfg!(windows),
        cfg!(target_pointer_width = "64"),
    ) {
        (true, _, _) => FileKind::MachO64,
        (_, true, _) => FileKind::Pe64,
        (_, _, true) => FileKind::Elf64,
        (_, _, false) => FileKind::Elf32,
    }
}

fn native_architecture() -> Architecture {
    match std::env::consts::ARCH {
        "x86_64" => Architecture::X86_64,
        "aarch64" => Architecture::Aarch64,
        "riscv64" => Architecture::Riscv64,
        "powerpc64" => Architecture::PowerPc64,
        "s390x" => Architecture::S390x,
        "x86" => Architecture::I386,
        "arm" => Architecture::Arm,
        _ => Architecture::Unknown,
    }
}
