//! ONVIF's metadata documents, and how they are cut into packets.
//!
//! A document is a whole `tt:MetadataStream` of the ONVIF Streaming Specification's section on RTP for metadata streams, with
//! notifications as the Core Specification has them. Topics are those of the services that own them: Imaging (`VideoSource`),
//! Device IO (`Device/Trigger`), Receiver, Recording Search, Core (`Device/HardwareFailure`).
//!
//! Motion is `VideoSource/MotionAlarm` and not `RuleEngine/CellMotionDetector/Motion`: the first is what every device with motion
//! detection shall have, the second names rules of an analytics service that the recorder has not.
//!
//! Does not belong here: what is known (`facts.rs`), when it is said (`metadata.rs`).
//!
//! Invariant: each document is well-formed, and closed where its last packet ends.

use std::io;

use hal::ChannelId;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::facts::{Fact, Topic};
use crate::moment;
use crate::packet::PacketWriter;

const SCHEMA: &str = "http://www.onvif.org/ver10/schema";
const TOPICS: &str = "http://www.onvif.org/ver10/topics";
const NOTIFICATION: &str = "http://docs.oasis-open.org/wsn/b-2";
const DIALECT: &str = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet";

/// What a notification says of a property (ONVIF Core Specification, section on the message format).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// This is its state now.
    Initialized,
    /// It became this.
    Changed,
}

/// How ONVIF says a fact.
struct Words {
    topic: &'static str,
    source: (&'static str, String),
    data: (&'static str, &'static str),
    /// Messages of the others bear no operation.
    is_property: bool,
}

/// A document about a channel; with no facts it says that nothing happened.
pub(crate) fn document(channel: ChannelId, facts: &[(Fact, Operation)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::with_capacity(512 + facts.len() * 512));
    // Writing into memory does not fail.
    let _ = write(&mut writer, channel, facts);
    writer.into_inner()
}

/// The marker says that the document is closed.
pub(crate) fn packetise(document: &[u8], writer: &mut PacketWriter<'_>) {
    let room = writer.room();
    let packets = document.len().div_ceil(room);
    for (index, piece) in document.chunks(room).enumerate() {
        writer.push(index + 1 == packets, 0, &[piece]);
    }
}

fn write(writer: &mut Writer<Vec<u8>>, channel: ChannelId, facts: &[(Fact, Operation)]) -> io::Result<()> {
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let root = writer.create_element("tt:MetadataStream").with_attributes([
        ("xmlns:tt", SCHEMA),
        ("xmlns:wsnt", NOTIFICATION),
        ("xmlns:tns1", TOPICS),
    ]);
    root.write_inner_content(|writer| {
        if facts.is_empty() {
            writer.create_element("tt:Event").write_empty()?;
            return Ok(());
        }
        writer.create_element("tt:Event").write_inner_content(|writer| {
            facts.iter().try_for_each(|(fact, operation)| notification(writer, channel, fact, *operation))
        })?;
        Ok(())
    })?;
    Ok(())
}

fn notification(
    writer: &mut Writer<Vec<u8>>,
    channel: ChannelId,
    fact: &Fact,
    operation: Operation,
) -> io::Result<()> {
    let words = words(channel, fact);
    let time = moment::rfc3339(fact.at);
    writer.create_element("wsnt:NotificationMessage").write_inner_content(|writer| {
        let topic = writer.create_element("wsnt:Topic").with_attribute(("Dialect", DIALECT));
        topic.write_text_content(BytesText::new(words.topic))?;
        writer.create_element("wsnt:Message").write_inner_content(|writer| {
            let mut message = writer.create_element("tt:Message").with_attribute(("UtcTime", time.as_str()));
            if words.is_property {
                let operation = match operation {
                    Operation::Initialized => "Initialized",
                    Operation::Changed => "Changed",
                };
                message = message.with_attribute(("PropertyOperation", operation));
            }
            message.write_inner_content(|writer| {
                item(writer, "tt:Source", words.source.0, &words.source.1)?;
                item(writer, "tt:Data", words.data.0, words.data.1)
            })?;
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(())
}

fn item(writer: &mut Writer<Vec<u8>>, group: &'static str, name: &str, value: &str) -> io::Result<()> {
    writer.create_element(group).write_inner_content(|writer| {
        writer
            .create_element("tt:SimpleItem")
            .with_attributes([("Name", name), ("Value", value)])
            .write_empty()?;
        Ok(())
    })?;
    Ok(())
}

/// Tokens are the channel's name in URLs: there is no ONVIF service yet that would give it another.
fn words(channel: ChannelId, fact: &Fact) -> Words {
    let token = format!("ch{channel}");
    let truth = if fact.is_so { "true" } else { "false" };
    match fact.topic {
        Topic::SignalLost => Words {
            topic: "tns1:VideoSource/SignalLoss",
            source: ("Source", token),
            data: ("State", truth),
            is_property: true,
        },
        Topic::Motion => Words {
            topic: "tns1:VideoSource/MotionAlarm",
            source: ("Source", token),
            data: ("State", truth),
            is_property: true,
        },
        Topic::CameraOnline => Words {
            topic: "tns1:Receiver/ChangeState",
            source: ("ReceiverToken", token),
            data: ("NewState", if fact.is_so { "Connected" } else { "NotConnected" }),
            is_property: false,
        },
        Topic::Recording => Words {
            topic: "tns1:RecordingHistory/Recording/State",
            source: ("RecordingToken", token),
            data: ("IsRecording", truth),
            is_property: true,
        },
        Topic::StorageFailed => Words {
            topic: "tns1:Device/HardwareFailure/StorageFailure",
            source: ("Token", "storage".to_owned()),
            data: ("Failed", truth),
            is_property: true,
        },
        Topic::Input(number) => Words {
            topic: "tns1:Device/Trigger/DigitalInput",
            source: ("InputToken", format!("input{number}")),
            data: ("LogicalState", truth),
            is_property: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use hal::WallTime;
    use quick_xml::Reader;
    use rtp_types::RtpPacket;

    use super::*;
    use crate::packet::{MAX_DATAGRAM_BYTES, Stream};

    const AT: WallTime = WallTime::from_unix_micros(1_795_168_800_500_000);

    fn channel() -> ChannelId {
        ChannelId::new(3).unwrap()
    }

    fn fact(topic: Topic, is_so: bool) -> Fact {
        Fact { topic, is_so, at: AT }
    }

    /// Fails for what is not well-formed; the elements' names, indented by their depth.
    fn outline(document: &[u8]) -> String {
        let mut reader = Reader::from_str(std::str::from_utf8(document).unwrap());
        let (mut depth, mut lines) = (0, String::new());
        loop {
            let event = reader.read_event().unwrap();
            depth -= usize::from(matches!(event, Event::End(_)));
            let line = match &event {
                Event::Start(start) => (**start).to_owned(),
                Event::Empty(empty) => format!("{}/", &**empty),
                Event::Text(text) => format!("\"{}\"", &**text),
                Event::Eof => break,
                _ => continue,
            };
            lines += &format!("{:1$}{line}\n", "", depth * 2);
            depth += usize::from(matches!(event, Event::Start(_)));
        }
        assert_eq!(depth, 0, "closed");
        lines
    }

    #[test]
    fn every_topic_as_onvif_says_it() {
        let facts = [
            (fact(Topic::SignalLost, true), Operation::Changed),
            (fact(Topic::Motion, true), Operation::Changed),
            (fact(Topic::CameraOnline, false), Operation::Changed),
            (fact(Topic::CameraOnline, true), Operation::Initialized),
            (fact(Topic::Recording, false), Operation::Changed),
            (fact(Topic::StorageFailed, true), Operation::Changed),
            (fact(Topic::Input(2), false), Operation::Initialized),
        ];
        insta::assert_snapshot!(outline(&document(channel(), &facts)));
    }

    #[test]
    fn one_document_byte_by_byte() {
        let bytes = document(channel(), &[(fact(Topic::SignalLost, false), Operation::Initialized)]);
        insta::assert_snapshot!(String::from_utf8(bytes).unwrap());
    }

    #[test]
    fn nothing_known_is_a_document_too() {
        let bytes = document(channel(), &[]);
        assert!(outline(&bytes).ends_with("  tt:Event/\n"));
    }

    #[test]
    fn packets_join_to_the_document() {
        let inputs: Vec<_> =
            (1..=64).map(|number| (fact(Topic::Input(number), true), Operation::Initialized)).collect();
        for facts in [&inputs[..0], &inputs[..1], &inputs[..]] {
            let bytes = document(channel(), facts);
            outline(&bytes);
            let mut stream = Stream { ssrc: 1, payload_type: 98, channel: 4, next_sequence: 0, rollovers: 0 };
            let mut writer = PacketWriter::new(&mut stream, 7, bytes.len());
            packetise(&bytes, &mut writer);
            let packets = writer.finish(AT, true).unwrap();
            let count = packets.datagrams().count();
            let mut joined = Vec::new();
            for (index, datagram) in packets.datagrams().enumerate() {
                assert!(datagram.len() <= MAX_DATAGRAM_BYTES);
                let packet = RtpPacket::parse(datagram).unwrap();
                assert_eq!((packet.marker_bit(), packet.timestamp()), (index + 1 == count, 7));
                joined.extend_from_slice(packet.payload());
            }
            assert_eq!(joined, bytes);
        }
    }
}
