//! `sipcdr.builder._native`: the kernel as Python sees it. `builder/_native.pyi` says what each name means.

mod call;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::call::Call;
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
