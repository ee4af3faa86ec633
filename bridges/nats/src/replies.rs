//! The bridge's own inbox: where the server answers us, and where we answer ourselves.
//!
//! Below the inbox of the node, one token deeper than replies to calls, so that the permission for the one covers the
//! other. async-nats' own `request` is not used for what is sent often: an answer that never comes stays in its table for
//! the life of the client (nats.rs 1617). Here an entry ends with whoever waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt;
use roadshow_bridges::ConnectContext;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::tasks::lock;

/// Who waits for an answer in the bridge's own inbox.
#[derive(Debug)]
pub(crate) struct Replies {
    /// What the subjects of this inbox begin with, dot included.
    root: String,
    waiting: Mutex<HashMap<u64, Waiting>>,
    next: AtomicU64,
}

/// Tells whether a message can be the answer that is waited for.
pub(crate) type IsAnswer = fn(&Message) -> bool;

/// Somebody who waits.
#[derive(Debug)]
struct Waiting {
    sender: oneshot::Sender<Message>,
    is_answer: IsAnswer,
}

/// One answer that is waited for. Dropping it forgets it.
#[derive(Debug)]
pub(crate) struct Answer {
    replies: Arc<Replies>,
    token: u64,
    receiver: oneshot::Receiver<Message>,
}

impl Replies {
    /// An inbox below the inbox of the node; its name is drawn, so that two bridges of one node have their own.
    pub(crate) fn new(context: &ConnectContext) -> Self {
        let inbox_root = context.namespace.inbox_root(&context.node, context.incarnation);
        Self {
            root: format!("{inbox_root}.b{:016x}.", rand::random::<u64>()),
            waiting: Mutex::default(),
            next: AtomicU64::new(1),
        }
    }

    /// What the inbox subscribes to.
    pub(crate) fn pattern(&self) -> String {
        format!("{}*", self.root)
    }

    /// What the subjects of a further inbox begin with, dot included. This inbox does not hear them.
    pub(crate) fn further(&self, what: &str) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}{what}{number}.", self.root)
    }

    /// Waits for an answer: the subject to send it to, and the answer to be.
    pub(crate) fn expect(self: &Arc<Self>) -> (String, Answer) {
        self.expect_if(|_| true)
    }

    /// As [`Replies::expect`], for a question that strangers hear too: what cannot be the answer is passed over.
    pub(crate) fn expect_if(self: &Arc<Self>, is_answer: IsAnswer) -> (String, Answer) {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        lock(&self.waiting).insert(token, Waiting { sender, is_answer });
        let answer = Answer {
            replies: Arc::clone(self),
            token,
            receiver,
        };
        (format!("{}{token}", self.root), answer)
    }

    /// Hands out what arrives until the subscription ends.
    pub(crate) async fn run(self: Arc<Self>, mut subscriber: Subscriber) {
        while let Some(message) = subscriber.next().await {
            self.hand_out(message);
        }
    }

    fn hand_out(&self, message: Message) {
        let token = message
            .subject
            .strip_prefix(self.root.as_str())
            .and_then(|token| token.parse::<u64>().ok());
        match token.and_then(|token| self.take(token, &message)) {
            // Whoever waited may just have given up.
            Some(sender) => drop(sender.send(message)),
            None => tracing::debug!(subject = %message.subject, "nobody waits for this answer of the server"),
        }
    }

    /// Ends all waiting, because the connection is lost: on another one no answer comes to what the server has read on this
    /// one. An answer that is here already counts.
    pub(crate) fn lost(&self) {
        lock(&self.waiting).clear();
    }

    fn take(&self, token: u64, message: &Message) -> Option<oneshot::Sender<Message>> {
        let mut waiting = lock(&self.waiting);
        let is_answer = waiting.get(&token)?.is_answer;
        if !is_answer(message) {
            return None;
        }
        waiting.remove(&token).map(|waiting| waiting.sender)
    }

    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.waiting).len()
    }
}

impl Answer {
    /// The answer, or `None` if it does not come in time or its connection is lost.
    pub(crate) async fn within(mut self, longest: Duration) -> Option<Message> {
        timeout(longest, &mut self.receiver).await.ok()?.ok()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        lock(&self.replies.waiting).remove(&self.token);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bytes::Bytes;
    use roadshow_bridges::IncarnationId;

    pub(crate) fn replies() -> Arc<Replies> {
        let (namespace, node) = ("ns".parse().expect("a namespace"), "n1".parse().expect("a node"));
        Arc::new(Replies::new(&ConnectContext::new(
            namespace,
            node,
            IncarnationId::from_u64(1),
        )))
    }

    fn message(subject: String) -> Message {
        Message {
            subject: subject.into(),
            reply: None,
            payload: Bytes::new(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_finds_who_waits_and_a_late_one_nobody() {
        let replies = replies();
        let (subject, answer) = replies.expect();
        replies.hand_out(message(subject.clone()));
        assert!(answer.within(Duration::from_secs(1)).await.is_some());
        let (late, answer) = replies.expect();
        assert!(answer.within(Duration::from_secs(1)).await.is_none());
        assert_eq!(replies.waiting(), 0);
        for subject in [subject, late, "elsewhere".to_owned()] {
            replies.hand_out(message(subject));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_ends_the_waiting_at_once_and_an_answer_that_is_here_counts() {
        let replies = replies();
        let ((subject, here), (_, open)) = (replies.expect(), replies.expect());
        replies.hand_out(message(subject));
        let begun = tokio::time::Instant::now();
        replies.lost();
        assert!(here.within(Duration::from_secs(1)).await.is_some());
        assert!(open.within(Duration::from_secs(1)).await.is_none());
        assert_eq!((begun.elapsed(), replies.waiting()), (Duration::ZERO, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_stranger_says_is_passed_over_and_the_answer_still_comes() {
        let replies = replies();
        let (subject, answer) = replies.expect_if(|message| !message.payload.is_empty());
        replies.hand_out(message(subject.clone()));
        let mut word = message(subject);
        word.payload = Bytes::from_static(b"stored");
        replies.hand_out(word);
        let heard = answer.within(Duration::from_secs(1)).await.expect("an answer");
        assert_eq!(heard.payload, &b"stored"[..]);
    }
}
