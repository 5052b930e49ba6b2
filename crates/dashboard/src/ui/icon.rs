//! The icons: our own drawings on a grid of 16, in the colour of the text around them.

use maud::{Markup, html};

/// Declares the icons and their drawings.
macro_rules! icons {
    ($($name:ident: $drawing:literal;)+) => {
        /// An icon. It never stands alone: a word is beside it, or in its control's label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Icon { $($name),+ }

        impl Icon {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),+];

            fn drawing(self) -> &'static str {
                match self { $(Self::$name => $drawing),+ }
            }
        }
    };
}

icons! {
    Overview: "M2.5 9.5V13h2.7V9.5zM6.7 6v7h2.6V6zM10.8 3v10h2.7V3z";
    Apps: "M2.5 2.5h4.4v4.4H2.5zM9.1 2.5h4.4v4.4H9.1zM2.5 9.1h4.4v4.4H2.5zM9.1 9.1h4.4v4.4H9.1z";
    Endpoint: "M2 8h6.5M6 5.2 8.8 8 6 10.8M9.5 2.8H12A1.8 1.8 0 0 1 13.8 4.6v6.8a1.8 1.8 0 0 1-1.8 1.8H9.5";
    Message: "M2.2 4h11.6v8H2.2zM2.4 4.3 8 8.8l5.6-4.5";
    Delivery: "M13.8 2.2 7 9M13.8 2.2 9.4 13.8 7 9 2.2 6.6z";
    Record: "M8 1.9 14 5 8 8.1 2 5zM2.2 8.1 8 11l5.8-2.9M2.2 11.1 8 14l5.8-2.9";
    Replay: "M13.2 8a5.2 5.2 0 1 1-1.7-3.8M13.3 1.9v2.9h-2.9";
    Catalogue: "M3 2.6h8.2A1.8 1.8 0 0 1 13 4.4v9H4.6A1.6 1.6 0 0 1 3 11.8zM3 11.6a1.5 1.5 0 0 1 1.6-1.4H13M5.8 5.4h4.4";
    Contract: "M4 1.9h5.4L12.6 5v9.1H4zM9.2 2v3.2h3.3M6 8.2h4.5M6 10.9h4.5";
    Bell: "M4 7a4 4 0 0 1 8 0c0 3.4 1.4 4.4 1.4 4.4H2.6S4 10.4 4 7M6.6 13.7a1.6 1.6 0 0 0 2.8 0";
    Key: "M9.6 9.4a3.6 3.6 0 1 0-2.9-2.9L2.2 11v2.8H5v-1.7h1.7v-1.7zM10.9 5.1h.01";
    Audit: "M2.6 3.6h1M5.8 3.6h7.6M2.6 8h1M5.8 8h7.6M2.6 12.4h1M5.8 12.4h7.6";
    Gear: "M8 5.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4M8 1.8v1.7M8 12.5v1.7M1.8 8h1.7M12.5 8h1.7M3.6 3.6l1.2 1.2M11.2 11.2l1.2 1.2M12.4 3.6l-1.2 1.2M4.8 11.2l-1.2 1.2";
    Server: "M2.4 2.8h11.2v4.4H2.4zM2.4 8.8h11.2v4.4H2.4zM4.8 5h.01M4.8 11h.01M7.4 5h3.8M7.4 11h3.8";
    Search: "M7 2.4a4.6 4.6 0 1 0 0 9.2 4.6 4.6 0 0 0 0-9.2M10.4 10.4l3.4 3.4";
    Plus: "M8 3v10M3 8h10";
    Check: "M3 8.4 6.4 12 13 4.6";
    Cross: "M4 4l8 8M12 4l-8 8";
    Clock: "M8 1.9a6.1 6.1 0 1 0 0 12.2A6.1 6.1 0 0 0 8 1.9M8 4.6V8l2.4 1.5";
    Pause: "M5.4 3.4v9.2M10.6 3.4v9.2";
    Play: "M4.6 2.8 12.6 8l-8 5.2z";
    Warning: "M8 2.2 14.4 13.4H1.6zM8 6.4v3.2M8 11.5h.01";
    Stop: "M5.4 2h5.2L14 5.4v5.2L10.6 14H5.4L2 10.6V5.4zM8 5v3.6M8 10.9h.01";
    Busy: "M8 1.9a6.1 6.1 0 1 0 6.1 6.1M8 4.9V8h3";
    Info: "M8 1.9a6.1 6.1 0 1 0 0 12.2A6.1 6.1 0 0 0 8 1.9M8 7.4v3.6M8 5h.01";
    ChevronRight: "M6 3.4 10.6 8 6 12.6";
    ChevronDown: "M3.4 6 8 10.6 12.6 6";
    ArrowLeft: "M13.4 8H2.8M7 3.6 2.6 8 7 12.4";
    ArrowRight: "M2.6 8h10.6M9 3.6 13.4 8 9 12.4";
    External: "M6.4 3.4H3v9.6h9.6V9.6M9.4 2.6h4v4M13 3 7.4 8.6";
    Copy: "M5.6 5.6h7.8v7.8H5.6zM10.4 5.4V2.6H2.6v7.8h2.8";
    Eye: "M1.6 8S4 3.8 8 3.8 14.4 8 14.4 8 12 12.2 8 12.2 1.6 8 1.6 8M8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6";
    Trash: "M2.8 4.4h10.4M6.2 4.2V2.4h3.6v1.8M4.2 4.6l.6 9h6.4l.6-9M6.8 7v4.2M9.2 7v4.2";
    Pencil: "M2.6 13.4l.8-3.2 7.2-7.2 2.4 2.4-7.2 7.2zM9.2 4.4l2.4 2.4";
    Sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M8 1.6v1.2M8 13.2v1.2M1.6 8h1.2M13.2 8h1.2M3.5 3.5l.9.9M11.6 11.6l.9.9M12.5 3.5l-.9.9M4.4 11.6l-.9.9";
    Moon: "M13.4 9.6A5.8 5.8 0 0 1 6.4 2.6a5.8 5.8 0 1 0 7 7";
    Screen: "M2 3h12v8H2zM6 13.6h4M8 11v2.6";
    Menu: "M2.4 4.4h11.2M2.4 8h11.2M2.4 11.6h11.2";
    Leave: "M6.4 2.6H3v10.8h3.4M10 5l3 3-3 3M6.4 8H13";
    Filter: "M2 3.4h12L9.4 8.6v4.6l-2.8-1.6v-3z";
    Lock: "M3.6 7.2h8.8v6.4H3.6zM5.4 7V5a2.6 2.6 0 0 1 5.2 0v2";
    Bolt: "M8.8 1.8 3.4 9H8l-.8 5.2L12.6 7H8z";
    User: "M8 2.4a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6M2.8 13.6c.4-2.6 2.4-4 5.2-4s4.8 1.4 5.2 4";
}

/// An icon beside a word, silent to screen readers.
pub(crate) fn icon(icon: Icon) -> Markup {
    html! {
        svg.icon viewBox="0 0 16 16" aria-hidden="true" {
            path d=(icon.drawing()) {}
        }
    }
}

/// The mark of the product.
pub(crate) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false" {
            path.mark-flame d="M12.6 2c.5 3.6-1.5 5-3.3 7.1C7.7 11 6 12.7 6 15.4 6 19 8.7 22 12 22s6-3 6-6.6c0-2.9-1.5-4.8-2.7-6.5-.5 1.4-1.1 2.1-2.1 2.7.8-3.4.5-7.2-.6-9.6z" {}
            path.mark-core d="M12 13c-1.7 1.5-2.7 2.7-2.7 4.6C9.3 19.5 10.5 21 12 21s2.7-1.5 2.7-3.4c0-1.9-1-3.1-2.7-4.6z" {}
        }
    }
}
