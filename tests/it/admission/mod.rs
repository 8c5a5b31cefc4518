//! What the API server admits of the suite's kinds, and what it says of the rest.

mod bundles;
mod catalogs;
mod explained;
mod operators;
mod vectors;
