//! The parts of an HTTPS server that the controllers share.
//!
//! **Problem.** Each controller serves something: catalog content, bundle content, admission
//! reviews, probes, metrics. The certificate changes while connections are open, readers are slow
//! or hostile, content is replaced while it is being read, and a rolling update must not cut a
//! download short.
//!
//! **Model.** A [`Server`] takes an [`axum::Router`], an address, [`Limits`] and, for HTTPS, a
//! [`tls::CertificateSource`] whose key pair can be replaced at any time. [`content::respond`]
//! answers a request for one immutable file that the caller has opened, [`content::respond_parts`]
//! one for parts of it. [`health::Health`] and
//! [`metrics::router`] are the two plain-HTTP endpoints that every process has.
//!
//! **Guarantees.**
//! * A new certificate is taken whole or not at all; the old one serves until then.
//! * The number of open connections, of requests in each and of requests in all is bounded, and so
//!   is the time for a handshake, for request headers, between two pieces of a request body, between
//!   two accepted pieces of an answer, for a whole answer, and without any request.
//! * A panicking handler answers 500 and harms no other request.
//! * After the token is cancelled no connection is accepted, requests under way get a grace period
//!   to finish, and then [`Server::run`] returns.
//! * Content is read from the handle that was open when the request came: a reader that began on
//!   old content finishes on it.
//!
//! Nothing here reads a path from a request: callers map names to files.
//!
//! ```
//! use axum::{Router, routing::get};
//! use olm_serve::{Limits, Server};
//! use tokio_util::sync::CancellationToken;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = CancellationToken::new();
//! let router = Router::new().route("/hello", get(|| async { "hello" }));
//! let server = Server::bind("example", "127.0.0.1:0", router).await?.limits(Limits::default());
//! println!("listening on {}", server.local_address());
//! token.cancel();
//! server.run(token).await;
//! # Ok(())
//! # }
//! ```

mod conditional;
pub mod content;
pub mod health;
pub mod metrics;
mod negotiate;
mod parts;
mod range;
mod request;
mod server;
mod stall;
pub mod tls;

pub use server::{BindError, Limits, Server};
