//! The five products: each one's receiver as its own documents and sample code describe it, behind
//! the real binary.

mod bodies;
mod defguard;
mod dfend;
mod scene;
mod website_defender;
