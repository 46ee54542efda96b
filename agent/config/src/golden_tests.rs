//! Whole files: one bad file per mistake and what is said about it, byte for byte; a good one with every key; and
//! `slo/` of this project.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect_file;
use lookout_engine::{Component as Part, Join, Method, Severity, SliceTarget, Weight, Window};
use lookout_promql::query::Dialect;

use super::*;

fn environment(name: &str) -> Option<String> {
    match name {
        "EMPTY" => Some(String::new()),
        "NAME" => Some("hunter2".to_owned()),
        "SLACK" => Some("https://hooks.slack.com/services/hunter2".to_owned()),
        _ => None,
    }
}

/// Set `UPDATE_EXPECT=1` to rewrite the expected texts, and read what changed.
#[test]
fn every_mistake_is_named_located_and_explained() {
    // relative, as a user names it; tests run in the folder of the package
    let folder = Path::new("tests/spec/bad");
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.retain(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "yaml"));
    entries.sort();
    assert!(entries.len() > 40, "the bad files are gone");
    for path in entries {
        let found = check_with(std::slice::from_ref(&path), &environment);
        let shown = found.to_string();
        assert!(!found.list.is_empty(), "{} is fine", path.display());
        assert!(
            !format!("{shown}{found:?}{}", found.render(true)).contains("hunter2"),
            "a secret is shown:\n{shown}"
        );
        assert!(found.list.is_sorted_by_key(|found| (found.file.clone(), found.position)), "{shown}");
        let expected = path.with_extension("").with_extension("txt");
        expect_file![std::path::absolute(expected).unwrap()].assert_eq(&shown);
    }
}

fn good() -> Config {
    let environment = |name: &str| (name == "API_TOKEN").then(|| "s3cret".to_owned());
    match load_with(Path::new("tests/spec/good"), &environment) {
        Ok((config, warnings)) => {
            assert!(warnings.list.is_empty(), "{warnings}");
            config
        }
        Err(found) => panic!("{found}"),
    }
}

#[test]
fn a_module_is_a_target_that_reaches_what_is_listed() {
    let blackbox = good().blackbox;
    let [http, tcp] = blackbox.modules.as_slice() else { panic!("{blackbox:?}") };
    assert!(blackbox.metrics);
    assert_eq!(
        (http.timeout.as_secs(), tcp.timeout.as_secs()),
        (20, 5),
        "longer than the interval of a target"
    );
    let allowed = tcp.allowed.as_ref().unwrap();
    assert!(allowed.permits("db", "127.0.0.1".parse().unwrap()));
    assert!(!allowed.permits("db", "10.0.0.1".parse().unwrap()));
    let aimed = http.aimed_at("https://www.example.com/health").unwrap();
    assert_eq!(aimed.allowed.as_ref(), Some(allowed), "the list goes with the module");
    assert!(good().targets.iter().all(|target| target.allowed.is_none()));
}

#[test]
fn a_composite_has_named_components_and_a_budget_they_share() {
    let (config, warnings) = load_with(Path::new("tests/spec/composite"), &|_| None).unwrap();
    assert!(warnings.list.is_empty(), "{warnings}");
    let [journey, pages, _up] = config.slos.as_slice() else { panic!() };
    let titles: Vec<_> = journey.components().iter().map(|part| (part.name.as_str(), part.title())).collect();
    assert_eq!(titles, [("search", "Search"), ("booking", "Booking")]);
    assert_eq!(journey.objective().percent(), 99.9, "the strictest of its targets");
    let Method::Composite(method) = &journey.policy.method else { panic!() };
    assert_eq!((method.join(), method.slices().width_seconds()), (Join::WorstOf, 300));
    let whole = journey.objective();
    let parts: Vec<_> = journey
        .components()
        .iter()
        .map(|part| Part::default().with_objective(part.objective, whole))
        .collect();
    assert_eq!(method.components(), parts, "each is measured in its own budget");
    let names: Vec<_> = pages.components().iter().map(|part| part.name.as_str()).collect();
    assert_eq!((names, pages.objective().percent()), (vec!["search", "stored-bookings"], 99.2));
    let Method::Composite(method) = &pages.policy.method else { panic!() };
    assert_eq!((method.join(), method.slices().width_seconds()), (Join::Weights, 60));
    let part = |weight, target| {
        let with_weight = Part::default().with_weight(Weight::try_new(weight).unwrap());
        with_weight.with_slice_target(SliceTarget::try_from_ratio(target).unwrap())
    };
    assert_eq!(method.components(), [part(0.7, 0.95), part(0.3, 0.9)], "against an objective of its own");
    let streams: Vec<_> = config.streams().into_iter().map(|it| (it.slo, it.component, it.id)).collect();
    let stream = |slo, component, id: &str| (slo, component, id.to_owned());
    let expected = [
        stream(0, 0, "titanic-journey/search"),
        stream(0, 1, "titanic-journey/booking"),
        stream(1, 0, "titanic-pages/search"),
        stream(1, 1, "titanic-pages/stored-bookings"),
        stream(2, 0, "titanic-api-up"),
    ];
    assert_eq!(streams, expected);
}

fn every_key_of_a_route_reaches_the_model(
    config: &Config,
    hook: &Destination,
    second: &Destination,
    thread: &Destination,
) {
    assert_eq!(thread.route, Route::default());
    assert!(second.route.standby && !hook.route.standby);
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let matcher = &hook.route.matcher;
    assert_eq!((&matcher.services, &matcher.slos), (&words(&["api"]), &words(&["api-requests"])));
    assert_eq!(matcher.labels["team"], words(&["crew", "passengers"]));
    let [night, noon, saturday] = hook.route.active_times.as_slice() else { panic!() };
    assert_eq!((saturday.start_minute, saturday.end_minute), (0, 24 * 60));
    assert_eq!(saturday.days, [false, false, false, false, false, true, false]);
    assert_eq!(night.days, [true, true, true, true, true, false, true]);
    assert_eq!((night.start_minute, night.end_minute), (22 * 60 + 30, 6 * 60));
    assert_eq!((noon.start_minute, noon.end_minute, noon.days), (12 * 60, 24 * 60, [true; 7]));
    assert_eq!((night.zone.iana_name(), noon.zone.iana_name()), (Some("Europe/Zurich"), Some("UTC")));
    assert_eq!(hook.route.repeat_interval, Some(Duration::from_secs(4 * 3600)));
    let escalate = hook.route.escalate.as_ref().unwrap();
    assert_eq!((escalate.after, escalate.to.as_str()), (Duration::from_secs(900), "second"));
    let at =
        |hour: u64| lookout_model::Timestamp::from_seconds(1_784_505_600) + Duration::from_secs(hour * 3600);
    let told = |id: &str, severity: Severity, hour: u64| {
        config.destinations_of(config.slo(id).unwrap(), severity, at(hour)).join(" ")
    };
    // a Monday: midnight in UTC is two o'clock in Zurich
    assert_eq!(told("api-requests", Severity::Page, 0), "hook thread pager program mail am");
    assert_eq!(told("api-requests", Severity::Page, 8), "thread pager program mail am");
    assert_eq!(told("api-requests", Severity::Page, 12), "hook thread pager program mail am");
    assert_eq!(told("api-requests", Severity::Ticket, 12), "thread pager program mail am");
    assert_eq!(told("undeclared-probes", Severity::Page, 12), "thread pager program mail am");
}

fn every_key_of_targets_reaches_the_model(targets: &[Arc<Target>]) {
    let texts =
        |target: &Target| target.expect.iter().map(|assertion| assertion.text.clone()).collect::<Vec<_>>();
    let [health, plain, mail, certificate, name, router, rpc, events, client, granted, shop] = targets else {
        panic!("{targets:?}")
    };
    let Check::Http(http) = &health.check else { panic!() };
    assert_eq!((http.method.as_str(), http.tls.insecure, http.body_limit), ("POST", true, 65_536));
    assert!(http.tls.ca.as_ref().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")));
    assert_eq!((http.tls.server_name.as_deref(), http.version), (Some("api.example.org"), HttpVersion::Auto));
    assert_eq!((http.redirects, http.max_headers), (Redirects { limit: 3, any_origin: true }, 500));
    assert!(matches!(&http.authorization, Credentials::Basic { username, password }
        if username == "lookout" && password.reveal().ends_with("/s3cret")));
    assert_eq!((health.interval, health.timeout), (Duration::from_secs(30), Duration::from_secs(7)));
    assert_eq!((health.family, health.resolver), (Family::V4, "10.0.0.2:53".parse().ok()));
    let headers: Vec<_> = http.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    assert_eq!(headers[0], ("Authorization", "Bearer s3cret"));
    assert!(headers[1].1.ends_with("/s3cret"), "a file loses its line break");
    let expected = [
        "status in [204, 3xx]",
        "latency < 500ms",
        "json(\"$.status\") == \"ok\"",
        "json(\"$.checks[*].up\") == true",
        "certificate.days_left > 14",
        "redirects <= 1",
    ];
    assert_eq!(texts(health), expected);
    let Check::Http(http) = &plain.check else { panic!() };
    assert_eq!(http.url.as_str(), "http://127.0.0.1:8080/livez");
    assert_eq!((plain.interval, plain.timeout), (Duration::from_secs(5), Duration::from_millis(2500)));
    assert_eq!(texts(plain), ["status == 2xx"]);

    let Check::Tcp(tcp) = &mail.check else { panic!() };
    assert_eq!(tcp.address.to_string(), "mail.example.org:25");
    assert!(
        matches!(&tcp.starttls, Some((StartTls::Smtp, options)) if options.ca.is_some()) && tcp.tls.is_none()
    );
    let [Step::Send(quit), Step::Expect(_), Step::Send(bytes)] = tcp.dialogue.as_slice() else { panic!() };
    assert_eq!((quit.0.as_slice(), bytes.0.as_slice()), (&b"QUIT\r\n"[..], &[0, 255][..]));
    assert_eq!(texts(mail), ["latency < 1s", "certificate.names contains 'example.org'"]);
    let Check::Tcp(tls) = &certificate.check else { panic!() };
    assert_eq!(tls.address.literal(), "[::1]:443".parse().ok());
    assert!(
        tls.tls.as_ref().is_some_and(|tls| tls.insecure && tls.server_name.as_deref() == Some("example.org"))
    );
    let Check::Dns(dns) = &name.check else { panic!() };
    assert_eq!((dns.server.port(), dns.record, dns.recursion), (853, RecordType::Aaaa, false));
    assert!(
        matches!(&dns.transport, DnsTransport::Tls(tls) if tls.server_name.as_deref() == Some("dns.example.org"))
    );
    assert_eq!(texts(name), ["dns.code == \"NOERROR\"", "dns.ttl >= 60"]);
    assert!(matches!(&router.check, Check::Icmp(icmp) if icmp.host == "10.0.0.1" && icmp.size == 100));
    assert!(matches!(&rpc.check, Check::Grpc(grpc) if grpc.service == "shop.v1.Cart" && grpc.tls.is_some()));
    assert_eq!(texts(rpc), ["grpc.status == \"SERVING\"", "latency < 1s"]);
    let Check::WebSocket(socket) = &events.check else { panic!() };
    assert_eq!((socket.url.as_str(), socket.send.as_deref()), ("wss://example.org/events", Some("ping")));
    assert!(socket.tls.insecure && socket.expect_message.is_some() && socket.headers.len() == 1);
    let Check::Journey(journey) = &client.check else { panic!() };
    let names: Vec<&str> = journey.variables.iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!(names, ["base", "token", "id", "tag"]);
    let [create, delete] = journey.steps.as_slice() else { panic!() };
    assert_eq!((create.always, create.needs.as_slice(), create.extract.len()), (false, &[1][..], 2));
    assert_eq!((delete.always, delete.needs.as_slice()), (true, &[2, 3][..]));
    assert_eq!((create.expect.len(), texts(client)), (1, vec!["latency < 2s".to_owned()]));
    let Check::Http(granted) = &granted.check else { panic!() };
    every_key_of_a_way_reaches_the_model(granted);
    assert_eq!((shop.name.as_str(), shop.group.as_deref()), ("shop@shop.example.org:8080", Some("shop")));
    assert_eq!((shop.family, shop.labels.len(), shop.is_of("shop")), (Family::Both, 1, true));
}

fn every_key_of_discoveries_reaches_the_model(discoveries: &[Discovery]) {
    let [shop, cart, services, pods] = discoveries else { panic!("{discoveries:?}") };
    assert_eq!((shop.source.kind(), shop.limit, shop.read.as_ref().map(Vec::len)), ("files", 100, Some(1)));
    let AddressSource::Dns(dns) = &cart.source else { panic!() };
    assert_eq!((cart.refresh, cart.limit, dns.record), (Duration::from_secs(10), 5, RecordType::A));
    assert_eq!(dns.names, ["cart.internal", "basket.internal"]);
    assert_eq!((dns.port, dns.server), (Some(8080), Some("10.0.0.2:53".parse().unwrap())));
    let AddressSource::Dns(srv) = &services.source else { panic!() };
    assert_eq!((srv.record, srv.port, srv.server), (RecordType::Srv, None, None));
    let AddressSource::Kubernetes(slices) = &pods.source else { panic!() };
    assert_eq!((pods.refresh, slices.namespace.as_deref()), (Duration::from_secs(30), Some("shop")));
    assert_eq!(slices.server.as_ref().map(url::Url::as_str), Some("https://10.0.0.1:6443/"));
    assert_eq!(
        (slices.selector.as_str(), slices.port.as_deref()),
        ("kubernetes.io/service-name=pods", Some("http"))
    );
    assert!(slices.token_file.ends_with("good/webhook") && slices.ca_file.ends_with("good/ca.pem"));
}

fn every_key_of_a_way_reaches_the_model(check: &HttpCheck) {
    let grant = check.oauth2.as_ref().unwrap();
    assert_eq!(
        (grant.token_url.as_str(), grant.client_id.as_str()),
        ("https://id.example.org/token", "lookout")
    );
    assert!(grant.client_secret.reveal().ends_with("/s3cret") && grant.tls.ca.is_some());
    assert_eq!((grant.scopes.join(" "), grant.auth), ("read write".to_owned(), ClientAuth::Basic));
    assert_eq!((grant.parameters[0].0.as_str(), grant.parameters[0].1.reveal()), ("audience", "shop"));
    let proxy = check.proxy.as_ref().unwrap();
    assert_eq!((proxy.url.as_str(), proxy.exceptions.len()), ("http://proxy.example.org:3128/", 2));
    assert!(matches!(&proxy.credentials, Credentials::Basic { username, password }
        if username == "lookout" && password.reveal().ends_with("/s3cret")));
    assert_eq!(
        (proxy.connect_headers[0].0.as_str(), proxy.connect_headers[0].1.reveal()),
        ("X-Team", "shop")
    );
    assert!(check.tls.resume);
}

#[test]
fn every_key_of_a_lookout_yaml_reaches_the_model() {
    let config = good();
    assert_eq!(config.listen, "[::1]:0".parse().unwrap());
    assert_eq!(config.external_url.as_str(), "https://lookout.example.org/base");
    assert_eq!(config.hosts, ["watch.example.org", "10.0.0.1"]);
    assert_eq!(
        (config.environment.as_deref(), &config.ledger),
        (Some("production"), &LedgerLocation::Memory)
    );
    assert_eq!(config.grid.width_seconds(), 5);
    let otlp = config.otlp.as_ref().unwrap();
    assert_eq!(otlp.endpoint.as_str(), "http://127.0.0.1:4318/");
    assert_eq!((otlp.metrics_every, otlp.logs), (Some(Duration::from_secs(15)), true));
    every_key_of_targets_reaches_the_model(&config.targets);
    every_key_of_discoveries_reaches_the_model(&config.discoveries);
    let scrape = &config.scrapes[0];
    assert_eq!((scrape.timeout, scrape.job.as_deref()), (Duration::from_secs(2), Some("api")));
    let [main, token] = config.prometheus.as_slice() else { panic!() };
    assert_eq!(main.url.as_str(), "https://prometheus.example.org/prefix/", "paths can be joined to it");
    assert_eq!((main.timeout, main.delay), (Duration::from_secs(3), Duration::from_secs(5)));
    assert_eq!((main.scrape_interval, main.window), (Duration::from_secs(30), Window::seconds(90)));
    assert!(matches!(&main.credentials, Credentials::Basic { username, password }
        if username == "lookout" && password.reveal().ends_with("/s3cret")));
    assert_eq!((main.headers[0].0.as_str(), main.headers[0].1.reveal()), ("X-Scope-OrgID", "passengers"));
    assert!(main.ca.as_ref().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")) && !main.insecure);
    assert_eq!((main.dialect, token.dialect), (Dialect::MetricsQl, Dialect::PromQl));
    assert!(matches!(&token.credentials, Credentials::Bearer(token) if token.reveal() == "s3cret"));
    assert_eq!((token.timeout, token.delay), (Duration::from_secs(10), Duration::from_secs(10)));
    assert_eq!((token.scrape_interval, token.window), (Duration::from_secs(15), Window::seconds(60)));
    let [hook, second, thread, pager, program, mail, am] = config.destinations.as_slice() else { panic!() };
    every_key_of_a_route_reaches_the_model(&config, hook, second, thread);
    assert_eq!((hook.minimum, thread.minimum), (Severity::Page, Severity::Ticket));
    assert_eq!((hook.fallback.as_deref(), am.fallback.as_deref()), (Some("mail"), None));
    assert_eq!((hook.group_wait, am.group_wait), (Duration::from_secs(5), Duration::from_secs(2)));
    assert!(matches!(&hook.kind, DestinationKind::SlackWebhook { url } if url.reveal().ends_with("/s3cret")));
    assert!(matches!(&thread.kind, DestinationKind::SlackApi { api_url, token, channel }
        if api_url.as_str() == "http://127.0.0.1:1/api/" && token.reveal() == "s3cret" && channel == "#oncall"));
    assert!(matches!(&pager.kind, DestinationKind::PagerDuty { events_url, routing_key }
        if events_url.as_str() == "http://127.0.0.1:1/v2/" && routing_key.reveal().ends_with("/s3cret")));
    let DestinationKind::Webhook { url, signing_secret: Some(secret), headers, form } = &program.kind else {
        panic!()
    };
    assert_eq!(*form, WebhookForm::CloudEvents);
    assert!(matches!(&second.kind, DestinationKind::Webhook { form: WebhookForm::Template(_), .. }));
    assert!(url.reveal().ends_with("/s3cret") && secret.reveal() == "s3cret" && headers[0].0 == "X-Team");
    let DestinationKind::Email(mail) = &mail.kind else { panic!() };
    assert_eq!((mail.host.as_str(), mail.port, mail.encryption), ("mail.example.org", 2525, Encryption::Tls));
    assert!(mail.ca.is_some() && mail.login.as_ref().is_some_and(|(user, _)| user == "lookout"));
    assert_eq!((mail.from.as_str(), mail.to.len()), ("lookout@example.org", 2));
    assert!(matches!(&am.kind, DestinationKind::Alertmanager(settings) if settings.urls.len() == 2));
    assert_eq!((config.gate.minimum_budget, config.gate.valid_for), (0.1, Duration::from_secs(120)));
    assert_eq!((config.gate.minimum_observed, config.gate.minimum_events), (Duration::from_secs(300), 20));
    assert!(config.gate.idle_is_normal);
    let token = &config.tokens[0];
    assert_eq!(
        (token.sha256[0], token.sha256[31], token.scopes.as_slice()),
        (0x9f, 0x08, [lookout_model::Scope::Ask, lookout_model::Scope::Mark].as_slice())
    );
    let here = std::fs::canonicalize("tests/spec").unwrap();
    assert_eq!(config.outputs.alerts, Some(here.join("out/alerts")), "absolute, without `..`");
    assert_eq!(config.outputs.dashboards, Some(here.join("good/dashboards")));
    assert_eq!(config.outputs.runbooks, Some(PathBuf::from("/srv/runbooks")));
    assert_eq!(config.outputs.runbook_url.as_deref(), Some("https://example.org/{alert}"));
    assert_eq!(config.outputs.agent_job.as_deref(), Some("monitoring/lookout"));
    let rules = config.outputs.prometheus_rules.unwrap();
    assert_eq!((rules.folder, rules.namespace.as_deref()), (here.join("good/rules"), Some("monitoring")));
    assert_eq!(rules.labels["release"], "monitoring");
    let routes = config.outputs.alertmanager_config.unwrap();
    assert_eq!((routes.objects.folder, routes.objects.namespace), (here.join("good/rules"), None));
    assert_eq!((routes.objects.labels["team"].as_str(), routes.alerts), ("sre", RoutedAlerts::Own));
    assert_eq!((routes.slack_secret.secret.as_str(), routes.slack_secret.key.as_str()), ("slack", "address"));
}

#[test]
fn openslo_documents_of_several_files_come_together() {
    let config = good();
    let [month, fortnight, _, _, _, requests, probes, ..] = config.slos.as_slice() else { panic!() };
    assert_eq!(month.period_text(), "month in Asia/Kathmandu");
    assert_eq!((fortnight.period_text().as_str(), fortnight.period()), ("2 weeks in UTC", Window::days(14)));
    let second = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    let february = month.calendar.as_ref().unwrap().period_at(second("2026-03-01T00:00:00Z")).unwrap();
    assert_eq!(february, (second("2026-02-28T00:45:00Z"), second("2026-03-31T00:45:00Z")));
    assert_eq!((requests.id(), probes.id()), ("api-requests".to_owned(), "undeclared-probes".to_owned()));
    let Indicator::Scrape { source, ratio: Ratio::Bad { bad, total } } = &requests.indicator else {
        panic!()
    };
    assert_eq!((source.as_str(), bad.to_string().as_str()), ("service", "requests_total{code=~\"5..\"}"));
    assert_eq!(total.to_string(), "requests_total");
    let tiers: Vec<String> = requests.tiers().iter().map(ToString::to_string).collect();
    assert_eq!(tiers, ["page 1h/5m x14.4 until x12", "ticket 1d/2h x3 for 10m"]);
    assert_eq!((requests.objective().percent(), requests.period()), (99.95, Window::days(28)));
    assert_eq!((requests.guard().minimum_events, requests.guard().minimum_bad), (100, 5));
    assert_eq!(requests.guard().minimum_slots, 2);
    assert_eq!(requests.guard().confidence.map(|sure| sure.percent()), Some(98.0));
    let conditions: Vec<String> = requests.policy.conditions.iter().map(ToString::to_string).collect();
    assert_eq!(
        conditions,
        [
            "ticket budget-left 10%",
            "page budget-drop 5% in 1h until 2%",
            "ticket exhaustion 3d at 6h for 10m",
            "page no-data 30m",
            "ticket idle 1h",
        ]
    );
    assert_eq!((requests.policy.stale_after_seconds, requests.policy.data_alert), (90, None));
    assert_eq!(requests.labels["team"], "passengers");
    assert_eq!(requests.file, Path::new("tests/spec/good/specs/requests.yaml"));
    assert_eq!(config.services["api"].owner.as_deref(), Some("passengers"));
    assert!(!config.services.contains_key("undeclared"), "a Service document is optional");
    assert!(
        matches!(&probes.indicator, Indicator::Probe { target, certificate_days: None } if target == "health")
    );
    assert_eq!(probes.policy.stale_after_seconds, 97, "three probes of 30 s and a timeout of 7 s");
    assert_eq!((probes.tiers().len(), probes.policy.data_alert), (5, Some(Severity::Ticket)));
    assert_eq!(probes.tiers()[0].to_string(), "page 150s/75s x40", "99 % needs a tier for outages");
}

#[test]
fn a_budget_is_counted_in_slices_where_the_spec_says_so() {
    let (config, warnings) = load_with(Path::new("tests/spec/slices"), &environment).unwrap();
    assert!(warnings.list.is_empty(), "{warnings}");
    let [steady, even] = config.slos.as_slice() else { panic!() };
    let Method::Timeslices { slices, target } = steady.policy.method else { panic!() };
    assert_eq!((slices.width_seconds(), target.ratio()), (60, 0.95));
    let Method::RatioTimeslices { slices } = even.policy.method else { panic!() };
    assert_eq!(slices.width_seconds(), 300);
}

#[test]
fn histograms_and_queries_reach_the_model() {
    let config = good();
    let [_, _, latency, counters, windowed, ..] = config.slos.as_slice() else { panic!() };
    let Indicator::Scrape { source, ratio: Ratio::Good { good, total } } = &latency.indicator else {
        panic!()
    };
    assert_eq!((source.as_str(), total.to_string().as_str()), ("service", "seconds_count{route=\"/\"}"));
    assert_eq!(good.to_string(), "seconds_bucket{route=\"/\",le=\"0.25\"}");
    let Indicator::Prometheus { source, queries: Queries::Counters(Ratio::Bad { bad, total }) } =
        &counters.indicator
    else {
        panic!()
    };
    assert_eq!((source.as_str(), total.to_string().as_str()), ("main", "requests_total"));
    assert_eq!(bad.to_string(), "requests_total{code=~\"5..\"}");
    assert_eq!(
        counters.policy.stale_after_seconds, 98,
        "three scrapes of 30 s, a delay of 5 s, a timeout of 3 s"
    );
    let Indicator::Prometheus { queries: Queries::Windowed { part, part_is_bad, total }, .. } =
        &windowed.indicator
    else {
        panic!()
    };
    assert_eq!(part.over("1m"), "sum(rate(a[1m])) - sum(rate(b[1m]))");
    assert_eq!((*part_is_bad, part.is_per_second(), total.is_per_second()), (false, true, false));
    assert_eq!(
        windowed.policy.stale_after_seconds, 200,
        "three windows of 60 s, a delay and a timeout of 10 s"
    );
}

#[test]
fn no_way_of_printing_the_model_shows_a_secret() {
    assert!(!format!("{:?}", good()).contains("s3cret"));
}

#[test]
fn specs_of_their_own_are_checked_without_what_they_refer_to() {
    let specs =
        ["tests/spec/good/specs/requests.yaml", "tests/spec/good/specs/service.yaml"].map(PathBuf::from);
    let found = check_with(&specs, &environment);
    assert!(found.list.is_empty(), "{found}");
    // alone, the reference to the SLI is the one thing that is missing
    let found = check_with(&specs[..1], &environment);
    assert_eq!(found.counts(), (1, 0), "{found}");
    // together with the lookout.yaml that names them they are read once
    let all = [PathBuf::from("tests/spec/good/lookout.yaml"), specs[0].clone()];
    let found = check_with(&all, &|name| (name == "API_TOKEN").then(|| "x".to_owned()));
    assert!(found.list.is_empty(), "{found}");
}

#[test]
fn a_file_may_hold_thousands_of_slos_and_no_storm_of_separators() {
    let folder = tempfile::tempdir().unwrap();
    let slo = |number: usize| {
        format!(
            "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {{ name: s{number} }}\nspec:\n  service: shop\n  indicator: {{ \
             metadata: {{ name: i{number} }}, spec: {{ ratioMetric: {{ counter: true, good: {{ metricSource: {{ type: probe, \
             spec: {{ target: web, outcome: ok }} }} }}, total: {{ metricSource: {{ type: probe, spec: {{ target: web }} }} }} }} }} }}\n  \
             budgetingMethod: Occurrences\n  objectives: [{{ targetPercent: 99.9 }}]\n  timeWindow: [{{ duration: 30d, isRolling: true }}]\n"
        )
    };
    let specs = folder.path().join("all.slo.yaml");
    std::fs::write(&specs, (0..2_000).map(slo).collect::<String>()).unwrap();
    let file = folder.path().join("lookout.yaml");
    let target = "targets: [{ name: web, http: { url: \"http://web\" } }]\nslos: [\"*.slo.yaml\"]\n";
    std::fs::write(&file, target).unwrap();
    let config = load_with(&file, &environment).unwrap().0;
    assert_eq!((config.slos.len(), config.slos[1_999].name.as_str()), (2_000, "s1999"));
    std::fs::write(&specs, "--- 1\n".repeat(10_001)).unwrap();
    let refused = load_with(&file, &environment).unwrap_err().to_string();
    assert!(
        refused.contains("this YAML is too large or too deeply nested"),
        "{}",
        &refused[..500.min(refused.len())]
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let found = check_with(&[PathBuf::from("no-such-file.yaml")], &environment);
    assert!(found.to_string().contains("this file cannot be read"), "{found}");
    let folder = tempfile::tempdir().unwrap();
    let found = check_with(&[folder.path().to_owned()], &environment);
    assert!(found.to_string().contains("neither a lookout.yaml nor SLO specs"), "{found}");
    let file = folder.path().join("lookout.yaml");
    std::fs::write(&file, "#".repeat(1024 * 1024 + 1)).unwrap();
    assert!(load_with(&file, &environment).unwrap_err().to_string().contains("more than 1 MiB"));
    std::fs::write(&file, [b'a', 0xff]).unwrap();
    assert!(load_with(folder.path(), &environment).unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn our_own_specs_are_fine_on_a_fresh_clone() {
    let slo = Path::new("../../slo");
    let (config, warnings) = match load_with(slo, &|_| None) {
        Ok(loaded) => loaded,
        Err(found) => panic!("{found}"),
    };
    assert_eq!(
        warnings.counts(),
        (0, 3),
        "both destinations and the journey are off, and nothing else: {warnings}"
    );
    assert!(config.destinations.is_empty());
    let mut ids: Vec<String> = config.slos.iter().map(Slo::id).collect();
    ids.sort();
    assert_eq!(
        ids,
        [
            "titanic-journey",
            "titanic-probes-availability",
            "titanic-requests-availability",
            "titanic-requests-latency"
        ]
    );
    assert_eq!(config.services["titanic"].owner.as_deref(), Some("passenger-team"));
    // with everything set, both are told
    let environment = |name: &str| match name {
        "SLACK_WEBHOOK_URL" => Some("https://hooks.slack.com/services/hunter2".to_owned()),
        "ALERTMANAGER_URL" => Some("http://127.0.0.1:9093".to_owned()),
        "TITANIC_API_KEY" => Some("hunter2".to_owned()),
        _ => None,
    };
    let (config, warnings) = load_with(slo, &environment).unwrap();
    assert!(warnings.list.is_empty() && config.destinations.len() == 2, "{warnings}");
}

/// The agent of a cluster has specs of its own, which count through Prometheus; its SLOs are the same.
#[test]
fn the_agent_of_a_cluster_is_told_what_its_manifest_says() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("lookout");
    // as the pod mounts them
    for (from, to) in [("../../k8s/components/standalone-agent", "lookout"), ("../../slo", "lookout-slo")] {
        std::fs::create_dir(root.path().join(to)).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_name().unwrap().to_str().unwrap();
            if name.ends_with(".slo.yaml") || name == "lookout.yaml" {
                let text = std::fs::read_to_string(&file).unwrap();
                let text = text.replace("/run/secrets/lookout", &root.path().display().to_string());
                std::fs::write(root.path().join(to).join(name), text).unwrap();
            }
        }
    }
    std::fs::create_dir(root.path().join("runbooks")).unwrap();
    let webhook = root.path().join("slack-webhook-url");
    std::fs::write(webhook, "https://hooks.slack.com/services/hunter2").unwrap();
    let environment = |name: &str| match name {
        "LOOKOUT_EXTERNAL_URL" => Some("https://lookout.example.org".to_owned()),
        "LOOKOUT_LISTEN" => Some("0.0.0.0:9797".to_owned()),
        "LOOKOUT_LEDGER" => Some("/var/lib/lookout/lookout.db".to_owned()),
        "PROMETHEUS_URL" => Some("http://prometheus-operated.monitoring:9090".to_owned()),
        "ENVIRONMENT" => Some("production".to_owned()),
        "DEPLOY_TOKEN_SHA256" => Some("0f".repeat(32)),
        "TITANIC_API_KEY" => Some("hunter2".to_owned()),
        _ => None,
    };
    let (config, warnings) = match load_with(&folder, &environment) {
        Ok(loaded) => loaded,
        Err(found) => panic!("{found}"),
    };
    assert!(warnings.list.is_empty(), "{warnings}");
    assert_eq!((config.destinations.len(), config.tokens.len()), (1, 1));
    let ours = |config: &Config| {
        // in a cluster Prometheus scrapes the service, and the agent asks Prometheus
        let counted = config.slos.iter().filter(|slo| !matches!(slo.indicator, Indicator::Up { .. }));
        let slos = counted.map(|slo| (slo.id(), slo.description.clone(), slo.policy.objective));
        // the manifest names the files in an order of its own
        let mut slos: Vec<_> = slos.collect();
        slos.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        slos
    };
    let (local, _) = load_with(Path::new("../../slo"), &|_| None).unwrap();
    assert_eq!(ours(&config), ours(&local));
}

#[test]
fn files_are_generated_where_no_secret_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lookout.yaml");
    let text = "slos: []\ndestinations:\n  - { name: a, slack: { webhook_url_file: missing } }\n  \
                - { name: b, slack: { token: \"${MISSING_TOKEN}\", channel: c } }\n";
    std::fs::write(&file, text).unwrap();
    assert!(load_with(&file, &|_| None).is_err());
    let (config, _) = load_without_secrets(&file).unwrap();
    assert!(config.destinations.is_empty());
}

#[test]
fn the_job_of_the_agent_has_a_default_and_an_empty_one_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lookout.yaml");
    for (said, job) in
        [("", Some("lookout")), ("agent_job: \"${JOB:-}\"", None), ("agent_job: agents", Some("agents"))]
    {
        std::fs::write(&file, format!("slos: []\ngenerate:\n  alerts: alerts\n  {said}\n")).unwrap();
        let (config, _) = load_with(&file, &|_| None).unwrap();
        assert_eq!(config.outputs.agent_job.as_deref(), job, "{said}");
    }
}
