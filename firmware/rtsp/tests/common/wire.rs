//! A plain RTSP client that shows every byte: for what players would hide.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use data_encoding::BASE64;

use super::said::{authorization, header};

/// One blocking connection.
pub struct Wire {
    pub socket: TcpStream,
    /// Where requests go in base64, of a tunnel.
    pub post: Option<TcpStream>,
    buffer: Vec<u8>,
    cseq: u32,
    nonce: Option<String>,
    user: String,
    key: String,
    pub session: Option<String>,
    url: String,
}

/// What a response said.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// What came next.
#[derive(Debug)]
pub enum Came {
    Reply(Reply),
    Packet(u8, Vec<u8>),
    End,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

impl Wire {
    pub fn connect(address: SocketAddr, path: &str) -> Self {
        Self::over(TcpStream::connect(address).unwrap(), address, path)
    }

    /// With a small receive buffer, so that the server soon notices that nobody reads.
    pub fn connect_narrow(address: SocketAddr, path: &str) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(16 << 10).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into(), address, path)
    }

    /// Through HTTP, with this cookie.
    pub fn tunnel(address: SocketAddr, path: &str, cookie: &str) -> Self {
        let mut wire = Self::connect(address, path);
        wire.socket.write_all(http("GET", cookie).as_bytes()).unwrap();
        let opened = wire.reply();
        assert_eq!(opened.status, 200);
        assert_eq!(opened.header("Content-Type"), Some("application/x-rtsp-tunnelled"));
        wire.open_post(address, cookie);
        wire
    }

    /// Opens a POST, in place of the last.
    pub fn open_post(&mut self, address: SocketAddr, cookie: &str) {
        let mut post = TcpStream::connect(address).unwrap();
        post.write_all(http("POST", cookie).as_bytes()).unwrap();
        self.post = Some(post);
    }

    fn over(socket: TcpStream, address: SocketAddr, path: &str) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let url = format!("rtsp://{address}{path}");
        Self {
            socket,
            post: None,
            buffer: Vec::new(),
            cseq: 0,
            nonce: None,
            user: super::USER.into(),
            key: super::KEY.into(),
            session: None,
            url,
        }
    }

    pub fn with_key(mut self, user: &str, key: &str) -> Self {
        (self.user, self.key) = (user.into(), key.into());
        self
    }

    /// Sends a request, with credentials when there is a nonce, and waits for its response; a challenge is
    /// answered once.
    pub fn request(&mut self, method: &str, below: &str, headers: &str) -> Reply {
        self.send(method, below, headers);
        let reply = self.reply();
        if reply.status != 401 || self.nonce.is_some() {
            return reply;
        }
        let challenge = reply.head.lines().find(|line| line.contains("algorithm=MD5")).unwrap();
        let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
        self.nonce = Some(nonce.to_owned());
        self.send(method, below, headers);
        self.reply()
    }

    pub fn send(&mut self, method: &str, below: &str, headers: &str) {
        let text = self.text(method, below, headers);
        match &mut self.post {
            None => self.socket.write_all(text.as_bytes()).unwrap(),
            Some(post) => post.write_all(BASE64.encode(text.as_bytes()).as_bytes()).unwrap(),
        }
    }

    /// The next request, to be sent by whoever asks for it.
    pub fn text(&mut self, method: &str, below: &str, headers: &str) -> String {
        self.cseq += 1;
        let url = format!("{}{below}", self.url);
        let mut text = format!("{method} {url} RTSP/1.0\r\nCSeq: {}\r\n{headers}", self.cseq);
        if let Some(session) = &self.session {
            text += &format!("Session: {session}\r\n");
        }
        if let Some(nonce) = &self.nonce {
            let challenge = (rtsp::REALM, nonce.as_str());
            text += &authorization((&self.user, &self.key), challenge, method, &url);
        }
        text + "\r\n"
    }

    /// The next response; packets before it are dropped.
    pub fn reply(&mut self) -> Reply {
        loop {
            match self.next() {
                Came::Reply(reply) => return reply,
                Came::Packet(..) => {}
                Came::End => panic!("the connection ended"),
            }
        }
    }

    pub fn next(&mut self) -> Came {
        loop {
            if let Some(came) = self.cut() {
                return came;
            }
            let mut chunk = [0; 65_536];
            match self.socket.read(&mut chunk) {
                Ok(0) => return Came::End,
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Came::End,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn cut(&mut self) -> Option<Came> {
        if self.buffer.first() == Some(&b'$') {
            let [_, channel, high, low] = *self.buffer.first_chunk::<4>()?;
            let end = 4 + usize::from(u16::from_be_bytes([high, low]));
            let packet = self.buffer.get(4..end)?.to_vec();
            self.buffer.drain(..end);
            return Some(Came::Packet(channel, packet));
        }
        let head = self.buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = String::from_utf8(self.buffer[..head].to_vec()).unwrap();
        let mut reply = Reply { status: text[9..12].parse().unwrap(), head: text, body: String::new() };
        let length: usize = reply.header("Content-Length").map_or(0, |value| value.parse().unwrap());
        reply.body = String::from_utf8(self.buffer.get(head..head + length)?.to_vec()).unwrap();
        self.buffer.drain(..head + length);
        if let Some(session) = reply.header("Session") {
            self.session = Some(session.split(';').next().unwrap().to_owned());
        }
        Some(Came::Reply(reply))
    }

    /// The next RTP packet on `channel`.
    pub fn packet(&mut self, channel: u8) -> Vec<u8> {
        loop {
            match self.next() {
                Came::Packet(on, packet) if on == channel => return packet,
                Came::Packet(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// DESCRIBE and SETUP of the video, interleaved on `channels`.
    pub fn set_up(&mut self, channels: &str) {
        assert_eq!(self.request("DESCRIBE", "", "").status, 200);
        let transport = format!("Transport: RTP/AVP/TCP;unicast;interleaved={channels}\r\n");
        assert_eq!(self.request("SETUP", "/trackID=0", &transport).status, 200);
    }
}

/// One half of a tunnel.
pub fn http(method: &str, cookie: &str) -> String {
    format!("{method} /ch1/main HTTP/1.0\r\nx-sessioncookie: {cookie}\r\nContent-Length: 32767\r\n\r\n")
}
