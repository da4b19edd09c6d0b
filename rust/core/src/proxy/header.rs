//! The PROXY header, versions 1 and 2, which a proxy sends before anything of the connection that it
//! passes on (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! Read here because a server that takes connections with and without it has to tell, of bytes that
//! trickle in, whether they still can become one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::transport::plain;

/// How version 1, a line of text, begins.
const TEXT: &[u8] = b"PROXY ";
/// How version 2 begins.
const BINARY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Most bytes of version 1, its line end included; the specification's own limit.
const MAX_TEXT: usize = 107;
/// Bytes of version 2 before the addresses.
const FIXED: usize = 16;
/// Most bytes of version 2. The addresses take up to 216; what follows them is skipped here, and is a
/// few hundred bytes where a proxy tells of TLS or of its network.
pub const MAX_SIZE: usize = 4096;

/// What the bytes at the beginning of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Too few to tell.
    More,
    /// No PROXY header.
    Other,
    /// A PROXY header.
    Header {
        /// Its bytes.
        len: usize,
        /// Whose connection is passed on; none if the proxy speaks for itself, as it does to see
        /// whether the server is there, or does not know.
        source: Option<SocketAddr>,
    },
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// Looks at `bytes`, which are all that have come so far.
///
/// # Errors
/// When they begin as a PROXY header does and are none.
pub fn read(bytes: &[u8]) -> Result<Beginning, Malformed> {
    if bytes.starts_with(BINARY) {
        read_binary(bytes)
    } else if bytes.starts_with(TEXT) {
        read_text(bytes)
    } else if BINARY.starts_with(bytes) || TEXT.starts_with(bytes) {
        Ok(Beginning::More)
    } else {
        Ok(Beginning::Other)
    }
}

fn read_text(bytes: &[u8]) -> Result<Beginning, Malformed> {
    let most = &bytes[..bytes.len().min(MAX_TEXT)];
    let Some(end) = most.windows(2).position(|pair| pair == b"\r\n") else {
        return if most.len() < MAX_TEXT {
            Ok(Beginning::More)
        } else {
            Err(Malformed("has no line end within 107 bytes"))
        };
    };
    let line = str::from_utf8(&most[TEXT.len()..end]).unwrap_or_default();
    let mut fields = line.split(' ');
    let family = fields.next();
    let fields: Vec<_> = fields.collect();
    let source = match (family, fields.as_slice()) {
        // The rest of the line is not to be looked at.
        (Some("UNKNOWN"), _) => None,
        (Some("TCP4"), fields) => Some(read_fields::<Ipv4Addr>(fields)?),
        (Some("TCP6"), fields) => Some(read_fields::<Ipv6Addr>(fields)?),
        _ => return Err(Malformed("is of an unknown family")),
    };
    Ok(Beginning::Header { len: end + 2, source })
}

/// The source of the two addresses and ports in a line.
fn read_fields<A: std::str::FromStr + Into<IpAddr>>(
    fields: &[&str],
) -> Result<SocketAddr, Malformed> {
    let [source, target, source_port, target_port] = fields else {
        return Err(Malformed("has not four fields"));
    };
    let address = |text: &str| text.parse::<A>().map_err(|_| Malformed("has no valid address"));
    address(target)?;
    read_port(target_port)?;
    Ok(plain(SocketAddr::new(address(source)?.into(), read_port(source_port)?)))
}

fn read_port(text: &str) -> Result<u16, Malformed> {
    let is_number = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| is_number).ok_or(Malformed("has no valid port"))
}

fn read_binary(bytes: &[u8]) -> Result<Beginning, Malformed> {
    let Some(&[command, family, high, low]) = bytes.get(BINARY.len()..FIXED) else {
        return Ok(Beginning::More);
    };
    let is_local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed("has an unknown version or command")),
    };
    let len = FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > MAX_SIZE {
        return Err(Malformed("has more than 4096 bytes"));
    }
    let Some(addresses) = bytes.get(FIXED..len) else {
        return Ok(Beginning::More);
    };
    let source = match family {
        _ if is_local => None,
        // Unspecified, and Unix sockets.
        0x00 | 0x31 | 0x32 => None,
        0x11 | 0x12 => Some(read_block::<4>(addresses)?),
        0x21 | 0x22 => Some(read_block::<16>(addresses)?),
        _ => return Err(Malformed("is of an unknown family")),
    };
    Ok(Beginning::Header { len, source })
}

/// The source of a block of two addresses of `SIZE` bytes, two ports, and what is skipped.
fn read_block<const SIZE: usize>(block: &[u8]) -> Result<SocketAddr, Malformed>
where
    IpAddr: From<[u8; SIZE]>,
{
    let source = block.first_chunk::<SIZE>();
    let ports = block.get(2 * SIZE..).and_then(<[u8]>::first_chunk::<4>);
    let (Some(source), Some([high, low, ..])) = (source, ports) else {
        return Err(Malformed("is too short for its addresses"));
    };
    Ok(plain(SocketAddr::new(IpAddr::from(*source), u16::from_be_bytes([*high, *low]))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A header of version 2.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [BINARY, &[command, family], &len, rest].concat()
    }

    fn v4() -> Vec<u8> {
        [&[192, 0, 2, 1][..], &[10, 0, 0, 1], &[0x30, 0x39], &[0x01, 0xbb]].concat()
    }

    fn v6(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[0; 16], &[0x30, 0x39], &[0x01, 0xbb]].concat()
    }

    /// What a complete header is read as, whatever follows it and in whatever pieces it comes.
    #[track_caller]
    fn source(header: &[u8]) -> Option<SocketAddr> {
        for end in 0..header.len() {
            assert_eq!(read(&header[..end]), Ok(Beginning::More), "{end}");
        }
        let read_alone = read(header);
        let Ok(Beginning::Header { len, source }) = read_alone else { panic!("{read_alone:?}") };
        assert_eq!(len, header.len());
        for rest in [&b"GET / HTTP/1.1\r\n"[..], b"\r\n", b"\x16\x03\x01", b"PROXY "] {
            assert_eq!(read(&[header, rest].concat()), read_alone);
        }
        source
    }

    fn malformed(bytes: &[u8]) -> bool {
        read(bytes).is_err()
    }

    #[test]
    fn version_1_names_the_source() {
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.1 10.0.0.1 12345 443\r\n", "192.0.2.1:12345"),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
            ("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0"),
            ("PROXY TCP6 2001:db8::1 ::1 12345 443\r\n", "[2001:db8::1]:12345"),
            ("PROXY TCP6 ::ffff:192.0.2.1 ::1 12345 443\r\n", "192.0.2.1:12345"),
        ] {
            assert_eq!(source(line.as_bytes()), Some(expected.parse().unwrap()), "{line}");
        }
    }

    #[test]
    fn version_1_may_not_know_the_source() {
        assert_eq!(source(b"PROXY UNKNOWN\r\n"), None);
        assert_eq!(source(b"PROXY UNKNOWN any  thing 99999\r\n"), None);
        let longest = format!("PROXY UNKNOWN {0} {0} 65535 65535\r\n", ["ffff"; 8].join(":"));
        assert_eq!(longest.len(), MAX_TEXT);
        assert_eq!(source(longest.as_bytes()), None);
    }

    #[test]
    fn version_2_names_the_source() {
        let expected: SocketAddr = "192.0.2.1:12345".parse().unwrap();
        assert_eq!(source(&binary(0x21, 0x11, &v4())), Some(expected));
        assert_eq!(source(&binary(0x21, 0x12, &v4())), Some(expected));
        assert_eq!(source(&binary(0x21, 0x21, &v6("::ffff:192.0.2.1"))), Some(expected));
        let expected: SocketAddr = "[2001:db8::1]:12345".parse().unwrap();
        assert_eq!(source(&binary(0x21, 0x21, &v6("2001:db8::1"))), Some(expected));
        // What else the proxy says is skipped, whatever it is.
        for more in [&b"\x04\0\x01\0"[..], &[0xff; 5], &[0; MAX_SIZE - FIXED - 36]] {
            let block = [&v6("2001:db8::1"), more].concat();
            assert_eq!(source(&binary(0x21, 0x21, &block)), Some(expected));
        }
    }

    #[test]
    fn version_2_may_not_know_the_source() {
        assert_eq!(source(&binary(0x20, 0x00, &[])), None);
        assert_eq!(source(&binary(0x20, 0x11, &v4())), None);
        assert_eq!(source(&binary(0x20, 0x77, &[1, 2, 3])), None);
        assert_eq!(source(&binary(0x21, 0x00, &[1, 2, 3])), None);
        assert_eq!(source(&binary(0x21, 0x31, &[0; 216])), None);
    }

    #[test]
    fn what_begins_otherwise_is_no_header() {
        for other in [
            &b"GET / HTTP/1.1"[..],
            b"\x16\x03\x01\x02",
            b"PROXX",
            b"PROXY\r\n",
            b"PROXYTCP4",
            b"proxy TCP4",
            b"P\0",
            b"\r\n\r\n\0\r\nQUIT\r",
            b"\r\nGET",
            b"\n",
            b" PROXY TCP4",
        ] {
            assert_eq!(read(other), Ok(Beginning::Other), "{other:?}");
        }
    }

    #[test]
    fn version_1_is_taken_as_it_is_written_down() {
        for bad in [
            "PROXY \r\n",
            "PROXY TCP\r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY tcp4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY  TCP4 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4  192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 \r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2 3\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 65536 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 -1 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +1 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 01 1\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 00\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1  1\r\n",
            "PROXY TCP4 192.0.2.256 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 example.com 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP6 [::1] ::1 1 2\r\n",
            "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\n\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 2\rGET\r\n",
            "PROXY TCP4 é\r\n",
        ] {
            assert!(malformed(bad.as_bytes()), "{bad:?}");
        }
        assert!(malformed(b"PROXY \xff\r\n"));
    }

    #[test]
    fn version_1_is_not_waited_for_beyond_its_size() {
        let endless = [TEXT, &[b'x'; MAX_TEXT]].concat();
        assert_eq!(read(&endless[..MAX_TEXT - 1]), Ok(Beginning::More));
        assert!(malformed(&endless[..MAX_TEXT]));
        // Its end comes too late.
        let line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_TEXT));
        assert!(malformed(line.as_bytes()));
    }

    #[test]
    fn version_2_is_taken_as_it_is_written_down() {
        for (command, family) in [
            (0x11, 0x11),
            (0x31, 0x11),
            (0x22, 0x11),
            (0x2f, 0x11),
            (0x00, 0x00),
            (0x21, 0x13),
            (0x21, 0x01),
            (0x21, 0x41),
            (0x21, 0xff),
        ] {
            assert!(malformed(&binary(command, family, &v4())), "{command:x} {family:x}");
        }
        for short in [0, 4, 11] {
            assert!(malformed(&binary(0x21, 0x11, &v4()[..short])), "{short}");
            assert!(malformed(&binary(0x21, 0x21, &v6("::1")[..short + 24])), "{short}");
        }
    }

    #[test]
    fn version_2_is_refused_as_soon_as_it_says_that_it_is_too_large() {
        let header = binary(0x21, 0x11, &[0; MAX_SIZE - FIXED + 1]);
        assert_eq!(read(&header[..FIXED - 1]), Ok(Beginning::More));
        assert!(malformed(&header[..FIXED]));
        assert!(malformed(&binary(0x20, 0x00, &[0; 0xffff])[..FIXED]));
    }
}
