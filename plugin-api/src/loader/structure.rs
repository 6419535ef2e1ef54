//! Checks a library's structure as data, before any of its code runs.
//!
//! The dynamic linker trusts what it maps: it reads past the end of a truncated file, and writes wherever a damaged
//! relocation points, and the process dies. So every range is checked first. Damage inside code or constants goes
//! unnoticed.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use object::elf;
use object::read::{File, FileKind};
use object::{
    Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol, ObjectSymbolTable, RelocationTarget, SymbolKind,
};

use super::{REMOVE_OR_REPLACE, Refusal};
use crate::abi::export::MANIFEST_SECTIONS;

/// How much of a file says what it was built for: an ELF header.
const HEADER_BYTES: usize = 64;

type Header = [u8; HEADER_BYTES];

/// Parses the file as a library for this machine, and checks that all of its parts lie inside it.
pub fn library<'a>(file: &Path, bytes: &'a [u8]) -> Result<File<'a>, Refusal> {
    let kind = FileKind::parse(bytes)
        .map_err(|_| Refusal::new(file, "not_a_library", "it is not a shared library").with_hint(REMOVE_OR_REPLACE))?;
    let ours = own_header();
    let native = ours.and_then(|ours| FileKind::parse(&ours[..]).ok());
    if let Some(native) = native.filter(|native| kind != *native) {
        let reason = format!("expected a library in the format {native:?}, found {kind:?}");
        return Err(Refusal::new(file, "wrong_format", reason).with_hint("get the build of the plugin for this system"));
    }
    let machines = bytes.first_chunk().zip(ours);
    if let Some((theirs, ours)) = machines.and_then(|(theirs, ours)| other_machine(theirs, ours)) {
        let reason = format!("built for {theirs}, this host runs on {ours}");
        return Err(
            Refusal::new(file, "wrong_machine", reason).with_hint("get the build of the plugin for this machine")
        );
    }
    let damaged = |what: &str| {
        Refusal::new(file, "damaged", format!("it is truncated or damaged: {what}"))
            .with_hint("copy it again; it may still have been incomplete")
    };
    let library = File::parse(bytes).map_err(|_| damaged("its headers promise more than the file holds"))?;
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

/// The beginning of the program that runs. What it was built for is what this machine runs, whatever that is called.
fn own_header() -> Option<&'static Header> {
    static HEADER: OnceLock<Option<Header>> = OnceLock::new();
    let read = || {
        // The program's file may have been replaced since; the link leads to the one that runs.
        let program = fs::File::open("/proc/self/exe").or_else(|_| fs::File::open(std::env::current_exe()?));
        let mut header = [0; HEADER_BYTES];
        program.ok()?.read_exact(&mut header).ok()?;
        Some(header)
    };
    HEADER.get_or_init(read).as_ref()
}

/// The machines of an ELF library and of this program, if they differ. Elsewhere the dynamic linker compares them.
fn other_machine(theirs: &Header, ours: &Header) -> Option<(String, String)> {
    // Class, byte order, and the machine's number.
    let built_for = |header: &Header| (header[4], header[5], [header[18], header[19]]);
    let differ = ours.starts_with(b"\x7fELF") && built_for(theirs) != built_for(ours);
    differ.then(|| (machine_of(theirs), machine_of(ours)))
}

/// The machine in an ELF header, for people.
fn machine_of(header: &Header) -> String {
    let number = [header[18], header[19]];
    let (number, order) = match header[5] {
        2 => (u16::from_be_bytes(number), " with the other byte order"),
        _ => (u16::from_le_bytes(number), ""),
    };
    let name = elf::Machine(number).name().and_then(|name| name.strip_prefix("EM_"));
    name.map_or_else(|| format!("machine {number}{order}"), |name| format!("{name}{order}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_compared_by_number_whatever_they_are_called() {
        let header = |order: u8, machine: u8| {
            let mut header = [0; HEADER_BYTES];
            header[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, order]);
            header[if order == 1 { 18 } else { 19 }] = machine;
            header
        };
        let odd = header(1, 239);
        assert_eq!(other_machine(&odd, &odd), None);
        let theirs = |theirs: Header| other_machine(&theirs, &odd).expect("they differ").0;
        assert_eq!(theirs(header(1, 183)), "AARCH64");
        assert_eq!(theirs(header(2, 21)), "PPC64 with the other byte order");
        assert_eq!(theirs(header(1, 238)), "machine 238");
    }
}
