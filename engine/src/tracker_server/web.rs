//! A tracker's HTTP side.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use smol::{Async, Executor};
use smol_hyper::rt::FuturesIo;

use super::callers::{Place, admit};
use super::{Shared, page};

/// How long a request and its answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request with all headers.
const MAX_REQUEST_BYTES: usize = 16 << 10;
/// Headers of one request.
const MAX_HEADERS: usize = 64;
/// How long to wait for descriptors to come back.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections as long as `executor` runs.
pub(super) async fn accept(
    shared: Arc<Shared>,
    listener: Async<TcpListener>,
    executor: Weak<Executor<'static>>,
) {
    loop {
        match listener.accept().await {
            Ok((socket, from)) => {
                if let (Some(place), Some(executor)) = (admit(&shared, from.ip()), executor.upgrade()) {
                    executor.spawn(serve(Arc::clone(&shared), socket, from, place)).detach();
                }
            }
            Err(_) => {
                smol::Timer::after(PAUSE).await;
            }
        }
    }
}

/// Answers one request: clients come back in half an hour, so a connection is not kept.
async fn serve(shared: Arc<Shared>, socket: Async<TcpStream>, from: SocketAddr, _place: Place) {
    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
    let service = service_fn(|request| {
        let response = respond(&shared, from, &request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(MAX_REQUEST_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(FuturesIo::new(socket), service);
    let late = async {
        smol::Timer::after(PATIENCE).await;
    };
    let answered = async {
        // A client that leaves early is no news.
        let _ = connection.await;
    };
    smol::future::or(answered, late).await;
}

fn respond(shared: &Shared, from: SocketAddr, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here\n");
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET"));
        return response;
    }
    let uri = request.uri();
    if uri.path() == "/stats" {
        let statistics = shared.server().statistics();
        let uptime = shared.clock.now().saturating_duration_since(downpour_base::Instant::ORIGIN).as_secs();
        return match uri.query() {
            Some("json") => typed("application/json", page::json(&statistics, uptime)),
            _ => typed("text/html; charset=utf-8", page::html(&statistics, uptime)),
        };
    }
    let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    match shared.answer(from, target) {
        Some((status, body)) => plain(StatusCode::from_u16(status).unwrap_or_default(), body),
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, ""),
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = typed("text/plain", body);
    *response.status_mut() = status;
    response
}

fn typed(kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.into()));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
