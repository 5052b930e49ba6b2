use std::collections::BTreeMap;

use http::HeaderMap;
use watchfire_domain::endpoint::{Auth, Method};
use watchfire_domain::secret::{OldKey, SecretText, SigningKey};

use super::*;
use crate::catalog::Catalog;
use crate::source::Source;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const NOW: Timestamp = Timestamp::EPOCH;

/// A destination and a message with everything at its default, to be changed by a test.
struct Case {
    contract: Contract,
    instance: Instance,
    settings: Settings,
    secrets: Secrets,
    signature_headers: SignatureHeaders,
    payload: Bytes,
    raw_body: Option<RawBody>,
    now: Timestamp,
}

impl Case {
    fn new(contract: &Contract) -> Self {
        Self {
            contract: contract.clone(),
            instance: Instance::default(),
            settings: serde_json::from_str(r#"{"url":"https://a.example/"}"#).expect("settings"),
            secrets: Secrets::with_key(SigningKey::parse(SECRET).expect("valid")),
            signature_headers: SignatureHeaders::Webhook,
            payload: Bytes::from_static(br#"{ "a" : 1.0 }"#),
            raw_body: None,
            now: NOW,
        }
    }

    fn embedded(name: &str) -> Self {
        Self::new(Catalog::embedded().contract(name).expect("embedded"))
    }

    /// A contract whose manifest goes on with these lines.
    fn written(lines: &str) -> Self {
        let text =
            format!("title = \"A\"\nsummary = \"A\"\nmessages.unlisted = \"accept\"\n{lines}");
        let catalog = Catalog::embedded()
            .with_sources(&[Source::new("acme/contract.toml", text)])
            .expect("valid");
        Self::new(catalog.contract("acme").expect("added"))
    }

    fn prepared(&self) -> Result<Prepared, RenderError> {
        Prepared::new(Destination {
            contract: &self.contract,
            instance: &self.instance,
            settings: &self.settings,
            secrets: &self.secrets,
            signature_headers: self.signature_headers,
        })
    }

    fn render(&self) -> Result<Rendered, RenderError> {
        let prepared = self.prepared()?;
        self.with_event(|event| prepared.render(event))
    }

    fn with_event<T>(&self, look: impl FnOnce(&Event<'_>) -> T) -> T {
        look(&Event {
            message_id: "msg_000000000000000000000000000".parse().expect("id"),
            event_type: &"threat.create".parse().expect("name"),
            payload: &self.payload,
            raw_body: self.raw_body.as_ref(),
            now: self.now,
        })
    }

    /// What is written down of it. A fingerprint here is how long a secret is.
    fn recipe(&self) -> String {
        let prepared = self.prepared().expect("it can be made");
        prepared.recipe(|secret| secret.len().to_string())
    }

    /// The same request, made by what was written down.
    fn render_again(&self, signature: &str) -> Rendered {
        let prepared = Prepared::from_recipe(&self.recipe()).expect("a recipe");
        let signature = signature.parse().expect("a signature");
        let again = self.with_event(|event| prepared.render_again(event, signature));
        again.expect("renders")
    }

    fn header(&self, name: &str) -> Option<String> {
        let rendered = self.render().expect("renders");
        let mut found = rendered.headers.iter().filter(|(taken, _)| taken == name);
        let value = found
            .next()
            .map(|(_, value)| value.to_str().expect("text").to_owned());
        assert!(found.next().is_none(), "{name} is there once");
        value
    }
}

#[test]
fn standard_sends_the_posted_bytes_without_copying_them() {
    let case = Case::embedded("standard");
    let rendered = case.render().expect("renders");
    assert_eq!(rendered.method, http::Method::POST);
    assert_eq!(rendered.body.as_ptr(), case.payload.as_ptr());
    assert_eq!(rendered.body, case.payload);
    assert_eq!(
        case.header("content-type").as_deref(),
        Some("application/json")
    );
    assert_eq!(
        case.header("user-agent").as_deref(),
        Some("Watchfire/0.1.0")
    );
    assert_eq!(rendered.headers.len(), 5);
}

#[test]
fn the_envelope_is_built_around_the_posted_bytes() {
    let case = Case::embedded("envelope");
    let body = case.render().expect("renders").body;
    assert_eq!(
        body,
        r#"{"type":"threat.create","timestamp":"2014-05-13T16:53:20Z","data":{ "a" : 1.0 }}"#
    );
}

#[test]
fn a_foreign_verifier_accepts_what_is_sent_and_refuses_a_flipped_bit() {
    // That verifier reads the clock, so the attempt is made now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the foreign verifier compares with it"
    )]
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = Timestamp::EPOCH + elapsed.expect("after 1970");
    for contract in Catalog::embedded().iter() {
        let mut case = Case::new(contract);
        case.now = now;
        let rendered = case.render().expect("renders");
        let headers: HeaderMap = rendered.headers.into_iter().collect();
        let judge = standardwebhooks::Webhook::new(SECRET).expect("valid");
        judge.verify(&rendered.body, &headers).expect("verifies");
        let mut body = rendered.body.to_vec();
        body[0] ^= 1;
        assert!(judge.verify(&body, &headers).is_err());
    }
}

#[test]
fn replaced_keys_sign_until_the_instant_they_expire() {
    let mut case = Case::embedded("standard");
    let expires_at = Timestamp::from_unix_seconds(100);
    case.secrets.old_keys = vec![OldKey {
        key: SigningKey::parse(OLD_SECRET).expect("valid"),
        expires_at,
    }];
    let mut count = |now| {
        case.now = now;
        case.header("webhook-signature")
            .expect("signed")
            .split(' ')
            .count()
    };
    assert_eq!(count(Timestamp::from_unix_micros(99_999_999)), 2);
    assert_eq!(count(expires_at), 1);
}

#[test]
fn the_svix_names_carry_the_same_values_when_asked_for() {
    let mut case = Case::embedded("standard");
    assert_eq!(case.header("svix-id"), None);
    case.signature_headers = SignatureHeaders::WebhookAndSvix;
    for part in ["id", "timestamp", "signature"] {
        let value = case.header(&format!("svix-{part}"));
        assert!(value.is_some());
        assert_eq!(value, case.header(&format!("webhook-{part}")));
    }
    assert_eq!(case.header("webhook-timestamp").as_deref(), Some("0"));
}

#[test]
fn a_raw_body_replaces_everything_and_is_what_is_signed() {
    let mut case = Case::embedded("envelope");
    let with_wrapper = case.header("webhook-signature");
    case.raw_body = Some(RawBody {
        body: "a=b".to_owned(),
        content_type: Some("text/plain".to_owned()),
    });
    assert_eq!(case.render().expect("renders").body, "a=b");
    assert_eq!(case.header("content-type").as_deref(), Some("text/plain"));
    assert_ne!(case.header("webhook-signature"), with_wrapper);
    case.raw_body = Some(RawBody {
        body: String::new(),
        content_type: Some("a\r\nb: c".to_owned()),
    });
    assert_eq!(case.render().err(), Some(RenderError::ContentType));
}

#[test]
fn each_kind_of_authentication_has_its_header() {
    let secret = |text: &str| SecretText::new(text.to_owned());
    let mut case = Case::embedded("standard");
    case.secrets.auth = Auth::Basic {
        username: "Aladdin".to_owned(),
        password: secret("open sesame"),
    };
    //= https://www.rfc-editor.org/rfc/rfc7617#section-2
    //# Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==
    let expect = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    assert_eq!(case.header("authorization").as_deref(), Some(expect));
    case.secrets.auth = Auth::Bearer {
        token: secret("t0k3n"),
    };
    assert_eq!(
        case.header("authorization").as_deref(),
        Some("Bearer t0k3n")
    );
    case.secrets.auth = Auth::Bearer { token: secret("") };
    assert_eq!(case.header("authorization"), None);
    case.secrets.auth = Auth::Header {
        name: "Auth".to_owned(),
        value: secret("Token xxx"),
    };
    assert_eq!(case.header("auth").as_deref(), Some("Token xxx"));
    case.secrets.auth = Auth::Basic {
        username: "a:b".to_owned(),
        password: secret(""),
    };
    assert_eq!(case.render().err(), Some(RenderError::Credentials));
}

#[test]
fn secrets_are_not_shown_in_debug() {
    let mut case = Case::embedded("standard");
    let secret = SecretText::new("canary".to_owned());
    case.secrets.headers = vec![("x-token".to_owned(), secret.clone())];
    case.secrets.auth = Auth::Bearer { token: secret };
    case.payload = Bytes::from_static(b"\"canary\"");
    let rendered = case.render().expect("renders");
    assert!(!format!("{rendered:?}").contains("canary"));
    assert_eq!(case.header("x-token").as_deref(), Some("canary"));
}

#[test]
fn what_the_contract_says_wins_over_custom_headers() {
    let mut case = Case::written(
        "[request]\nheaders = [{ name = \"X-Acme-Event\", value = \"{event_type}\" },\n\
         { name = \"Accept\", value = \"application/json\" }]",
    );
    let secret = |text: &str| SecretText::new(text.to_owned());
    case.secrets.headers = vec![
        ("x-acme-event".to_owned(), secret("forged")),
        ("ACCEPT".to_owned(), secret("forged")),
        ("x-team".to_owned(), secret("red")),
    ];
    assert_eq!(
        case.header("x-acme-event").as_deref(),
        Some("threat.create")
    );
    assert_eq!(case.header("accept").as_deref(), Some("application/json"));
    assert_eq!(case.header("x-team").as_deref(), Some("red"));
    case.secrets.headers = vec![("webhook-id".to_owned(), secret("forged"))];
    assert!(matches!(case.render(), Err(RenderError::CustomHeader(_))));
}

#[test]
fn values_come_from_the_instance_and_the_endpoint() {
    let mut case = Case::written(
        "instance.instance_url = \"https://one.example\"\n[request]\nheaders = [\n\
         { name = \"X-Instance\", value = \"{instance_url}\" },\n\
         { name = \"X-Team\", value = \"team {endpoint.metadata.team}\" },\n\
         { name = \"X-Owner\", value = \"{endpoint.owner}\" }]\n\
         body = [{ key = \"i\", value = \"{instance_url}\" }, { key = \"o\", value = \"{endpoint.owner}\" },\n\
         { key = \"p\", value = \"{payload}\" }, { key = \"m\", value = \"{message_id}\" }]",
    );
    assert_eq!(
        case.header("x-instance").as_deref(),
        Some("https://one.example")
    );
    assert_eq!(case.header("x-team"), None);
    assert_eq!(case.header("x-owner"), None);
    case.instance.instance_url = Some("https://two.example/\"".to_owned());
    case.settings.metadata = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
    assert_eq!(case.header("x-team").as_deref(), Some("team red"));
    assert_eq!(
        case.render().expect("renders").body,
        "{\"i\":\"https://two.example/\\\"\",\"p\":{ \"a\" : 1.0 },\
         \"m\":\"msg_000000000000000000000000000\"}"
    );
    case.instance.instance_url = Some("https://two.example/\r\n".to_owned());
    let name = "x-instance".to_owned();
    assert_eq!(
        case.render().err(),
        Some(RenderError::ContractHeader { name })
    );
}

#[test]
fn a_method_or_authentication_the_contract_does_not_allow_is_refused() {
    let mut case = Case::written(
        "[request]\nmethod = \"GET\"\nmethods = [\"POST\"]\n[endpoint]\nauth = [\"none\", \"basic\"]",
    );
    assert_eq!(case.render().expect("renders").method, http::Method::GET);
    case.settings.method = Some(Method::Post);
    assert_eq!(case.render().expect("renders").method, http::Method::POST);
    case.settings.method = Some(Method::Put);
    assert_eq!(case.render().err(), Some(RenderError::Method("PUT")));
    case.settings.method = None;
    case.secrets.auth = Auth::Bearer {
        token: SecretText::new("t".to_owned()),
    };
    assert_eq!(
        case.render().err(),
        Some(RenderError::Auth(AuthKind::Bearer))
    );
}

#[test]
fn what_could_not_be_rendered_later_is_refused_when_an_endpoint_is_saved() {
    let mut case = Case::written(
        "[endpoint]\nhttps = \"required\"\nauth = [\"none\", \"header\"]\n\
         [request]\nheaders = [{ name = \"X-Event\", value = \"{event_type}\" }]",
    );
    let check = |case: &Case| case.contract.check_endpoint(&case.settings, &case.secrets);
    let secret = |text: &str| SecretText::new(text.to_owned());
    let reserved = |name: &str| HeaderFault::Reserved {
        name: name.to_owned(),
    };
    assert_eq!(check(&case), Ok(()));
    case.secrets.headers = vec![("x-EVENT".to_owned(), secret("forged"))];
    assert_eq!(
        check(&case),
        Err(EndpointFault::Headers(reserved("x-EVENT")))
    );
    case.secrets.headers = vec![("x-a".to_owned(), secret("b")); 2];
    assert!(matches!(
        check(&case),
        Err(EndpointFault::Headers(HeaderFault::Repeated { .. }))
    ));
    case.secrets.headers.clear();
    case.secrets.auth = Auth::Header {
        name: "x-event".to_owned(),
        value: secret("forged"),
    };
    let refused = RenderError::CustomHeader(reserved("x-event"));
    assert_eq!(check(&case), Err(EndpointFault::Render(refused)));
    case.secrets.auth = Auth::Bearer { token: secret("t") };
    let refused = RenderError::Auth(AuthKind::Bearer);
    assert_eq!(check(&case), Err(EndpointFault::Render(refused)));
    case.secrets.auth = Auth::None;
    case.settings.method = Some(Method::Put);
    let refused = RenderError::Method("PUT");
    assert_eq!(check(&case), Err(EndpointFault::Render(refused)));
    case.settings.url = "http://a.example/".to_owned();
    assert_eq!(check(&case), Err(EndpointFault::InsecureUrl));
}

/// Everything that a destination can say.
fn dressed(contract: &Contract) -> Case {
    let mut case = Case::new(contract);
    case.signature_headers = SignatureHeaders::WebhookAndSvix;
    case.instance.instance_url = Some("https://{dojo}.example/}}".to_owned());
    case.instance.product_version = Some("2.40.1".to_owned());
    case.settings.owner = Some("ann".to_owned());
    case.settings.metadata = BTreeMap::from([("team".to_owned(), "{red}".to_owned())]);
    let secret = SecretText::new("canary".to_owned());
    case.secrets.headers = vec![("X-Canary".to_owned(), secret)];
    case
}

#[test]
fn a_request_is_made_again_by_its_recipe() {
    let check = |case: &Case| {
        let sent = case.render().expect("renders");
        let again = case.render_again(sent.signature());
        assert_eq!(again.method, sent.method);
        assert_eq!(again.body, sent.body);
        assert_eq!(again.headers.len(), sent.headers.len());
        for ((name, value), (sent_name, sent_value)) in again.headers.iter().zip(&sent.headers) {
            assert_eq!(name, sent_name);
            assert_eq!(value.is_sensitive(), sent_value.is_sensitive(), "{name}");
            assert!(value == sent_value || value.is_sensitive(), "{name}");
            assert!(!value.is_sensitive() || value.is_empty(), "{name}");
        }
    };
    for contract in Catalog::embedded().iter() {
        check(&Case::new(contract));
        let mut case = dressed(contract);
        check(&case);
        case.raw_body = Some(RawBody {
            body: "a=b".to_owned(),
            content_type: Some("text/plain".to_owned()),
        });
        check(&case);
    }
    let mut case = Case::written(
        "instance.instance_url = \"https://one.example\"\n\
         [request]\nheaders = [{ name = \"X-Team\", value = \"{endpoint.metadata.team} {event_type}\" }]\n\
         body = [{ key = \"{\", value = \"{instance_url} {message_id}\" }, { key = \"p\", value = \"{payload}\" }]",
    );
    case = dressed(&case.contract);
    case.secrets.auth = Auth::Bearer {
        token: SecretText::new("t0k3n".to_owned()),
    };
    check(&case);
}

#[test]
fn a_recipe_knows_how_names_were_written() {
    let case = dressed(&Case::embedded("defectdojo").contract);
    let prepared = Prepared::from_recipe(&case.recipe()).expect("a recipe");
    for (name, written) in [
        ("x-canary", "X-Canary"),
        ("x-defectdojo-event", "X-DefectDojo-Event"),
        ("webhook-id", "webhook-id"),
    ] {
        assert_eq!(
            prepared.name_as_written(&HeaderName::from_static(name)),
            written
        );
    }
}

#[test]
fn a_recipe_tells_secrets_apart_and_none_away() {
    let standard = Case::embedded("standard");
    let mut case = dressed(&standard.contract);
    let first = case.recipe();
    assert_eq!(first, case.recipe());
    assert!(!first.contains("canary"), "{first}");
    case.secrets.headers[0].1 = SecretText::new("canaries".to_owned());
    assert_ne!(case.recipe(), first);
    // Which key signs is not part of it: the signature is kept with each attempt.
    let mut rotated = dressed(&standard.contract);
    rotated.secrets.key = SigningKey::parse(OLD_SECRET).expect("valid");
    assert_eq!(rotated.recipe(), first);
}

#[test]
fn a_damaged_recipe_is_named() {
    let whole = dressed(&Case::embedded("dfend").contract).recipe();
    let check = |damage: (&str, &str)| Prepared::from_recipe(&whole.replace(damage.0, damage.1));
    assert!(check(("", "")).is_ok());
    assert!(matches!(
        check(("\"method\":\"POST\"", "\"method\":\"P ST\"")),
        Err(InvalidRecipe::Method(_))
    ));
    assert!(matches!(
        check(("X-Canary", "X Canary")),
        Err(InvalidRecipe::Header(_))
    ));
    assert!(matches!(check(("{", "[")), Err(InvalidRecipe::Json(_))));
}
