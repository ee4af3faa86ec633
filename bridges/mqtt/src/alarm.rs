//! The alarm of the adapter's own tasks: when one of them ends although the bridge is not being closed, everybody hears it.
//!
//! A task that panics takes nobody with it, so without this a bridge whose keeper is gone would look ready for ever, take what
//! is published and bring nothing.

use std::sync::Arc;

use roadshow_bridges::Health;

use crate::group::Group;
use crate::shared::Shared;

/// Held by a task for as long as it runs; dropping it before the bridge is closed ends the bridge.
#[derive(Debug)]
pub(crate) struct Alarm {
    shared: Arc<Shared>,
    task: &'static str,
}

impl Alarm {
    pub(crate) fn new(shared: &Arc<Shared>, task: &'static str) -> Self {
        Self {
            shared: Arc::clone(shared),
            task,
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let shared = &self.shared;
        if shared.is_closing() || shared.presence.health() == Health::Closed {
            return;
        }
        tracing::error!(task = self.task, "a task of the bridge has ended");
        // What is known of the end already, a refusal for example, says more.
        if !shared.has_failed() {
            let reason = format!("its task has ended: {}", self.task).into();
            shared.presence.set(Health::Failed { reason });
        }
        shared.routes.groups().iter().for_each(Group::close);
        shared.outlet.shut();
        // No subscription may stay at the broker that takes messages for nobody.
        shared.end_connection();
        shared.detach();
        shared.room.freed();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use roadshow_bridges::{Access, Deliveries, Namespace, Subscription};
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;
    use crate::routes::Route;
    use crate::settings::Settings;
    use crate::source::Source;

    fn shared() -> Arc<Shared> {
        let settings = Settings::parse("mqtt://127.0.0.1", &Access::default()).expect("a url");
        Arc::new(Shared::new(settings, Namespace::default(), 1))
    }

    fn deliveries(shared: &Arc<Shared>) -> Deliveries {
        let subject = Namespace::default().members_subject();
        let group = Group::new(&Subscription::new(subject), None, Arc::clone(&shared.outlet));
        shared.routes.add("roadshow/members", Route::Group(Arc::clone(&group)));
        let member = group.join(1).expect("a new group is open");
        Deliveries::new(Source::new(group, member))
    }

    #[tokio::test]
    async fn the_panic_of_a_task_is_heard_and_ends_the_deliveries() {
        let shared = shared();
        shared.presence.set(Health::Ready);
        let mut deliveries = deliveries(&shared);
        let mut tasks = JoinSet::new();
        let alarm = Alarm::new(&shared, "keeper");
        let ended = shared.renewed();
        tasks.spawn(async move {
            let _alarm = alarm;
            panic!("a defect");
        });
        let limit = Duration::from_secs(5);
        let next = timeout(limit, deliveries.next()).await;
        assert!(next.expect("the deliveries end").is_none());
        assert!(matches!(shared.presence.health(), Health::Failed { .. }));
        timeout(limit, ended).await.expect("the connection ends too");
        let error = shared.presence.ready(None).await.expect_err("nothing is published");
        assert!(error.to_string().contains("keeper"), "{error}");
    }

    #[tokio::test]
    async fn the_end_of_a_bridge_that_is_closed_alarms_nobody() {
        let shared = shared();
        shared.presence.set(Health::Closed);
        drop(Alarm::new(&shared, "keeper"));
        assert_eq!(shared.presence.health(), Health::Closed);
    }

    #[tokio::test]
    async fn a_renewal_counts_only_for_the_connection_of_now() {
        let shared = shared();
        let soon = Duration::from_millis(20);
        let connecting = shared.renewed();
        shared.renew();
        assert!(timeout(soon, connecting).await.is_err(), "there was no connection");
        shared.presence.set(Health::Ready);
        let living = shared.renewed();
        shared.renew();
        assert!(timeout(soon, living).await.is_ok());
        let next = shared.renewed();
        assert!(timeout(soon, next).await.is_err(), "the next one is another");
    }
}
