use super::*;
use crate::prometheus::connection::Credentials;

const INTERVAL: Duration = Duration::from_secs(5);

fn key() -> ClusterKey {
    ClusterKey::new("ns", "demo")
}

fn at() -> Timestamp {
    Timestamp::from_second(990).unwrap()
}

fn fresh(value: f64) -> Sample {
    Sample::fresh(value, at())
}

fn connection(url: &str, token: Option<&str>) -> Connection {
    Connection {
        url: url.to_owned(),
        credentials: token.map(|token| Credentials::Bearer(token.to_owned())),
        ..Connection::default()
    }
}

fn subscription(queries: &[(&str, &str)]) -> Subscription {
    let owned = |(metric, query): &(&str, &str)| ((*metric).to_owned(), (*query).to_owned());
    let queries: BTreeMap<_, _> = queries.iter().map(owned).collect();
    Subscription {
        connection: connection("http://prometheus", Some("one")),
        matchers: String::new(),
        interval: INTERVAL,
        histories: queries.clone(),
        queries,
        triggers_reconcile: true,
    }
}

const QUERIES: [(&str, &str); 2] = [("shard/queue", "sum(queue)"), ("shard/delay", "max(delay)")];

/// A store that has a sample of each metric and a history of each query.
fn store(subscription: &Subscription) -> SampleStore {
    let store = SampleStore::default();
    store.subscribe(&key(), subscription.clone());
    store.insert(&key(), subscription, "participants", fresh(7.0));
    let due = store.due_histories(&subscription.source(), Instant::now());
    for (cluster, metric, polled) in due {
        store.insert(&cluster, &polled, &metric, fresh(5.0));
        store.insert_history(&cluster, &polled, &metric, vec![(at(), 5.0)]);
    }
    store
}

/// The metrics that have a fresh sample, and those whose history is there.
fn held(store: &SampleStore) -> (Vec<&'static str>, Vec<&'static str>) {
    let mut metrics = vec!["participants", "shard/delay", "shard/queue"];
    let mut histories = metrics.clone();
    let now = Instant::now();
    metrics.retain(|metric| matches!(store.read(&key(), metric, now), Sample::Fresh { .. }));
    histories.retain(|metric| store.take_history(&key(), metric).is_some());
    (metrics, histories)
}

#[test]
fn samples_age_and_trigger_a_reconcile_only_when_they_change() {
    let store = SampleStore::default();
    let polled = subscription(&[]);
    store.subscribe(&key(), polled.clone());
    let missing = store.read(&key(), "participants", Instant::now());
    assert!(matches!(missing, Sample::Missing { .. }));
    let insert = |value| store.insert(&key(), &polled, "participants", fresh(value));
    assert!(insert(1.0));
    assert!(!insert(1.0));
    assert!(insert(2.0));
    assert_eq!(store.read(&key(), "participants", Instant::now()), fresh(2.0));
    let later = Instant::now() + stale_after(INTERVAL) + Duration::from_secs(1);
    assert_eq!(
        store.read(&key(), "participants", later),
        Sample::Stale { at: at() }
    );
    store.unsubscribe(&key());
    assert!(!insert(3.0), "a query that ends after the cluster was forgotten");
}

#[test]
fn a_history_is_fetched_once_and_a_failed_query_is_repeated() {
    let store = SampleStore::default();
    let polled = subscription(&QUERIES[..1]);
    store.subscribe(&key(), polled.clone());
    let (source, now) = (polled.source(), Instant::now());
    let due = |now| store.due_histories(&source, now).len();
    assert_eq!(due(now), 1);
    assert_eq!(due(now), 0, "requested already");
    let retry = now + Duration::from_secs(limits::HISTORY_RETRY_SECONDS);
    assert_eq!(due(retry), 1, "no answer came");
    store.insert_history(&key(), &polled, "shard/queue", vec![(at(), 5.0)]);
    assert_eq!(due(retry + INTERVAL * 100), 0);
    let history = Some(vec![(at(), 5.0)]);
    assert_eq!(store.take_history(&key(), "shard/queue"), history);
    assert_eq!(store.take_history(&key(), "shard/queue"), None, "once");
}

#[test]
fn a_changed_subscription_drops_only_what_changed() {
    let all = vec!["participants", "shard/delay", "shard/queue"];
    let queries = vec!["shard/delay", "shard/queue"];
    let change = |change: fn(&mut Subscription)| {
        let mut subscription = subscription(&QUERIES);
        let store = store(&subscription);
        change(&mut subscription);
        store.subscribe(&key(), subscription);
        held(&store)
    };
    let rotated =
        change(|subscription| subscription.connection = connection("http://prometheus", Some("two")));
    assert_eq!(rotated, (all.clone(), queries.clone()), "another token");
    let interval = change(|subscription| subscription.interval = INTERVAL * 2);
    assert_eq!(interval, (all.clone(), queries.clone()), "another interval");
    let added = change(|subscription| {
        let query = ("shard/more".to_owned(), "sum(more)".to_owned());
        subscription.queries.extend([query.clone()]);
        subscription.histories.extend([query]);
    });
    assert_eq!(added, (all.clone(), queries.clone()), "one more query");
    let changed = change(|subscription| {
        subscription
            .queries
            .insert("shard/queue".to_owned(), "x".to_owned());
    });
    let kept = vec!["participants", "shard/delay"];
    assert_eq!(
        changed,
        (kept, vec!["shard/delay", "shard/queue"]),
        "another query"
    );
    let removed = change(|subscription| {
        subscription.queries.remove("shard/queue");
        subscription.histories.remove("shard/queue");
    });
    let kept = vec!["participants", "shard/delay"];
    assert_eq!(removed, (kept, vec!["shard/delay"]), "one query less");
    let ca = change(|subscription| subscription.connection.ca = Some("ca".to_owned()));
    assert_eq!(ca, (all, queries), "another authority");
    let moved = change(|subscription| subscription.connection.url = "http://other".to_owned());
    assert_eq!(moved, (vec![], vec![]), "another Prometheus");
    let header = change(|subscription| {
        let tenant = ("X-Scope-OrgID".to_owned(), "other".to_owned());
        subscription.connection.headers = vec![tenant];
    });
    assert_eq!(header, (vec![], vec![]), "another tenant");
    let matchers = change(|subscription| subscription.matchers = r#"a="b""#.to_owned());
    assert_eq!(matchers, (vec![], vec![]), "another Kubernetes cluster");
}

#[test]
fn answers_to_a_former_query_or_token_are_dropped() {
    let former = subscription(&QUERIES[..1]);
    let rotated = Subscription {
        connection: connection("http://prometheus", Some("two")),
        ..former.clone()
    };
    let changed = subscription(&[("shard/queue", "sum(other)")]);
    for current in [rotated, changed] {
        let store = store(&former);
        let missing = Sample::missing("Prometheus answered with status 401");
        store.subscribe(&key(), current);
        let before = store.read(&key(), "shard/queue", Instant::now());
        assert!(!store.insert(&key(), &former, "shard/queue", missing));
        assert_eq!(store.read(&key(), "shard/queue", Instant::now()), before);
    }
    let store = store(&former);
    let changed = subscription(&[("shard/queue", "sum(other)")]);
    store.subscribe(&key(), changed.clone());
    assert_eq!(store.due_histories(&changed.source(), Instant::now()).len(), 1);
    store.insert_history(&key(), &former, "shard/queue", vec![(at(), 5.0)]);
    assert_eq!(store.take_history(&key(), "shard/queue"), None);
}

#[test]
fn a_source_holds_no_credentials_and_its_address_no_password() {
    let source = |change: fn(&mut Subscription)| {
        let mut subscription = subscription(&[]);
        subscription.connection = connection("http://user:password@prometheus:9090/base/", Some("s3cr3t"));
        change(&mut subscription);
        subscription.source()
    };
    let same = source(|_| {});
    assert_eq!(same.address(), "http://prometheus:9090/base");
    assert!(!same.fingerprint.contains("s3cr3t"));
    assert!(same == source(|subscription| subscription.interval = INTERVAL * 2));
    let others: [fn(&mut Subscription); 8] = [
        |s| s.connection.credentials = None,
        |s| s.connection.credentials = Some(Credentials::Bearer("other".to_owned())),
        |s| s.connection.url.push('x'),
        |s| s.connection.headers = vec![("a".to_owned(), "b".to_owned())],
        |s| s.connection.ca = Some("ca".to_owned()),
        |s| s.connection.client_certificate = Some("cert".to_owned()),
        |s| s.connection.proxy = Some("http://proxy".to_owned()),
        |s| s.matchers = r#"a="b""#.to_owned(),
    ];
    for other in others {
        assert!(same != source(other), "a setting has no part in the source");
    }
}
