//! The steps of a pass, in order: observe what is there, and hand over what was decided.

pub(crate) mod handover;
pub(crate) mod observe;
