//! The `mashbill` command: everything is in the library, so that a Python wheel carries the same code.

use std::process::ExitCode;

/// Tables of tokenizers are built from a million small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mashbill_cli::run(std::env::args_os(), None).into()
}
