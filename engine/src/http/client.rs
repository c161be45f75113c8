//! One request after another.

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, LOCATION, USER_AGENT,
};
use hyper::{Request, StatusCode};
use smol::lock::Semaphore;
use smol_hyper::rt::FuturesIo;

use super::body::Body;
use super::connect::{Connector, within};
use super::error::{HttpError, Waiting};
use super::limits::{Limits, MAX_HEADER_BYTES, MAX_HEADERS};
use super::url::{Url, quoted};

/// How a client asks.
#[derive(Clone, Debug)]
pub struct Config {
    /// What servers are told about us.
    pub user_agent: String,
    /// Requests at one time; more wait for their turn.
    pub requests: usize,
    /// Certificates in PEM form to trust beside Mozilla's list of authorities.
    pub extra_root_certificates: Vec<u8>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user_agent: concat!("Downpour/", env!("CARGO_PKG_VERSION")).to_owned(),
            requests: 32,
            extra_root_certificates: Vec::new(),
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Response {
    /// Who gave it, after all redirects.
    pub url: String,
    /// The HTTP status code; never one of a redirect that can be followed.
    pub status: u16,
    /// Unpacked.
    pub body: Vec<u8>,
}

impl Response {
    /// The answer, if the server says that it is what was asked for.
    ///
    /// # Errors
    /// With any status but 200 to 299.
    pub fn success(self) -> Result<Self, HttpError> {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        if status.is_success() {
            return Ok(self);
        }
        Err(HttpError::Status { code: self.status, reason: status.canonical_reason() })
    }
}

/// Fetches things over HTTP/1.1 and HTTPS. Needs no runtime: its futures may be awaited anywhere.
///
/// Every request has [`Limits`]; whatever a server does, it costs no more. Redirects are followed, but never from
/// HTTPS to HTTP. Answers may be packed with gzip.
#[derive(Debug)]
pub struct HttpClient {
    connector: Connector,
    user_agent: String,
    turns: Semaphore,
}

/// What one exchange gave.
enum Answer {
    Body(StatusCode, Vec<u8>),
    Elsewhere(String),
}

impl HttpClient {
    /// A client.
    ///
    /// # Errors
    /// If the extra root certificates are none.
    pub fn new(config: &Config) -> Result<Self, HttpError> {
        Ok(Self {
            connector: Connector::new(&config.extra_root_certificates)?,
            user_agent: config.user_agent.chars().filter(|c| c.is_ascii() && !c.is_control()).collect(),
            turns: Semaphore::new(config.requests.max(1)),
        })
    }

    /// Fetches what is at `url`. The time spent waiting for a turn does not count.
    ///
    /// # Errors
    /// If there is no answer, or a limit is reached. A server that says no has answered: see [`Response::success`].
    pub async fn get(&self, url: &str, limits: &Limits) -> Result<Response, HttpError> {
        let url = Url::parse(url)?;
        let _turn = self.turns.acquire().await;
        within(Waiting::End, limits.total, self.follow(url, limits)).await
    }

    /// The blocking twin of [`get`](Self::get).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_blocking(&self, url: &str, limits: &Limits) -> Result<Response, HttpError> {
        smol::block_on(self.get(url, limits))
    }

    async fn follow(&self, mut url: Url, limits: &Limits) -> Result<Response, HttpError> {
        for left in (0..=limits.redirects).rev() {
            let location = match self.exchange(&url, limits).await? {
                Answer::Body(status, body) => {
                    return Ok(Response { url: url.to_string(), status: status.as_u16(), body });
                }
                Answer::Elsewhere(location) => location,
            };
            if left == 0 {
                let to = quoted(&location);
                return Err(HttpError::TooManyRedirects { limit: limits.redirects, to });
            }
            let next = url.join(&location).map_err(|error| HttpError::Redirect {
                to: quoted(&location),
                reason: if let HttpError::Url { reason, .. } = error { reason } else { "it is malformed" },
            })?;
            if url.https && !next.https {
                let reason = "it would leave the secure connection";
                return Err(HttpError::Redirect { to: quoted(&location), reason });
            }
            url = next;
        }
        // The loop returns in its last turn.
        Err(HttpError::TooManyRedirects { limit: limits.redirects, to: url.to_string() })
    }

    async fn exchange(&self, url: &Url, limits: &Limits) -> Result<Answer, HttpError> {
        let mut request = Request::get(url.target.as_str());
        if let Some(authorization) = &url.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .header(HOST, url.authority())
            .header(USER_AGENT, &self.user_agent)
            .header(ACCEPT_ENCODING, "gzip")
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|_| HttpError::Url { url: url.to_string(), reason: "it is malformed" })?;
        let stream = self.connector.connect(&url.host, url.port, url.https, limits.idle).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEADER_BYTES)
            .max_headers(MAX_HEADERS)
            .handshake(FuturesIo::new(stream))
            .await
            .map_err(|error| protocol(&error))?;
        let work = async {
            let asked = async { sender.send_request(request).await.map_err(|error| protocol(&error)) };
            let response = within(Waiting::Answer, limits.idle, asked).await?;
            let (head, body) = response.into_parts();
            match head.status {
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => location(&head.headers).map(Answer::Elsewhere),
                status => read(&head.headers, body, limits).await.map(|body| Answer::Body(status, body)),
            }
        };
        // The connection runs beside the request in the same task; its failure is the request's.
        let connection = async {
            let _ = connection.await;
            std::future::pending().await
        };
        smol::future::or(work, connection).await
    }
}

fn location(headers: &HeaderMap) -> Result<String, HttpError> {
    match headers.get(LOCATION) {
        Some(value) => Ok(String::from_utf8_lossy(value.as_bytes()).into_owned()),
        None => Err(HttpError::Protocol("a redirect without a place to go".to_owned())),
    }
}

async fn read(headers: &HeaderMap, mut incoming: Incoming, limits: &Limits) -> Result<Vec<u8>, HttpError> {
    let announced: Option<u64> =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length| length > limits.body_bytes as u64) {
        return Err(HttpError::TooLarge { limit: limits.body_bytes });
    }
    let mut body = Body::new(headers, limits.body_bytes)?;
    loop {
        let next = async { incoming.frame().await.transpose().map_err(|error| protocol(&error)) };
        match within(Waiting::Body, limits.idle, next).await? {
            None => return body.finish(),
            Some(frame) => {
                if let Some(chunk) = frame.data_ref() {
                    body.push(chunk)?;
                }
            }
        }
    }
}

fn protocol(error: &hyper::Error) -> HttpError {
    if error.is_parse_too_large() {
        return HttpError::HeaderTooLarge;
    }
    // The cause says more than "connection error".
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    HttpError::Protocol(quoted(&format!("{error}{}", cause.unwrap_or_default())))
}
