//! Pauses of one target, and of one with several addresses.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_pause_is_neither_good_nor_bad_and_ends_by_itself() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let mut scene = Scene::open(1000, |_| QUICK);
    let slots = scheduled(100);
    scene.pauses.put(PauseRecord {
        target: "api".to_owned(),
        from: slots[2],
        until: slots[6],
        reason: "a move".to_owned(),
        actor: "ops".to_owned(),
    });
    let shown = |name| meter.value(name, &[("target", "api")]);
    tokio::time::sleep(slots[3].since(START) + Duration::from_secs(1)).await;
    assert_eq!(shown(names::PROBE_PAUSED), Some(1.0));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(shown(names::PROBE_PAUSED), Some(0.0));
    assert_eq!(scene.starts(), [&slots[..2], &slots[6..scene.starts().len() + 4]].concat());
    assert_eq!(missed(&meter, "paused"), 4.0);
    let observed = scene.observed();
    assert_eq!(observed.len(), scene.starts().len() * 2, "nothing is observed in a pause");
    // another one, which an operator ends
    let now = scene.clock.now();
    scene.pauses.put(PauseRecord {
        target: "api".to_owned(),
        from: now,
        until: now + Duration::from_secs(3600),
        reason: "a longer move".to_owned(),
        actor: "ops".to_owned(),
    });
    let before = scene.starts().len();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!((scene.starts().len(), missed(&meter, "paused")), (before, 7.0));
    assert!(scene.pauses.end("api", scene.clock.now()).is_some());
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(scene.starts().len(), before + 3);
    assert_eq!(outcome(&meter, "missed"), 7.0);
}

/// The alert on missing data is silent while a target is paused, so that one address must not pause the others.
#[tokio::test(start_paused = true)]
async fn a_target_of_several_addresses_is_paused_when_all_of_them_are() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let pauses = Pauses::default();
    let scenes = ["shop@a", "shop@b"].map(|name| {
        let scene = Scene::sharing(pauses.clone(), 1000, |_| QUICK);
        let (name, group) = (name.to_owned(), Some("shop".to_owned()));
        let target = Arc::new(Target { name, group, ..Target::clone(&target()) });
        scene.assigned.replace(Assignment {
            target,
            streams: Vec::new(),
            certificates: Vec::new(),
            rounds: Vec::new(),
        });
        scene
    });
    let pause = |target: &str| {
        let from = scenes[0].clock.now();
        let (until, target) = (from + Duration::from_secs(3600), target.to_owned());
        let (reason, actor) = ("a move".to_owned(), "ops".to_owned());
        pauses.put(PauseRecord { target, from, until, reason, actor });
    };
    let shown = |target| meter.value(names::PROBE_PAUSED, &[("target", target)]);
    let slot = INTERVAL + Duration::from_secs(1);
    for _ in 0..2 {
        pause("shop@a");
        tokio::time::sleep(slot).await;
        assert_eq!((shown("shop@a"), shown("shop@b"), shown("shop")), (Some(1.0), Some(0.0), Some(0.0)));
        pause("shop@b");
        tokio::time::sleep(slot).await;
        assert_eq!(shown("shop"), Some(1.0));
        pauses.end("shop@a", scenes[0].clock.now());
        tokio::time::sleep(slot).await;
        assert_eq!((shown("shop@a"), shown("shop@b"), shown("shop")), (Some(0.0), Some(1.0), Some(0.0)));
        pauses.end("shop@b", scenes[0].clock.now());
        tokio::time::sleep(slot).await;
        assert_eq!((shown("shop@b"), shown("shop")), (Some(0.0), Some(0.0)));
    }
    pause("shop@b");
    tokio::time::sleep(slot).await;
    assert_eq!(shown("shop"), Some(0.0));
    // the address that is probed goes, and leaves the one that is paused
    let [probed, paused] = scenes;
    probed.stop.cancel();
    probed.task.await.unwrap();
    assert_eq!(shown("shop"), Some(1.0));
    pauses.end("shop@b", paused.clock.now());
    tokio::time::sleep(slot).await;
    assert_eq!(shown("shop"), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_off_is_never_probed() {
    let meter = Meter::new();
    let _lent = meter.lend();
    let scene = Scene::open(1000, |_| QUICK);
    let labels = vec![("team".to_owned(), "crew".to_owned())];
    tokio::time::sleep(Duration::from_millis(1)).await;
    let off = Target { off: Some("no key".to_owned()), labels, ..Target::clone(&target()) };
    scene.assigned.replace(Assignment {
        target: Arc::new(off),
        streams: vec![3, 5],
        certificates: Vec::new(),
        rounds: Vec::new(),
    });
    tokio::time::sleep(Duration::from_secs(101)).await;
    assert_eq!((scene.starts().len(), missed(&meter, "paused")), (0, 10.0));
    let info = |labels: &[(&str, &str)]| meter.value(names::PROBE_TARGET_INFO, labels);
    let labels = [("target", "api"), ("protocol", "http"), ("team", "crew")];
    assert_eq!((info(&labels), info(&labels[..2])), (Some(1.0), Some(0.0)), "labels of before are gone");
}
