//! `sipcdr.builder._native`: the kernel as Python sees it. `builder/_native.pyi` says what each name means.

mod call;
mod logs;
pub mod message;
mod reader;
pub mod scan;
mod sessions;
mod share;
pub mod tally;
mod values;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::call::Call;
    #[pymodule_export]
    use super::logs::{content_length, is_start_line, on_the_wire, with_bare_ends};
    #[pymodule_export]
    use super::message::{Message, kinds};
    #[pymodule_export]
    use super::reader::{Dissector, Peers};
    #[pymodule_export]
    use super::scan::scan;
    #[pymodule_export]
    use super::sessions::sessions;
    #[pymodule_export]
    use super::share::share;
    #[pymodule_export]
    use super::values::values;
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
