//! One viewer: asks as a player does, and then only counts.
//!
//! Does not belong here: how many there are and when they come (`clients.rs`).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::ours::{KEY, PATH, USER};
use crate::said::{authorization, header};
use crate::talk::Failure;

/// Pairs of ports tried.
const PORT_ATTEMPTS: usize = 64;
const MAX_REPLY_BYTES: usize = 16 << 10;
/// Packets in the connection.
pub(crate) const INTERLEAVED: &str = "RTP/AVP/TCP;unicast;interleaved=0-1";

/// A conversation up to PLAY.
pub(crate) struct Viewer {
    socket: TcpStream,
    buffer: Vec<u8>,
    cseq: u32,
    /// Realm and nonce.
    challenge: Option<(String, String)>,
    session: Option<String>,
    url: String,
}

struct Reply {
    head: String,
    body: String,
}

impl Viewer {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let url = format!("rtsp://{address}{PATH}");
        Ok(Self { socket, buffer: Vec::new(), cseq: 0, challenge: None, session: None, url })
    }

    /// DESCRIBE, and SETUP of the video with this transport.
    pub(crate) async fn set_up(&mut self, transport: &str) -> Result<(), Failure> {
        let url = self.url.clone();
        let described = self.request("DESCRIBE", &url, "").await?;
        let video = described.body.split("m=video").nth(1).ok_or("a description without video")?;
        let control = video.lines().find_map(|line| line.strip_prefix("a=control:")).unwrap_or_default();
        let control = if control.contains("://") { control.to_owned() } else { format!("{url}/{control}") };
        let reply = self.request("SETUP", &control, &format!("Transport: {transport}\r\n")).await?;
        let session = header(&reply.head, "Session").ok_or("no session")?;
        self.session = session.split(';').next().map(str::to_owned);
        Ok(())
    }

    /// Asks for the stream; what comes then is not read here.
    pub(crate) async fn play(mut self) -> io::Result<TcpStream> {
        let url = self.url.clone();
        self.send("PLAY", &url, "Range: npt=0.000-\r\n").await?;
        Ok(self.socket)
    }

    /// A request and the answer to it, which must be a good one.
    async fn request(&mut self, method: &str, url: &str, headers: &str) -> Result<Reply, Failure> {
        self.send(method, url, headers).await?;
        let mut reply = self.reply().await?;
        if reply.head.starts_with("RTSP/1.0 401") && self.challenge.is_none() {
            let offers: Vec<&str> = reply.head.lines().filter(|line| line.contains("Digest")).collect();
            let offer = offers.iter().find(|line| line.contains("algorithm=MD5")).or(offers.first());
            let value = |name: &str| {
                let quoted = offer?.split(&format!("{name}=\"")).nth(1)?;
                Some(quoted.split('"').next()?.to_owned())
            };
            self.challenge = value("realm").zip(value("nonce"));
            self.send(method, url, headers).await?;
            reply = self.reply().await?;
        }
        if reply.head.starts_with("RTSP/1.0 200") {
            Ok(reply)
        } else {
            Err(format!("{method}: {}", reply.head.lines().next().unwrap_or_default()).into())
        }
    }

    async fn send(&mut self, method: &str, url: &str, headers: &str) -> io::Result<()> {
        self.cseq += 1;
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{headers}", self.cseq);
        if let Some(session) = &self.session {
            text += &format!("Session: {session}\r\n");
        }
        if let Some((realm, nonce)) = &self.challenge {
            text += &authorization((USER, KEY), (realm, nonce), method, url);
        }
        text += "\r\n";
        self.socket.write_all(text.as_bytes()).await
    }

    async fn reply(&mut self) -> Result<Reply, Failure> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end + 4]).into_owned();
                let length = header(&head, "Content-Length").map_or(Ok(0), str::parse::<usize>)?;
                if let Some(body) = self.buffer.get(end + 4..end + 4 + length) {
                    let body = String::from_utf8_lossy(body).into_owned();
                    self.buffer.drain(..end + 4 + length);
                    return Ok(Reply { head, body });
                }
            }
            if self.buffer.len() > MAX_REPLY_BYTES || self.socket.read_buf(&mut self.buffer).await? == 0 {
                return Err("no answer".into());
            }
        }
    }
}

/// An even port and the next, for RTP and RTCP.
pub(crate) async fn udp_pair() -> Result<(UdpSocket, UdpSocket, u16), Failure> {
    for _ in 0..PORT_ATTEMPTS {
        let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = rtp.local_addr()?.port();
        if port.is_multiple_of(2)
            && let Ok(rtcp) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1)).await
        {
            return Ok((rtp, rtcp, port));
        }
    }
    Err("no pair of UDP ports".into())
}
