//! The client against a server of our own, on a clock that is turned.

use dhcproto::v4::Opcode;

use super::*;

const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 2, 2, 2);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 2, 2, 15);

fn at(seconds: u64) -> MonoTime {
    MonoTime::from_start(Duration::from_secs(seconds))
}

fn client() -> DhcpClient {
    DhcpClient::new(MAC, "candor", 7, at(0))
}

/// What the client sends now.
fn sent(client: &mut DhcpClient, now: MonoTime) -> (Message, Option<Ipv4Addr>) {
    match client.poll(now).unwrap() {
        Some(DhcpAct::Send(packet, to)) => (Message::from_bytes(&packet).unwrap(), to),
        other => panic!("expected a packet, not {other:?}"),
    }
}

/// A server's answer to `question`.
fn answer(question: &Message, kind: MessageType) -> Message {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(question.xid(), none, ADDRESS, SERVER, none, question.chaddr());
    message.set_opcode(Opcode::BootReply);
    for option in [
        DhcpOption::MessageType(kind),
        DhcpOption::ServerIdentifier(SERVER),
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
        DhcpOption::Router(vec![SERVER]),
        DhcpOption::DomainNameServer(vec![Ipv4Addr::new(10, 2, 2, 3)]),
        DhcpOption::AddressLeaseTime(3600),
    ] {
        message.opts_mut().insert(option);
    }
    message
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

fn bound(now: MonoTime) -> DhcpClient {
    let mut client = DhcpClient::new(MAC, "candor", 7, now);
    let (discover, _) = sent(&mut client, now);
    assert_eq!(client.receive(&bytes(&answer(&discover, MessageType::Offer)), now), None);
    let (request, _) = sent(&mut client, now);
    let act = client.receive(&bytes(&answer(&request, MessageType::Ack)), now);
    assert!(matches!(act, Some(DhcpAct::Bind(_))));
    client
}

#[test]
fn four_packets_lead_to_a_lease() {
    let mut client = client();
    let (discover, to) = sent(&mut client, at(0));
    assert!(discover.opts().has_msg_type(MessageType::Discover) && discover.flags().broadcast());
    assert_eq!(to, None);
    assert_eq!(client.poll(at(0)).unwrap(), None, "one question at a time");
    assert_eq!(client.receive(&bytes(&answer(&discover, MessageType::Offer)), at(1)), None);
    let (request, _) = sent(&mut client, at(1));
    assert!(request.opts().has_msg_type(MessageType::Request));
    assert_eq!(
        request.opts().get(OptionCode::RequestedIpAddress),
        Some(&DhcpOption::RequestedIpAddress(ADDRESS))
    );
    let act = client.receive(&bytes(&answer(&request, MessageType::Ack)), at(2));
    let lease = Lease {
        address: ADDRESS,
        prefix: 24,
        gateway: Some(SERVER),
        dns: vec![Ipv4Addr::new(10, 2, 2, 3)],
        server: SERVER,
        lease: Duration::from_secs(3600),
    };
    assert_eq!(act, Some(DhcpAct::Bind(lease.clone())));
    assert_eq!(client.lease(), Some(&lease));
    assert_eq!(client.due(), at(2 + 1800));
}

#[test]
fn without_an_answer_it_asks_ever_more_rarely_and_never_stops() {
    let mut client = client();
    let mut now = at(0);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        sent(&mut client, now);
        pauses.push(client.due().since(now).as_secs());
        now = client.due();
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 64, 64, 64]);
}

#[test]
fn an_offer_that_nobody_confirms_is_given_up() {
    let mut client = client();
    let (discover, _) = sent(&mut client, at(0));
    client.receive(&bytes(&answer(&discover, MessageType::Offer)), at(0));
    for _ in 0..MAX_REQUESTS {
        let now = client.due();
        assert!(sent(&mut client, now).0.opts().has_msg_type(MessageType::Request));
    }
    let now = client.due();
    assert!(sent(&mut client, now).0.opts().has_msg_type(MessageType::Discover));
}

#[test]
fn a_lease_is_renewed_by_its_server_then_by_any_and_ends() {
    let mut client = bound(at(0));
    let (renew, to) = sent(&mut client, at(1800));
    assert_eq!((renew.ciaddr(), to), (ADDRESS, Some(SERVER)));
    let (_, to) = sent(&mut client, at(3150));
    assert_eq!(to, None, "after seven eighths anybody may answer");
    assert!(client.lease().is_some());
    assert_eq!(client.poll(at(3600)).unwrap(), Some(DhcpAct::Unbind));
    assert!(client.lease().is_none());
    assert!(sent(&mut client, at(3600)).0.opts().has_msg_type(MessageType::Discover));

    let mut client = bound(at(0));
    let (renew, _) = sent(&mut client, at(1800));
    let act = client.receive(&bytes(&answer(&renew, MessageType::Ack)), at(1801));
    assert!(matches!(act, Some(DhcpAct::Bind(_))));
    assert_eq!(client.due(), at(1801 + 1800));
}

#[test]
fn a_refusal_takes_the_address_back_only_from_its_lender() {
    let mut client = bound(at(0));
    let (renew, _) = sent(&mut client, at(1800));
    let mut refusal = answer(&renew, MessageType::Nak);
    refusal.opts_mut().insert(DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 2, 2, 66)));
    assert_eq!(client.receive(&bytes(&refusal), at(1801)), None);
    assert!(client.lease().is_some());
    let refusal = answer(&renew, MessageType::Nak);
    assert_eq!(client.receive(&bytes(&refusal), at(1801)), Some(DhcpAct::Unbind));
}

#[test]
fn what_is_not_for_it_or_makes_no_sense_changes_nothing() {
    type Bend = fn(&mut Message);
    let bends: [(&str, Bend); 9] = [
        ("another's question", |m| {
            m.set_xid(99);
        }),
        ("another's card", |m| {
            m.set_chaddr(&[1, 2, 3, 4, 5, 6]);
        }),
        ("a question", |m| {
            m.set_opcode(Opcode::BootRequest);
        }),
        ("no mask", |m| {
            m.opts_mut().remove(OptionCode::SubnetMask);
        }),
        ("a mask with holes", |m| {
            m.opts_mut().insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 0, 255, 0)));
        }),
        ("a mask without room", |m| {
            m.opts_mut().insert(DhcpOption::SubnetMask(Ipv4Addr::BROADCAST));
        }),
        ("no lease time", |m| {
            m.opts_mut().remove(OptionCode::AddressLeaseTime);
        }),
        ("no server", |m| {
            m.opts_mut().remove(OptionCode::ServerIdentifier);
        }),
        ("no address", |m| {
            m.set_yiaddr(Ipv4Addr::UNSPECIFIED);
        }),
    ];
    for (what, bend) in bends {
        let mut client = client();
        let (discover, _) = sent(&mut client, at(0));
        let mut offer = answer(&discover, MessageType::Offer);
        bend(&mut offer);
        assert_eq!(client.receive(&bytes(&offer), at(0)), None);
        assert_eq!(client.poll(at(0)).unwrap(), None, "{what} was taken");
    }
    let mut client = client();
    let (discover, _) = sent(&mut client, at(0));
    let offer = bytes(&answer(&discover, MessageType::Offer));
    for length in 0..offer.len() {
        // Cut packets may still hold all that is needed; they must not do harm.
        let _ = DhcpClient::new(MAC, "candor", 6, at(0)).receive(&offer[..length], at(0));
    }
    assert!(client.receive(&[0xff; 1500], at(0)).is_none());
}

#[test]
fn a_gateway_elsewhere_is_left_out_and_times_are_bounded() {
    let mut client = client();
    let (discover, _) = sent(&mut client, at(0));
    client.receive(&bytes(&answer(&discover, MessageType::Offer)), at(0));
    let (request, _) = sent(&mut client, at(0));
    let mut ack = answer(&request, MessageType::Ack);
    ack.opts_mut().insert(DhcpOption::Router(vec![Ipv4Addr::new(192, 0, 2, 1)]));
    ack.opts_mut().insert(DhcpOption::AddressLeaseTime(1));
    let Some(DhcpAct::Bind(lease)) = client.receive(&bytes(&ack), at(0)) else { panic!("not bound") };
    assert_eq!((lease.gateway, lease.lease), (None, SHORTEST_LEASE));
}
