//! Every real bundle on a real API server: installed until everything works and removed without a
//! trace, or refused with its reason.

mod cases;
mod every_bundle;
mod inventory;
mod table;
mod trial;
