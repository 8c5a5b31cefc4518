//! Every real bundle on a real API server: installed until everything works, upgraded, and
//! removed without a trace, or refused with its reason.

mod cases;
mod every_bundle;
mod inventory;
mod record;
mod table;
mod trial;
mod upgrades;
