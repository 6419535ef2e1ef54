//! Receives the code of a sign-in: the browser is sent to a free port of this machine, to a path that nobody can guess.
//!
//! The path is what OAuth calls the state: a request for any other path is not of this sign-in, and gets 404.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::setup::Secret;
use crate::terminal::{Exit, Failure};

/// The random bytes of the path.
const RANDOM_BYTES: usize = 16;

/// What the browser brings: a code, or the service's word for why there is none.
type Brought = Result<Secret, String>;

/// Where the browser brings the code.
pub struct Callback {
    listener: TcpListener,
    path: Arc<str>,
}

impl Callback {
    pub async fn listen() -> Result<Self, Failure> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes).map_err(|cause| Failure::internal(format!("cannot get random bytes: {cause}")))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        Ok(Self {
            listener: listener.map_err(|cause| Failure::internal(format!("cannot listen on this machine: {cause}")))?,
            path: format!("/{}", URL_SAFE_NO_PAD.encode(bytes)).into(),
        })
    }

    pub fn url(&self) -> Result<String, Failure> {
        let address = self.listener.local_addr();
        let address = address.map_err(|cause| Failure::internal(format!("cannot read the port: {cause}")))?;
        Ok(format!("http://{address}{}", self.path))
    }

    /// Waits for the browser.
    ///
    /// - Errors: the service says that the user did not agree.
    pub async fn code(self) -> Result<Secret, Failure> {
        let (sender, mut brought) = unbounded_channel();
        // Browsers open connections that they may never use, so none may block another.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => if let Ok((stream, _)) = accepted {
                    connections.spawn(answer(stream, Arc::clone(&self.path), sender.clone()));
                },
                Some(brought) = brought.recv() => return brought.map_err(|why| {
                    Failure::new(Exit::Auth, format!("the service did not sign you in: {why}"))
                }),
            }
        }
    }
}

/// Answers one request, and passes on what it brings once the browser has its page.
async fn answer(stream: TcpStream, path: Arc<str>, sender: UnboundedSender<Brought>) {
    let brought = Mutex::new(None);
    let service = service_fn(|request: Request<Incoming>| {
        let found = brought_by(&request, &path);
        let (status, text) = match &found {
            Some(Ok(_)) => (
                StatusCode::OK,
                "You are signed in. Close this page, and go back to the terminal.",
            ),
            Some(Err(_)) => (
                StatusCode::OK,
                "You are not signed in. Close this page, and go back to the terminal.",
            ),
            None => (StatusCode::NOT_FOUND, "There is nothing here."),
        };
        *brought.lock().unwrap_or_else(PoisonError::into_inner) = found;
        let page = format!("<!doctype html><meta charset=utf-8><title>agent-host</title><p>{text}</p>\n");
        let mut response = Response::new(Full::new(Bytes::from(page)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        for (name, value) in [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CACHE_CONTROL, "no-store"),
            // The address of the page has the code in it.
            (REFERRER_POLICY, "no-referrer"),
        ] {
            headers.insert(name, hyper::header::HeaderValue::from_static(value));
        }
        async { Ok::<_, Infallible>(response) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    // A browser that leaves early has brought its code all the same.
    let _ = server
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Some(brought) = brought.into_inner().unwrap_or_else(PoisonError::into_inner) {
        // Nobody listens any more after the first.
        let _ = sender.send(brought);
    }
}

/// What a request brings; `None` if it is not of this sign-in.
fn brought_by<B>(request: &Request<B>, path: &str) -> Option<Brought> {
    if request.method() != Method::GET || request.uri().path() != path {
        return None;
    }
    let query = request.uri().query().unwrap_or_default().as_bytes();
    let parameter = |name: &str| form_urlencoded::parse(query).find(|(known, _)| known == name);
    let value = |name: &str| Some(parameter(name)?.1.into_owned()).filter(|text| !text.is_empty());
    match (value("code"), value("error")) {
        (Some(code), _) => Some(Ok(Secret::new(code))),
        (None, Some(why)) => Some(Err(why)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_sign_in_brings_a_code() {
        for (method, target, expected) in [
            ("GET", "/state?code=a%2Bb", Some(Ok("a+b"))),
            ("GET", "/state?x=1&code=a", Some(Ok("a"))),
            ("GET", "/state?error=access_denied", Some(Err("access_denied"))),
            ("GET", "/state", None),
            ("GET", "/state?code=", None),
            ("GET", "/other?code=a", None),
            ("GET", "/?code=a&state=state", None),
            ("POST", "/state?code=a", None),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(target)
                .body(())
                .expect("a request");
            let brought = brought_by(&request, "/state");
            let shown = brought.as_ref().map(|brought| match brought {
                Ok(code) => Ok(code.reveal()),
                Err(why) => Err(why.as_str()),
            });
            assert_eq!(shown, expected, "{method} {target}");
        }
    }
}
