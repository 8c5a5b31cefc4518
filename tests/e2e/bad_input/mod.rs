//! Content and objects that are broken or hostile: each is reported where it was asked for, harms
//! nothing else, and is forgotten once it is put right.

mod beside;
mod bundles;
mod catalogs;
mod hostile_images;
mod undecodable;
