//! The HTTP client before real servers on loopback: proper ones, and ones that mean harm.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use downpour_engine::http::{Config, HttpClient, HttpError, Limits, Waiting};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_rustls::TlsAcceptor;
use futures_rustls::pki_types::PrivateKeyDer;
use futures_rustls::rustls::ServerConfig;
use futures_rustls::rustls::crypto::ring;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use smol::net::TcpListener as AsyncListener;
use smol_hyper::rt::FuturesIo;

/// Small enough to be reached, patient enough for a busy machine where it should not be.
const LIMITS: Limits = Limits {
    body_bytes: 100_000,
    redirects: 3,
    total: Duration::from_secs(60),
    idle: Duration::from_secs(60),
};

fn client() -> HttpClient {
    HttpClient::new(&Config::default()).unwrap()
}

/// A proper server: answers each request with what `answer` makes of it.
fn serve(
    tls: Option<TlsAcceptor>,
    answer: impl Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = smol::block_on(AsyncListener::bind("127.0.0.1:0")).unwrap();
    let (address, answer) = (listener.local_addr().unwrap(), Arc::new(answer));
    thread::spawn(move || {
        smol::block_on(async {
            while let Ok((socket, _)) = listener.accept().await {
                let answer = &answer;
                let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(&request)) });
                let http = http1::Builder::new();
                match &tls {
                    None => drop(http.serve_connection(FuturesIo::new(socket), service).await),
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(socket).await {
                            let _ = http.serve_connection(FuturesIo::new(stream), service).await;
                        }
                    }
                }
            }
        });
    });
    address
}

/// A server that reads a request and then does as it likes.
fn hostile(act: impl Fn(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut request = Vec::new();
            let mut buffer = [0; 1024];
            while !request.windows(4).any(|four| four == b"\r\n\r\n") {
                match socket.read(&mut buffer) {
                    Ok(length) if length > 0 => request.extend_from_slice(&buffer[..length]),
                    _ => break,
                }
            }
            act(&mut socket);
        }
    });
    format!("http://{address}/announce")
}

/// A server that says these bytes and closes.
fn says(bytes: impl Into<Vec<u8>>) -> String {
    let bytes = bytes.into();
    hostile(move |socket| {
        let _ = socket.write_all(&bytes);
    })
}

/// Holds the connection open until the client leaves.
fn linger(socket: &mut TcpStream) {
    let _ = socket.read(&mut [0; 1]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn packed(body: &[u8], encoding: &str) -> String {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n", body.len());
    says([head.as_bytes(), body].concat())
}

/// TLS for `localhost` with a certificate of its own making, and a client that trusts it.
fn secure() -> (TlsAcceptor, HttpClient) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let config = Config { extra_root_certificates: certified.cert.pem().into_bytes(), ..Config::default() };
    (TlsAcceptor::from(Arc::new(tls)), HttpClient::new(&config).unwrap())
}

#[test]
fn a_proper_answer_arrives_and_the_server_learns_who_asks() {
    let address = serve(None, |request| {
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        let text = format!("{} {} {}", request.uri(), header("host"), header("user-agent"));
        Response::new(Full::from(text))
    });
    let answer = client().get_blocking(&format!("http://{address}/a?b=%00"), &LIMITS).unwrap();
    let agent = concat!("Downpour/", env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.body, format!("/a?b=%00 {address} {agent}").into_bytes());
    assert_eq!((answer.url.as_str(), answer.status), (&*format!("http://{address}/a?b=%00"), 200));
    assert!(answer.success().is_ok());
}

#[test]
fn names_are_looked_up() {
    let address = serve(None, |_| Response::new(Full::from("here")));
    let answer = client().get_blocking(&format!("http://localhost:{}", address.port()), &LIMITS).unwrap();
    assert_eq!(answer.body, b"here");
    // No name has a part of more than 63 letters, so nobody is asked.
    let name = format!("{}.invalid", "x".repeat(64));
    let error = client().get_blocking(&format!("http://{name}/"), &LIMITS).unwrap_err();
    assert!(matches!(&error, HttpError::NameNotFound { host, .. } if *host == name), "{error}");
}

#[test]
fn https_works_with_a_root_that_is_trusted_and_with_no_other() {
    let (tls, trusting) = secure();
    let address = serve(Some(tls), |_| Response::new(Full::from("secret")));
    let url = format!("https://localhost:{}/", address.port());
    assert_eq!(trusting.get_blocking(&url, &LIMITS).unwrap().body, b"secret");
    let stranger = client().get_blocking(&url, &LIMITS).unwrap_err();
    assert!(matches!(&stranger, HttpError::Tls { host, .. } if host == "localhost"), "{stranger}");
    let other_name = trusting.get_blocking(&format!("https://{address}/"), &LIMITS).unwrap_err();
    assert!(matches!(other_name, HttpError::Tls { .. }), "{other_name}");
    let plain = trusting.get_blocking(&format!("http://{address}/"), &LIMITS).unwrap_err();
    assert!(matches!(plain, HttpError::Protocol(_)), "{plain}");
}

#[test]
fn no_redirect_leads_away_from_https() {
    let (tls, trusting) = secure();
    let open = serve(None, |_| Response::new(Full::from("tampered")));
    let address = serve(Some(tls), move |_| {
        let to = format!("http://{open}/");
        Response::builder().status(302).header("location", to).body(Full::default()).unwrap()
    });
    let url = format!("https://localhost:{}/", address.port());
    let error = trusting.get_blocking(&url, &LIMITS).unwrap_err();
    assert!(matches!(&error, HttpError::Redirect { to, .. } if *to == format!("http://{open}/")), "{error}");
}

#[test]
fn certificates_that_are_none_are_refused() {
    let junk = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let config = Config { extra_root_certificates: junk, ..Config::default() };
    assert!(matches!(HttpClient::new(&config), Err(HttpError::RootCertificates(_))));
}

#[test]
fn redirects_are_followed_so_far_and_no_further() {
    let address = serve(None, |request| {
        let left: u32 = request.uri().path().trim_matches('/').parse().unwrap();
        match left {
            0 => Response::new(Full::from("there")),
            _ => {
                let to = format!("/{}", left - 1);
                Response::builder().status(301).header("location", to).body(Full::default()).unwrap()
            }
        }
    });
    let answer = client().get_blocking(&format!("http://{address}/3"), &LIMITS).unwrap();
    assert_eq!((answer.url, answer.body), (format!("http://{address}/0"), b"there".to_vec()));
    let error = client().get_blocking(&format!("http://{address}/4"), &LIMITS).unwrap_err();
    assert!(matches!(&error, HttpError::TooManyRedirects { limit: 3, to } if to == "/0"), "{error}");
    for (location, part) in
        [("ftp://127.0.0.1/x", "ftp://127.0.0.1/x"), ("javascript:1", "javascript:1"), ("http://", "http://")]
    {
        let url = says(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        let error = client().get_blocking(&url, &LIMITS).unwrap_err();
        assert!(matches!(&error, HttpError::Redirect { to, .. } if to == part), "{error}");
    }
    let nowhere = says("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(client().get_blocking(&nowhere, &LIMITS), Err(HttpError::Protocol(_))));
}

#[test]
fn gzip_is_unpacked_within_the_bound() {
    let text = b"d8:intervali1800ee".repeat(10);
    assert_eq!(client().get_blocking(&packed(&gzip(&text), "gzip"), &LIMITS).unwrap().body, text);
    // 100,000 bytes exactly, and one more.
    assert_eq!(
        client().get_blocking(&packed(&gzip(&[0; 100_000]), "gzip"), &LIMITS).unwrap().body.len(),
        100_000
    );
    let bomb = client().get_blocking(&packed(&gzip(&[0; 100_001]), "gzip"), &LIMITS).unwrap_err();
    assert!(matches!(bomb, HttpError::TooLarge { limit: 100_000 }), "{bomb}");
    let bomb = client().get_blocking(&packed(&gzip(&vec![0; 50_000_000]), "gzip"), &LIMITS).unwrap_err();
    assert!(matches!(bomb, HttpError::TooLarge { limit: 100_000 }), "{bomb}");
    let cut = &gzip(&text)[..20];
    for (body, encoding) in
        [(b"not gzip".as_slice(), "gzip"), (cut, "gzip"), (b"x", "br"), (b"x", "gzip, gzip")]
    {
        let error = client().get_blocking(&packed(body, encoding), &LIMITS).unwrap_err();
        assert!(matches!(error, HttpError::Encoding(_)), "{error}");
    }
}

#[test]
fn a_body_that_is_too_long_is_cut_off() {
    let announced = says("HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n");
    let error = client().get_blocking(&announced, &LIMITS).unwrap_err();
    assert!(matches!(error, HttpError::TooLarge { limit: 100_000 }), "{error}");
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] {
        let endless = hostile(move |socket| {
            let _ = socket.write_all(head.as_bytes());
            let chunk = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
            while socket.write_all(&chunk).is_ok() {}
        });
        let error = client().get_blocking(&endless, &LIMITS).unwrap_err();
        assert!(matches!(error, HttpError::TooLarge { limit: 100_000 }), "{error}");
    }
}

#[test]
fn headers_without_end_are_cut_off() {
    let long = hostile(|socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nX: ");
        while socket.write_all(&[b'x'; 1000]).is_ok() {}
    });
    let many = hostile(|socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n");
        for number in 0..10_000 {
            let _ = socket.write_all(format!("X{number}: y\r\n").as_bytes());
        }
        let _ = socket.write_all(b"\r\n");
    });
    for url in [long, many] {
        let error = client().get_blocking(&url, &LIMITS).unwrap_err();
        assert!(matches!(error, HttpError::HeaderTooLarge), "{error}");
    }
}

#[test]
fn who_says_nothing_and_who_never_ends_is_left() {
    let idle = Limits { idle: Duration::from_millis(100), ..LIMITS };
    let silent = hostile(linger);
    let error = client().get_blocking(&silent, &idle).unwrap_err();
    assert!(matches!(error, HttpError::TimedOut { waiting: Waiting::Answer, .. }), "{error}");
    let stuck = hostile(|socket| {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        linger(socket);
    });
    let error = client().get_blocking(&stuck, &idle).unwrap_err();
    assert!(matches!(error, HttpError::TimedOut { waiting: Waiting::Body, .. }), "{error}");
    let drip = |head: &'static str| {
        hostile(move |socket| {
            let _ = socket.write_all(head.as_bytes());
            while socket.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
        })
    };
    let whole = Limits { total: Duration::from_millis(300), ..LIMITS };
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nX: "] {
        let error = client().get_blocking(&drip(head), &whole).unwrap_err();
        assert!(matches!(error, HttpError::TimedOut { waiting: Waiting::End, .. }), "{error}");
    }
}

#[test]
fn what_is_no_answer_is_told_apart() {
    for nonsense in [
        "",
        "d8:intervali1800ee",
        "HTTP/1.1 abc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let error = client().get_blocking(&says(nonsense), &LIMITS).unwrap_err();
        assert!(matches!(error, HttpError::Protocol(_)), "{nonsense}: {error}");
    }
    let refusal = says("HTTP/1.1 500 x\r\nContent-Length: 3\r\n\r\nwhy");
    let answer = client().get_blocking(&refusal, &LIMITS).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (500, b"why".as_slice()));
    let error = answer.success().unwrap_err();
    assert_eq!(error.to_string(), "the server answered 500 Internal Server Error");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client().get_blocking(&format!("http://{free}/"), &LIMITS).unwrap_err();
    assert!(matches!(error, HttpError::Refused { address } if address == free), "{error}");
    for url in ["", "udp://127.0.0.1:1/", "/path"] {
        assert!(matches!(client().get_blocking(url, &LIMITS), Err(HttpError::Url { .. })), "{url}");
    }
}

#[test]
fn only_so_many_requests_run_at_once() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            thread::spawn(move || {
                MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let _ = socket.read(&mut [0; 1024]);
                thread::sleep(Duration::from_millis(10));
                NOW.fetch_sub(1, Ordering::SeqCst);
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            });
        }
    });
    let client = HttpClient::new(&Config { requests: 2, ..Config::default() }).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| client.get_blocking(&url, &LIMITS).unwrap());
        }
    });
    assert!((1..=2).contains(&MOST.load(Ordering::SeqCst)), "{}", MOST.load(Ordering::SeqCst));
}
