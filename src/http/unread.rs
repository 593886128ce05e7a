//! A chunked body that nobody read to its end closes its connection.
//!
//! A server that is left with the rest of such a body reads it and throws it away, for as long as the other side sends:
//! a byte a second would hold a connection for ever, whatever the answer was. While somebody still holds the body, actix
//! answers with `Connection: close` and lingers for a bounded time; so it is held until the answer is on its way. A body
//! with a length is bounded by it, and closed as well.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;

/// Answers are on their way long before.
const HELD: Duration = Duration::from_secs(5);

/// The body of a request, in reach of whoever answers it.
#[derive(Clone)]
pub struct Unread {
    payload: Rc<RefCell<Payload>>,
    ended: Rc<RefCell<bool>>,
}

impl Unread {
    /// Takes hold of a chunked body; the handler reads it as before.
    pub fn of(request: &mut ServiceRequest) -> Option<Self> {
        if !request.chunked().unwrap_or(false) {
            return None;
        }
        let this = Self { payload: Rc::new(RefCell::new(request.take_payload())), ended: Rc::default() };
        request.set_payload(Payload::Stream { payload: Box::pin(this.clone()) });
        Some(this)
    }

    /// Holds what is left of it until the answer is on its way.
    pub fn hold(self) {
        if !*self.ended.borrow() {
            actix_web::rt::spawn(async move {
                tokio::time::sleep(HELD).await;
                drop(self);
            });
        }
    }
}

impl Stream for Unread {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut *self.payload.borrow_mut()).poll_next(cx);
        if matches!(next, Poll::Ready(None)) {
            *self.ended.borrow_mut() = true;
        }
        next
    }
}
