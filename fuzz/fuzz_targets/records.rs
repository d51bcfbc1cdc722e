#![no_main]
//! Any bytes as a file of records, in whatever container the first byte says: no panic, and blocks of any size give the
//! bytes of one another.

use std::fs::{self, File};

use libfuzzer_sys::fuzz_target;
use mashbill_records::{BlockLines, Blocks, Container, LineCutting, Lines, read_range};

const CONTAINERS: [Container; 5] =
    [Container::Plain, Container::Gzip, Container::Bzip2, Container::Xz, Container::Zstd];

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let container = CONTAINERS[usize::from(*choice) % CONTAINERS.len()];
    let path = std::env::temp_dir().join(format!("mashbill-fuzz-{}", std::process::id()));
    fs::write(&path, bytes).expect("a file");
    let whole = |block_bytes| {
        let cutting = LineCutting { block_bytes, line_bytes_max: 1 << 20 };
        let mut blocks =
            Blocks::new(File::open(&path).expect("a file"), container, bytes.len() as u64, cutting, 0)
                .ok()?;
        let mut all = Vec::new();
        while let Some(block) = blocks.next().ok()? {
            assert_eq!(block.start, all.len() as u64);
            match block.content {
                BlockLines::Range(file) => {
                    all.extend(read_range(&file, block.start, block.end).expect("a file"))
                }
                BlockLines::Bytes(bytes) => all.extend(bytes),
                BlockLines::TooLong { .. } => return None,
            }
        }
        Some(all)
    };
    assert_eq!(whole(7), whole(1 << 16));
    if let Ok(mut lines) = Lines::open(&path, container) {
        while let Ok(Some(_)) = lines.read() {}
    }
});
