//! Who is told what became of a request: one who waits for that answer alone, or one who has several under way and hears what came of
//! them in the order in which it came.

use balcony_session::iq_table::RequestError;
use balcony_wire::Element;
use tokio::sync::{mpsc, oneshot};

/// The result, or the reason why there is none.
pub(crate) type Answer = Result<Option<Element>, RequestError>;

/// See the module. Dropped without an answer it says that the connection was lost.
#[derive(Debug)]
pub(crate) struct ReplyTo(Option<To>);

#[derive(Debug)]
enum To {
    One(oneshot::Sender<Answer>),
    Line(u64, mpsc::UnboundedSender<(u64, Answer)>),
}

impl ReplyTo {
    /// Somebody who waits for this answer alone.
    pub(crate) fn one() -> (Self, oneshot::Receiver<Answer>) {
        let (done, answer) = oneshot::channel();
        (Self(Some(To::One(done))), answer)
    }

    /// Nobody hears more.
    pub(crate) fn say(mut self, answer: Answer) {
        self.tell(answer);
    }

    fn tell(&mut self, answer: Answer) {
        // Whoever asked may have gone meanwhile.
        match self.0.take() {
            Some(To::One(done)) => drop(done.send(answer)),
            Some(To::Line(number, line)) => drop(line.send((number, answer))),
            None => {}
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        self.tell(Err(RequestError::Disconnected));
    }
}

/// The answers to several questions. Futures of their own would tell them in an order of their own, where two come at once; whoever
/// judges the other side by the order needs the true one. It holds as many as its owner has asked for.
#[derive(Debug)]
pub(crate) struct Line {
    put: mpsc::UnboundedSender<(u64, Answer)>,
    take: mpsc::UnboundedReceiver<(u64, Answer)>,
}

impl Line {
    pub(crate) fn new() -> Self {
        let (put, take) = mpsc::unbounded_channel();
        Self { put, take }
    }

    /// For one more question.
    pub(crate) fn reply_to(&self, number: u64) -> ReplyTo {
        ReplyTo(Some(To::Line(number, self.put.clone())))
    }

    /// The next answer, by the number of its question. Safe to drop.
    pub(crate) async fn next(&mut self) -> (u64, Answer) {
        match self.take.recv().await {
            Some(answer) => answer,
            // Never: we hold the other end.
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_come_out_in_the_order_they_came_whatever_was_asked_first() {
        let mut line = Line::new();
        let [first, second, third] = [1, 2, 3].map(|number| line.reply_to(number));
        second.say(Ok(None));
        drop(third);
        first.say(Err(RequestError::TimedOut));
        assert_eq!(line.next().await, (2, Ok(None)));
        assert_eq!(line.next().await, (3, Err(RequestError::Disconnected)), "nobody is left without an answer");
        assert_eq!(line.next().await, (1, Err(RequestError::TimedOut)));
    }

    #[tokio::test]
    async fn who_asks_once_hears_once() {
        let (reply, answer) = ReplyTo::one();
        reply.say(Ok(None));
        assert_eq!(answer.await, Ok(Ok(None)));
        let (reply, answer) = ReplyTo::one();
        drop(reply);
        assert_eq!(answer.await, Ok(Err(RequestError::Disconnected)));
    }
}
