//! The steps of a pass.

pub(crate) mod content;
pub(crate) mod decide;
pub(crate) mod failure;
pub(crate) mod request;
