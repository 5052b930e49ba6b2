//! The design language: a small set of components, and the shell around every page.
//!
//! Each component is a function from values to markup, styled by one class of the same name in
//! `assets/components.css`. `/dashboard/components` shows all of them. A screen puts components
//! together and writes no class of its own beyond the layout classes (`stack`, `row`, `grid`,
//! `split`).
//!
//! Rules: a state is told by a shape and a word, never by colour alone; numbers stand in tabular
//! figures; times are relative with the absolute one beside them or in their title; what takes long
//! shows progress; what is empty says what to do next.

pub(crate) mod advice;
pub(crate) mod attempts;
pub(crate) mod block;
pub(crate) mod brand;
pub(crate) mod chart;
pub(crate) mod code;
pub(crate) mod control;
pub(crate) mod draft;
pub(crate) mod icon;
pub(crate) mod machine;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod theme;
pub(crate) mod time;
pub(crate) mod tree;

pub(crate) use self::brand::Brand;
pub(crate) use self::draft::Draft;
pub(crate) use self::icon::{Icon, icon};
pub(crate) use self::shell::{Page, Section};
