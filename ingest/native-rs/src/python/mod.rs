//! `sipcdr.builder._native`: the kernel as Python sees it. `builder/_native.pyi` says what each name means.

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
