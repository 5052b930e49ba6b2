//! The shell around every page: head, navigation, title, and the switch between light and dark.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};
use watchfire_domain::scope::Scope;

use super::brand::Brand;
use super::control::csrf;
use super::icon::{Icon, icon};
use super::theme::Mode;
use crate::access::{InApp, View};
use crate::session::Look;
use crate::state::DashboardState;

/// The part of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Applications,
    Keys,
    Components,
    Endpoints,
    Deliveries,
    Replay,
    Events,
    Notices,
    Audit,
    System,
}

/// An entry of the navigation.
struct Entry {
    section: Section,
    icon: Icon,
    text: &'static str,
    /// Behind `/dashboard`, or behind the application's path.
    path: &'static str,
    /// Who may not see the page does not see the entry.
    needs: Scope,
}

/// What is about all of an organization. A new screen adds its row here.
const OPERATOR: &[Entry] = &[
    Entry {
        section: Section::Overview,
        icon: Icon::Overview,
        text: "Overview",
        path: "",
        needs: Scope::EndpointsRead,
    },
    Entry {
        section: Section::Applications,
        icon: Icon::Apps,
        text: "Applications",
        path: "/apps",
        needs: Scope::EndpointsRead,
    },
    Entry {
        section: Section::Notices,
        icon: Icon::Bell,
        text: "Notices",
        path: "/notices",
        needs: Scope::EndpointsRead,
    },
    Entry {
        section: Section::Audit,
        icon: Icon::Audit,
        text: "Audit log",
        path: "/audit",
        needs: Scope::Admin,
    },
    Entry {
        section: Section::System,
        icon: Icon::Server,
        text: "System",
        path: "/system",
        needs: Scope::Admin,
    },
    Entry {
        section: Section::Keys,
        icon: Icon::Key,
        text: "API keys",
        path: "/keys",
        needs: Scope::Admin,
    },
];

/// What is about one application, in the dashboard and in its portal.
const IN_APP: &[Entry] = &[
    Entry {
        section: Section::Endpoints,
        icon: Icon::Endpoint,
        text: "Endpoints",
        path: "/endpoints",
        needs: Scope::EndpointsRead,
    },
    Entry {
        section: Section::Deliveries,
        icon: Icon::Delivery,
        text: "Deliveries",
        path: "/deliveries",
        needs: Scope::EndpointsRead,
    },
    Entry {
        section: Section::Replay,
        icon: Icon::Replay,
        text: "Replay",
        path: "/replay",
        needs: Scope::EndpointsRead,
    },
    Entry {
        section: Section::Events,
        icon: Icon::Catalogue,
        text: "Event types",
        path: "/events",
        needs: Scope::EndpointsRead,
    },
];

/// A page, before the shell is put around it.
pub(crate) struct Page<'a> {
    pub(crate) section: Section,
    pub(crate) title: &'a str,
    /// What the browser's tab says, where the title alone is that of other pages as well.
    pub(crate) tab: Option<String>,
    /// Stands beside the title: a state, a count.
    pub(crate) beside: Markup,
    /// The way to this page: texts and addresses, outermost first.
    pub(crate) crumbs: Vec<(String, String)>,
    /// What can be done, at the right of the title.
    pub(crate) actions: Markup,
    /// Where the stream is that says when the live parts changed.
    pub(crate) live: Option<String>,
    pub(crate) body: Markup,
}

impl<'a> Page<'a> {
    pub(crate) fn new(section: Section, title: &'a str, body: Markup) -> Self {
        Self {
            section,
            title,
            tab: None,
            beside: html! {},
            crumbs: Vec::new(),
            actions: html! {},
            live: None,
            body,
        }
    }

    #[must_use]
    pub(crate) fn tab(mut self, tab: &str) -> Self {
        self.tab = Some(tab.to_owned());
        self
    }

    #[must_use]
    pub(crate) fn beside(mut self, beside: Markup) -> Self {
        self.beside = beside;
        self
    }

    #[must_use]
    pub(crate) fn crumb(mut self, text: &str, href: &str) -> Self {
        self.crumbs.push((text.to_owned(), href.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn actions(mut self, actions: Markup) -> Self {
        self.actions = actions;
        self
    }

    /// Keeps the parts marked `data-live` true: those with an id are taken over when `stream`
    /// says that something changed.
    #[must_use]
    pub(crate) fn live(mut self, stream: &str) -> Self {
        self.live = Some(stream.to_owned());
        self
    }

    /// A page about the whole organization.
    pub(crate) fn show(self, view: &View) -> Response {
        self.render(view, None)
    }

    /// A page about one application.
    pub(crate) fn show_in(self, at: &InApp) -> Response {
        self.render(&at.view, Some(at))
    }

    fn render(&self, view: &View, at: Option<&InApp>) -> Response {
        let markup = html! {
            a.skip href="#content" { "Skip to the content" }
            div.shell {
                (sidebar(view, at, self.section))
                (topbar(view, at, self.section))
                main #content tabindex="-1" data-stream=[self.live.as_deref()] {
                    (self.head())
                    (self.body)
                }
            }
        };
        let tab = self.tab.as_deref().unwrap_or(self.title);
        let title = match at {
            Some(at) => format!("{tab} · {}", at.app.stored.application.settings.name),
            None => tab.to_owned(),
        };
        document(&view.state, brand_of(view), &view.look, &title, &markup)
    }

    fn head(&self) -> Markup {
        html! {
            header.page-head {
                @if !self.crumbs.is_empty() {
                    nav.crumbs aria-label="The way here" {
                        @for (text, href) in &self.crumbs {
                            a href=(href) { (text) } (icon(Icon::ChevronRight))
                        }
                    }
                }
                div.page-title { h1 { (self.title) } (self.beside) }
                div.page-actions { (self.actions) }
            }
        }
    }
}

fn sidebar(view: &View, at: Option<&InApp>, section: Section) -> Markup {
    html! {
        aside.sidebar {
            (brand(view))
            nav aria-label="Pages" { (entries(view, at, section)) }
            div.sidebar-foot { (person(view)) }
        }
    }
}

/// The same on a phone: folded away behind a button that needs no script.
fn topbar(view: &View, at: Option<&InApp>, section: Section) -> Markup {
    html! {
        header.topbar {
            (brand(view))
            details.menu {
                summary.icon-button aria-label="Menu" { (icon(Icon::Menu)) }
                div.menu-body {
                    nav aria-label="Pages" { (entries(view, at, section)) }
                    div.sidebar-foot { (person(view)) }
                }
            }
        }
    }
}

fn brand(view: &View) -> Markup {
    html! {
        a.brand href=(view.home()) { (brand_of(view).show(&view.state)) }
    }
}

fn brand_of(view: &View) -> Brand {
    if view.in_portal() {
        Brand::Portal
    } else {
        Brand::Dashboard
    }
}

fn entries(view: &View, at: Option<&InApp>, section: Section) -> Markup {
    html! {
        @if !view.in_portal() {
            ul { (group(view, OPERATOR, "/dashboard", section)) }
        }
        @if let Some(at) = at {
            @if !view.in_portal() {
                p.nav-title title=(at.app.stored.application.settings.name) {
                    (at.app.stored.application.settings.name)
                }
            }
            ul { (group(view, IN_APP, &at.path(""), section)) }
        }
    }
}

fn group(view: &View, entries: &[Entry], base: &str, section: Section) -> Markup {
    html! {
        @for entry in entries.iter().filter(|entry| view.may(entry.needs)) {
            @let here = entry.section == section;
            li {
                a.nav-link href={ (base) (entry.path) } aria-current=[here.then_some("page")] {
                    (icon(entry.icon)) (entry.text)
                }
            }
        }
    }
}

fn person(view: &View) -> Markup {
    html! {
        @if !view.in_portal() {
            form.theme-switch method="post" action="/dashboard/theme" {
                (csrf(view))
                input type="hidden" name="next" value=(view.address);
                @for (mode, shape, text) in [
                    (Mode::Light, Icon::Sun, "Light"),
                    (Mode::Auto, Icon::Screen, "As the system"),
                    (Mode::Dark, Icon::Moon, "Dark"),
                ] {
                    button type="submit" name="mode" value=(mode.name()) title=(text)
                        aria-label=(text) aria-pressed=(view.look.mode == mode) { (icon(shape)) }
                }
            }
        }
        form method="post" action={ (view.home()) "/sign-out" } {
            (csrf(view))
            button.nav-link type="submit" { (icon(Icon::Leave)) "Sign out" }
        }
    }
}

/// A page without navigation: signing in, and what went wrong.
pub(crate) fn bare(
    state: &DashboardState,
    brand: Brand,
    look: &Look,
    title: &str,
    body: &Markup,
) -> Response {
    let markup = html! {
        main.bare #content {
            div.bare-brand { (brand.show(state)) }
            h1 { (title) }
            (body)
        }
    };
    document(state, brand, look, title, &markup)
}

fn document(
    state: &DashboardState,
    brand: Brand,
    look: &Look,
    title: &str,
    body: &Markup,
) -> Response {
    let assets = state.assets();
    let mode = Some(look.mode).filter(|mode| *mode != Mode::Auto);
    let markup = html! {
        (DOCTYPE)
        html lang="en" data-theme=[mode.map(Mode::name)] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · " (brand.name(state)) }
                link rel="icon" type="image/svg+xml" href=(assets.icon.path);
                link rel="stylesheet" href=(assets.style.path);
                @if let Some(accent) = look.accent {
                    link rel="stylesheet" href={ "/portal/accent/" (accent) ".css" };
                }
                script defer src=(assets.script.path) {}
            }
            body { (body) }
        }
    };
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let head = [(header::CONTENT_TYPE, kind)];
    (StatusCode::OK, head, markup.into_string()).into_response()
}
