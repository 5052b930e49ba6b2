//! The five products: each one's receiver as its own documents and sample code describe it, behind
//! the real binary. And a sixth, which is a folder.

mod bodies;
mod defectdojo;
mod defense_com;
mod defguard;
mod dfend;
mod proof;
mod scene;
mod sixth;
mod website_defender;
