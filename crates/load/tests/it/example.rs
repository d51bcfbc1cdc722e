//! The example does what it says, on the golden dataset.

use std::collections::HashSet;
use std::path::Path;

#[path = "../../examples/batches.rs"]
mod batches;

#[test]
fn the_example_goes_on_where_it_stopped() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/v2/output");
    let rows = batches::run(&golden).unwrap();
    assert_eq!(rows.len(), 12);
    assert_eq!(rows.iter().collect::<HashSet<_>>().len(), 12, "no row comes twice in an epoch");
}
