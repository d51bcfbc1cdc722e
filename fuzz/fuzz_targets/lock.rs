#![no_main]
//! Any bytes as `curriculum.lock` and as a dataset's statistics: no panic, and what is read can be written and read again.

use libfuzzer_sys::fuzz_target;
use mashbill_format::dataset_stats::DatasetStats;
use mashbill_format::lock::Lock;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(lock) = serde_json::from_slice::<Lock>(bytes) {
        let text = serde_json::to_vec(&lock).expect("a lock is JSON");
        assert_eq!(serde_json::from_slice::<Lock>(&text).expect("its own text is read"), lock);
    }
    if let Ok(stats) = serde_json::from_slice::<DatasetStats>(bytes) {
        let text = serde_json::to_vec(&stats).expect("statistics are JSON");
        serde_json::from_slice::<DatasetStats>(&text).expect("its own text is read");
    }
});
