//! The table of everything that can be set; the reference page is generated from it.

/// One thing that can be set. The reference page is generated from [`super::table()`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// The key in the configuration file.
    pub(crate) key: &'static str,
    pub(crate) env: &'static str,
    /// The flag of `watchfire serve`, where there is one.
    pub(crate) flag: Option<&'static str>,
    pub(crate) default: &'static str,
    pub(crate) about: &'static str,
}

/// What stands at the top of the file.
pub(super) const TABLE: &[Setting] = &[
    Setting {
        key: "listen",
        env: "WATCHFIRE_LISTEN",
        flag: Some("--listen"),
        default: "127.0.0.1:8071",
        about: "Address and port of the API. Port 0 takes a free one.",
    },
    Setting {
        key: "requests_per_key",
        env: "WATCHFIRE_REQUESTS_PER_KEY",
        flag: None,
        default: "off",
        about: "API requests a second that one token or API key may make, in bursts of 2 seconds; \
                beyond that 429 with `Retry-After`.",
    },
    Setting {
        key: "requests_per_organization",
        env: "WATCHFIRE_REQUESTS_PER_ORGANIZATION",
        flag: None,
        default: "off",
        about: "API requests a second that one organization may make, all its keys together.",
    },
    Setting {
        key: "refusals_per_address",
        env: "WATCHFIRE_REFUSALS_PER_ADDRESS",
        flag: None,
        default: "60",
        about: "Wrong credentials a minute that one address may bring (one /64 of IPv6); beyond \
                that it is answered 429 unless its credential was good before. `off` for no limit.",
    },
    Setting {
        key: "trusted_proxies",
        env: "WATCHFIRE_TRUSTED_PROXIES",
        flag: None,
        default: "none",
        about: "Networks of proxies in front, separated by commas: their `X-Forwarded-For` says \
                where a request comes from.",
    },
    Setting {
        key: "metrics_listen",
        env: "WATCHFIRE_METRICS_LISTEN",
        flag: None,
        default: "off",
        about: "Address and port of `/metrics` for Prometheus. It asks for no credential: use one \
                that only Prometheus reaches.",
    },
    Setting {
        key: "data",
        env: "WATCHFIRE_DATA",
        flag: Some("--data"),
        default: "./watchfire-data",
        about: "Folder of the embedded database and of the generated secrets. Made if missing.",
    },
    Setting {
        key: "database_url",
        env: "WATCHFIRE_DATABASE_URL",
        flag: None,
        default: "none: the embedded database in the data folder",
        about: "PostgreSQL 15 or later, for several nodes: \
                postgres://user:password@host:port/database?sslmode=verify-full. `sslmode` is \
                disable, prefer, require or verify-full (with `sslrootcert`, a PEM file).",
    },
    Setting {
        key: "database_connections",
        env: "WATCHFIRE_DATABASE_CONNECTIONS",
        flag: None,
        default: "10",
        about: "Connections of this node to PostgreSQL, 2 to 100: half for messages and \
                deliveries, half for people.",
    },
    Setting {
        key: "node",
        env: "WATCHFIRE_NODE",
        flag: None,
        default: "made at the first start, in the data folder",
        about: "Name of this node among those of one PostgreSQL. Each needs its own, the same \
                after a restart.",
    },
    Setting {
        key: "node_beat",
        env: "WATCHFIRE_NODE_BEAT",
        flag: None,
        default: "3s",
        about: "How often this node tells PostgreSQL that it is alive, and looks after the others.",
    },
    Setting {
        key: "node_lease",
        env: "WATCHFIRE_NODE_LEASE",
        flag: None,
        default: "15s",
        about: "How long this node is taken to be alive without a sign of life; then the others \
                take over. At least 3 beats, at most 5 minutes.",
    },
    Setting {
        key: "master_key",
        env: "WATCHFIRE_MASTER_KEY",
        flag: None,
        default: "made at the first start, in the data folder",
        about: "Key that stored secrets are sealed with: 32 bytes in base64. All nodes of one \
                PostgreSQL need the same.",
    },
    Setting {
        key: "jwt_secret",
        env: "WATCHFIRE_JWT_SECRET",
        flag: None,
        default: "made at the first start, in the data folder",
        about: "Secret (HS256) that API tokens are signed with. At least 16 bytes.",
    },
    Setting {
        key: "allow_cidrs",
        env: "WATCHFIRE_ALLOW_CIDRS",
        flag: Some("--allow-cidr"),
        default: "none",
        about: "Private networks that endpoints may be in, separated by commas. Cloud metadata \
                addresses stay refused.",
    },
    Setting {
        key: "retry_schedule",
        env: "WATCHFIRE_RETRY_SCHEDULE",
        flag: Some("--retry-schedule"),
        default: "5s,5m,30m,2h,5h,10h,10h",
        about: "Delays between the attempts of a delivery, separated by commas (ms, s, m, h, d). \
                Empty means no retries. For our own contracts; a product's contract has its own.",
    },
    Setting {
        key: "attempt_timeout",
        env: "WATCHFIRE_ATTEMPT_TIMEOUT",
        flag: Some("--attempt-timeout"),
        default: "15s",
        about: "Deadline over a whole attempt, 1ms to 2m, where the contract names none.",
    },
    Setting {
        key: "extra_ca_file",
        env: "WATCHFIRE_EXTRA_CA_FILE",
        flag: Some("--extra-ca-file"),
        default: "none",
        about: "PEM file of additional certificate authorities trusted for endpoints.",
    },
    Setting {
        key: "default_contract",
        env: "WATCHFIRE_DEFAULT_CONTRACT",
        flag: None,
        default: "standard",
        about: "Contract of applications that name none.",
    },
    Setting {
        key: "contracts_dir",
        env: "WATCHFIRE_CONTRACTS",
        flag: Some("--contracts"),
        default: "none",
        about: "Folder of further contracts, one folder each; one with a known name replaces it.",
    },
    Setting {
        key: "validation",
        env: "WATCHFIRE_VALIDATION",
        flag: None,
        default: "warn",
        about: "Payloads that break their contract's schema: `strict` refuses them (422), `warn` \
                accepts them and notes the faults on the message, `off` does not look.",
    },
    Setting {
        key: "public_url",
        env: "WATCHFIRE_PUBLIC_URL",
        flag: None,
        default: "taken from the request",
        about: "Where the server is reached from outside, such as https://hooks.example.com; for \
                links.",
    },
    Setting {
        key: "signature_headers",
        env: "WATCHFIRE_SIGNATURE_HEADERS",
        flag: None,
        default: "webhook",
        about: "Names of the signature's headers: `webhook` for webhook-*, `webhook,svix` for the \
                same values under svix-* as well.",
    },
    Setting {
        key: "payload_retention",
        env: "WATCHFIRE_PAYLOAD_RETENTION",
        flag: None,
        default: "90d",
        about: "Age at which payloads are removed, unless the message says less.",
    },
    Setting {
        key: "message_retention",
        env: "WATCHFIRE_MESSAGE_RETENTION",
        flag: None,
        default: "90d",
        about: "Age at which messages and their attempts are removed.",
    },
    Setting {
        key: "audit_retention",
        env: "WATCHFIRE_AUDIT_RETENTION",
        flag: None,
        default: "400d",
        about: "Age at which lines of the audit log are removed; by default after a year and a \
                month, for yearly reviews.",
    },
    Setting {
        key: "dashboard",
        env: "WATCHFIRE_DASHBOARD",
        flag: None,
        default: "on",
        about: "Whether the dashboard and the customers' portal are served: `on` or `off`.",
    },
    Setting {
        key: "portal_frame_ancestors",
        env: "WATCHFIRE_PORTAL_FRAME_ANCESTORS",
        flag: None,
        default: "none",
        about: "Pages that may show the portal in a frame: origins such as \
                https://app.example.com, separated by commas.",
    },
    Setting {
        key: "portal_title",
        env: "WATCHFIRE_PORTAL_TITLE",
        flag: None,
        default: "Webhooks",
        about: "What the portal is called at its head.",
    },
    Setting {
        key: "portal_logo",
        env: "WATCHFIRE_PORTAL_LOGO",
        flag: None,
        default: "none",
        about: "File of an image that stands at the head of the portal in place of its title: SVG, \
                PNG, JPEG or WebP, at most 16 KiB.",
    },
    Setting {
        key: "portal_color",
        env: "WATCHFIRE_PORTAL_COLOR",
        flag: None,
        default: "the dashboard's",
        about: "Colour of the portal's links, six hexadecimal digits. A link's `primaryColor` wins.",
    },
    Setting {
        key: "portal_theme",
        env: "WATCHFIRE_PORTAL_THEME",
        flag: None,
        default: "auto",
        about: "Whether the portal is `light`, `dark`, or what the reader's system says (`auto`). \
                A link's `darkMode` wins.",
    },
    Setting {
        key: "log",
        env: "WATCHFIRE_LOG",
        flag: Some("--log"),
        default: "info",
        about: "What is logged: error, warn, info, debug or trace, also per module \
                (`info,watchfire_engine=debug`).",
    },
];
