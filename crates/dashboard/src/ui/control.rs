//! What people press and fill in. Every control has a label; what is wrong with a field stands
//! beside it and is announced with it.

use maud::{Markup, html};

use super::draft::Draft;
use super::icon::{Icon, icon};
use super::status::Tone;
use crate::access::View;
use crate::form::CSRF;

/// How much a control stands out. A page has one primary control at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Primary,
    Plain,
    Quiet,
    Danger,
}

impl Weight {
    pub(crate) const ALL: [Self; 4] = [Self::Primary, Self::Plain, Self::Quiet, Self::Danger];

    fn class(self) -> &'static str {
        match self {
            Self::Primary => "button primary",
            Self::Plain => "button",
            Self::Quiet => "button quiet",
            Self::Danger => "button danger",
        }
    }
}

/// A link that looks like a button.
pub(crate) fn link(weight: Weight, shape: Option<Icon>, text: &str, href: &str) -> Markup {
    html! {
        a class=(weight.class()) href=(href) {
            @if let Some(shape) = shape { (icon(shape)) }
            (text)
        }
    }
}

/// The button that sends the form around it.
pub(crate) fn submit(weight: Weight, shape: Option<Icon>, text: &str) -> Markup {
    html! {
        button class=(weight.class()) type="submit" {
            @if let Some(shape) = shape { (icon(shape)) }
            (text)
        }
    }
}

/// What every form of a session carries.
pub(crate) fn csrf(view: &View) -> Markup {
    html! { input type="hidden" name=(CSRF) value=(view.session.csrf()); }
}

/// A form that changes something.
pub(crate) fn form(view: &View, action: &str, body: &Markup) -> Markup {
    html! {
        form.form method="post" action=(action) { (csrf(view)) (body) }
    }
}

/// A button that does something at once.
pub(crate) fn act(view: &View, action: &str, weight: Weight, shape: Icon, text: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (csrf(view))
            (submit(weight, Some(shape), text))
        }
    }
}

/// A question before something that can't be taken back, or that needs a word more.
pub(crate) struct Ask<'a> {
    /// Unique on the page.
    pub(crate) id: &'a str,
    pub(crate) weight: Weight,
    pub(crate) icon: Icon,
    /// On the button that asks.
    pub(crate) text: &'a str,
    pub(crate) title: &'a str,
    /// Where the form in the dialog goes.
    pub(crate) action: &'a str,
    pub(crate) body: Markup,
    /// On the button that does it.
    pub(crate) confirm: &'a str,
}

/// A button that opens a dialog with a form. Needs no script: the browser opens it.
pub(crate) fn ask(view: &View, ask: &Ask<'_>) -> Markup {
    let title_id = format!("{}-title", ask.id);
    html! {
        button class=(ask.weight.class()) type="button" popovertarget=(ask.id) {
            (icon(ask.icon)) (ask.text)
        }
        div.dialog popover id=(ask.id) role="dialog" aria-labelledby=(title_id) {
            form.form method="post" action=(ask.action) {
                (csrf(view))
                h2 id=(title_id) { (ask.title) }
                (ask.body)
                div.dialog-foot {
                    button.button type="button" popovertarget=(ask.id) popovertargetaction="hide" {
                        "Cancel"
                    }
                    (submit(
                        if ask.weight == Weight::Danger { Weight::Danger } else { Weight::Primary },
                        None,
                        ask.confirm,
                    ))
                }
            }
        }
    }
}

/// A field for a text.
#[derive(Clone, Copy, Default)]
pub(crate) struct Text<'a> {
    pub(crate) name: &'a str,
    /// What the service calls it, where that is something else.
    pub(crate) fault: Option<&'a str>,
    pub(crate) label: &'a str,
    pub(crate) hint: &'a str,
    pub(crate) placeholder: &'a str,
    /// `text` if empty.
    pub(crate) kind: &'a str,
    pub(crate) required: bool,
    /// Needed only together with something else: the browser does not insist, the service does.
    pub(crate) needed: bool,
    /// Lines; more than one makes it an area.
    pub(crate) lines: usize,
    /// Where the script asks what is to be said about the text while it is typed.
    pub(crate) check: Option<&'a str>,
    /// In the fixed-width face, and never corrected.
    pub(crate) is_code: bool,
}

pub(crate) fn text(draft: &Draft, field: Text<'_>) -> Markup {
    let fault = draft.fault(field.fault.unwrap_or(field.name));
    let value = draft.value(field.name);
    let kind = if field.kind.is_empty() {
        "text"
    } else {
        field.kind
    };
    let class = if field.is_code {
        "input code-face"
    } else {
        "input"
    };
    let spell = field.is_code.then_some("false");
    let described = format!("{0}-hint {0}-fault", field.name);
    html! {
        div.field {
            label for=(field.name) {
                (field.label)
                @if !field.required && !field.needed { " " span.muted { "(optional)" } }
            }
            @if field.lines > 1 {
                textarea class=(class) id=(field.name) name=(field.name) rows=(field.lines)
                    placeholder=(field.placeholder) required[field.required] spellcheck=[spell]
                    aria-describedby=(described) aria-invalid[fault.is_some()] { (value) }
            } @else {
                input class=(class) id=(field.name) name=(field.name) type=(kind) value=(value)
                    placeholder=(field.placeholder) required[field.required] spellcheck=[spell]
                    autocomplete="off" data-check=[field.check] aria-describedby=(described)
                    aria-invalid[fault.is_some()];
            }
            div.hint id={ (field.name) "-hint" } data-checked=(field.name) { (field.hint) }
            (fault_of(field.name, fault.as_deref()))
        }
    }
}

fn fault_of(name: &str, fault: Option<&str>) -> Markup {
    html! {
        div.fault id={ (name) "-fault" } role="alert" {
            @if let Some(fault) = fault { (icon(Icon::Warning)) (fault) }
        }
    }
}

/// A field for one of a few.
pub(crate) fn choice(
    draft: &Draft,
    name: &str,
    label: &str,
    hint: &str,
    options: &[(&str, &str)],
) -> Markup {
    let fault = draft.fault(name);
    html! {
        div.field {
            label for=(name) { (label) }
            (select(draft.value(name), name, options))
            div.hint id={ (name) "-hint" } { (hint) }
            (fault_of(name, fault.as_deref()))
        }
    }
}

/// The list to choose from, without a label of its own.
pub(crate) fn select(chosen: &str, name: &str, options: &[(&str, &str)]) -> Markup {
    html! {
        select.input id=(name) name=(name) {
            @for (value, text) in options {
                option value=(value) selected[*value == chosen] { (text) }
            }
        }
    }
}

/// A box to tick.
pub(crate) fn tick(name: &str, value: &str, label: &str, hint: &str, ticked: bool) -> Markup {
    let id = format!("{name}-{value}");
    html! {
        label.tick for=(id) {
            input type="checkbox" id=(id) name=(name) value=(value) checked[ticked];
            span {
                (label)
                @if !hint.is_empty() { span.hint { (hint) } }
            }
        }
    }
}

/// What is wrong with a form as a whole.
pub(crate) fn faults(draft: &Draft, shown: &[&str]) -> Markup {
    let others = draft.others(shown);
    let title = "Nothing was saved yet";
    html! {
        @if !others.is_empty() {
            (super::block::callout(Tone::Bad, title, &html! {
                ul { @for other in &others { li { (other) } } }
            }))
        } @else if draft.is_refused() {
            (super::block::callout(Tone::Bad, title, &html! {
                p { "Please look at the fields that are marked below." }
            }))
        }
    }
}

/// A search field that filters the list below it; the rest of the query is kept.
pub(crate) fn search(name: &str, label: &str, value: &str) -> Markup {
    html! {
        label.search {
            (icon(Icon::Search))
            span.unseen { (label) }
            input.input type="search" name=(name) value=(value) placeholder=(label) data-search;
        }
    }
}
