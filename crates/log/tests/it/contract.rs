//! Every engine keeps the contract.

use catchword_log::{LocalEngine, LocalOptions, MemoryEngine, contract};

#[test]
fn the_memory_engine_keeps_the_contract() {
    contract::run_all(|| Box::new(MemoryEngine::new()));
}

#[test]
fn the_local_engine_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    contract::run_all(|| {
        count.set(count.get() + 1);
        let path = dir.path().join(count.get().to_string());
        Box::new(LocalEngine::open(&path, LocalOptions::default()).unwrap())
    });
}
