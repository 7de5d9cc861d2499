//! The FLUX.1 transformer.
