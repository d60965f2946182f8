//! Tells the sources which interpreter they are built for: one of them is `Py_GIL_DISABLED`.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}
