//! The steps of a pass, in order: observe what is there, resolve what is asked for, hand it over.

pub(crate) mod handover;
pub(crate) mod observe;
pub(crate) mod resolve;
mod rivals;
