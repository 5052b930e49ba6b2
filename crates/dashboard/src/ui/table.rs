//! Tables: dense on a desk, a list of cards on a phone.

use maud::{Markup, html};

use super::icon::{Icon, icon};
use crate::paging::PageOf;

/// A column's name, and how it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) is_number: bool,
}

/// A column of texts.
pub(crate) const fn column(name: &'static str) -> Column {
    Column {
        name,
        is_number: false,
    }
}

/// A column of numbers.
pub(crate) const fn number(name: &'static str) -> Column {
    Column {
        name,
        is_number: true,
    }
}

/// One row: where it leads, and a cell for each column. The first cell names the row.
pub(crate) struct Row {
    pub(crate) href: Option<String>,
    pub(crate) cells: Vec<Markup>,
}

/// A table. Arrow keys or j and k move along its rows, enter opens one.
pub(crate) fn table(caption: &str, columns: &[Column], rows: &[Row]) -> Markup {
    html! {
        div.table-frame {
            table.table data-rows {
                caption.unseen { (caption) }
                thead {
                    tr {
                        @for column in columns {
                            th scope="col" class=[column.is_number.then_some("number")] {
                                (column.name)
                            }
                        }
                    }
                }
                tbody {
                    @for row in rows { (line(columns, row)) }
                }
            }
        }
    }
}

/// A table whose rows can be ticked, within a form that takes their names as `d`.
pub(crate) fn pickable(
    caption: &str,
    columns: &[Column],
    rows: &[(String, Row)],
    may_pick: bool,
) -> Markup {
    html! {
        fieldset.table-frame {
            table.table data-rows {
                caption.unseen { (caption) }
                thead {
                    tr {
                        @if may_pick {
                            th.pick scope="col" {
                                input type="checkbox" data-group aria-label="Tick all on this page";
                            }
                        }
                        @for column in columns {
                            th scope="col" class=[column.is_number.then_some("number")] {
                                (column.name)
                            }
                        }
                    }
                }
                tbody {
                    @for (name, row) in rows {
                        tr data-href=[row.href.as_deref()] {
                            @if may_pick {
                                td.pick { input type="checkbox" name="d" value=(name) aria-label="Tick"; }
                            }
                            (cells(columns, row))
                        }
                    }
                }
            }
        }
    }
}

fn line(columns: &[Column], row: &Row) -> Markup {
    html! {
        tr data-href=[row.href.as_deref()] { (cells(columns, row)) }
    }
}

fn cells(columns: &[Column], row: &Row) -> Markup {
    html! {
        @for (place, (column, cell)) in columns.iter().zip(&row.cells).enumerate() {
            @let class = column.is_number.then_some("number");
            @if place == 0 {
                th scope="row" class=[class] {
                    @match &row.href {
                        Some(href) => { a.row-link href=(href) { (cell) } }
                        None => { (cell) }
                    }
                }
            } @else {
                td class=[class] data-label=(column.name) { (cell) }
            }
        }
    }
}

/// Links to the pages before and behind this one.
pub(crate) fn pager<T>(page: &PageOf<T>) -> Markup {
    html! {
        @if page.newer.is_some() || page.older.is_some() {
            nav.pager aria-label="Pages" {
                (step(page.newer.as_deref(), Icon::ArrowLeft, "Newer", "prev"))
                (step(page.older.as_deref(), Icon::ArrowRight, "Older", "next"))
            }
        }
    }
}

fn step(query: Option<&str>, shape: Icon, text: &str, rel: &str) -> Markup {
    html! {
        @match query {
            Some(query) => { a.button rel=(rel) href=(query) { (icon(shape)) (text) } }
            None => { span.button.off aria-disabled="true" { (icon(shape)) (text) } }
        }
    }
}
