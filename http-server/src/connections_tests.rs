//! The table of connections, without any.

use super::*;

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
const UNSENT: u64 = 16 << 20;

fn of(connections: usize, per_client: usize) -> Arc<Connections> {
    Connections::new(Limits::new(connections, per_client))
}

fn enter(connections: &Arc<Connections>, address: IpAddr) -> Arc<Slot> {
    Arc::new(connections.enter(address))
}

fn answer(slot: &Arc<Slot>, bytes: u64) -> Response<Body> {
    let body = Body::from(vec![0; usize::try_from(bytes).unwrap()]);
    slot.begin(Version::HTTP_2).end_with(Response::new(body))
}

fn is_closed(slot: &Slot) -> bool {
    slot.close.is_cancelled()
}

#[tokio::test]
async fn the_longest_idle_connection_makes_room_and_a_busy_one_does_not() {
    let connections = of(2, 2);
    let (one, other) = (enter(&connections, A), enter(&connections, A));
    let busy = one.begin(Version::HTTP_11);
    let third = enter(&connections, B);
    assert!(is_closed(&other) && !is_closed(&one));
    drop(other);
    let also_busy = third.begin(Version::HTTP_11);
    assert!(enter(&connections, B).is_reserved());
    drop(busy);
    assert!(!enter(&connections, B).is_reserved() && is_closed(&one));
    drop(also_busy);
    drop((one, third));
    assert_eq!(connections.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_beyond_its_limit_closes_its_own_connection_only() {
    let connections = of(3, 2);
    let other = enter(&connections, B);
    let mut of_a = Vec::new();
    for _ in 0..10 {
        tokio::time::advance(Duration::from_millis(5)).await;
        of_a.push(enter(&connections, A));
    }
    assert!(!is_closed(&other));
    let left: Vec<usize> = (0..10).filter(|index| !is_closed(&of_a[*index])).collect();
    assert_eq!(left, [8, 9], "the ones that were idle for the longest time made room");
}

#[tokio::test]
async fn while_all_are_busy_the_reserve_takes_in_the_newest() {
    let limits = Limits { reserved: 3, ..Limits::new(2, 2) };
    let connections = Connections::new(limits);
    let busy = [enter(&connections, A), enter(&connections, B)];
    let _requests = busy.each_ref().map(|slot| slot.begin(Version::HTTP_11));
    let other = enter(&connections, B);
    let probes: Vec<_> = (0..5).map(|_| enter(&connections, A)).collect();
    assert!(probes.iter().all(|slot| slot.is_reserved()));
    let left: Vec<usize> = (0..5).filter(|index| !is_closed(&probes[*index])).collect();
    assert_eq!(left, [3, 4]);
    assert!(!is_closed(&other), "a client with fewer connections stays");
    assert!(busy.iter().all(|slot| !is_closed(slot)));
    assert_eq!(connections.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn where_none_is_idle_the_reader_that_stands_still_makes_room() {
    let connections = of(2, 2);
    let (reader, worker) = (enter(&connections, A), enter(&connections, B));
    let mut body = answer(&reader, 1 << 20).into_body();
    let _piece = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await;
    let _request = worker.begin(Version::HTTP_2);
    assert!(enter(&connections, B).is_reserved(), "it has just begun to read");
    tokio::time::advance(2 * STALLED).await;
    assert!(!enter(&connections, B).is_reserved());
    assert!(is_closed(&reader) && !is_closed(&worker));
}

#[tokio::test(start_paused = true)]
async fn beyond_the_bytes_that_may_be_unsent_the_client_that_took_nothing_for_longest_is_cut() {
    let connections = of(3, 3);
    let [first, second, third] = [(); 3].map(|()| enter(&connections, A));
    for _ in 0..4 {
        let taken = answer(&first, UNSENT / 2);
        assert!(!is_closed(&first));
        drop(taken);
    }
    let mut slow = answer(&first, UNSENT / 2).into_body();
    tokio::time::advance(Duration::from_millis(5)).await;
    let _still = answer(&second, UNSENT / 2);
    tokio::time::advance(Duration::from_millis(5)).await;
    let _piece = std::future::poll_fn(|cx| std::pin::Pin::new(&mut slow).poll_frame(cx)).await;
    let _new = answer(&third, UNSENT / 2);
    assert!(is_closed(&second) && !is_closed(&first) && !is_closed(&third));
    let huge = answer(&enter(&connections, B), 2 * UNSENT);
    assert!(is_closed(&first) && is_closed(&third), "one response alone may be larger");
    drop((slow, huge));
}

#[tokio::test]
async fn a_client_that_holds_back_many_responses_is_cut() {
    let connections = of(2, 2);
    let slot = enter(&connections, A);
    let held = [answer(&slot, UNSENT / 2), answer(&slot, UNSENT / 2)];
    assert!(!is_closed(&slot));
    let more = answer(&slot, 1);
    assert!(is_closed(&slot));
    drop((held, more));
    assert_eq!(connections.unsent.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_connection_that_holds_nothing_is_not_closed_for_another() {
    let connections = of(1, 1);
    let made_room = enter(&connections, A);
    let other = enter(&connections, B);
    assert!(is_closed(&made_room));
    let _held = answer(&made_room, UNSENT + 1);
    assert!(!is_closed(&other));
}

#[tokio::test]
async fn an_exempt_network_has_no_limit_per_client() {
    let limits = Limits { exempt: vec!["192.0.2.2/32".parse().unwrap()], ..Limits::new(10, 1) };
    let connections = Connections::new(limits);
    let requests = [A, A, B, B].map(|address| {
        let slot = enter(&connections, address);
        (slot.begin(Version::HTTP_11), slot)
    });
    assert_eq!(requests.map(|(_, slot)| slot.is_reserved()), [false, true, false, false]);
}

#[tokio::test]
async fn a_connection_is_idle_when_all_its_requests_have_ended() {
    let slot = enter(&of(1, 1), A);
    let (first, second) = (slot.begin(Version::HTTP_2), slot.begin(Version::HTTP_2));
    drop(first);
    assert_eq!((slot.idle(), slot.is_http1()), (None, false));
    drop(second);
    assert!(slot.idle().is_some());
}

#[tokio::test]
async fn a_client_that_cancels_most_of_its_requests_loses_its_connection() {
    let slot = enter(&of(1, 1), A);
    let answered = || drop(slot.begin(Version::HTTP_2).end_with(Response::new(Body::empty())));
    (0..150).for_each(|_| answered());
    for _ in 0..150 {
        drop(slot.begin(Version::HTTP_2));
    }
    assert!(!is_closed(&slot), "half of them were answered");
    drop(slot.begin(Version::HTTP_2));
    assert!(is_closed(&slot));
}

#[tokio::test]
async fn what_a_compressed_response_holds_is_counted() {
    let connections = of(1, 1);
    let slot = enter(&connections, A);
    let mut response = Response::new(Body::from(vec![0; 20 << 10]));
    response.extensions_mut().insert(HeldBytes(1 << 20));
    response.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let sent = slot.begin(Version::HTTP_11).end_with(response);
    assert_eq!(connections.unsent.load(Ordering::Relaxed), (1 << 20) + 320 * 1024);
    drop(sent);
}
