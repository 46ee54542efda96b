use super::super::test_support::*;
use super::*;
use lookout_config::{Check, Family, Target};

fn target(host: &str) -> Target {
    probing(Check::Icmp(IcmpCheck { host: host.to_owned(), size: 56 }))
}

#[tokio::test]
async fn loopback_answers_or_the_lack_of_permission_is_told() {
    let (told, outcome) = verdict_of(&target("127.0.0.1")).await;
    if told.starts_with("permission: ") {
        assert!(told.contains("net.ipv4.ping_group_range"), "{told}");
        return;
    }
    assert_eq!(told, "ok");
    assert_eq!(outcome.summary.as_deref(), Some("56 bytes echoed"));
    let named = Target { family: Family::V4, ..target("localhost") };
    let (told, outcome) = verdict_of(&named).await;
    assert_eq!(told, "ok");
    assert!(outcome.phases.resolve.is_some());
}

#[test]
fn a_lack_of_permission_says_nothing_about_the_target() {
    let failure = refused(&io::Error::from(io::ErrorKind::PermissionDenied));
    assert!(failure.reason.is_local() && failure.detail.contains("net.ipv4.ping_group_range"), "{failure:?}");
    assert_eq!(refused(&io::Error::from_raw_os_error(24)).reason, Reason::Resources);
}

#[test]
fn packets_carry_the_checksum_of_the_standard() {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let packet = echo(address, 0x0102, 5);
    assert_eq!(packet.len(), HEADER + 5);
    assert_eq!(checksum(&packet), 0, "the sum over a packet with its checksum is zero");
    let mut reply = packet.clone();
    reply[0] = 0;
    reply[4] = 9;
    assert!(answers(address, &packet, &reply), "the identifier is the kernel's");
    reply[7] = 0;
    assert!(!answers(address, &packet, &reply), "another sequence number");
}
