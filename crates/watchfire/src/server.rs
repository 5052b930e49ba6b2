//! Wiring: settings become a store, a transport, an engine and a listener.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use watchfire_api::{ApiConfig, ApiState};
use watchfire_dashboard::{DashboardConfig, DashboardState};
use watchfire_deliver::{Client, ClientConfig, Hickory, Policy, PoolLimits, Smtp, SmtpConfig};
use watchfire_domain::limit;
use watchfire_domain::secret::SecretText;
use watchfire_engine::identity::Tokens;
use watchfire_engine::{Bounds, Config, Engine, Parts, Patience, Post, Vault};
use watchfire_store::NodeId;

use crate::ambient::{StockedEntropy, SystemClock, SystemEntropy};
use crate::backend::Backend;
use crate::data_dir::{DataDir, decode_key};
use crate::http_server::HttpServer;
use crate::settings::{Settings, SmtpSettings};
use crate::{contracts, metrics};

/// A server that is ready to serve.
pub(crate) struct Server {
    pub(crate) engine: Engine,
    pub(crate) jwt_secret: SecretText,
    http: HttpServer,
    router: Router,
    dashboard: Option<DashboardState>,
    metrics: Option<(HttpServer, Router)>,
    address: SocketAddr,
    store: Backend,
}

impl Server {
    /// Opens the data folder, takes up what the last run left and binds the address.
    pub(crate) async fn start(settings: &Settings) -> Result<Self> {
        let contracts = Arc::new(contracts::catalog(settings)?);
        let data = DataDir::open(&settings.data)?;
        let store = Backend::open(settings, &data).await?;
        let jwt_secret = jwt_secret(settings, &data)?;
        let vault = Vault::new(&master_key(settings, &data)?);
        store.agree_on_key(&vault).await?;
        let node = store.node(settings, &data)?;
        let http = HttpServer::bind(settings.listen, settings.trusted_proxies.clone())
            .await
            .with_context(|| format!("listen on {}", settings.listen))?;
        let address = http.address()?;
        let policy = Policy {
            allow: settings.allow_cidrs.clone(),
            own_addresses: vec![address],
            ..Policy::default()
        };
        let parts = Parts {
            store: store.shared(),
            transport: Arc::new(client(settings, &policy)?),
            policy: Arc::new(policy),
            contracts,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(StockedEntropy::new()),
            vault: Arc::new(vault),
            post: settings
                .smtp
                .as_ref()
                .map(|smtp| post(settings, smtp))
                .transpose()?,
        };
        let engine = Engine::start(parts, engine_config(settings, node)).await?;
        let api = ApiConfig {
            jwt_secret: jwt_secret.clone(),
            public_url: settings.public_url.clone(),
            rate_limits: settings.rate_limits,
        };
        let api = watchfire_api::router(&ApiState::new(engine.clone(), api));
        let dashboard = settings
            .dashboard
            .then(|| DashboardState::new(engine.clone(), dashboard_config(settings, &jwt_secret)));
        let router = match &dashboard {
            Some(pages) => api.merge(watchfire_dashboard::router(pages)),
            None => api,
        };
        let metrics = match settings.metrics_listen {
            None => None,
            Some(listen) => {
                let http = HttpServer::bind(listen, Vec::new()).await;
                let http = http.with_context(|| format!("listen on {listen} for metrics"))?;
                tracing::info!(address = %http.address()?, "metrics are at /metrics");
                Some((http, metrics::router(&engine)))
            }
        };
        Ok(Self {
            engine,
            jwt_secret,
            http,
            router,
            dashboard,
            metrics,
            address,
            store,
        })
    }

    /// Whether nobody has set anything up yet.
    pub(crate) async fn is_blank(&self) -> Result<bool> {
        Ok(self.engine.store().contracts_in_use().await?.is_empty())
    }

    /// Whether people can sign in here.
    pub(crate) fn has_dashboard(&self) -> bool {
        self.dashboard.is_some()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` ends, then finishes what runs, hands back what does not and closes.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let dashboard = self.dashboard;
        let stop = async {
            stop.await;
            if let Some(dashboard) = dashboard {
                dashboard.close();
            }
        };
        let (stopped, stopping) = tokio::sync::oneshot::channel::<()>();
        let metrics = async {
            if let Some((http, router)) = self.metrics {
                let stop = async { drop(stopping.await) };
                http.serve(router, stop, METRICS_GRACE).await;
            }
        };
        let api = async {
            self.http.serve(self.router, stop, API_GRACE).await;
            drop(stopped);
        };
        tokio::join!(api, metrics);
        self.engine.shut_down(limit::SHUTDOWN_GRACE).await;
        self.store.close().await;
    }
}

/// How long a scrape may take to finish when the server stops.
const METRICS_GRACE: Duration = Duration::from_secs(1);
/// How long open API requests may take to finish when the server stops.
const API_GRACE: Duration = Duration::from_secs(5);

/// The secret API tokens are signed with: the configured one, else the data folder's.
pub(crate) fn jwt_secret(settings: &Settings, data: &DataDir) -> Result<SecretText> {
    match &settings.jwt_secret {
        Some(secret) => Ok(secret.clone()),
        None => data.jwt_secret(&SystemEntropy),
    }
}

/// The key stored secrets are sealed with: the configured one, else the data folder's.
fn master_key(settings: &Settings, data: &DataDir) -> Result<[u8; 32]> {
    match &settings.master_key {
        Some(key) => decode_key(key.expose()).context("master_key"),
        None => data.master_key(&SystemEntropy),
    }
}

fn dashboard_config(settings: &Settings, jwt_secret: &SecretText) -> DashboardConfig {
    DashboardConfig {
        tokens: Tokens::new(jwt_secret),
        public_url: settings.public_url.clone(),
        portal_frame_ancestors: settings.portal_frame_ancestors.clone(),
        portal_look: settings.portal_look.clone(),
        settings: settings.lines.clone(),
    }
}

fn client(settings: &Settings, policy: &Policy) -> Result<Client> {
    let config = ClientConfig {
        policy: policy.clone(),
        resolver: Arc::new(Hickory::from_system()?),
        clock: Arc::new(SystemClock),
        extra_ca_pem: extra_ca_pem(settings)?,
        pool: PoolLimits::default(),
    };
    Client::new(config).context("extra_ca_file")
}

/// How administrators are told.
fn post(settings: &Settings, smtp: &SmtpSettings) -> Result<Arc<Post>> {
    Ok(Arc::new(Post {
        mailer: Arc::new(mailer(settings, smtp)?),
        to: smtp.to.clone(),
        gather: smtp.gather,
        interval: smtp.interval,
    }))
}

/// The mail server of `[smtp]`.
pub(crate) fn mailer(settings: &Settings, smtp: &SmtpSettings) -> Result<Smtp> {
    let config = SmtpConfig {
        host: smtp.host.clone(),
        port: smtp.port,
        security: smtp.security,
        login: smtp.login.clone(),
        from: smtp.from.clone(),
        timeout: smtp.timeout,
        extra_ca_pem: extra_ca_pem(settings)?,
    };
    Smtp::new(config).context("extra_ca_file")
}

fn extra_ca_pem(settings: &Settings) -> Result<Option<Vec<u8>>> {
    settings.extra_ca_file.as_deref().map(read_pem).transpose()
}

fn read_pem(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("extra_ca_file {}", path.display()))
}

fn engine_config(settings: &Settings, node: NodeId) -> Config {
    Config {
        node,
        company: Backend::company(settings),
        bounds: Bounds::default(),
        patience: Patience::default(),
        default_contract: settings.default_contract.clone(),
        signature_headers: settings.signature_headers,
        validation: settings.validation,
        retentions: Arc::new(settings.retentions.clone()),
    }
}
